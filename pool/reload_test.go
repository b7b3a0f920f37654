package pool_test

import (
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/queue"
)

// other is small(n) with classes of its own, so that changing them changes nothing else.
func other(n int) pool.Config {
	cfg := small(n)
	cfg.Classes = append([]queue.Class(nil), cfg.Classes...)
	return cfg
}

func TestReloadedCapAndWaitsActAtOnce(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		first, second, third := h.client("a"), h.client("b"), h.client("c")
		h.get(first, second)
		if second.has().Server != nil {
			t.Fatal("two are served by one server")
		}
		h.Reload(other(2), false)
		pass(time.Second)
		if second.has().Server == nil || h.Cap() != 2 {
			t.Errorf("with a cap of 2 the second is not served; the cap is %d", h.Cap())
		}
		short := other(2)
		short.Classes[0].MaxWait = time.Millisecond
		h.Reload(short, false)
		h.get(third)
		pass(time.Second)
		if third.refused() == nil {
			t.Error("who came after the wait had become shorter still waits")
		}
		h.release(first, second)
		young := other(2)
		young.Lifetime = time.Second
		h.Reload(young, false)
		pass(5 * time.Second)
		h.expect(0, 0, 0, 0)
	})
}

// TestReloadRefusesOtherClasses: counts are kept by their places.
func TestReloadRefusesOtherClasses(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		for _, set := range []func(*pool.Config){
			func(c *pool.Config) { c.Classes = c.Classes[:1] },
			func(c *pool.Config) { c.Classes[0].Name = "another" },
		} {
			cfg := other(1)
			set(&cfg)
			func() {
				defer func() {
					if recover() == nil {
						t.Error("other classes are taken")
					}
				}()
				h.Reload(cfg, false)
			}()
		}
		h.get(h.client("a")) // its lock is free
	})
}
