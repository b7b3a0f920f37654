package pool_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
	"pgguard/pool/limit"
)

// idle gives the tokens of clients back, as between two statements of their transactions.
func (h *harness) idle(clients ...*client) {
	for _, c := range clients {
		h.Idle(c.has(), time.Now())
	}
	synctest.Wait()
}

// served counts those that have a server.
func served(clients []*client) int {
	n := 0
	for _, c := range clients {
		if c.has().Server != nil {
			n++
		}
	}
	return n
}

// stall has one ask after the other; those that are served go idle in their transaction at once, for longer than a short gap.
func (h *harness) stall(clients []*client) {
	for _, c := range clients {
		h.get(c)
		if c.has().Server != nil {
			h.idle(c)
			pass(pool.GapMost)
		}
	}
}

func TestWhileASlotIsFreeNobodyWaitsForOne(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  pool.Config
		want int // that sit idle of a cap of 45
	}{{"interactive", mixed(45), 45}, {"without an interactive class", small(45), 45}} {
		t.Run(c.name, func(t *testing.T) {
			in(t, c.cfg, 6, func(t *testing.T, h *harness) {
				cs := h.many("c", 50)
				h.stall(cs)
				if n := served(cs); n != c.want {
					t.Fatalf("%d transactions sit idle, want %d: slots are free", n, c.want)
				}
				for _, c := range cs[:10] {
					h.Busy(c.has(), 0, time.Now()) // who is in a transaction goes on
				}
				h.release(cs[0])
				if n := served(cs); n != c.want-1 {
					t.Errorf("new work began while 9 ran at a limit of 6")
				}
				h.idle(cs[1:10]...)
				if n := served(cs); n != c.want {
					t.Errorf("%d are served, want the slot used that is free", n)
				}
			})
		})
	}
}

func TestRefusalNamesWhatWasMissing(t *testing.T) {
	wait := func(h *harness, c *client) *pool.RefusedError {
		h.get(c)
		pass(31 * time.Second)
		var r *pool.RefusedError
		if !errors.As(c.refused(), &r) {
			t.Fatalf("%s: got %v, want a refusal", c.name, c.refused())
		}
		return r
	}
	in(t, mixed(8), 4, func(t *testing.T, h *harness) {
		low := h.many("l", 6)
		for _, c := range low {
			c.low()
		}
		h.stall(low)
		next := h.client("next").low()
		if r := wait(h, next); r.Lack != pool.LackShare || r.Own != 6 || r.Lent != 6 || r.Idle != 6 || r.Cap != 8 || r.Active != 0 || r.Waiting != 1 {
			t.Errorf("%v, want the class's share of 6 named", r)
		}
		high := h.many("h", 2)
		h.stall(high)
		if r := wait(h, h.client("late")); r.Lack != pool.LackServer || r.Lent != 8 || r.Idle != 8 {
			t.Errorf("%v, want all 8 servers named", r)
		}
	})
	in(t, mixed(8), 1, func(t *testing.T, h *harness) {
		h.get(h.client("runs").low())
		if r := wait(h, h.client("w").low()); r.Lack != pool.LackToken || r.Active != 1 || r.Limit != 1 || r.Idle != 0 {
			t.Errorf("%v, want the limit of 1 named", r)
		}
	})
	in(t, small(8), 4, func(t *testing.T, h *harness) {
		h.SetCaps(pool.Caps{Total: 8, Users: map[string]int{"few": 1}})
		h.get(h.client("one").as("few"))
		if r := wait(h, h.client("w").as("few")); r.Lack != pool.LackKey {
			t.Errorf("%v, want the user's own limit named", r)
		}
	})
}

func TestAllowanceEndsAtTheCap(t *testing.T) {
	in(t, small(5), 4, func(t *testing.T, h *harness) {
		if i := h.Stats().Allowance; i != 1 {
			t.Errorf("the allowance is %d with a limit of 4 and a cap of 5", i)
		}
		h.SetCaps(pool.Caps{Total: 2})
		if i := h.Stats().Allowance; i != 0 {
			t.Errorf("the allowance is %d with a cap below the limit", i)
		}
	})
}

func TestLowGetsHalfOfTheAllowanceWhenSlotsAreScarce(t *testing.T) {
	in(t, mixed(40), 4, func(t *testing.T, h *harness) {
		low := h.many("l", 40)
		for _, c := range low {
			c.low()
		}
		h.stall(low[:20])
		if n := served(low); n != 20 {
			t.Fatalf("%d low transactions sit idle, want 20: slots are not scarce", n)
		}
		high := h.many("h", 10)
		h.stall(high)
		h.stall(low[20:])
		if n := served(low); n != 20 {
			t.Errorf("%d low transactions sit idle, want no more of them while three quarters of the slots are lent", n)
		}
		more := h.many("m", 10)
		h.stall(more)
		if n := served(more); n != 10 {
			t.Errorf("%d high transactions sit idle, want all that is left", n)
		}
		h.release(low[:14]...)
		if n := served(low); n != 9 {
			t.Errorf("%d low transactions after 14 have ended, want three begun in their place, at a limit of 4 of which one is kept", n)
		}
	})
}

func TestKeptServersAreNoIdleTransactions(t *testing.T) {
	in(t, small(50), 2, func(t *testing.T, h *harness) {
		kept := h.many("k", 20)
		for _, c := range kept {
			h.get(c)
			h.Park(c.has(), time.Now())
			synctest.Wait()
		}
		if n := served(kept); n != 20 {
			t.Fatalf("%d clients keep a server, want 20: they do nothing that could come back as a herd", n)
		}
		cs := h.many("c", 10)
		h.stall(cs)
		if n := served(cs); n != 10 {
			t.Errorf("%d transactions sit idle beside them, want 10: slots are free", n)
		}
		if n := h.Stats().Parked; n != 20 {
			t.Errorf("%d are kept", n)
		}
		for _, c := range kept {
			h.Again(&c.Waiter, c.has(), time.Now())
			synctest.Wait()
		}
		st := h.Stats()
		if st.Running != 2 || st.Parked != 18 {
			t.Errorf("%d run and %d are kept, want 2 and 18: a herd of kept servers waits for tokens", st.Running, st.Parked)
		}
	})
}

func TestBlockedStatementsGiveTokensBack(t *testing.T) {
	in(t, small(50), 4, func(t *testing.T, h *harness) {
		cs := h.many("c", 10)
		h.get(cs...)
		h.SetBlocked(1, time.Now())
		synctest.Wait()
		if n := served(cs); n != 5 {
			t.Fatalf("%d run with one blocked at a limit of 4", n)
		}
		h.SetBlocked(5, time.Now())
		synctest.Wait()
		if n := served(cs); n != 6 {
			t.Fatalf("%d run with five blocked, want no more than half of the limit given back", n)
		}
		pass(3 * time.Second)
		h.release(cs[0])
		h.release(cs[1])
		if n := served(cs); n != 4 {
			t.Errorf("%d run 3 s later: the count is still believed", n)
		}
	})
}

func TestCeilingHoldsAndIsTakenAway(t *testing.T) {
	in(t, small(50), 10, func(t *testing.T, h *harness) {
		h.SetCeiling(0, time.Now())
		cs := h.many("c", 8)
		h.get(cs...)
		for _, step := range []struct{ ceiling, want int }{{1, 1}, {2, 2}, {4, 4}, {pool.NoCeiling, 8}} {
			h.SetCeiling(step.ceiling, time.Now())
			synctest.Wait()
			if n := served(cs); n != step.want {
				t.Errorf("%d run at a ceiling of %d", n, step.ceiling)
			}
		}
		h.SetCeiling(100, time.Now())
		if n := h.Stats().Limit; n != 10 {
			t.Errorf("the limit is %d below a ceiling of 100, want 10", n)
		}
	})
}

// TestLowHasAFloor holds a class to weight 1 against 1000, with transactions that are held long.
func TestLowHasAFloor(t *testing.T) {
	for _, c := range []struct{ limit, low int }{{30, 3}, {2, 1}, {1, 0}} {
		cfg := mixed(50)
		cfg.Classes[0].Weight, cfg.Classes[0].Interactive = 1000, true
		cfg.Classes[0].MaxWait = time.Minute
		in(t, cfg, c.limit, func(t *testing.T, h *harness) {
			first := h.client("first").low() // low has had more service than it is due
			h.get(first)
			h.release(first)
			high := h.many("h", 60)
			h.get(high...)
			low := h.many("l", 10)
			for _, l := range low {
				h.get(l.low())
			}
			h.release(high[:c.limit]...)
			if n := served(low); n != c.low {
				t.Errorf("limit %d: %d of the low class run while high waits, want %d", c.limit, n, c.low)
			}
		})
	}
}

func TestHoldIsLearnedUnlessSlotsBind(t *testing.T) {
	in(t, small(50), 4, func(t *testing.T, h *harness) {
		cs := h.many("c", 20)
		// Two transactions that run half of the time: a hold of 2. Then one in five of the time: it rises to 5, slowly.
		work := func(run, idle time.Duration, n int) {
			for range n {
				h.get(cs[:2]...)
				pass(run)
				h.idle(cs[:2]...)
				pass(idle)
				h.release(cs[:2]...)
			}
		}
		work(time.Second, time.Second, 300)
		if x := h.Stats().Hold; x < 1.95 || x > 2.05 {
			t.Fatalf("the hold is %.2f, want 2", x)
		}
		work(time.Second, 4*time.Second, 60)
		first := h.Stats().Hold
		work(time.Second, 4*time.Second, 600)
		second := h.Stats().Hold
		if first < 2.3 || first > 4 || second < 4.4 || second > 5.05 {
			t.Errorf("the hold is %.2f after 5 minutes and %.2f after 50 more, want it to come slowly to 5", first, second)
		}
		// A stall: everybody sits idle, others wait. That is not ordinary.
		h.SetLimit(limit.Frozen(2))
		h.stall(cs)
		n := h.Stats().Hold
		pass(10 * time.Minute)
		if x := h.Stats().Hold; x > n+0.1 {
			t.Errorf("ten minutes of stall move the hold from %.2f to %.2f", n, x)
		}
		if i := h.Stats().Allowance; i < 10 || i > 12 {
			t.Errorf("the allowance is %d, want one and a half of four times the limit of 2", i)
		}
	})
}
