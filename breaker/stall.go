package breaker

import "time"

// A server that is silent: for five seconds, longer than a checkpoint's pause or a failing disk's retry, or as long as twenty
// ordinary statements, whichever is more; and two canaries without an answer, because one can be lost.
const (
	silentLeast   = 5 * time.Second
	silentMedians = 20
	canaryMisses  = 2
	// The canaries are sent when a fifth of the silence is over, so that the second has failed when all of it is.
	silentProbe = 5
	// A canary that was answered is asked again after this.
	probeAgain = time.Second
)

// stall watches whether any statement ends.
type stall struct {
	completed time.Time // the last statement's end
	busy      time.Time // since when, without a break, a statement runs that no lock holds up; zero: none runs
	misses    int       // canaries in a row that have failed in this silence
	asked     time.Time // when the last canary was answered
}

// silence is how long work has been running without any of it ending.
func (s *stall) silence(now time.Time) time.Duration {
	switch {
	case s.busy.IsZero():
		return 0
	case s.completed.After(s.busy):
		return now.Sub(s.completed)
	}
	return now.Sub(s.busy)
}

// see notes the load and the last canary's verdict, and returns how long the server has been silent.
func (s *stall) see(l Load, v verdict, now time.Time) time.Duration {
	switch {
	case l.Running-l.Blocked < 1:
		s.busy = time.Time{}
	case s.busy.IsZero():
		s.busy = now
	}
	silent := s.silence(now)
	switch {
	case v == answered:
		s.misses, s.asked = 0, now
	case silent < probeAgain:
		s.misses = 0
	case v == failed:
		s.misses++
	}
	return silent
}

// silentLimit is the silence after which the server is taken for dead, if canaries say so, too.
func (b *Breaker) silentLimit() time.Duration {
	return max(silentLeast, silentMedians*b.median.Value())
}
