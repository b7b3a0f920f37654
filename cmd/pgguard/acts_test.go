package main

import (
	"context"
	"errors"
	"slices"
	"testing"

	"pgguard/pool/event"
	"pgguard/proxy/diagnosis"
	"pgguard/proxy/witness"
)

// TestOnlyCulpritsAreCancelled: a session that a verdict names now, as the cause or as who stands in between, and no process that is none of PostgreSQL's.
func TestOnlyCulpritsAreCancelled(t *testing.T) {
	verdicts := []diagnosis.Verdict{
		{State: diagnosis.Locks, Database: "a:5432", Culprit: diagnosis.Culprit{PID: 11, Application: "report", Through: &diagnosis.Culprit{PID: 12, Application: "psql"}}},
		{State: diagnosis.Strangers, Database: "b:5432", Culprit: diagnosis.Culprit{PID: 13, Process: "ffmpeg"}},
		{State: diagnosis.Calm, Database: "c:5432", Culprit: diagnosis.Culprit{PID: 14, Application: "puma"}},
	}
	for pid, want := range map[int][2]string{11: {"a:5432", "report"}, 12: {"a:5432", "psql"}, 13: {}, 14: {}, 15: {}, 0: {}, -1: {}} {
		if upstream, who := culpritOf(verdicts, pid); upstream != want[0] || who != want[1] {
			t.Errorf("%d: %q of %q", pid, who, upstream)
		}
	}
}

// tellTale is a guard that notes what it is told.
type tellTale struct {
	fakeGuard
	told []event.Event
}

func (g *tellTale) Tell(e event.Event) { g.told = append(g.told, e) }

// TestWhatIsDoneOnThePageIsAnEvent, as in the console; what is refused is none.
func TestWhatIsDoneOnThePageIsAnEvent(t *testing.T) {
	g := &tellTale{}
	var set []string
	a := acts(g, witness.New(witness.Config{Guard: g}), func(by, key, value string) ([]string, error) {
		set = append(set, by+" sets "+key+" "+value)
		return nil, nil
	})
	if err := errors.Join(a.Pause(context.Background()), a.Resume(), a.Enforce(false), a.Enforce(true)); err != nil {
		t.Error(err)
	}
	if err := a.Signal(context.Background(), 4711, true); !errors.Is(err, errNoCulprit) {
		t.Error(err)
	}
	if want := []string{event.ByPage + " sets mode observe", event.ByPage + " sets mode enforce"}; !slices.Equal(set, want) {
		t.Errorf("got %q, want %q", set, want)
	}
	if len(g.told) != 2 || g.told[0].Cause != "pause" || g.told[1].Cause != "resume" || g.told[1].By != event.ByPage {
		t.Errorf("%+v", g.told)
	}
}
