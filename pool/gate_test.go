package pool_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
)

// TestWhoWaitsBeforeAShutGateIsNeitherServedNorRefused, however long that takes, and is served in order when it opens; others are served meanwhile.
func TestWhoWaitsBeforeAShutGateIsNeitherServedNorRefused(t *testing.T) {
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		var gate pool.Gate
		through := func(name string) *client {
			c := h.client(name)
			c.Gate = &gate
			return c
		}
		holder, queued, late, other := through("holder"), through("queued"), through("late"), h.client("other")
		h.get(holder, other)
		h.get(queued)
		h.Shut(&gate, time.Now())
		h.get(late)
		pass(2 * time.Minute)
		if queued.told+late.told != 0 || h.Held(&gate) != 2 {
			t.Fatalf("told %d and %d, %d held", queued.told, late.told, h.Held(&gate))
		}
		h.release(other)
		h.get(other)
		if other.has().Server == nil {
			t.Error("somebody who does not come through it is held up")
		}
		h.release(other, holder)
		if queued.told+late.told != 0 {
			t.Fatal("a free server was lent through a shut gate")
		}
		h.set(func() { h.order = nil })
		h.Open(&gate, time.Now())
		synctest.Wait()
		if got := strings.Join(h.order, " "); got != "queued late" || queued.has().Server == nil || late.has().Server == nil {
			t.Errorf("served: %s", got)
		}
	})
}

// TestWhoLeavesAShutGateIsForgotten: the one who withdraws, the one who gives up, and all when the pool closes.
func TestWhoLeavesAShutGateIsForgotten(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		var gate pool.Gate
		h.Shut(&gate, time.Now())
		a, b, c := h.client("a"), h.client("b"), h.client("c")
		for _, w := range []*client{a, b, c} {
			w.Gate = &gate
		}
		h.get(a, b, c)
		if !h.Withdraw(&a.Waiter) || h.Withdraw(&a.Waiter) {
			t.Error("a cannot withdraw once")
		}
		if err := h.GiveUp(&b.Waiter, time.Now()); !errors.Is(err, pool.ErrHeld) {
			t.Errorf("who gives up is told %v", err)
		}
		if h.Held(&gate) != 1 {
			t.Errorf("%d are held", h.Held(&gate))
		}
		h.Shut(&gate, time.Now()) // once more changes nothing
		_ = h.Close(t.Context())
		synctest.Wait()
		if a.told+b.told != 0 || !errors.Is(c.err, pool.ErrClosed) {
			t.Errorf("told %d, %d, %v", a.told, b.told, c.err)
		}
	})
}
