package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// How pg_regress says what came of a test: since 16 as TAP, before in words.
var (
	inWords = regexp.MustCompile(`(?m)^(?:test |\s+)\s*(\S+)\s+\.\.\. (ok|FAILED|failed)`)
	inTAP   = regexp.MustCompile(`(?m)^(ok|not ok) \d+\s+[-+] (\S+)`)
)

// parseResults reads pg_regress's output: which tests passed.
func parseResults(out string) map[string]bool {
	res := map[string]bool{}
	for _, m := range inWords.FindAllStringSubmatch(out, -1) {
		res[m[1]] = m[2] == "ok"
	}
	for _, m := range inTAP.FindAllStringSubmatch(out, -1) {
		res[m[2]] = m[1] == "ok"
	}
	return res
}

// expectations are the tests that may fail, by mode, each with its reason.
type expectations map[string]map[string]string

// parseExpectations reads lines of mode, test and reason. A line that begins with # is a comment.
func parseExpectations(text string) (expectations, error) {
	e := expectations{}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if len(f) < 3 {
			return nil, fmt.Errorf("line %d: want mode, test and reason", i+1)
		}
		if !known(f[0]) {
			return nil, fmt.Errorf("line %d: there is no mode %q", i+1, f[0])
		}
		if e[f[0]] == nil {
			e[f[0]] = map[string]string{}
		}
		e[f[0]][f[1]] = strings.Join(f[2:], " ")
	}
	return e, nil
}

// verdict is what came of one run of the suite.
type verdict struct {
	passed, total int
	allowed       []string // failed, as they may
	unexpected    []string // failed, and must not
	stale         []string // may fail, and passed
	reasons       map[string]string
}

// judge compares results with what is expected of a mode.
func (e expectations) judge(mode string, res map[string]bool) verdict {
	v := verdict{total: len(res), reasons: e[mode]}
	for test, ok := range res {
		_, may := v.reasons[test]
		switch {
		case ok && may:
			v.stale = append(v.stale, test)
		case ok:
		case may:
			v.allowed = append(v.allowed, test)
		default:
			v.unexpected = append(v.unexpected, test)
		}
		if ok {
			v.passed++
		}
	}
	slices.Sort(v.stale)
	slices.Sort(v.allowed)
	slices.Sort(v.unexpected)
	return v
}

// String is one line for a mode, and one for each of its failures.
func (v verdict) String(mode string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-12s %d of %d passed", mode, v.passed, v.total)
	for _, test := range v.allowed {
		fmt.Fprintf(&b, "\n  allowed     %s: %s", test, v.reasons[test])
	}
	for _, test := range v.unexpected {
		fmt.Fprintf(&b, "\n  NOT ALLOWED %s", test)
	}
	return b.String()
}

// longestDiff bounds what is printed of one test's difference: the start shows what went wrong, the rest follows from it.
const longestDiff = 120

// diff is the difference of one test's output from what is expected, as far as it is printed.
func (r *runner) diff(mode, test string) string {
	path := filepath.Join(r.out(mode), "regression.diffs")
	all, err := os.ReadFile(path)
	if err != nil {
		return err.Error() + "\n"
	}
	lines := diffOf(string(all), test)
	if len(lines) > longestDiff {
		more := fmt.Sprintf("… %d more lines in %s", len(lines)-longestDiff, path)
		lines = append(lines[:longestDiff:longestDiff], more)
	}
	return strings.Join(lines, "\n") + "\n"
}

// diffOf is the part of regression.diffs about one test.
func diffOf(all, test string) []string {
	var out []string
	in := false
	for _, line := range strings.Split(strings.TrimSuffix(all, "\n"), "\n") {
		if strings.HasPrefix(line, "diff ") {
			in = strings.HasSuffix(line, "/results/"+test+".out")
		}
		if in {
			out = append(out, line)
		}
	}
	return out
}
