package instance

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"pgguard/breaker"
	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/pool/limit"
)

// stepEvery is how often an instance decides: often enough for the brake to see an overload within a second, and seldom
// enough to cost nothing.
const stepEvery = 250 * time.Millisecond

// control decides four times a second how many statements may run, whether the database can answer at all, and which
// idle transaction must end, until ctx ends.
func (in *Instance) control(ctx context.Context) {
	in.recall(time.Now())
	kept := time.Now()
	defer func() { in.remember(time.Now()) }()
	t := time.NewTicker(stepEvery)
	defer t.Stop()
	overloaded := make([]bool, len(in.cfg().Pool.Classes))
	var late [time.Second / stepEvery]time.Duration // in the last steps
	steps := 0
	for {
		select {
		case <-ctx.Done():
			return
		case due := <-t.C:
			now := time.Now()
			late[steps%len(late)] = now.Sub(due)
			steps++
			in.lag.Store(int64(slices.Max(late[:])))
			w := in.step(now, now.Sub(due))
			in.explainPaces(w, overloaded, now)
			in.cfg().Reap(in, now)
			if now.Sub(kept) >= rememberEvery {
				kept = now
				in.remember(now)
			}
		}
	}
}

// step lets the law and the breaker decide. lag is how late it comes.
func (in *Instance) step(now time.Time, lag time.Duration) pool.Window {
	in.minute.Store(int64(in.now() / unseenFor))
	seen := in.last.Load()
	signals := limit.Signals{Lag: lag, Down: !in.Passes()}
	if seen != nil {
		signals.Sampled, signals.SampleAge = true, now.Sub(seen.At)
		signals.Blocked, signals.Peers, signals.Foreign, signals.LWLock = seen.Blocked, seen.Peers, seen.Foreign, seen.LWLock
	}
	before := in.Pool.Limit()
	w, d := in.Pool.Step(now, signals)
	if d.Reason != "" {
		in.Explain(event.Event{
			Time: now, Kind: event.Limit, Cause: string(d.Reason), From: strconv.Itoa(before), To: strconv.Itoa(d.Limit),
			Evidence: limitEvidence(&d.Evidence, w),
		})
	}
	in.stepBreaker(now, w, signals.Blocked)
	return w
}

// limitEvidence is what a change of the limit was made from.
func limitEvidence(e *limit.Evidence, w pool.Window) event.Evidence {
	return event.Of(
		event.Number{Name: "elasticity", Value: e.Elasticity}, event.Number{Name: "standard_error", Value: e.Error},
		event.Number{Name: "slowdown", Value: e.Slowdown}, event.Number{Name: "goal", Value: e.Goal},
		event.Number{Name: "blocked_share", Value: e.Blocked}, event.Number{Name: "running", Value: e.Running},
		event.Number{Name: "work", Value: e.Work}, event.Number{Name: "bound_seconds", Value: w.Bound},
	)
}

// Passes is whether statements may begin as far as the breaker is concerned.
func (in *Instance) Passes() bool { return !in.open.Load() }

// stepBreaker tells the breaker what has happened, and does what it decides.
func (in *Instance) stepBreaker(now time.Time, w pool.Window, blocked int) {
	answered, raised, took := in.told.answered.Swap(0), in.told.raised.Swap(0), time.Duration(in.told.took.Load())
	in.mu.Lock()
	for range answered {
		in.breaker.Ended(breaker.Answered, took, now)
	}
	for range raised {
		in.breaker.Ended(breaker.Raised, 0, now)
	}
	probe, t := in.breaker.Step(now, breaker.Load{Running: w.Running, Blocked: blocked, Full: in.Pool.Limit()})
	cause := in.lastError
	in.mu.Unlock()
	if probe.ID != 0 {
		select {
		case in.probes <- probe:
		default: // the side channel has not come to the one before: it goes without an answer, as it must
		}
	}
	if t.Changed() {
		in.moved(t, cause, now)
	}
}

// moved carries out a transition of the breaker.
func (in *Instance) moved(t breaker.Transition, cause error, now time.Time) {
	e := event.Event{Time: now, Kind: event.Breaker, Cause: t.Cause, From: t.From.String(), To: t.To.String()}
	for _, n := range t.Numbers {
		e.Evidence = e.Evidence.With(n.Name, n.Value)
	}
	if t.To == breaker.StateRamp {
		e.Evidence = e.Evidence.With("limit", float64(t.Limit))
	}
	in.Explain(e)
	in.state.Store(int32(t.To))
	if t.From != t.To {
		in.moves[t.To].Add(1)
	}
	open := t.To == breaker.StateOpen || t.To == breaker.StateHalfOpen
	in.open.Store(open)
	if in.cfg().Observe {
		return
	}
	switch t.To {
	case breaker.StateClosed:
		in.Pool.SetCeiling(pool.NoCeiling, now)
	case breaker.StateRamp:
		in.Pool.SetCeiling(t.Limit, now)
	case breaker.StateOpen:
		in.Pool.SetCeiling(0, now)
		if cause == nil {
			cause = errors.New(t.Cause)
		}
		in.Pool.RefuseAll(&pool.UnreachableError{Err: cause})
	}
}

// explainPaces tells of classes whose line has begun to stand, or moves again.
func (in *Instance) explainPaces(w pool.Window, overloaded []bool, now time.Time) {
	for i, p := range w.Paces {
		if p.Overloaded == overloaded[i] {
			continue
		}
		overloaded[i] = p.Overloaded
		words := map[bool]string{false: "calm", true: "overloaded"}
		in.Explain(event.Event{
			Time: now, Kind: event.Class, Subject: in.cfg().Pool.Classes[i].Name, Cause: "queue_delay",
			From: words[!p.Overloaded], To: words[p.Overloaded], Evidence: event.Of(
				event.Number{Name: "target_seconds", Value: p.Target.Seconds()},
				event.Number{Name: "interval_seconds", Value: p.Interval.Seconds()},
				event.Number{Name: "bound_seconds", Value: p.Bound.Seconds()},
				event.Number{Name: "running", Value: float64(w.Running)}, event.Number{Name: "limit", Value: float64(w.Limit)},
			),
		})
	}
}
