package main

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"pgguard/proxy/dashboard"
	"pgguard/proxy/diagnosis"
)

// stalled is a guard in a stall, with names that break terminals.
func stalled() *dashboard.Now {
	evil := "\x1b]0;owned\x07\u202e\nroot#" + strings.Repeat("W", 60_000)
	row := []float64{1764421200, 4, 26, 12, 80, 2, 1.5 /* waits: */, 1, 0, 0, 25, 0, 0, 2 /* queue: */, 9, 12 /* good: */, 30, 2.5 /* p99: */, 1.5, 4}
	return &dashboard.Now{
		Version: "v1", Mode: "enforce", Classes: []string{"high", "low"}, Clients: map[string]int{"idle": 300, "active": 26, "idle_in_transaction": 2},
		Verdicts: []diagnosis.Verdict{{State: diagnosis.Locks, Cause: "lock_line", Database: "db:5432", Confidence: 0.9, Since: time.Now(),
			Sentence: "25 statements stand behind alter orders (pid 12), which waits for select orders of " + evil + " (pid 11), running for 94 s.",
			Advice:   "Cancel the one in between (select pg_cancel_backend(12)) and the others go on.",
			Culprit: diagnosis.Culprit{Application: evil, PID: 11, Statement: "select orders", Tags: map[string]string{"job": evil},
				Through: &diagnosis.Culprit{Application: "psql", PID: 12, Statement: "alter orders"}}}},
		Databases: []dashboard.NowDatabase{{Name: "db:5432", Row: row, Servers: map[string]int{"active": 27, "idle": 8},
			Crowds: []dashboard.Crowd{{Application: evil, Clients: 240, Active: 4}, {Clients: 6}}}},
		Queries:   []dashboard.Query{{Called: evil, Calls: 200, Mean: 0.015, Share: 0.58}},
		Journal:   []dashboard.Entry{{Seq: 1, Time: 1764421200000, Text: "The limit goes from 10 to 12: " + evil, Effect: "work +4 %"}},
		Incidents: []dashboard.Brief{{Number: 1, Begin: 1764421200, Sentence: evil, Refused: 12}},
	}
}

// TestTopFitsTheTerminalAndShowsNamesAsText: whatever a client calls itself, no line is wider than the screen and nothing in it but the guard's own colours moves
// the cursor or changes the colours.
func TestTopFitsTheTerminalAndShowsNamesAsText(t *testing.T) {
	for _, width := range []int{1, 40, 80, 200} {
		for _, height := range []int{1, 10, 24, 80} {
			v := view{width: width, height: height, at: time.Unix(0, 0)}
			lines := v.lines(stalled())
			if len(lines) > height {
				t.Errorf("%d x %d: %d lines", width, height, len(lines))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > width {
					t.Errorf("%d x %d: %q is too wide", width, height, line)
				}
				for _, r := range line {
					if !unicode.IsPrint(r) {
						t.Fatalf("%d x %d: %q has %q in it", width, height, line, r)
					}
				}
			}
		}
	}
	v := view{width: 100, height: 50, color: true}
	for _, line := range v.lines(stalled()) {
		rest := line
		for _, own := range []string{"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;31m", "\x1b[1;33m"} {
			rest = strings.ReplaceAll(rest, own, "")
		}
		if strings.ContainsFunc(rest, unicode.IsControl) || strings.Count(line, "\x1b[0m") < strings.Count(line, "\x1b[")/2 {
			t.Errorf("%q", line)
		}
	}
}

func TestTopSaysWhatIsWrongFirst(t *testing.T) {
	v := view{width: 120, height: 50, at: time.Unix(0, 0)}
	lines := v.lines(stalled())
	text := strings.Join(lines, "\n")
	if !strings.HasPrefix(lines[2], "✖ WAITING FOR LOCKS  since ") || !strings.HasPrefix(lines[3], "25 statements stand behind alter orders (pid 12)") {
		t.Errorf("got\n%s", text)
	}
	for _, want := range []string{
		"culprit: ", "   └─ waits for it, others wait behind: psql, pid 12, alter orders", "26 of 12 run   27 of 80 connections in use, 8 idle   328 clients, 2 in a transaction",
		"█XXXXXXXXXXXXXXXXXXXXXXXXX??/////////////////////", "X lock 25", "/ low waits in pgguard 12", "high                    9           30        1.5 s", "1.5 refused a second",
		"    240       4       0       0       0  ?]0;owned???root#", "(no name)", "  58%       200     15 ms  ", "12 refused",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
	if calm := v.lines(&dashboard.Now{}); !strings.HasPrefix(calm[2], "✓ CALM") {
		t.Errorf("of nothing: %q", calm)
	}
}
