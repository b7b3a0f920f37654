package main

import (
	"reflect"
	"strings"
	"testing"
)

const words = `(using postmaster on 127.0.0.1, port 5432)
============== running regression test queries        ==============
test tablespace                   ... ok          284 ms
parallel group (3 tests):  char boolean name
     boolean                      ... ok           93 ms
     char                         ... FAILED       40 ms
test random                       ... failed (ignored)       12 ms
`

const tap = `# parallel group (2 tests):  char boolean
ok 1         - tablespace                                284 ms
ok 2         + boolean                                    93 ms
not ok 3     + char                                       40 ms
not ok 4     - random                                     12 ms
1..4
`

func TestResultsAreReadOfEveryVersion(t *testing.T) {
	want := map[string]bool{"tablespace": true, "boolean": true, "char": false, "random": false}
	for _, out := range []string{words, tap} {
		if got := parseResults(out); !reflect.DeepEqual(got, want) {
			t.Errorf("got %v, want %v from\n%s", got, want, out)
		}
	}
}

func TestOnlyWhatIsExpectedMayFail(t *testing.T) {
	e, err := parseExpectations("# comment\n\ntransaction char it is  odd\nsession boolean old\ntransaction boolean old\n")
	if err != nil {
		t.Fatal(err)
	}
	v := e.judge("transaction", map[string]bool{"char": false, "boolean": true, "name": false, "text": true})
	want := "transaction  2 of 4 passed\n  allowed     char: it is odd\n  NOT ALLOWED name"
	if v.String("transaction") != want || !reflect.DeepEqual(v.stale, []string{"boolean"}) {
		t.Errorf("got %s\nstale %q", v.String("transaction"), v.stale)
	}
	for _, wrong := range []string{"transaction char", "elsewhere char reason"} {
		if _, err := parseExpectations(wrong); err == nil || !strings.HasPrefix(err.Error(), "line 1: ") {
			t.Errorf("%q: got %v", wrong, err)
		}
	}
}

func TestDiffOfOneTest(t *testing.T) {
	all := "diff -U3 /s/expected/guc.out /o/results/guc.out\n-a\n+b\ndiff -U3 /s/expected/temp.out /o/results/temp.out\n-c\n"
	want := []string{"diff -U3 /s/expected/guc.out /o/results/guc.out", "-a", "+b"}
	if got := diffOf(all, "guc"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	if got := diffOf(all, "uc"); got != nil {
		t.Errorf("got %q for a test that has none", got)
	}
}
