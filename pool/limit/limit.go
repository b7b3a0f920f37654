package limit

import "time"

// Limit turns what was observed into the run limit L. It is not safe for concurrent use.
type Limit interface {
	// Current is L: how many statements may run at once; at least 1.
	Current() int
	// Observe reports one finished statement and returns the decision it led to.
	Observe(Sample) Decision
}

// Sample is one finished statement.
type Sample struct {
	Now     time.Time
	Elapsed time.Duration // at the server, queueing in the guard excluded
	Running int           // statements running when this one began, itself included
	Class   int
}

// Decision is the limit after a sample and, if it changed, why.
type Decision struct {
	Limit  int
	Reason string // empty: unchanged
}

// DefaultLimit is the run limit where nobody chose one: enough to keep a small server's cores and disk busy, and far
// below the point where its sessions get in each other's way.
const DefaultLimit = 10

// Frozen is a limit that never moves: an operator's number, or the default.
type Frozen int

// Current returns the number itself, at least 1.
func (f Frozen) Current() int { return max(1, int(f)) }

// Observe changes nothing.
func (f Frozen) Observe(Sample) Decision { return Decision{Limit: f.Current()} }
