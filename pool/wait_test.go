package pool_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
)

// deaf is a client that takes long to be told that it is refused.
type deaf struct {
	*client
	takes time.Duration
}

func (d *deaf) Refused(err error) {
	<-time.After(d.takes)
	d.client.Refused(err)
}

// TestWaitIsNeverShorterThanItWas: however long it takes to tell one client that its wait is over, others are told how long they have waited
// themselves, which is never less than they may.
func TestWaitIsNeverShorterThanItWas(t *testing.T) {
	cfg := small(1)
	cfg.Classes[0].MaxWait = time.Second
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		holder, slow := h.client("holder"), h.client("slow")
		h.get(holder)
		slow.Grantee = &deaf{slow, 6 * time.Second}
		h.get(slow)
		pass(2 * time.Second) // slow is being told
		late := h.many("late", 2)
		h.get(late[0])
		pass(3 * time.Second)
		h.get(late[1])
		pass(20 * time.Second)
		for _, c := range append(late, slow) {
			var refused *pool.RefusedError
			if !errors.As(c.refused(), &refused) {
				t.Fatalf("%s is told %v", c.name, c.refused())
			}
			if refused.Waited < time.Second || refused.Waited > 6*time.Second {
				t.Errorf("%s is told that it has waited for %s", c.name, refused.Waited)
			}
		}
		synctest.Wait()
	})
}
