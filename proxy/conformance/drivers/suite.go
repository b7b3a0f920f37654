package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// driver is one program of tests. In its texts, $CACHE stands for the directory of what was installed, and $PGHOST and
// the others for the database.
type driver struct {
	name  string // of its directory too, up to a slash
	needs string // the tool chain, as run.sh names it
	in    string // its directory; empty: as its name says
	setup []string
	args  []string
	env   []string
	count counter
}

// counter reads the closing lines of a test runner.
type counter func(output string) tally

// tally is how many tests of a run had which end.
type tally struct{ passed, failed, skipped int }

func (t tally) String() string {
	text := fmt.Sprintf("%d/%d", t.passed, t.passed+t.failed+t.skipped)
	if t.skipped > 0 {
		text += fmt.Sprintf(" (%d skipped)", t.skipped)
	}
	return text
}

var (
	goTest   = []string{"go", "test", "-tags", "pg", "-count", "1", "-v", "."}
	pytest   = []string{"$CACHE/venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "."}
	nodeTest = []string{"node", "--test", "--test-reporter=tap", "."}
)

// drivers are all of them, in the order of the table.
var drivers = []driver{
	{name: "pgx", needs: "go", args: goTest, count: countGo},
	{name: "pq", needs: "go", args: goTest, count: countGo},
	{name: "psycopg3/binary", needs: "python", args: pytest, env: []string{"PSYCOPG_IMPL=binary"}, count: countPytest},
	{name: "psycopg3/python", needs: "python", args: pytest, env: []string{"PSYCOPG_IMPL=python"}, count: countPytest},
	{name: "psycopg2", needs: "python", args: pytest, count: countPytest},
	{name: "asyncpg", needs: "python", args: pytest, count: countPytest},
	{name: "node-postgres", needs: "node-postgres", args: nodeTest, env: []string{"NODE_PATH=$CACHE/node-postgres/node_modules"}, count: countTAP},
	{name: "postgresjs", needs: "postgresjs", args: nodeTest, env: []string{"NODE_PATH=$CACHE/postgresjs/node_modules"}, count: countTAP},
	{name: "pgjdbc", needs: "pgjdbc", args: []string{"mvn", "-B", "-o", "surefire:test"}, count: countSurefire},
	{name: "ruby-pg", needs: "ruby", args: []string{"ruby", "test.rb", "--verbose"}, count: countMinitest},
	{name: "activerecord", needs: "ruby", args: []string{"ruby", "-W0", "test.rb", "--verbose"}, count: countMinitest},
}

// choose returns those of all with these names, or all; "psycopg3" stands for both of its kinds.
func choose(all []driver, names []string) ([]driver, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []driver
	for _, name := range names {
		before := len(chosen)
		for _, d := range all {
			if d.name == name || strings.HasPrefix(d.name, name+"/") {
				chosen = append(chosen, d)
			}
		}
		if len(chosen) == before {
			return nil, fmt.Errorf("no driver is called %q; there are %s", name, strings.Join(namesOf(all), ", "))
		}
	}
	return chosen, nil
}

func namesOf(all []driver) []string {
	var names []string
	for _, d := range all {
		names = append(names, d.name)
	}
	slices.Sort(names)
	return names
}

// last returns the numbers of the last match of re in output, or zeros.
func last(re *regexp.Regexp, output string) []int {
	numbers := make([]int, re.NumSubexp())
	all := re.FindAllStringSubmatch(output, -1)
	if len(all) == 0 {
		return numbers
	}
	for i, text := range all[len(all)-1][1:] {
		numbers[i], _ = strconv.Atoi(text) // an absent group is zero
	}
	return numbers
}

var goLine = regexp.MustCompile(`(?m)^ *--- (PASS|FAIL|SKIP): `)

func countGo(output string) (t tally) {
	for _, m := range goLine.FindAllStringSubmatch(output, -1) {
		switch m[1] {
		case "PASS":
			t.passed++
		case "FAIL":
			t.failed++
		case "SKIP":
			t.skipped++
		}
	}
	return t
}

var pytestWord = regexp.MustCompile(`(\d+) (passed|failed|skipped|xfailed|xpassed|errors?)\b`)

func countPytest(output string) (t tally) {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	for _, m := range pytestWord.FindAllStringSubmatch(lines[len(lines)-1], -1) {
		n, _ := strconv.Atoi(m[1]) // digits
		switch m[2] {
		case "passed":
			t.passed += n
		case "skipped", "xfailed":
			t.skipped += n
		default:
			t.failed += n
		}
	}
	return t
}

var tapLines = regexp.MustCompile(`(?m)^# pass (\d+)\n# fail (\d+)\n# cancelled (\d+)\n# skipped (\d+)\n# todo (\d+)$`)

func countTAP(output string) tally {
	n := last(tapLines, output)
	return tally{passed: n[0], failed: n[1] + n[2], skipped: n[3] + n[4]}
}

var surefireLine = regexp.MustCompile(`Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)`)

func countSurefire(output string) tally {
	n := last(surefireLine, output)
	return tally{passed: n[0] - n[1] - n[2] - n[3], failed: n[1] + n[2], skipped: n[3]}
}

var minitestLine = regexp.MustCompile(`(\d+) (?:runs|tests), \d+ assertions, (\d+) failures, (\d+) errors, (\d+) skips`)

func countMinitest(output string) tally {
	n := last(minitestLine, output)
	return tally{passed: n[0] - n[1] - n[2] - n[3], failed: n[1] + n[2], skipped: n[3]}
}
