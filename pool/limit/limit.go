package limit

import "time"

// Limit turns what was observed into the run limit L. It is not safe for concurrent use.
type Limit interface {
	// Current is L: how many statements that wait for no lock may run at once; at least 1.
	Current() int
	// Refund is how many of so many running statements that wait for a lock of the database do not count against L: new
	// work starts while running - Refund(blocked) < Current().
	Refund(blocked int) int
	// Observe notes one finished statement. It takes constant time and allocates nothing.
	Observe(Sample)
	// Step is called about four times a second with what was measured since the last call, and decides.
	Step(now time.Time, s Signals) Decision
}

// Fingerprints is how many different statements a law tells apart. More would not fit a processor's cache; statements
// beyond the 511 most frequent share number 0, which has weight but no vote.
const Fingerprints = 512

// Kind says what a finished statement can tell.
type Kind uint8

// The kinds of statements.
const (
	Read    Kind = iota // a SELECT without FOR: it waits for no row lock and no disk flush, so its slowness is load
	Write               // any other statement
	Control             // COMMIT and other transaction control: it waits for the disk and does not vote
	Failed              // ended with an error or was cancelled: no work was done
)

// Sample is one finished statement.
type Sample struct {
	Now         time.Time
	Elapsed     time.Duration // at the server, queueing in the guard excluded
	Running     int           // statements running when this one began, itself included
	Fingerprint uint16        // which statement, below Fingerprints; 0: unknown
	Kind        Kind
	Blocked     bool // it was seen to wait for a lock
	Class       uint8
}

// Signals are what the owner measured since the last Step. The zero value of a field says that nothing is known of it.
type Signals struct {
	// Run is the integral of the number of running statements over the time since the last step, in run-seconds.
	Run float64
	// Gap is the same of transactions that count against L in a short gap between two statements.
	Gap float64
	// Bound is how long somebody waited who could have been served but for the limit.
	Bound time.Duration
	// Blocked is how many of our statements waited for a lock when the side channel looked, Peers how many statements
	// other guards ran on the server, Foreign how many ran there for anybody else, LWLock the share of our running ones
	// that waited inside the server for its own locks. SampleAge is how long ago that was; Sampled is false if it has
	// never looked.
	Blocked   int
	Peers     int
	Foreign   int
	LWLock    float64
	Sampled   bool
	SampleAge time.Duration
	// Cap is H; 0: no cap is known.
	Cap int
	// Lag is how late the guard itself was lately: the 99th percentile of its timers' delay.
	Lag time.Duration
	// Down says that the breaker is not closed.
	Down bool
}

// Decision is the limit after a step and, if it changed, why.
type Decision struct {
	Limit    int
	Reason   Reason // empty: unchanged
	Evidence Evidence
}

// Reason is a word for why the limit changed.
type Reason string

// The reasons.
const (
	ReasonGrow     Reason = "growing"           // more concurrency has brought more work so far
	ReasonGrown    Reason = "growth_ended"      // the last step up brought too little
	ReasonSlower   Reason = "slower_than_goal"  // statements are slower than the goal
	ReasonFaster   Reason = "faster_than_goal"  // statements are faster than the goal
	ReasonBrake    Reason = "brake"             // statements have become much slower within a second
	ReasonCut      Reason = "cut_again"         // the cut cost no work, so there is more to cut
	ReasonRestore  Reason = "not_our_load"      // the cut cost work in proportion: the slowness is not our doing
	ReasonKnee     Reason = "knee_found"        // the cut cost a little: the knee is here
	ReasonTry      Reason = "experiment"        // a step to learn what concurrency is worth
	ReasonTried    Reason = "experiment_ended"  // what was learned
	ReasonLWLock   Reason = "internal_locks"    // sessions wait for each other inside the server
	ReasonPeers    Reason = "beside_others"     // other guards are there already: a smaller start
	ReasonHeadroom Reason = "headroom"          // a limit that nobody used is not a licence
	ReasonCap      Reason = "cap"               // the cap is lower
	ReasonDown     Reason = "database_was_down" // start small again
	ReasonFloor    Reason = "floor"             // the least limit, and the trial step up from it
)

// Evidence is what a decision was made from; the owner logs it.
type Evidence struct {
	Mode       string
	Elasticity float64 // e: d ln W / d ln N, from the last comparison
	Error      float64 // standard error of e
	Slowdown   float64 // R: median over the voting statements of ln(elapsed / reference)
	Goal       float64 // what R is held at
	Blocked    float64 // B/N: share of the running statements that wait for locks
	Running    float64 // N: average of the statements running and not blocked
	Work       float64 // W: work done, in seconds of usual server time for each second
}

// DefaultLimit is the run limit where nobody chose one: enough to keep a small server's cores and disk busy, and far
// below the point where its sessions get in each other's way.
const DefaultLimit = 10

// Frozen is a limit that never moves: an operator's number, or the default.
type Frozen int

// Current returns the number itself, at least 1.
func (f Frozen) Current() int { return max(1, int(f)) }

// Refund is up to half of the number: with more, a count that is wrong could double the load.
func (f Frozen) Refund(blocked int) int { return min(blocked, f.Current()/2) }

// Observe notes nothing.
func (Frozen) Observe(Sample) {}

// Step changes nothing.
func (f Frozen) Step(time.Time, Signals) Decision { return Decision{Limit: f.Current()} }
