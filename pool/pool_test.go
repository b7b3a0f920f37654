package pool_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
)

func TestPoolHandsServerToOldestWaiter(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		first, others := h.client("first"), h.many("c", 3)
		h.get(first)
		for _, c := range others {
			h.get(c)
			pass(time.Millisecond)
		}
		holder := first
		for _, c := range others {
			h.release(holder)
			if c.has().Server == nil {
				t.Fatalf("%s is older than those after it and was not served; served: %s", c.name, h.grants())
			}
			holder = c
		}
		if others[0].waited != 3*time.Millisecond {
			t.Errorf("c1 is told it waited %s, want 3ms", others[0].waited)
		}
		h.release(holder)
		h.expect(0, 1, 0, 0)
	})
}

func TestPoolWeighsClasses(t *testing.T) {
	cfg := small(1)
	cfg.Classes[0].Weight, cfg.Classes[1].Weight = 3, 1
	cfg.Classes[0].MaxWait = time.Minute
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		holder := h.client("first")
		h.get(holder)
		waiting := append(h.many("h", 24), h.many("l", 24)...)
		for _, c := range waiting[24:] {
			c.low()
		}
		h.get(waiting...)
		for range 24 {
			pass(time.Millisecond)
			h.release(holder)
			for _, c := range waiting {
				if c.has().Server != nil {
					holder = c
				}
			}
		}
		if n := strings.Count(h.grants(), "h"); n < 17 || n > 19 {
			t.Errorf("%d of 24 turns went to the class of weight 3 against 1: %s", n, h.grants())
		}
		h.release(holder)
	})
}

func TestShareOfOneClassKeepsRoomForOthers(t *testing.T) {
	in(t, small(4), 10, func(t *testing.T, h *harness) {
		low := h.many("l", 6)
		for _, c := range low {
			h.get(c.low())
		}
		if n := h.Stats().Classes[1].Slots; n != 3 {
			t.Fatalf("low has %d slots of 4, its share is 3", n)
		}
		high := h.client("h")
		h.get(high)
		if high.has().Server == nil {
			t.Error("the room that low's share leaves was not there for high")
		}
		h.release(high)
		if n := h.Stats().Classes[1].Slots; n != 3 {
			t.Errorf("low took the room: %d slots", n)
		}
		h.release(low[0])
		if low[3].has().Server == nil {
			t.Error("low below its share was not served")
		}
		h.release(low[1:4]...)
		h.release(low[4:]...)
	})
}

func TestUrgentGoesFirstAndIsNotRefusedForLength(t *testing.T) {
	cfg := small(1)
	cfg.Classes[0].MaxLength = 1
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		holder, c := h.client("holder"), h.client("c")
		urgent := h.many("u", 2)
		h.get(holder)
		h.get(c)
		for _, u := range urgent {
			u.Urgent = true
			h.get(u)
		}
		h.release(holder)
		h.release(urgent[0])
		h.release(urgent[1])
		if got, want := h.grants(), "holder u1 u2 c"; got != want {
			t.Errorf("granted in the order %s, want %s", got, want)
		}
		h.release(c)
	})
}

func TestLoginTakesASlotAndNoToken(t *testing.T) {
	in(t, small(3), 1, func(t *testing.T, h *harness) {
		worker, login, next := h.client("worker"), h.client("login").as("other"), h.client("next")
		h.get(worker)
		login.Login = true
		h.get(next, login)
		if login.has().Server == nil {
			t.Fatal("a login waits for a run token, which it does not need")
		}
		if next.has().Server != nil {
			t.Fatal("two statements run, the limit is 1")
		}
		if n := h.Stats().Running; n != 1 {
			t.Errorf("%d run, want 1", n)
		}
		h.release(login, worker)
		h.release(next)
	})
}

func TestTokenAndSlotAreApart(t *testing.T) {
	in(t, small(3), 1, func(t *testing.T, h *harness) {
		first, second := h.client("first"), h.client("second")
		h.get(first)
		h.get(second)
		if second.has().Server != nil {
			t.Fatal("a second statement runs at a limit of 1")
		}
		h.Idle(first.has(), time.Now()) // between two statements of a transaction
		synctest.Wait()
		if second.has().Server == nil {
			t.Fatal("the run token given back between statements was not used")
		}
		h.Busy(first.has(), 0, time.Now()) // never waits: it may hold locks
		if n := h.Stats().Running; n != 2 {
			t.Errorf("%d run, want 2: one over the limit, because it is in a transaction", n)
		}
		third := h.client("third")
		h.get(third)
		h.release(first)
		if third.has().Server != nil {
			t.Error("new work began while as many as the limit still ran")
		}
		h.release(second)
		if third.has().Server == nil {
			t.Error("no token came back from a released server")
		}
		h.release(third)
		if n := h.Stats().Running; n != 0 {
			t.Errorf("%d run when all are released", n)
		}
	})
}

func TestAgainWaitsForATokenAlone(t *testing.T) {
	in(t, small(2), 1, func(t *testing.T, h *harness) {
		kept, other := h.client("kept"), h.client("other")
		h.get(kept)
		s := kept.has()
		h.Idle(s, time.Now())
		h.get(other)
		h.Again(&kept.Waiter, s, time.Now())
		synctest.Wait()
		if kept.told != 1 {
			t.Fatal("a token was granted over the limit")
		}
		h.release(other)
		if kept.told != 2 || kept.has() != s {
			t.Fatalf("told %d times, want a second grant of the same server", kept.told)
		}
		h.release(kept)
	})
}

func TestRefusedAfterLongestWait(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		holder, c, low := h.client("holder"), h.client("c"), h.client("low").low()
		h.get(holder, c, low)
		pass(4900 * time.Millisecond)
		if c.refused() != nil {
			t.Fatal("refused before its longest wait was over")
		}
		pass(200 * time.Millisecond)
		var r *pool.RefusedError
		if !errors.As(c.refused(), &r) || r.Reason != "wait" || r.Class != "high" || r.Active != 1 || r.Limit != 10 || r.Waited < 5*time.Second {
			t.Fatalf("got %v, want a refusal for waiting with its numbers", c.refused())
		}
		if low.refused() != nil {
			t.Error("a class that may wait longer was refused, too")
		}
		pass(25 * time.Second)
		if !errors.As(low.refused(), &r) || r.Class != "low" {
			t.Errorf("got %v, want low refused after 30 s", low.refused())
		}
		h.get(c)
		h.release(holder)
		if c.has().Server == nil {
			t.Error("who was refused cannot ask again")
		}
		h.release(c)
	})
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	cfg := small(1)
	cfg.Classes[0].MaxLength = 2
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		holder, cs := h.client("holder"), h.many("c", 3)
		h.get(holder)
		h.get(cs...)
		var r *pool.RefusedError
		if !errors.As(cs[2].refused(), &r) || r.Reason != "queue_full" || r.Waiting != 2 || r.Waited != 0 {
			t.Errorf("got %v, want the third refused at once", cs[2].refused())
		}
		h.release(holder)
		h.release(cs[0])
		h.release(cs[1])
	})
}

func TestWithdrawnIsNotServed(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		holder, gone, next := h.client("holder"), h.client("gone"), h.client("next")
		h.get(holder, gone, next)
		if !h.Withdraw(&gone.Waiter) {
			t.Fatal("who waits cannot leave")
		}
		if h.Withdraw(&gone.Waiter) {
			t.Error("who has left leaves again")
		}
		h.release(holder)
		if gone.told != 0 || next.has().Server == nil {
			t.Error("the server was not given to the next who is there")
		}
		if h.Withdraw(&next.Waiter) {
			t.Error("who has been served leaves the queue")
		}
		h.release(next)
		if s := h.Stats(); s.Classes[0].Waiting != 0 || s.Classes[0].Slots != 0 {
			t.Errorf("left over: %+v", s.Classes[0])
		}
	})
}

// TestLeaseThatHasEndedDoesNothing: what comes late for a lease is nothing to who has the server now.
func TestLeaseThatHasEndedDoesNothing(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		first, next := h.client("first"), h.client("next")
		h.get(first)
		old := first.has()
		h.release(first)
		h.get(next)
		for _, late := range late {
			late(h.Pool, old, time.Now())
			synctest.Wait()
			if st := h.Stats(); st.Running != 1 || st.Servers["active"] != 1 || st.Servers["idle"] != 0 {
				t.Fatalf("after what came late: %+v", st)
			}
		}
		h.Idle(next.has(), time.Now())
		if r := h.Reap(time.Now().Add(time.Hour), nil); r.Why != "no_pressure" {
			t.Errorf("reap: %+v", r)
		}
		h.release(next)
		if st := h.Stats(); st.Running != 0 || st.Servers["idle"] != 1 {
			t.Errorf("at the end: %+v", st)
		}
	})
}

func TestLimitReplacedTakesEffectAtOnce(t *testing.T) {
	in(t, small(3), 1, func(t *testing.T, h *harness) {
		cs := h.many("c", 3)
		h.get(cs...)
		if h.grants() != "c1" {
			t.Fatalf("%s run at a limit of 1", h.grants())
		}
		h.SetLimit(two{})
		synctest.Wait()
		if h.grants() != "c1 c2" {
			t.Errorf("%s run at a limit of 2", h.grants())
		}
		h.release(cs[0])
		h.release(cs[1:]...)
	})
}
