package event_test

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"pgguard/pool/event"
)

// TestRingAgreesWithAList compares any story of adding and reading with a list that keeps everything.
func TestEvidenceIsReadAsItWasWritten(t *testing.T) {
	was := event.Of(event.Number{Name: "b", Value: 2.5}, event.Number{Name: "a", Value: 1})
	text, err := json.Marshal(was)
	var is event.Evidence
	if err != nil || json.Unmarshal(text, &is) != nil || is != was {
		t.Errorf("%s became %+v", text, is)
	}
	if err := json.Unmarshal([]byte(`{"a": null}`), &is); err != nil || is.Len() != 1 || !math.IsNaN(is.At(0).Value) {
		t.Errorf("null: %+v %v", is, err)
	}
	if err := json.Unmarshal([]byte(`{"a": "x"}`), &is); err == nil {
		t.Error("a text is taken for a number")
	}
}

func TestRingAgreesWithAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 5).Draw(t, "size")
		r := event.New(size)
		var all []string
		for range rapid.IntRange(0, 20).Draw(t, "events") {
			cause := rapid.StringMatching("[a-z]{3}").Draw(t, "cause")
			if seq := r.Add(event.Event{Cause: cause}); seq != uint64(len(all)+1) {
				t.Fatalf("event %d is given the number %d", len(all)+1, seq)
			}
			all = append(all, cause)
		}
		seq := rapid.IntRange(0, 25).Draw(t, "since")
		first := max(min(seq, len(all)), len(all)-size, 0)
		got, missed := r.Since(uint64(seq), nil)
		if want := max(0, first-seq); missed != uint64(want) {
			t.Fatalf("%d missed, want %d", missed, want)
		}
		if len(got) != len(all)-first {
			t.Fatalf("%d events, want %d", len(got), len(all)-first)
		}
		for i, e := range got {
			if e.Cause != all[first+i] || e.Seq != uint64(first+i+1) {
				t.Fatalf("place %d: %d %s, want %d %s", i, e.Seq, e.Cause, first+i+1, all[first+i])
			}
		}
		if r.Last() != uint64(len(all)) {
			t.Fatalf("last is %d, want %d", r.Last(), len(all))
		}
	})
}

func TestReadersSeeWholeEventsInOrder(t *testing.T) {
	const writers, each = 4, 2000
	r := event.New(64)
	var all sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			name := fmt.Sprint(i)
			for n := range each {
				r.Add(event.Event{From: name, To: name, Evidence: event.Of(event.Number{Name: "n", Value: float64(n)})})
			}
		})
	}
	all.Go(func() {
		var seen uint64
		var events []event.Event
		for seen < writers*each {
			var missed uint64
			events, missed = r.Since(seen, events[:0])
			seen += missed
			for _, e := range events {
				if seen++; e.Seq != seen || e.From != e.To {
					t.Errorf("read %d from %s to %s, want number %d", e.Seq, e.From, e.To, seen)
					return
				}
			}
		}
	})
	all.Wait()
}

func TestAddAllocatesNothing(t *testing.T) {
	r := event.New(event.Size)
	if n := testing.AllocsPerRun(100, func() {
		r.Add(event.Event{Kind: event.Limit, Evidence: event.Evidence{}.With("l", 1).With("n", 2)})
	}); n != 0 {
		t.Errorf("%v allocations for each event, want 0", n)
	}
	buf := make([]event.Event, 0, event.Size)
	if n := testing.AllocsPerRun(100, func() { r.Since(0, buf[:0]) }); n != 0 {
		t.Errorf("%v allocations for each reading into room that is there, want 0", n)
	}
}

func TestEvidenceIsBoundedAndCopied(t *testing.T) {
	numbers := make([]event.Number, event.MaxNumbers+3)
	numbers[0].Name = "first"
	e := event.Of(numbers...).With("late", 1)
	numbers[0].Name = "changed"
	if e.Len() != event.MaxNumbers || e.At(0).Name != "first" {
		t.Errorf("%d numbers that begin with %q", e.Len(), e.At(0).Name)
	}
}

func TestEventIsJSON(t *testing.T) {
	e := event.Event{
		Seq: 7, Time: time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC), Kind: event.Breaker, Cause: "stall", From: "closed",
		To: "open", Mode: event.Observe,
		Evidence: event.Of(event.Number{"b", 1}, event.Number{"a", 0.25}, event.Number{"quotient", math.NaN()}, event.Number{"top", math.Inf(1)}),
	}
	got, err := json.Marshal(e)
	want := `{"seq":7,"time":"2000-01-01T00:00:00Z","kind":"breaker","cause":"stall",` +
		`"evidence":{"b":1,"a":0.25,"quotient":null,"top":null},"from":"closed","to":"open","mode":"observe"}`
	if err != nil || string(got) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
}
