package pool_test

import (
	"testing"
	"time"
)

func TestBusyUserDoesNotStarveAnother(t *testing.T) {
	for name, c := range map[string]struct{ cap, limit int }{
		"at the cap":      {cap: 2, limit: 10},
		"without a token": {cap: 10, limit: 2},
		"with neither":    {cap: 2, limit: 2},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, small(c.cap), c.limit, func(t *testing.T, h *harness) {
				busy := h.many("a", 6)
				h.get(busy...)
				other := h.client("b").as("other")
				h.get(other)
				for range 8 { // each time one of the busy user's servers comes back, more of its work waits for it
					pass(20 * time.Millisecond)
					for _, c := range busy {
						if c.has().Server != nil {
							h.release(c)
							h.get(c)
							break
						}
					}
				}
				if other.has().Server == nil {
					t.Error("a user without a server waits for as long as another has work")
				}
			})
		})
	}
}
