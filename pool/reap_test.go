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
		if r.Lease != l.has() || r.Class != 1 || r.Why != "pressure" || r.Idle < 5*time.Minute || r.Pressed < 2*time.Second {
			t.Fatalf("%+v, want the idle transaction of the low class", r)
		}
		h.SetPinned(l.has())
		if r = h.Reap(time.Now(), nil); r.Lease != cs[0].has() {
			t.Errorf("%+v, want the oldest of those that are not pinned", r)
		}
		h.Park(cs[0].has(), time.Now())
		h.Busy(cs[1].has(), 0, time.Now())
		if r = h.Reap(time.Now(), nil); r.Lease != cs[2].has() {
			t.Errorf("%+v, want the only one idle in a transaction", r)
		}
		h.SetPinned(cs[2].has())
		h.release(cs[2]) // the waiter is served by the same server, which is pinned no more
		h.idle(waiter)
		pass(110 * time.Second) // the gap of five minutes is now an ordinary one
		h.get(h.client("next").low())
		pass(15 * time.Second)
		if r = h.Reap(time.Now(), nil); r.Lease != waiter.has() {
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
			if r := h.Reap(time.Now(), nil); r.Lease != a.has() {
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
		blocks := map[*pool.Server]int{a.has().Server: 2, b.has().Server: 3}
		pass(4900 * time.Millisecond)
		if r := h.Reap(time.Now(), blocks); r.Server != nil {
			t.Errorf("%+v before five seconds", r)
		}
		pass(200 * time.Millisecond)
		if r := h.Reap(time.Now(), blocks); r.Lease != b.has() || r.Why != "blocks" || r.Blocks != 3 {
			t.Errorf("%+v, want the one that blocks three", r)
		}
		b.has().Conn.(*fakeConn).die()
		pass(time.Millisecond)
		if r := h.Reap(time.Now(), blocks); r.Server != nil {
			t.Errorf("%+v, that one has gone", r)
		}
	})
}

// TestReapIsInTimeForWhoWaitsFirst: everybody sits idle when the first of two comes, who may wait five seconds.
func TestReapIsInTimeForWhoWaitsFirst(t *testing.T) {
	in(t, small(4), 4, func(t *testing.T, h *harness) {
		holders := h.many("h", 4)
		h.stall(holders)
		first, second := h.client("first"), h.client("second")
		h.get(first)
		pass(100 * time.Millisecond)
		h.get(second)
		pass(3800 * time.Millisecond)
		if r := h.Reap(time.Now(), nil); r.Server != nil || r.Why != "none_idle" {
			t.Fatalf("%+v, more than a fifth of the longest wait is left", r)
		}
		pass(200 * time.Millisecond)
		r := h.Reap(time.Now(), nil)
		if r.Lease != holders[0].has() || !r.More || r.After != 2500*time.Millisecond {
			t.Fatalf("%+v, want the one idle longest, and one more", r)
		}
		h.SetReaped(r.Lease)
		if r = h.Reap(time.Now(), nil); r.Lease != holders[1].has() || r.More {
			t.Fatalf("%+v, want another for the other who waits", r)
		}
		h.SetReaped(r.Lease)
		if r = h.Reap(time.Now(), nil); r.Server != nil || r.Why != "under_way" {
			t.Fatalf("%+v, two are being ended for two who wait", r)
		}
		h.release(holders[0])
		h.release(holders[1])
		if first.has().Server == nil || second.has().Server == nil {
			t.Error("not served")
		}
	})
}

// TestReapHelpsWhoWaits: work that has its share of the slots is not helped by the end of another class's transaction.
func TestReapHelpsWhoWaits(t *testing.T) {
	in(t, mixed(8), 8, func(t *testing.T, h *harness) {
		high := h.client("h")
		h.stall([]*client{high})
		pass(time.Minute)
		low := h.many("l", 6)
		for _, c := range low {
			c.low()
		}
		h.get(low...) // they run
		h.get(h.client("w").low())
		pass(25 * time.Second)
		if r := h.Reap(time.Now(), nil); r.Server != nil || r.Why != "none_idle" {
			t.Errorf("%+v, want the interactive transaction left alone", r)
		}
		h.idle(low...)
		pass(4 * time.Second)
		if r := h.Reap(time.Now(), nil); r.Server != nil {
			t.Errorf("%+v, want none idle for four seconds ended", r)
		}
	})
}

// TestStallOfAnotherLeaseIsHarmless: what was seen of a lease that has ended does not touch the next.
func TestStallOfAnotherLeaseIsHarmless(t *testing.T) {
	in(t, small(1), 4, func(t *testing.T, h *harness) {
		a, b := h.client("a"), h.client("b")
		h.get(a)
		before := h.Running(nil)
		h.release(a)
		h.get(b)
		h.Stall(before[0], time.Now(), time.Now())
		if n := h.Stats().Running; len(before) != 1 || n != 1 {
			t.Errorf("%d run, want 1", n)
		}
		h.Stall(h.Running(nil)[0], time.Now(), time.Now())
		if n := h.Stats().Running; n != 0 {
			t.Errorf("%d run after the server was found to wait, want none", n)
		}
		h.Busy(b.has(), 0, time.Now())
		if n := h.Stats().Running; n != 1 {
			t.Errorf("%d run after it has gone on, want 1", n)
		}
	})
}

func TestExcusedTransactionIsIdleAnew(t *testing.T) {
	in(t, small(2), 4, func(t *testing.T, h *harness) {
		a, b := h.client("a").low(), h.client("b").low()
		h.get(a, b)
		h.idle(a)
		pass(20 * time.Second)
		h.get(h.client("w").low())
		pass(3 * time.Second)
		h.Excuse(b.has(), time.Now()) // which runs
		h.Excuse(a.has(), time.Now())
		pass(9 * time.Second)
		if r := h.Reap(time.Now(), nil); r.Server != nil {
			t.Errorf("%+v, want none: the only idle one has been excused", r)
		}
		pass(2 * time.Second)
		if r := h.Reap(time.Now(), nil); r.Lease != a.has() || r.Idle > 12*time.Second {
			t.Errorf("%+v, want it as one idle since then", r)
		}
	})
}
