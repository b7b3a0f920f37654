package instance

import (
	"testing"
	"time"

	"pgguard/pool/event"
)

// look7 is one sample: so many instances of statement 7 run, and so many of them are blocked.
func (in *Instance) look7(running, blocked int) {
	for i := range running {
		in.convoys.saw(7, i < blocked)
	}
	in.settleConvoys(time.Now())
}

// A statement most of whose instances wait for a lock is bounded after two samples, follows what runs, and is let go of when
// the lock is.
func TestConvoyIsBoundedAndLetGo(t *testing.T) {
	in := learner(t, "")
	bound := func() int { return in.convoys.bound[7] }
	in.look7(10, 9)
	if bound() != 0 {
		t.Fatalf("bounded by one sample: %d", bound())
	}
	in.look7(4, 1)
	in.look7(10, 9)
	if bound() != 0 {
		t.Fatalf("bounded by two samples that did not follow each other: %d", bound())
	}
	in.look7(10, 9)
	if bound() != 3 {
		t.Fatalf("bound %d, want one that runs and two", bound())
	}
	in.look7(8, 5)
	if bound() != 5 {
		t.Fatalf("bound %d, want three that run and two", bound())
	}
	in.look7(2, 0)
	if bound() != 6 {
		t.Fatalf("bound %d, want one more after a sample without waiting", bound())
	}
	for range convoyGone {
		in.look7(0, 0)
	}
	if bound() != 0 {
		t.Errorf("bound %d long after", bound())
	}
	all, _ := in.cfg().Events.Since(0, nil)
	var kinds []string
	for _, e := range all {
		if e.Database != in.Name() {
			t.Errorf("it is an event of %q: %+v", e.Database, e)
		}
		if e.Kind == event.Print {
			kinds = append(kinds, e.From+" to "+e.To)
		}
	}
	if len(kinds) != 2 || kinds[0] != "free to 3" || kinds[1] != "16 to free" {
		t.Errorf("events %q", kinds)
	}
	in.look7(convoyLeast-1, convoyLeast-1)
	in.look7(convoyLeast-1, convoyLeast-1)
	if bound() != 0 {
		t.Error("two that wait are no convoy")
	}
	in.convoys.saw(0, true)
	in.settleConvoys(time.Now())
	if in.convoys.bound[0] != 0 {
		t.Error("statements that are not known are bounded")
	}
}
