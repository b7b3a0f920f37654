package breaker

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// trouble is a breaker in any trouble, and what it may never do meanwhile.
type trouble struct {
	*rapid.T
	b    *Breaker
	now  time.Time
	full int
	hung []Probe
	last Transition
}

// step lets one step pass; canaries are answered well, badly or not at all.
func (s *trouble) step(canary int, l Load) {
	s.now = s.now.Add(250 * time.Millisecond)
	p, t := s.b.Step(s.now, l)
	if t.Changed() {
		s.check(t)
		s.last = t
	}
	if n, bounded := s.b.Limit(); s.b.Allow() == (bounded && n == 0) {
		s.Fatalf("allow %v at a limit of %d, %v", s.b.Allow(), n, bounded)
	}
	switch {
	case p.ID == 0:
	case canary == 0:
		s.b.Canary(p.ID, true)
	case canary == 1:
		s.b.Canary(p.ID, false)
	default:
		s.hung = append(s.hung, p)
	}
}

func (s *trouble) check(t Transition) {
	switch {
	case t.From != s.last.To:
		s.Fatalf("%s follows %s", t.From, s.last.To)
	case t.To == StateClosed && t.From != StateRamp,
		t.To == StateRamp && t.From != StateRamp && t.From != StateHalfOpen,
		t.To == StateHalfOpen && t.From != StateOpen:
		s.Fatalf("from %s straight to %s", t.From, t.To)
	case t.To == StateRamp && t.From == StateRamp && t.Limit != 2*s.last.Limit:
		s.Fatalf("the ramp goes from %d to %d", s.last.Limit, t.Limit)
	case t.To == StateRamp && t.From != StateRamp && t.Limit != 1:
		s.Fatalf("the ramp begins at %d", t.Limit)
	case t.To == StateClosed && 2*s.last.Limit < s.full:
		s.Fatalf("from a limit of %d to none, with %d to come", s.last.Limit, s.full)
	case t.To == StateOpen && (s.b.until.Sub(s.now) < openFirst/2 || s.b.until.Sub(s.now) > openLast):
		s.Fatalf("opened for %s", s.b.until.Sub(s.now))
	}
}

// report reports something, or nothing.
func (s *trouble) report() {
	switch rapid.IntRange(0, 3).Draw(s.T, "trouble") {
	case 0:
		s.b.Dial(rapid.Bool().Draw(s.T, "reached"), s.now)
	case 1:
		for range rapid.IntRange(1, 30).Draw(s.T, "ends") {
			s.b.Ended(Outcome(rapid.IntRange(0, 2).Draw(s.T, "outcome")), time.Millisecond, s.now)
		}
	case 2:
		if len(s.hung) > 0 {
			s.b.Canary(s.hung[0].ID, true)
			s.hung = s.hung[1:]
		}
	}
}

// TestBreakerAlwaysComesBack plays any trouble, then lets the server work: within the longest open time, one hung
// canary and a ramp the breaker is closed, and it never went from nothing to everything.
func TestBreakerAlwaysComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &trouble{T: t, now: time.Unix(0, 0), full: rapid.IntRange(1, 64).Draw(t, "full")}
		s.b = New(func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "random") })
		for range rapid.IntRange(0, 100).Draw(t, "steps") {
			s.report()
			s.step(rapid.IntRange(0, 2).Draw(t, "canary"), Load{
				Running: rapid.IntRange(0, 3).Draw(t, "running"), Blocked: rapid.IntRange(0, 3).Draw(t, "blocked"), Full: s.full,
			})
		}
		s.b.Dial(true, s.now)
		// The longest open time, a canary that hangs, the window of the errors, and a ramp up to 64 that stands still for
		// as long as the window.
		for end := s.now.Add(2*windowLength + openLast + canaryLimit + 10*rampEvery); s.now.Before(end); {
			s.b.Ended(Answered, time.Millisecond, s.now)
			s.step(0, Load{Full: s.full})
		}
		if s.b.State() != StateClosed {
			t.Fatalf("still %s long after the server is well", s.b.State())
		}
	})
}
