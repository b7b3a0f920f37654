package diagnosis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgguard/pool/event"
)

// tape plays looks to a judge and a record.
type tape struct {
	judge  Judge
	record Record
	at     time.Time
	told   []string // what began and ended
}

func newTape() *tape { return &tape{at: time.Date(2026, 11, 29, 14, 0, 0, 0, time.UTC)} }

// play shows the same sight for n seconds.
func (p *tape) play(n int, s Sight) {
	for range n {
		p.at = p.at.Add(time.Second)
		s.At, s.Database, s.Sampled = p.at, "db:5432", true
		if s.Breaker == "" {
			s.Breaker, s.Up = "closed", true
		}
		v := p.judge.Judge(s)
		if in := p.record.Note(&v, &s); in != nil {
			p.told = append(p.told, fmt.Sprintf("%d %s %v", in.Number, in.Cause, !in.End.IsZero()))
		}
	}
}

func refusedBy(reason string, n uint64) []Class {
	return []Class{{Name: "jobs", By: map[string]uint64{reason: n}}}
}

var blocked = Sight{Waits: Waits{Lock: 9}, Running: 10, Classes: []Class{{Name: "jobs", Waiting: 4, Oldest: 3 * time.Second, By: map[string]uint64{"wait": 7}}},
	Holder: &Holder{PID: 7, Blocks: 9, Idle: true, Held: 4 * time.Second, Application: "<img src=x>|`rm`", Named: Named{Called: "update stock"}}}

func TestIncidentHasBeginEndCausePeakAndWhoWasRefused(t *testing.T) {
	p := newTape()
	calm := Sight{Limit: 10, Classes: refusedBy("wait", 7)}
	p.play(10, calm)
	worse := blocked
	worse.Classes = []Class{{Name: "jobs", Waiting: 40, Oldest: 9 * time.Second, By: map[string]uint64{"wait": 12, "breaker": 0}}}
	p.play(6, blocked)
	p.play(3, worse)
	calm.Classes = refusedBy("wait", 12)
	p.play(20, calm) // within quiet: it may come again
	p.play(5, worse)
	p.play(60, calm)
	list := p.record.Incidents()
	if len(list) != 1 || strings.Join(p.told, "; ") != "1 lock_holder false; 1 lock_holder true" {
		t.Fatalf("%d incidents, %v", len(list), p.told)
	}
	in := list[0]
	if in.State != Locks || in.Peak.Waiting != 40 || in.Peak.OldestSeconds != 9 || in.Peak.Blocked != 9 || in.Refused["jobs"]["wait"] != 5 || len(in.Refused["jobs"]) != 1 {
		t.Errorf("%+v", in)
	}
	if got := in.Begin.Format("15:04:05"); got != "14:00:11" {
		t.Errorf("it began at %s", got)
	}
	if got := in.End.Sub(in.Begin); got < 30*time.Second || got > 40*time.Second {
		t.Errorf("it took %s", got)
	}
}

// TestIncidentEndsWithItsDatabase: of one that a reload has taken away nobody will ever say that it is well again.
func TestIncidentEndsWithItsDatabase(t *testing.T) {
	p := newTape()
	p.play(10, blocked)
	last := p.at
	if ended := p.record.Leave([]Sight{{Database: "db:5432"}}); len(ended) > 0 {
		t.Fatalf("it has ended while its database is looked at: %+v", ended)
	}
	ended := p.record.Leave([]Sight{{Database: "another:5432"}})
	if len(ended) != 1 || !ended[0].End.Equal(last) {
		t.Fatalf("ended: %+v", ended)
	}
	if in := p.record.Incidents()[0]; !in.End.Equal(last) {
		t.Errorf("it is kept as ended at %s, want %s", in.End, last)
	}
	p.play(10, blocked)
	if n := p.record.Number(); n != 2 {
		t.Errorf("%d incidents when the database is there again, want 2", n)
	}
}

func TestRecordIsBounded(t *testing.T) {
	p := newTape()
	for range maxIncidents + 20 {
		p.play(5, blocked)
		p.play(40, Sight{})
	}
	if list := p.record.Incidents(); len(list) != maxIncidents || list[0].Number != maxIncidents+20 {
		t.Errorf("%d incidents, the last is number %d", len(list), list[0].Number)
	}
	for range maxTurns + 10 { // one that changes all the time
		p.play(5, blocked)
		p.play(5, Sight{Breaker: "open"})
	}
	if in := p.record.Incidents()[0]; len(in.Turns) != maxTurns || in.MoreTurns == 0 {
		t.Errorf("%d turns and %d more", len(in.Turns), in.MoreTurns)
	}
}

func TestMarkdownIsATimelineThatShowsNamesAsText(t *testing.T) {
	p := newTape()
	p.play(10, Sight{})
	p.play(6, blocked)
	worse := blocked
	worse.Classes = refusedBy("wait", 12)
	p.play(2, worse)
	p.play(60, Sight{Classes: refusedBy("wait", 12)})
	at := time.Date(2026, 11, 29, 14, 0, 15, 0, time.UTC)
	events := []event.Event{
		{Time: at, Kind: event.Reap, Subject: "jobs", Database: "db:5432", Cause: "culprit", Mode: event.Enforce, Evidence: event.Of(event.Number{Name: "idle_seconds", Value: 5}, event.Number{Name: "blocks", Value: 9})},
		{Time: at.Add(-time.Hour), Kind: event.Limit, Cause: "growing", From: "8", To: "10"},
		{Time: at, Kind: event.Limit, Database: "replica:5432", Cause: "growing", From: "8", To: "10"},
	}
	got := Markdown(p.record.Incidents(), events)
	want := `## 2026-11-29 14:00:11 UTC db:5432: waiting for locks (10 s)

9 statements wait for locks of "&lt;img src=x&gt;\|\` + "`rm\\`" + `" (pid 7), whose transaction has done nothing for 4 s since update stock.

*Have "&lt;img src=x&gt;\|\` + "`rm\\`" + `" end its transaction before it does anything else; to end it now: select pg\_terminate\_backend(7). pgguard ends one of its own that blocks others after 5 s.*

At the worst, 14:00:13: 4 statements wait for up to 3 s, 10 ran, 9 waited for locks.

| time | what |
|---|---|
| 14:00:13 | 9 statements wait for locks of "&lt;img src=x&gt;\|\` + "`rm\\`" + `" (pid 7), whose transaction has done nothing for 4 s since update stock. |
| 14:00:15 | A transaction of class jobs that had done nothing for 5 s was rolled back; 9 statements waited for its locks. |
| 14:00:21 | It is over. |

| class | refused because | how often |
|---|---|---|
| jobs | wait | 5 |
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if Markdown(nil, nil) != "Nothing was wrong.\n" {
		t.Error("nothing is not said")
	}
}

// TestTimelineHasTheTimesOfItsSentences: a sentence with a time of day stands beside that time, in whatever zone the guard is.
func TestTimelineHasTheTimesOfItsSentences(t *testing.T) {
	p := newTape()
	p.at = p.at.In(time.FixedZone("NPT", 5*3600+45*60))
	p.play(5, Sight{Breaker: "open", Reached: true})
	got := Markdown(p.record.Incidents(), nil)
	for _, want := range []string{"## 2026-11-29 19:45:01 NPT db:5432", "since 19:45:01", "| 19:45:01 | "} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestMarkdownHasNoControlCharacters(t *testing.T) {
	if got := Markdown([]Incident{{Sentence: "red \x1b[31m\nand \u202e back"}}, nil); !strings.Contains(got, "red ?\\[31m?and ? back") {
		t.Errorf("%q", got)
	}
}

func TestDecisionsAreSentences(t *testing.T) {
	for want, e := range map[string]event.Event{
		"The limit goes from 16 to 12: raising it there gained 1 % of work.": {Kind: event.Limit, Cause: "growth_ended", From: "16", To: "12",
			Evidence: event.Of(event.Number{Name: "elasticity", Value: 0.035})},
		"The limit goes from 12 to 9: statements have become slower than is worth it (they take 1.6 times as long as alone).": {Kind: event.Limit, Cause: "slower_than_goal",
			From: "12", To: "9", Evidence: event.Of(event.Number{Name: "slowdown", Value: 0.47})},
		"The breaker of db:5432 goes from closed to open: logins fail and none works (only reported: mode observe).": {Kind: event.Breaker, Cause: "dials", Subject: "db:5432",
			From: "closed", To: "open", Mode: event.Observe},
		"The line of class jobs moves again.": {Kind: event.Class, Subject: "jobs", To: "calm"},
		"Update stock may run 3 times at once, as 9 of 11 wait for a lock.": {Kind: event.Print, Subject: "update stock", To: "3",
			Evidence: event.Of(event.Number{Name: "blocked", Value: 9}, event.Number{Name: "running", Value: 11})},
		"The verdict on db:5432 is: waiting for locks (it was: calm).": {Kind: event.Verdict, Subject: "db:5432", From: "calm", To: "locks"},
	} {
		if got := Decision(&e); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestJobsThatWaitAreNoIncident: that the web need not wait is what the guard is for, and may go on for ever; what is refused is one.
func TestJobsThatWaitAreNoIncident(t *testing.T) {
	p := newTape()
	granted := uint64(0)
	jobs := func(refused uint64) []Class {
		granted += 100
		return []Class{{Name: "web", Granted: granted}, {Name: "jobs", Waiting: 60, Oldest: 8 * time.Second, Refused: refused, By: map[string]uint64{"wait": refused}}}
	}
	waits := Sight{Limit: 10, Running: 10, Waits: Waits{CPU: 9}}
	for range 60 {
		waits.Classes = jobs(0)
		p.play(1, waits)
	}
	v := p.judge.now
	if v.Cause != causeYields || len(p.record.Incidents()) != 0 {
		t.Fatalf("%s, and %d incidents", v.Cause, len(p.record.Incidents()))
	}
	for n := range uint64(10) {
		waits.Classes = jobs(44 * (n + 1))
		p.play(1, waits)
	}
	if list := p.record.Incidents(); len(list) != 1 || list[0].State != Shedding {
		t.Errorf("44 were refused: %+v", list)
	}
}
