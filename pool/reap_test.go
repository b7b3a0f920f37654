package pool_test

import (
	"testing"
	"time"

	"pgguard/pool"
)

func TestReapOnlyUnderPressure(t *testing.T) {
	in(t, mixed(4), 4, func(t *testing.T, h *harness) {
		cs := h.many("c", 3)
		l := h.client("l").low()
		h.stall(append(cs[:2:2], l, cs[2]))
		pass(5 * time.Minute)
		if r := h.Reap(time.Now(), nil); r.Server != nil || r.Why != "no_pressure" {
			t.Fatalf("%+v, nobody waits", r)
		}
		waiter := h.client("w").low()
		h.get(waiter)
		pass(1900 * time.Millisecond)
		if r := h.Reap(time.Now(), nil); r.Server != nil || r.Why != "no_pressure" {
			t.Fatalf("%+v, somebody has waited for less than two seconds", r)
		}
		pass(200 * time.Millisecond)
		r := h.Reap(time.Now(), nil)
		if r.Server != l.has() || r.Class != 1 || r.Why != "pressure" || r.Idle < 5*time.Minute || r.Pressed < 2*time.Second {
			t.Fatalf("%+v, want the idle transaction of the low class", r)
		}
		h.SetPinned(l.has(), true)
		if r = h.Reap(time.Now(), nil); r.Server != cs[0].has() {
			t.Errorf("%+v, want the oldest of those that are not pinned", r)
		}
		h.Park(cs[0].has(), time.Now())
		h.Busy(cs[1].has(), 0, time.Now())
		if r = h.Reap(time.Now(), nil); r.Server != cs[2].has() {
			t.Errorf("%+v, want the only one idle in a transaction", r)
		}
		h.SetPinned(cs[2].has(), true)
		h.release(cs[2]) // the waiter is served by the same server, which is pinned no more
		h.idle(waiter)
		pass(110 * time.Second) // the gap of five minutes is now an ordinary one
		h.get(h.client("next").low())
		pass(15 * time.Second)
		if r = h.Reap(time.Now(), nil); r.Server != waiter.has() {
			t.Errorf("%+v, want the one that came after a pinned one", r)
		}
		h.release(waiter)
		if r = h.Reap(time.Now(), nil); r.Server != nil || r.Why != "no_pressure" {
			t.Errorf("%+v, the waiter has been served", r)
		}
	})
}

func TestReapWaitsForLongerThanOrdinaryGaps(t *testing.T) {
	for _, c := range []struct {
		gap, after time.Duration
	}{{100 * time.Millisecond, 10 * time.Second}, {time.Second, 20 * time.Second}, {20 * time.Second, 120 * time.Second}} {
		in(t, small(2), 4, func(t *testing.T, h *harness) {
			a, b := h.client("a").low(), h.client("b").low()
			h.get(a, b)
			for range 100 {
				h.idle(a)
				pass(c.gap)
				h.Busy(a.has(), 0, time.Now())
			}
			h.idle(a)
			pass(c.after - 5*time.Second) // MaxWait of low is 30 s
			h.get(h.client("w").low())
			pass(4900 * time.Millisecond)
			if r := h.Reap(time.Now(), nil); r.Server != nil || r.Why != "none_idle" || r.After.Round(time.Millisecond) != c.after {
				t.Errorf("gap %s: %+v, want none before %s", c.gap, r, c.after)
			}
			pass(200 * time.Millisecond)
			if r := h.Reap(time.Now(), nil); r.Server != a.has() {
				t.Errorf("gap %s: %+v, want the one idle for %s", c.gap, r, c.after)
			}
		})
	}
}

func TestReapEndsSoonWhoBlocksOthers(t *testing.T) {
	in(t, small(2), 4, func(t *testing.T, h *harness) {
		a, b := h.client("a"), h.client("b")
		h.stall([]*client{a, b})
		h.get(h.client("w").low())
		blocks := map[*pool.Server]int{a.has(): 2, b.has(): 3}
		pass(4900 * time.Millisecond)
		if r := h.Reap(time.Now(), blocks); r.Server != nil {
			t.Errorf("%+v before five seconds", r)
		}
		pass(200 * time.Millisecond)
		if r := h.Reap(time.Now(), blocks); r.Server != b.has() || r.Why != "blocks" || r.Blocks != 3 {
			t.Errorf("%+v, want the one that blocks three", r)
		}
		b.has().Conn.(*fakeConn).die()
		pass(time.Millisecond)
		if r := h.Reap(time.Now(), blocks); r.Server != nil {
			t.Errorf("%+v, that one has gone", r)
		}
	})
}
