package breaker

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"

	"pgguard/pool/quantile"
)

// State is where a breaker is.
type State uint8

// The states.
const (
	StateClosed   State = iota // everything passes
	StateOpen                  // nothing passes, nothing is tried
	StateHalfOpen              // nothing passes but canaries
	StateRamp                  // a limit that doubles
)

// String returns the word used in metrics and logs.
func (s State) String() string { return [...]string{"closed", "open", "half-open", "ramp"}[s] }

// How the breaker comes back: the times are made for failovers, which take 5 to 60 s. A first half second costs a restarted
// server nothing; longer than ten would be felt after the server is back.
const (
	openFirst    = 500 * time.Millisecond
	openLast     = 10 * time.Second // jitter included
	forgetAfter  = 60 * time.Second // closed for this long, the next opening is a first one
	canaries     = 3                // answers that follow each other, of which one could be luck
	canaryLimit  = 2 * time.Second  // a canary without an answer has failed
	rampEvery    = 500 * time.Millisecond
	rampShare    = 0.1 // of broken outcomes, from which the ramp stands still
	rampBroken   = 3   // broken outcomes within one step of the ramp, and no fewer answers than them, open again
	failuresMost = 16  // openings counted; the open time is at its longest long before
)

// Number is one piece of evidence; the name carries its unit.
type Number struct {
	Name  string
	Value float64
}

// Transition is a change of state, or of the limit within a ramp. The zero value is no change.
type Transition struct {
	At       time.Time
	From, To State
	Limit    int // how many statements may run from now on; in StateClosed there is no such limit and it is 0
	Cause    string
	Numbers  []Number
}

// Changed is false for the zero value.
func (t Transition) Changed() bool { return t.Cause != "" }

// The causes of transitions. The first four open.
const (
	CauseDials    = "dials"    // logins fail and none succeeds
	CauseErrors   = "errors"   // most statements end with an error of the server's machinery
	CauseStall    = "stall"    // no statement ends, and no canary is answered
	CauseCanary   = "canary"   // a canary was not answered while the breaker came back
	CauseWaited   = "waited"   // the open time is over
	CauseAnswered = "answered" // enough canaries were answered
	CauseRamp     = "ramp"     // the ramp goes on, or is at its end
)

// Probe tells the owner to send one canary at once: the cheapest question, on a connection of its own, opened if need be.
// Its answer is reported with Canary. The zero value asks for nothing.
type Probe struct {
	ID       uint64
	Deadline time.Time // without an answer it counts as failed then; the owner should give up at the same time
}

// Load is what the owner sees of the server's work.
type Load struct {
	Running int // statements at the server
	Blocked int // of those, known to wait for a lock of another session
	Full    int // the run limit at which a ramp is over, and the breaker closed
}

// Breaker decides whether a server can answer at all, and lets the work come back gently when it can again. What is
// reported is only noted; Step alone changes the state. It is not safe for concurrent use; it is made by New.
type Breaker struct {
	random func() float64
	core   *gobreaker.TwoStepCircuitBreaker[struct{}]
	at     gobreaker.State // of core, as it told last

	state  State
	since  time.Time // in this state; zero: since New
	until  time.Time // StateOpen: when it ends
	opened int       // openings without forgetAfter of rest between
	limit  int       // StateRamp
	raised time.Time // StateRamp: when limit was set
	step   tally     // StateRamp: outcomes since then

	dials    Dials
	outcomes window
	median   quantile.Estimate // of the time that statements take
	stall    stall
	unheard  int // canaries in a row that have failed while there are doubts

	probe   Probe       // without an answer so far; ID 0: none
	done    func(error) // core's, in StateHalfOpen
	lastID  uint64
	verdict verdict // of the last probe, until Step has seen it
}

// verdict is how a probe ended.
type verdict uint8

const (
	none verdict = iota
	answered
	failed
)

var errCanary = errors.New("breaker: canary failed")

// New returns a closed breaker. random returns numbers from 0 up to 1 and spreads the times after which many guards come
// back; it is called by Step only.
func New(random func() float64) *Breaker {
	b := &Breaker{random: random, median: quantile.Of(0.5)}
	b.core = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: canaries,
		// The shortest there is: core may be half-open whenever it is asked. It is asked when our own open time is over.
		Timeout: 1,
		// It is told of a failure only when the detector has decided.
		ReadyToTrip:   func(gobreaker.Counts) bool { return true },
		OnStateChange: func(_ string, _, to gobreaker.State) { b.at = to },
	})
	return b
}

// State is where the breaker is.
func (b *Breaker) State() State { return b.state }

// Allow says whether new work may begin at all. In a ramp it may, up to Limit.
func (b *Breaker) Allow() bool { return b.state == StateClosed || b.state == StateRamp }

// Limit is how many statements may run at once; bounded is false if the breaker sets no limit.
func (b *Breaker) Limit() (n int, bounded bool) {
	switch b.state {
	case StateClosed:
		return 0, false
	case StateRamp:
		return b.limit, true
	}
	return 0, true
}

// Dial notes how a login ended. reached is true for a server that answered anything, even a refusal. In StateOpen a
// login that succeeds, by whomever, ends the waiting.
func (b *Breaker) Dial(reached bool, now time.Time) {
	b.dials.Report(reached, now)
	if reached && b.state == StateOpen {
		b.until = now
	}
}

// Ended notes the end of one statement and how long the server had it; 0 if that is not known. It is cheap and
// allocates nothing.
func (b *Breaker) Ended(o Outcome, took time.Duration, now time.Time) {
	b.outcomes.add(o, now)
	if b.state == StateRamp {
		b.step.add(o)
	}
	if o == Broken {
		return
	}
	b.stall.completed = now
	if took > 0 && o != Raised {
		b.median.Add(took)
	}
}

// Canary reports how the canary of a probe ended. An answer to a probe whose deadline is over changes nothing.
func (b *Breaker) Canary(id uint64, ok bool) {
	if id == 0 || id != b.probe.ID {
		return
	}
	b.conclude(ok)
}

// conclude ends the probe that has no answer so far.
func (b *Breaker) conclude(ok bool) {
	done := b.done
	b.probe, b.done, b.verdict = Probe{}, nil, failed
	var err error
	if ok {
		b.verdict = answered
	} else {
		err = errCanary
	}
	if done != nil {
		done(err)
	}
}

// askCore returns a probe that core counts, or none if core allows none now.
func (b *Breaker) askCore(now time.Time) Probe {
	done, err := b.core.Allow()
	if err != nil {
		return Probe{}
	}
	b.done = done
	return b.ask(now)
}

// closedCore is true when core has counted as many answers as it wants.
func (b *Breaker) closedCore() bool { return b.at == gobreaker.StateClosed }
