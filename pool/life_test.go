package pool_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
)

func TestIdleServersAreLentLastInFirstOut(t *testing.T) {
	in(t, small(3), 10, func(t *testing.T, h *harness) {
		cs := h.many("c", 3)
		h.get(cs...)
		last := cs[1].has()
		h.release(cs[0])
		h.release(cs[2])
		h.release(cs[1])
		h.get(cs[0])
		if cs[0].has().Server != last.Server {
			t.Error("the server lent is not the one that came back last; the others could never become spare")
		}
	})
}

func TestIdleServersCloseOneEachSecond(t *testing.T) {
	cfg := small(5)
	cfg.IdleTimeout, cfg.Lifetime = 10*time.Second, 0
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		cs := h.many("c", 5)
		h.get(cs...)
		h.release(cs...)
		pass(8 * time.Second)
		h.expect(0, 5, 0, 0)
		last := 5
		for range 8 {
			pass(time.Second)
			n := h.Stats().Servers["idle"]
			if last-n > 1 {
				t.Errorf("%d servers were closed within a second", last-n)
			}
			last = n
		}
		h.expect(0, 0, 0, 0)
		if got := strings.Join(h.closed, ", "); got != strings.TrimSuffix(strings.Repeat("app: idle, ", 5), ", ") {
			t.Errorf("closed %s", got)
		}
	})
}

func TestServersOfEqualAgeEndApart(t *testing.T) {
	cfg := small(4)
	cfg.IdleTimeout, cfg.Lifetime = 0, time.Hour
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		cs := h.many("c", 4)
		h.get(cs...)
		h.release(cs...)
		pass(53 * time.Minute)
		h.expect(0, 4, 0, 0)
		pass(8 * time.Minute)
		h.expect(0, 0, 0, 0)
	})
}

func TestLentServerEndsItsLifeWhenReleased(t *testing.T) {
	cfg := small(1)
	cfg.Lifetime = time.Minute
	in(t, cfg, 10, func(t *testing.T, h *harness) {
		c := h.client("c")
		h.get(c)
		pass(2 * time.Minute)
		h.expect(0, 0, 1, 0)
		h.release(c)
		h.expect(0, 0, 0, 0)
	})
}

func TestServerThatDiesIdleIsForgotten(t *testing.T) {
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		cs := h.many("c", 2)
		h.get(cs...)
		dead := cs[0].has().Conn.(*fakeConn)
		h.release(cs...)
		dead.die()
		synctest.Wait()
		h.expect(0, 1, 0, 0)
		h.get(cs...)
		if cs[0].has().Server == nil || cs[1].has().Server == nil {
			t.Fatal("a dead server was not replaced")
		}
		for _, c := range cs {
			if c.has().Conn == dead {
				t.Error("a dead server was lent")
			}
		}
	})
}

func TestServerThatDiesWhileLentCountsUntilItsLeaseEnds(t *testing.T) {
	for _, end := range []string{"release", "discard"} {
		t.Run(end, func(t *testing.T) {
			in(t, small(1), 10, func(t *testing.T, h *harness) {
				c, next := h.client("c"), h.client("next")
				h.get(c)
				s := c.has()
				s.Conn.(*fakeConn).die()
				h.get(next)
				h.expect(0, 0, 1, 0)
				if end == "release" {
					h.release(c)
				} else {
					h.Discard(s, "ended", time.Now())
					c.server = pool.Lease{}
					synctest.Wait()
				}
				if next.has().Server == nil || next.has() == s {
					t.Error("no fresh server for the next client")
				}
				if len(h.closed) != 0 {
					t.Errorf("a dead server was closed: %v", h.closed)
				}
			})
		})
	}
}

func TestDiscardedServerMakesRoomOnlyWhenItHasGone(t *testing.T) {
	in(t, small(1), 10, func(t *testing.T, h *harness) {
		h.set(func() { h.hold = true })
		c, next := h.client("c"), h.client("next")
		h.get(c)
		h.get(next)
		h.Discard(c.has(), "protocol", time.Now())
		c.server = pool.Lease{}
		synctest.Wait()
		h.expect(0, 0, 0, 1)
		if next.has().Server != nil {
			t.Fatal("a second server was opened at a cap of 1")
		}
		h.dieAll()
		h.expect(0, 0, 1, 0)
		h.set(func() { h.hold = false })
	})
}

func TestCloseRefusesWaitersAndWaitsForLentServers(t *testing.T) {
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		holder, spare, waiter := h.client("holder"), h.client("spare"), h.client("waiter").as("other")
		h.get(holder, spare)
		h.release(spare)
		h.get(spare) // both are lent
		h.get(waiter)
		h.release(spare)
		done := make(chan error, 1)
		go func() {
			ctx, stop := context.WithTimeout(context.Background(), time.Minute)
			defer stop()
			done <- h.Close(ctx)
		}()
		synctest.Wait()
		late := h.client("late")
		h.get(late)
		if waiter.has().Server == nil && !errors.Is(waiter.refused(), pool.ErrClosed) || !errors.Is(late.refused(), pool.ErrClosed) {
			t.Errorf("waiter: %v, late: %v, want both told that the pool closes", waiter.refused(), late.refused())
		}
		select {
		case err := <-done:
			t.Fatalf("Close returned %v while a server was lent", err)
		default:
		}
		if waiter.has().Server != nil {
			h.release(waiter)
		}
		h.release(holder)
		if err := <-done; err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func TestCloseEndsLoginsAndIsBounded(t *testing.T) {
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		h.set(func() { h.login = time.Hour })
		a := h.client("a")
		h.get(a)
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		start := time.Now()
		if err := h.Close(ctx); err != nil || time.Since(start) > time.Second {
			t.Errorf("Close took %s and returned %v, a login was under way", time.Since(start), err)
		}
	})
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		a := h.client("a")
		h.get(a)
		ctx, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		if err := h.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v with a server that nobody releases", err)
		}
	})
}

func TestRefuseAllSparesWhoHasAServer(t *testing.T) {
	in(t, small(1), 1, func(t *testing.T, h *harness) {
		kept, waiter := h.client("kept"), h.client("waiter")
		h.get(kept)
		s := kept.has()
		h.get(waiter)
		h.Idle(s, time.Now())
		h.Busy(s, 0, time.Now())
		h.Idle(s, time.Now())
		h.SetLimit(two{})
		down := &pool.UnreachableError{Err: errAway}
		h.Busy(s, 0, time.Now())
		h.Busy(s, 0, time.Now())
		h.Again(&kept.Waiter, s, time.Now())
		h.RefuseAll(down)
		synctest.Wait()
		if waiter.refused() != down {
			t.Errorf("waiter is told %v", waiter.refused())
		}
		if kept.refused() != nil {
			t.Errorf("who waits for a token only is told %v", kept.refused())
		}
		h.Idle(s, time.Now())
		h.Idle(s, time.Now())
		synctest.Wait()
		if kept.told != 2 {
			t.Error("the place in the line was lost")
		}
	})
}

func TestObserveModeOnlyReports(t *testing.T) {
	cfg := small(1)
	cfg.Classes[0].MaxLength = 1
	synctest.Test(t, func(t *testing.T) {
		run(t, cfg, 1, true, func(t *testing.T, h *harness) {
			holder, a, b := h.client("holder"), h.client("a"), h.client("b")
			h.get(holder)
			h.get(a)
			h.get(b)
			if b.refused() != nil {
				t.Fatalf("refused although it only observes: %v", b.refused())
			}
			pass(6 * time.Second)
			if a.refused() != nil {
				t.Fatalf("refused although it only observes: %v", a.refused())
			}
			would := h.Stats().Would
			if would["queue_full"]["high"] != 1 || would["wait"]["high"] != 1 {
				t.Errorf("would have refused %v, want one of each reason", would)
			}
			h.expect(0, 0, 1, 0) // the cap always holds
			h.release(holder)
			if b.has().Server == nil {
				t.Error("the first to be urgent was not served")
			}
		})
		wide := small(3)
		run(t, wide, 1, true, func(t *testing.T, h *harness) {
			cs := h.many("c", 3)
			h.get(cs...)
			h.expect(0, 0, 3, 0) // the limit holds nobody up
		})
	})
}

func TestKeysAreForgottenWhenNobodyUsesThem(t *testing.T) {
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		made := 0
		use := func(user string) *pool.Key { return h.Key("db", user, "", func(*pool.Key) { made++ }) }
		a := use("a")
		if use("a") != a || made != 1 {
			t.Error("a key in use was made twice")
		}
		for i := range 1000 {
			h.Forget(use(strings.Repeat("x", i+1)))
		}
		if use("a") != a {
			t.Error("a key in use was forgotten")
		}
		made = 0
		h.Forget(use("x"))
		if made != 1 {
			t.Error("keys nobody uses are kept without a bound")
		}
	})
}
