package instance

import (
	"testing"
	"time"

	"pgguard/breaker"
	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/pool/queue"
)

// What the breaker decides holds for the pool and for sessions, and is told; in observe mode it is only told.
func TestBreakerDecidesForThePool(t *testing.T) {
	for _, observe := range []bool{false, true} {
		in := learner(t, "")
		in.cfg().Observe = observe
		now := time.Now()
		for _, c := range []struct {
			to     breaker.State
			limit  int
			passes bool
			want   int
		}{
			{breaker.StateOpen, 0, false, 0},
			{breaker.StateHalfOpen, 0, false, 0},
			{breaker.StateRamp, 2, true, 2},
			{breaker.StateClosed, 0, true, in.Pool.Limit()},
		} {
			in.moved(breaker.Transition{From: breaker.State(in.state.Load()), To: c.to, Limit: c.limit, Cause: "test"}, nil, now)
			if in.Passes() != c.passes {
				t.Errorf("observe %t, %s: passes %t", observe, c.to, in.Passes())
			}
			want := c.want
			if observe {
				want = in.Pool.Limit()
			}
			if got := in.Pool.Stats().Limit; got != want {
				t.Errorf("observe %t, %s: limit %d, want %d", observe, c.to, got, want)
			}
			if observe && in.Refusing() != nil {
				t.Errorf("%s: observe refuses", c.to)
			}
		}
		all, _ := in.cfg().Events.Since(0, nil)
		mode := map[bool]event.Mode{false: event.Enforce, true: event.Observe}[observe]
		if len(all) != 4 || all[0].Kind != event.Breaker || all[0].Mode != mode || all[3].From != "ramp" || all[3].To != "closed" {
			t.Errorf("observe %t: events %+v", observe, all)
		}
	}
}

// A class that becomes overloaded is told of once, and once when it is calm again.
func TestPaceIsTold(t *testing.T) {
	in := learner(t, "")
	overloaded := make([]bool, 2)
	for _, is := range []bool{false, true, true, false, false} {
		in.explainPaces(pool.Window{Paces: []queue.Pace{{Overloaded: is}, {}}}, overloaded, time.Now())
	}
	all, missed := in.cfg().Events.Since(0, nil)
	if len(all) != 2 || missed != 0 || all[0].To != "overloaded" || all[0].Subject != "high" || all[1].To != "calm" {
		t.Errorf("events %+v", all)
	}
}
