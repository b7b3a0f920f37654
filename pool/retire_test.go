package pool_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
)

func every(*pool.Server) bool { return true }

// TestRetiredServersAreNeverLentAgain: who is idle is closed at once, who is lent when the lease ends, and who logs in when it has.
func TestRetiredServersAreNeverLentAgain(t *testing.T) {
	in(t, small(3), 10, func(t *testing.T, h *harness) {
		holder, spare, late := h.client("holder"), h.client("spare"), h.client("late")
		h.get(holder, spare)
		h.release(spare)
		h.set(func() { h.login = time.Second })
		h.get(spare, late)
		h.expect(1, 0, 2, 0)
		h.release(spare) // late has that server now
		old := []pool.Lease{holder.has(), late.has()}
		h.release(late)
		h.expect(1, 1, 1, 0)
		if n := h.Retire(time.Now(), "failover", every); n != 3 {
			t.Errorf("%d retired, want 3", n)
		}
		synctest.Wait()
		h.expect(1, 0, 1, 0)
		h.get(late)
		pass(3 * time.Second)
		for _, s := range old {
			if s == late.has() {
				t.Error("a retired server was lent")
			}
		}
		h.Idle(holder.has(), time.Now())
		h.Busy(holder.has(), 0, time.Now())
		h.release(holder, late)
		h.expect(0, 1, 0, 0)
		if got := strings.Join(h.closed, ", "); got != "app: failover, app: failover, app: failover" {
			t.Errorf("closed %s", got)
		}
		if n := h.Retire(time.Now(), "failover", func(*pool.Server) bool { return false }); n != 0 {
			t.Errorf("%d retired that do not match", n)
		}
		h.expect(0, 1, 0, 0)
	})
}

// TestWhoWaitsIsServedByOthersThanTheRetired: at the cap, a server that goes makes room for its successor.
func TestWhoWaitsIsServedByOthersThanTheRetired(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		holder, next := h.client("holder"), h.client("next")
		h.get(holder)
		h.get(next)
		old := holder.has()
		h.Retire(time.Now(), "failover", every)
		synctest.Wait()
		if next.has().Server != nil {
			t.Fatal("two servers at a cap of 1")
		}
		h.release(holder)
		if next.has().Server == nil || next.has() == old {
			t.Error("who waits was not given a fresh server")
		}
	})
}
