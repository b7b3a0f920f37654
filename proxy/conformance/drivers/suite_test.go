package main

import (
	"slices"
	"testing"
)

// The closing lines of each runner, as they print them.
func TestCounters(t *testing.T) {
	for _, c := range []struct {
		name   string
		count  counter
		output string
		want   tally
	}{
		{"go", countGo, "=== RUN   TestA\n--- FAIL: TestA (0.00s)\n    --- PASS: TestA/x (0.00s)\n    --- FAIL: TestA/y (0.00s)\n--- SKIP: TestB (0.00s)\n", tally{1, 2, 1}},
		{"pytest", countPytest, "..F\nFAILED test_a.py::test_b - 1 failed\n1 failed, 12 passed, 2 skipped, 1 error in 0.31s\n", tally{12, 2, 2}},
		{"pytest, all passed", countPytest, "33 passed in 1.01s\n", tally{33, 0, 0}},
		{"tap", countTAP, "ok 1 - a\n# tests 6\n# suites 0\n# pass 1\n# fail 2\n# cancelled 1\n# skipped 1\n# todo 1\n# duration_ms 9\n", tally{1, 3, 2}},
		{"surefire", countSurefire, "[INFO] Tests run: 9, Failures: 0, Errors: 0, Skipped: 0\n[ERROR] Tests run: 36, Failures: 1, Errors: 2, Skipped: 3\n", tally{30, 3, 3}},
		{"minitest", countMinitest, "17 runs, 415 assertions, 1 failures, 2 errors, 3 skips\n", tally{11, 3, 3}},
	} {
		if got := c.count(c.output); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
		if got := c.count("killed\n"); got != (tally{}) {
			t.Errorf("%s: %+v without closing lines", c.name, got)
		}
	}
}

func TestGoFailuresAreLeaves(t *testing.T) {
	got := goFailures("--- FAIL: TestA (0s)\n    --- FAIL: TestA/x (0s)\n--- FAIL: TestAB (0s)\n--- PASS: TestC (0s)\n")
	if want := []string{"TestA/x", "TestAB"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMissingDriverFailsUnlessOptional(t *testing.T) {
	r := row{missing: "no ruby"}
	if r.ok(false) {
		t.Error("a driver that was not run passed")
	}
	if r.optional = true; !r.ok(false) {
		t.Error("an optional driver failed")
	}
	if r.missing = ""; r.ok(false) {
		t.Error("a driver without results passed")
	}
}
