package pool_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgguard/pool"
)

var errAway = errors.New("nobody listens")

func TestLoginsAreBounded(t *testing.T) {
	cfg := small(20)
	cfg.Classes[0].MaxWait = time.Minute
	in(t, cfg, 20, func(t *testing.T, h *harness) {
		h.set(func() { h.login = time.Second })
		cs := h.many("c", 20)
		h.get(cs...)
		h.expect(4, 0, 0, 0)
		pass(time.Second)
		h.expect(4, 0, 4, 0)
		pass(4 * time.Second)
		h.expect(0, 0, 20, 0)
		if h.most != 4 {
			t.Errorf("%d logins at once, want 4", h.most)
		}
	})
}

func TestCapHoldsAndLoginsOutliveTheirClients(t *testing.T) {
	in(t, small(3), 10, func(t *testing.T, h *harness) {
		h.set(func() { h.login = time.Second })
		cs := h.many("c", 9)
		h.get(cs...)
		h.expect(3, 0, 0, 0)
		for _, c := range cs {
			h.Withdraw(&c.Waiter)
		}
		pass(time.Second)
		h.expect(0, 3, 0, 0)
	})
}

func TestOnlyAsManyServersAsWorkCanUse(t *testing.T) {
	in(t, small(20), 2, func(t *testing.T, h *harness) {
		cs := h.many("c", 20)
		h.get(cs...)
		h.expect(0, 0, 2, 0)
	})
}

func TestFailedLoginsBackOff(t *testing.T) {
	in(t, small(5), 10, func(t *testing.T, h *harness) {
		h.set(func() { h.fail = errAway })
		c := h.client("c").low()
		h.get(c)
		pass(20 * time.Second)
		h.mu.Lock()
		order := slices.Clone(h.order)
		h.mu.Unlock()
		if len(order) != 0 || c.refused() != nil {
			t.Fatalf("granted %v, refused %v", order, c.refused())
		}
		if !errors.Is(h.Stats().Down, errAway) {
			t.Errorf("down is %v, want the last login's error", h.Stats().Down)
		}
		var tries []time.Duration
		h.set(func() { tries = slices.Clone(h.dials) })
		if n := len(tries); n < 20 || n > 45 {
			t.Errorf("%d logins in 20 s, want one each half to whole second", n)
		}
		for i := 6; i < len(tries); i++ {
			if gap := tries[i] - tries[i-1]; gap < 500*time.Millisecond || gap > 1100*time.Millisecond {
				t.Errorf("login %d came %s after the one before", i, gap)
			}
		}
		h.set(func() { h.fail = nil })
		pass(1100 * time.Millisecond)
		if c.has().Server == nil {
			t.Error("not served within a second after the server was back")
		}
		if h.Stats().Down != nil {
			t.Error("still down after a login that worked")
		}
	})
}

func TestRejectedKeyConcernsNobodyElse(t *testing.T) {
	in(t, small(5), 10, func(t *testing.T, h *harness) {
		no := &pool.RejectedError{Err: errors.New("no such role")}
		h.set(func() { h.rejects["stranger"] = no })
		a, b, c := h.client("a").as("stranger"), h.client("b").as("stranger"), h.client("c")
		h.get(a, b, c)
		if a.refused() != no || b.refused() != no {
			t.Errorf("refused %v and %v, want both told the server's answer", a.refused(), b.refused())
		}
		if c.has().Server == nil {
			t.Error("another user was not served")
		}
		h.get(a)
		if a.refused() != no {
			t.Errorf("asked again at once: %v, want the answer that is remembered", a.refused())
		}
		h.set(func() { delete(h.rejects, "stranger") })
		pass(5 * time.Second)
		h.get(a)
		if a.has().Server == nil {
			t.Error("the answer is remembered for ever")
		}
	})
}

func TestServerWithoutConnectionsLowersTheCapByWhatItRefused(t *testing.T) {
	in(t, small(20), 20, func(t *testing.T, h *harness) {
		cs := h.many("c", 20)
		for _, c := range cs {
			c.low()
		}
		h.get(cs[0])
		no := &pool.TooManyError{Err: errors.New("53300")}
		h.set(func() { h.fail = no })
		h.get(cs[1])
		if n := h.Stats().Cap; n != 19 {
			t.Fatalf("the cap is %d after one server of 20 was refused, want 19", n)
		}
		pass(2 * time.Second)
		if n := h.Stats().Cap; n < 10 {
			t.Errorf("the cap is %d after two seconds in which one was asked for again and again", n)
		}
		h.set(func() { h.fail = nil })
		pass(time.Second)
		if cs[1].has().Server == nil {
			t.Error("not served within a second after the server had connections again")
		}
		h.get(cs[2:15]...)
		pass(4 * time.Second)
		if n := h.Stats().Cap; n != 20 || served(cs) != 15 {
			t.Errorf("the cap is %d and %d are served four seconds later, want 20 and all 15", n, served(cs))
		}
	})
}

func TestCapThatStaysLowIsTriedSeldom(t *testing.T) {
	cfg := small(20)
	cfg.Classes[0].MaxWait = time.Minute
	in(t, cfg, 20, func(t *testing.T, h *harness) {
		cs := h.many("c", 20)
		h.get(cs[:3]...)
		h.set(func() { h.fail = &pool.TooManyError{Err: errors.New("53300")} })
		h.get(cs[3:]...)
		pass(10 * time.Second)
		if n := h.Stats().Cap; n != 3 && n != 4 {
			t.Errorf("the cap is %d while the server has three for us and all are wanted", n)
		}
		before := h.Stats().Logins["refused"]
		pass(15 * time.Second)
		if n := h.Stats().Logins["refused"] - before; n > 6 {
			t.Errorf("%d logins were refused in 15 s, want one each five seconds or so", n)
		}
		h.set(func() { h.fail = nil })
		pass(6 * time.Second)
		if n := h.Stats().Cap; n != 20 {
			t.Errorf("the cap is %d six seconds after the server had connections again", n)
		}
	})
}

func TestServerWithoutConnectionsLetsAnotherUserHaveTheirs(t *testing.T) {
	in(t, small(20), 20, func(t *testing.T, h *harness) {
		a := h.many("a", 3)
		h.get(a...)
		h.release(a...)
		pass(time.Second)
		h.set(func() { h.fail = &pool.TooManyError{Err: errors.New("53300")} })
		b := h.client("b").as("other")
		h.get(b)
		h.expect(0, 2, 0, 0)
		h.set(func() { h.fail = nil })
		pass(200 * time.Millisecond)
		if b.has().Server == nil {
			t.Error("a user without a server waits beside idle ones of another")
		}
	})
}

func TestLimitOfOneUserIsNobodyElses(t *testing.T) {
	in(t, small(20), 20, func(t *testing.T, h *harness) {
		no := &pool.KeyFullError{Err: errors.New("too many connections for role")}
		few := h.many("f", 3)
		for _, c := range few {
			c.as("few").low()
		}
		h.get(few[0])
		h.set(func() { h.rejects["few"] = no })
		h.get(few[1])
		c := h.client("c")
		h.get(c)
		if n := h.Stats().Cap; n != 20 || c.has().Server == nil {
			t.Errorf("the cap is %d, another is served: %t; it is one user's limit", n, c.has().Server != nil)
		}
		pass(2 * time.Second)
		if few[1].refused() != nil {
			t.Errorf("got %v, want who waits for a server of the pool to have its turn", few[1].refused())
		}
		h.release(few[0])
		if few[1].has().Server == nil {
			t.Error("the server that came back was not lent")
		}
		h.get(few[2])
		pass(31 * time.Second)
		var r *pool.RefusedError
		if !errors.As(few[2].refused(), &r) || r.Lack != pool.LackKey || !errors.Is(r, error(no)) {
			t.Errorf("got %v, want the server's own words after the longest wait", few[2].refused())
		}
		few[1].has().Conn.(*fakeConn).die()
		h.release(few[1])
		pass(2 * time.Second)
		h.get(few[0])
		pass(time.Second)
		if few[0].refused() != error(no) {
			t.Errorf("got %v, want the server's own words at once where others have all the connections", few[0].refused())
		}
	})
}

func TestUserAtItsLimitMakesRoomForItself(t *testing.T) {
	in(t, small(20), 20, func(t *testing.T, h *harness) {
		h.SetCaps(pool.Caps{Total: 20, Users: map[string]int{"few": 1}})
		x, y := h.client("x").as("few"), h.client("y")
		y.Key = h.Key("other", "few", "", func(*pool.Key) {})
		h.get(x)
		h.release(x)
		pass(time.Second)
		h.get(y)
		pass(100 * time.Millisecond)
		if y.has().Server == nil {
			t.Error("a user's idle server in one database keeps it out of another")
		}
	})
}

// TestOperatorsLimitsHold: of a user in a database, of a database and of a user in all, whatever the settings of the clients are.
func TestOperatorsLimitsHold(t *testing.T) {
	for name, c := range map[string]struct {
		most             pool.Most
		database, user   string // of three more clients
		together, either int    // servers of both, and of the first alone
	}{
		"login":                    {pool.Most{Login: 2}, "shop", "web", 2, 2},
		"login, another user":      {pool.Most{Login: 2}, "shop", "other", 4, 2},
		"database, another user":   {pool.Most{Database: 2}, "shop", "other", 2, 2},
		"user, another database":   {pool.Most{User: 2}, "other", "web", 2, 2},
		"user, another user":       {pool.Most{User: 2}, "shop", "other", 4, 2},
		"the server's own is less": {pool.Most{User: 5}, "shop", "other", 4, 1},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, small(20), 20, func(t *testing.T, h *harness) {
				if c.either == 1 {
					h.SetCaps(pool.Caps{Total: 20, Users: map[string]int{"web": 1}})
				}
				key := func(database, user, settings string) *pool.Key {
					return h.Key("at the server", user, database+settings, func(k *pool.Key) { k.Most, k.Name = c.most, database })
				}
				first, more := h.many("a", 3), h.many("b", 3)
				for i := range first {
					first[i].Key = key("shop", "web", "")
					more[i].Key = key(c.database, c.user, "another setting")
				}
				h.get(first...)
				pass(time.Second)
				if n := h.Stats().Servers["active"]; n != c.either {
					t.Errorf("%d servers, want %d", n, c.either)
				}
				h.get(more...)
				pass(time.Second)
				want := c.together
				if c.either == 1 {
					want = 1 + 3
				}
				if n := h.Stats().Servers["active"]; n != want {
					t.Errorf("%d servers with the others, want %d", n, want)
				}
			})
		})
	}
}

func TestIdleServerOfAnotherUserMakesRoom(t *testing.T) {
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		a := h.many("a", 2)
		h.get(a...)
		h.release(a[1])
		pass(time.Second)
		h.release(a[0]) // idle for a shorter time
		kept := a[0]
		h.set(func() { h.hold = true })
		b := h.client("b").as("other")
		h.get(b)
		h.expect(0, 1, 0, 1)
		if b.has().Server != nil {
			t.Fatal("a server was opened before the one that makes room had gone")
		}
		h.set(func() { h.hold = false })
		h.dieAll()
		h.expect(0, 1, 1, 0)
		if b.has().Server == nil {
			t.Fatal("no server for the other user")
		}
		h.get(kept)
		if kept.has().Server == nil || len(h.dials) != 3 {
			t.Errorf("%d logins, want 3: one idle server had to go, not both", len(h.dials))
		}
	})
}

func TestUserAtItsOwnLimitTakesNobodysServer(t *testing.T) {
	in(t, small(3), 10, func(t *testing.T, h *harness) {
		h.SetCaps(pool.Caps{Total: 10, Users: map[string]int{"narrow": 1}})
		a := h.many("a", 2)
		h.get(a...)
		n := h.many("n", 2)
		h.get(n[0].as("narrow"))
		h.release(a...)
		h.get(n[1].as("narrow"))
		h.expect(0, 2, 1, 0)
		if n[1].has().Server != nil {
			t.Error("the user's own limit was passed")
		}
		h.release(n[0])
		if n[1].has().Server == nil {
			t.Error("the server that came back was not used")
		}
	})
}

func TestDatabaseLimitHolds(t *testing.T) {
	in(t, small(10), 10, func(t *testing.T, h *harness) {
		h.SetCaps(pool.Caps{Total: 10, Databases: map[string]int{"db": 2}})
		h.get(h.many("c", 5)...)
		h.expect(0, 0, 2, 0)
	})
}

func TestSmallerCapTakesEffectAsServersComeBack(t *testing.T) {
	in(t, small(0), 20, func(t *testing.T, h *harness) {
		h.SetCaps(pool.Caps{Total: 4})
		cs := h.many("c", 5)
		h.get(cs...)
		h.expect(0, 0, 4, 0)
		h.SetCaps(pool.Caps{Total: 2})
		h.expect(0, 0, 4, 0)
		h.release(cs[0])
		h.release(cs[1])
		h.expect(0, 0, 2, 0)
		if cs[4].has().Server != nil {
			t.Error("new work began over the cap")
		}
		h.release(cs[2])
		h.expect(0, 0, 2, 0)
		if cs[4].has().Server == nil {
			t.Error("below the cap a server that came back was not lent")
		}
		h.SetCaps(pool.Caps{})
		if n := h.Stats().Cap; n != 20 {
			t.Errorf("the cap is %d while the server's limits are unknown, want 20", n)
		}
	})
}

// TestWhatClientsKeepComesWithThem: as many servers may be kept by clients as before, while another process has some of them still; and one is left for
// those who keep none.
func TestWhatClientsKeepComesWithThem(t *testing.T) {
	for _, c := range []struct{ whole, away, keepable int }{
		{97, 0, 48}, {97, 20, 48}, {97, 60, 36}, {97, 96, 1}, {20, 10, 9}, {2, 0, 1}, {1, 0, 1},
	} {
		in(t, small(0), 4, func(t *testing.T, h *harness) {
			h.SetCaps(pool.Caps{Total: c.whole})
			h.SetAway(c.away)
			if n := h.Keepable(); n != c.keepable {
				t.Errorf("%d of %d are another process's: %d may be kept, want %d", c.away, c.whole, n, c.keepable)
			}
		})
	}
}
