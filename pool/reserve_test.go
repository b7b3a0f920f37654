package pool_test

import (
	"fmt"
	"testing"
	"time"

	"pgguard/pool"
)

// TestReserveIsForWhoHasWaited: servers beyond a pair's bound are opened when somebody has waited for them, as many as may be, whatever the settings of its clients are, and
// stay until nobody uses them.
func TestReserveIsForWhoHasWaited(t *testing.T) {
	cfg := small(20)
	cfg.IdleTimeout = 10 * time.Second
	in(t, cfg, 20, func(t *testing.T, h *harness) {
		key := func(settings string) *pool.Key {
			return h.Key("at the server", "app", settings, func(k *pool.Key) {
				k.Name, k.Most = "shop", pool.Most{Login: 2, Reserve: 3, After: 2 * time.Second}
			})
		}
		cs := h.many("c", 7)
		for i, c := range cs {
			c.Key = key(fmt.Sprint("settings ", i%2))
		}
		h.get(cs...)
		pass(1900 * time.Millisecond)
		h.expect(0, 0, 2, 0)
		pass(time.Second)
		h.expect(0, 0, 5, 0)
		reserve := 0
		for _, c := range cs {
			if s := c.has(); s.Server != nil && s.Reserve {
				reserve++
			}
		}
		if reserve != 3 {
			t.Errorf("%d servers are said to be of the reserve, want 3", reserve)
		}
		for range 2 {
			for _, c := range cs {
				if c.has().Server != nil {
					h.release(c)
				}
			}
		}
		h.expect(0, 5, 0, 0)
		pass(30 * time.Second)
		h.expect(0, 0, 0, 0)
		h.get(cs[:3]...)
		pass(time.Second)
		h.expect(0, 0, 2, 0)
	})
}

// TestReserveIsNoOneElses: who has waited in one pair has not waited in another.
func TestReserveIsNoOneElses(t *testing.T) {
	in(t, small(20), 20, func(t *testing.T, h *harness) {
		most := func(user string, n int) []*client {
			cs := h.many(user, n)
			for _, c := range cs {
				c.Key = h.Key("db", user, "", func(k *pool.Key) { k.Name, k.Most = "shop", pool.Most{Login: 1, Reserve: 1, After: 2 * time.Second} })
			}
			return cs
		}
		h.get(most("a", 2)...)
		pass(1900 * time.Millisecond)
		h.get(most("b", 2)...)
		pass(time.Second)
		h.expect(0, 0, 3, 0)
	})
}
