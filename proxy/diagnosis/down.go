package diagnosis

import (
	"fmt"
	"time"

	"pgguard/pool/event"
)

// maxError is how much of an error's text a sentence shows.
const maxError = 160

// down finds a database that cannot be reached.
func down(j *Judge, s *Sight) (finding, bool) {
	open := s.Breaker == "open" || s.Breaker == "half-open"
	if !open && (s.Up || s.Error == "") {
		return finding{}, false
	}
	f := finding{sure: open}
	f.State, f.Cause, f.Confidence = Down, "unreachable", 0.8
	since := s.At
	if at, known := j.begun["unreachable"]; known {
		since = at
	}
	waiting, _ := s.waiting()
	refused, _ := j.refused()
	f.Sentence = fmt.Sprintf("PostgreSQL at %s has not answered since %s", shown(s.Database), clock(since))
	switch {
	case s.Refused:
		f.Sentence = fmt.Sprintf("PostgreSQL at %s does not let pgguard in", shown(s.Database))
	case !s.Reached:
		f.Sentence = fmt.Sprintf("PostgreSQL at %s has not been reached yet", shown(s.Database))
	case s.Breaker == "half-open":
		f.Sentence += "; it is being tried"
	}
	if s.Error != "" {
		f.Sentence += ": " + shownAs(s.Error, maxError)
	}
	f.Sentence += "."
	f.Advice = "See whether PostgreSQL runs, what its log says, and whether the network lets pgguard through. Statements are refused at once; as soon as it answers work is let in again, by and by."
	if s.Refused {
		f.Advice = "PostgreSQL runs. Correct the user, password or database of the upstream; pgguard check --connect says what is wrong. Until then statements are refused at once."
	}
	if open {
		f.Confidence = 1
	}
	f.Evidence = event.Of(event.Number{Name: "refused", Value: float64(refused)}, event.Number{Name: "waiting", Value: float64(waiting)},
		event.Number{Name: "servers", Value: float64(s.Lent + s.Idle)}, event.Number{Name: "down_seconds", Value: s.At.Sub(since).Seconds()})
	return f, true
}

// guardLate is how late the guard's timers must have been, on average, to be called late: what a busy machine's scheduler does is less.
const guardLate = 25 * time.Millisecond

// guardFull is which part of its processors the guard must use to be short of them, if it is late as well, and guardAll if it is not.
const (
	guardFull = 0.85
	guardAll  = 0.95
)

// guardShort finds a guard that lacks processor time: then its own measurements say little of the database.
func guardShort(j *Judge, s *Sight) (finding, bool) {
	late := time.Duration(j.mean(func(s *Sight) float64 { return float64(s.Guard.Lag) }))
	used := j.mean(func(s *Sight) float64 { return s.Guard.Used })
	full := s.Guard.Cores > 0 && (used >= guardAll*s.Guard.Cores || used >= guardFull*s.Guard.Cores && late >= guardLate/2)
	if !full && !(s.Guard.Throttled && late >= guardLate) {
		return finding{}, false
	}
	f := finding{}
	f.State, f.Cause, f.Confidence = GuardCPU, "guard_cpu", 0.9
	f.Sentence = fmt.Sprintf("pgguard itself is short of processor: it uses %s of the %s it may, and comes %s late. PostgreSQL is not the bottleneck.",
		digits(used), count(int(s.Guard.Cores+0.5), "core"), span(late))
	f.Advice = "Give pgguard more processor (the CPU limit of its container, or a machine that is less full), or spread its clients over more of it."
	f.Evidence = event.Of(event.Number{Name: "used_cores", Value: used}, event.Number{Name: "cores", Value: s.Guard.Cores},
		event.Number{Name: "late_seconds", Value: late.Seconds()})
	return f, true
}
