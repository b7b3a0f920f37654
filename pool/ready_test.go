package pool_test

import (
	"errors"
	"testing"
	"time"

	"pgguard/pool"
)

// prepare says what is to be ready, as often as it is said.
func (h *harness) prepare(least map[string]int, d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); pass(500 * time.Millisecond) {
		h.Ready(least, time.Now())
	}
}

func shop(n int) map[string]int { return map[string]int{"shop": n} }

func (h *harness) named(name, user, settings string) *pool.Key {
	return h.Key("at the server", user, name+settings, func(k *pool.Key) { k.Name = name })
}

func TestServersAreReadyWhileSomebodyIsThere(t *testing.T) {
	cfg := small(10)
	cfg.IdleTimeout = 10 * time.Second
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		k := h.named("shop", "app", "")
		h.named("other", "app", "")
		h.prepare(shop(3), 3*time.Second)
		h.expect(0, 3, 0, 0)
		h.prepare(shop(3), time.Minute)
		h.expect(0, 3, 0, 0)
		for _, c := range h.conns {
			c.die() // PostgreSQL is restarted
		}
		h.prepare(shop(3), 3*time.Second)
		h.expect(0, 3, 0, 0)
		h.Forget(k)
		h.prepare(shop(3), time.Minute)
		h.expect(0, 0, 0, 0)
	})
}

// TestReadyServersOfAPairAreCountedTogether: whatever the settings of its clients are; those that are opened are of the settings that most have.
func TestReadyServersOfAPairAreCountedTogether(t *testing.T) {
	in(t, small(20), 10, func(t *testing.T, h *harness) {
		c := h.client("c")
		c.Key = h.named("shop", "app", "of one")
		h.get(c)
		h.release(c)
		h.named("shop", "app", "of two")
		many := h.named("shop", "app", "of two")
		h.prepare(shop(4), 5*time.Second)
		h.expect(0, 4, 0, 0)
		n := 0
		for _, c := range h.conns {
			if c.key == many {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%d of them are of the settings that most have, want 3", n)
		}
	})
}

// TestReadyServersAreOfSettingsThatAreLetIn: settings with which no login succeeds are passed over while others of the user's are there, and tried no more often for it when there are none.
func TestReadyServersAreOfSettingsThatAreLetIn(t *testing.T) {
	in(t, small(20), 10, func(t *testing.T, h *harness) {
		no := &pool.RejectedError{Err: errors.New("unrecognized configuration parameter")}
		h.set(func() { h.rejects["shopof two"] = no })
		h.named("shop", "app", "of two")
		h.named("shop", "app", "of two")
		few := h.named("shop", "app", "of one")
		h.prepare(shop(3), 10*time.Second)
		h.expect(0, 3, 0, 0)
		before := len(h.dials)
		h.prepare(shop(4), 10*time.Second)
		h.expect(0, 4, 0, 0)
		if n := len(h.dials) - before; n > 1 {
			t.Errorf("%d logins for one server more", n)
		}
		h.set(func() { h.rejects["app"] = no })
		for _, c := range h.conns {
			c.die()
		}
		h.prepare(shop(4), 10*time.Second) // until it is known of all
		before = len(h.dials)
		h.prepare(shop(4), time.Minute)
		both := len(h.dials) - before
		h.Forget(few)
		before = len(h.dials)
		h.prepare(shop(4), time.Minute)
		if one := len(h.dials) - before; one == 0 || 2*both > 3*one {
			t.Errorf("%d logins in a minute of a user who is not let in, and %d with settings of two kinds", one, both)
		}
	})
}

func TestReadyServersStayBelowEveryBound(t *testing.T) {
	for name, c := range map[string]struct {
		most pool.Most
		caps pool.Caps
		want int
	}{
		"cap":               {pool.Most{}, pool.Caps{Total: 4}, 4},
		"of the pair":       {pool.Most{Login: 2}, pool.Caps{}, 2},
		"of the database":   {pool.Most{Database: 3}, pool.Caps{}, 3},
		"the server's own":  {pool.Most{}, pool.Caps{Users: map[string]int{"app": 1}}, 1},
		"none but the wish": {pool.Most{}, pool.Caps{}, 6},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, small(10), 10, func(t *testing.T, h *harness) {
				h.SetCaps(c.caps)
				h.Key("at the server", "app", "", func(k *pool.Key) { k.Name, k.Most = "shop", c.most })
				h.prepare(shop(6), 10*time.Second)
				h.expect(0, c.want, 0, 0)
				if h.most > 2 {
					t.Errorf("%d logins at once, more than half of those that may be", h.most)
				}
			})
		})
	}
}

// TestReadyServersGiveWay: to who waits, whose server is opened first, and in whose place none is; and none is opened again in another's.
func TestReadyServersGiveWay(t *testing.T) {
	in(t, small(4), 10, func(t *testing.T, h *harness) {
		h.named("shop", "app", "")
		h.prepare(shop(4), 3*time.Second)
		h.expect(0, 4, 0, 0)
		b := h.client("b").as("other")
		h.get(b)
		pass(time.Second)
		if b.has().Server == nil {
			t.Fatal("ready servers keep out who has work")
		}
		h.prepare(shop(4), 5*time.Second)
		h.expect(0, 3, 1, 0)
	})
}

// TestNoServerIsPreparedWhileAnybodyWaits: with every run token taken, more servers would only be more work for a database that has enough.
func TestNoServerIsPreparedWhileAnybodyWaits(t *testing.T) {
	in(t, small(10), 1, func(t *testing.T, h *harness) {
		for _, c := range h.many("c", 2) {
			c.Key = h.named("shop", "app", "")
			h.get(c)
		}
		h.prepare(shop(5), 3*time.Second)
		h.expect(0, 0, 1, 0)
	})
}

func TestNoServerIsPreparedWhereNoneCanBeHad(t *testing.T) {
	in(t, small(10), 10, func(t *testing.T, h *harness) {
		h.named("shop", "app", "")
		h.set(func() { h.fail = errors.New("nobody there") })
		h.prepare(shop(5), time.Minute)
		if n := len(h.dials); n < 30 || n > 150 {
			t.Errorf("%d logins in a minute, of a database that is away", n)
		}
		h.SetCeiling(0, time.Now())
		before := len(h.dials)
		h.prepare(shop(5), 10*time.Second)
		if n := len(h.dials) - before; n > 0 {
			t.Errorf("%d logins, though it is known that the database is away", n)
		}
	})
}
