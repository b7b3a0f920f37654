package pool_test

import (
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool"
	"pgguard/pool/limit"
)

func TestWindowIntegrates(t *testing.T) {
	in(t, small(50), 2, func(t *testing.T, h *harness) {
		h.Account(time.Now())
		cs := h.many("c", 3)
		h.get(cs[:2]...)
		pass(time.Second) // two run
		h.get(cs[2])
		pass(2 * time.Second) // two run, one waits for a token
		h.SetBlocked(1, time.Now())
		synctest.Wait()
		pass(time.Second) // three run, one is blocked
		h.idle(cs...)
		pass(4 * time.Second) // none runs, three are in a transaction
		h.Park(cs[0].has(), time.Now())
		pass(2 * time.Second) // two are
		w := h.Account(time.Now())
		near := func(what string, got, want float64) {
			t.Helper()
			if math.Abs(got-want) > 0.001 {
				t.Errorf("%s: %.3f s, want %.3f", what, got, want)
			}
		}
		near("elapsed", w.Elapsed.Seconds(), 10)
		near("run", w.Run, 2+4+3)
		near("blocked", w.Blocked, 1)
		near("slot", w.Slot, 2+4+3+12+4)
		near("bound", w.Bound, 2)
		if w.Peak != 3 || w.Running != 0 || w.Limit != 2 || len(w.Paces) != 2 {
			t.Errorf("%+v", w)
		}
		h.Busy(cs[1].has(), 0, time.Now())
		pass(time.Second)
		w = h.Account(time.Now())
		near("run of the next window", w.Run, 1)
		near("bound of the next window", w.Bound, 0)
		if w.Peak != 1 {
			t.Errorf("peak %d of the next window", w.Peak)
		}
	})
}

func TestWaitingForASlotIsNotBoundByTheLimit(t *testing.T) {
	in(t, small(2), 10, func(t *testing.T, h *harness) {
		h.Account(time.Now())
		h.get(h.many("c", 3)...)
		pass(time.Second)
		if w := h.Account(time.Now()); w.Bound != 0 {
			t.Errorf("%.2f s bound by the limit, while servers are what is missing", w.Bound)
		}
	})
}

// Where clients have been seen to leave after a second, who has waited for longer is refused before the class's longest wait is over; where
// nobody has, everybody waits as long as his class may.
func TestWhoWaitsLongerThanClientsDoIsRefused(t *testing.T) {
	in(t, mixed(1), 1, func(t *testing.T, h *harness) {
		holder, low := h.client("holder"), h.client("l").low()
		h.get(holder, low)
		stays := h.client("stays")
		h.get(stays)
		pass(4900 * time.Millisecond)
		if stays.refused() != nil {
			t.Fatalf("refused before its class's longest wait: %v", stays.refused())
		}
		pass(200 * time.Millisecond)
		var r *pool.RefusedError
		if !errors.As(stays.refused(), &r) || r.Reason != "wait" {
			t.Errorf("%v, want a refusal for the wait", stays.refused())
		}
		hasty := h.many("hasty", 30)
		h.get(hasty...)
		c := h.client("c")
		h.get(c)
		pass(time.Second)
		for _, o := range hasty {
			h.Withdraw(&o.Waiter)
		}
		pass(900 * time.Millisecond)
		if !errors.As(c.refused(), &r) || r.Reason != "overload" || r.Class != "high" {
			t.Errorf("%v, want a refusal for overload", c.refused())
		}
		if low.refused() != nil {
			t.Errorf("low: %v", low.refused())
		}
		if p := h.Account(time.Now()).Paces; p[1].Overloaded || p[1].Bound != 30*time.Second {
			t.Errorf("low waits like this: %+v", p[1])
		}
	})
}

// Who would come too late is refused at once, with the wait that there would have been, and who comes back at once waits before he is told
// again.
func TestWhoWouldComeTooLateIsRefusedAtOnce(t *testing.T) {
	cfg := mixed(2)
	in(t, cfg, 1, func(t *testing.T, h *harness) {
		serve := func(all []*client) {
			for _, c := range all {
				pass(100 * time.Millisecond)
				if c.has().Server != nil {
					h.release(c)
				}
			}
		}
		all := h.many("c", 60)
		h.get(all[:30]...)
		serve(all[:20])
		h.get(all[30:]...) // ten wait: one each 100 ms
		h.get(all[:20]...)
		late := h.client("late")
		h.get(late)
		var r *pool.RefusedError
		if !errors.As(late.refused(), &r) || r.Reason != "too_late" || r.Waited != 0 || r.Expected < 4*time.Second || r.Expected > 8*time.Second || r.InTime != 5*time.Second {
			t.Fatalf("told %+v, want that it would come too late", late.refused())
		}
		h.get(late)
		if late.refused() != nil {
			t.Fatalf("told at once again: %v", late.refused())
		}
		if n := h.Stats().Classes[0].Waiting; n == 0 {
			t.Error("who waits before he is told again is not counted")
		}
		pass(1100 * time.Millisecond)
		if late.refused() == nil {
			t.Error("not told again when it is time")
		}
		h.get(late)
		if !h.Withdraw(&late.Waiter) {
			t.Error("cannot leave while it waits to be told again")
		}
	})
}

func TestServerThatIsAwayIsNoOverload(t *testing.T) {
	in(t, mixed(1), 10, func(t *testing.T, h *harness) {
		h.set(func() { h.fail = errAway })
		c := h.client("c")
		h.get(c)
		pass(3 * time.Second)
		if c.refused() != nil {
			t.Fatalf("refused while the server was restarted: %v", c.refused())
		}
		h.set(func() { h.fail = nil })
		pass(1100 * time.Millisecond)
		if c.has().Server == nil {
			t.Errorf("not served after the restart: %v", c.refused())
		}
	})
}

// Who waits for servers that others keep, while the database has little to do, is not shed: it waits as long as its class may.
func TestWaitingForServersIsNoOverload(t *testing.T) {
	in(t, mixed(1), 10, func(t *testing.T, h *harness) {
		holder, c := h.client("holder"), h.client("c")
		h.get(holder, c)
		pass(4900 * time.Millisecond)
		if c.refused() != nil {
			t.Fatalf("refused: %v", c.refused())
		}
		if p := h.Account(time.Now()).Paces; p[0].Overloaded {
			t.Errorf("high waits like this: %+v", p[0])
		}
		pass(200 * time.Millisecond)
		var r *pool.RefusedError
		if !errors.As(c.refused(), &r) || r.Reason != "wait" {
			t.Errorf("%v, want a refusal for the wait", c.refused())
		}
	})
}

// Where the limit holds nobody up it binds, for the law, while more run than it allows.
func TestObserveTellsTheLawWhenTheLimitWouldBind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run(t, small(3), 2, true, func(t *testing.T, h *harness) {
			cs := h.many("c", 3)
			h.get(cs[:2]...)
			h.Account(time.Now())
			pass(time.Second)
			if w := h.Account(time.Now()); w.Bound != 0 {
				t.Errorf("bound for %.1f s with as many running as it allows", w.Bound)
			}
			h.get(cs[2])
			pass(time.Second)
			if w := h.Account(time.Now()); w.Bound < 0.9 || cs[2].has().Server == nil {
				t.Errorf("bound for %.1f s with three running, want the whole second", w.Bound)
			}
		})
	})
}

func TestObserveKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run(t, mixed(1), 1, true, func(t *testing.T, h *harness) {
			holder := h.client("holder")
			h.get(holder)
			cs := h.many("c", 3)
			for _, c := range cs {
				h.get(c)
				pass(120 * time.Millisecond)
			}
			h.release(holder)
			if cs[0].has().Server == nil {
				t.Errorf("served %s, want the oldest", h.grants())
			}
			pass(6 * time.Second)
			if n := h.Stats().Would["wait"]["high"]; n == 0 {
				t.Error("what would have been refused is not counted")
			}
		})
	})
}

// A report that waits because others of its kind run is no overload of its class: nobody is refused for it, and it waits for longer
// than what is expected to be quick.
func TestSlowStatementsWaitForTheirOwnBound(t *testing.T) {
	in(t, mixed(50), 8, func(t *testing.T, h *harness) {
		const report = 1
		h.SetPrint(report, pool.Print{Slow: true}, time.Now())
		reports := h.many("report", 4)
		for _, c := range reports {
			c.Print = report
		}
		h.get(reports...)
		for i := range 300 {
			quick := h.client("quick")
			h.get(quick)
			if quick.has().Server == nil {
				t.Fatalf("after %d s a quick statement is not served: %v", i/10, quick.refused())
			}
			pass(100 * time.Millisecond)
			h.release(quick)
		}
		if p := h.Account(time.Now()).Paces[0]; p.Overloaded || served(reports) != 2 || reports[2].refused() != nil {
			t.Errorf("%d of 4 reports run after 30 s, the third was told %v; its class waits like this: %+v", served(reports), reports[2].refused(), p)
		}
		h.release(reports[0])
		if reports[2].has().Server == nil {
			t.Errorf("a report that ends makes no room for the next: %v", reports[2].refused())
		}
		pass(time.Minute)
		var r *pool.RefusedError
		if !errors.As(reports[3].refused(), &r) || r.Reason != "wait" {
			t.Errorf("%v, want a refusal after a minute", reports[3].refused())
		}
	})
}

func TestFingerprintsAreBounded(t *testing.T) {
	in(t, small(50), 8, func(t *testing.T, h *harness) {
		const report, export, row = 1, 2, 3
		now := time.Now()
		h.SetPrint(report, pool.Print{Slow: true}, now)
		h.SetPrint(export, pool.Print{Slow: true}, now)
		h.SetPrint(row, pool.Print{Cap: pool.ConvoyCap(1)}, now)
		var all []*client
		ask := func(name string, print uint16, n int) []*client {
			cs := h.many(name, n)
			for _, c := range cs {
				c.Print = print
			}
			h.get(cs...)
			all = append(all, cs...)
			return cs
		}
		reports, exports, rows := ask("report", report, 3), ask("export", export, 3), ask("row", row, 5)
		if a, b := served(reports), served(exports); a != 2 || b != 0 {
			t.Errorf("%d reports and %d exports run, want two slow statements at a limit of 8", a, b)
		}
		if n := served(rows); n != 3 {
			t.Errorf("%d of the convoy run, want 3", n)
		}
		if n := served(ask("other", 0, 5)); n != 3 {
			t.Errorf("%d others run, want the three tokens left", n)
		}
		// In a transaction statements count but are never held up.
		h.idle(reports[0])
		if served(reports)+served(exports) != 3 {
			t.Error("a slow statement that has ended does not make room for the next")
		}
		h.Busy(reports[0].has(), report, time.Now())
		h.idle(reports[0])
		h.release(rows[0])
		if served(rows) != 3 { // one was released, one more is served
			t.Errorf("%d of the convoy run after one has ended", served(rows))
		}
		h.SetPrint(row, pool.Print{}, time.Now())
		h.SetPrint(report, pool.Print{}, time.Now())
		h.SetPrint(export, pool.Print{}, time.Now())
		h.SetLimit(limit.Frozen(40))
		synctest.Wait()
		if n := served(all); n != len(all)-1 {
			t.Errorf("%d of %d run without bounds", n, len(all)-1)
		}
	})
}

func TestConvoyCap(t *testing.T) {
	for unblocked, want := range map[int]int{-5: 2, 0: 2, 1: 3, 7: 9} {
		if got := pool.ConvoyCap(unblocked); got != want {
			t.Errorf("%d unblocked: %d, want %d", unblocked, got, want)
		}
	}
}
