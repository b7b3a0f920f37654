package pool_test

import (
	"testing"
	"time"

	"pgguard/pool"
)

// work has clients run statements of this length, one after the other in transactions of two, until it is known how long they take.
func (h *harness) work(clients []*client, took time.Duration) {
	ends := func() {
		for _, c := range clients {
			c.has().Sample.Elapsed = took
		}
	}
	for range 3 * 60 / len(clients) {
		h.get(clients...)
		pass(took)
		ends()
		h.idle(clients...)
		for _, c := range clients {
			h.Busy(c.has(), 0, time.Now())
		}
		pass(took)
		ends()
		h.release(clients...)
	}
	pass(2 * time.Second)
}

// begin has clients ask for a server one after the other; those that are served run a statement and stay in their transaction.
func (h *harness) begin(clients []*client) (open int) {
	for _, c := range clients {
		h.get(c)
		if c.has().Server != nil {
			h.idle(c)
			open++
		}
	}
	return open
}

// TestTransactionKeepsItsTokenThroughAShortGap: of brisk clients no more transactions are open than statements may run.
func TestTransactionKeepsItsTokenThroughAShortGap(t *testing.T) {
	in(t, small(40), 6, func(t *testing.T, h *harness) {
		cs := h.many("c", 20)
		h.work(cs[:6], time.Millisecond)
		h.conflict(cs[:6], 4)
		if short := h.ShortGap(); short < 4*time.Millisecond || short > 6*time.Millisecond {
			t.Fatalf("a gap of %v is short where statements take a millisecond, want about five", short)
		}
		if open := h.begin(cs); open != 6 {
			t.Fatalf("%d transactions are open at a limit of 6", open)
		}
		if s := h.Stats(); s.InGap != 6 || s.Running != 0 {
			t.Errorf("%d run and %d are in a gap, want 0 and 6", s.Running, s.InGap)
		}
		for range 100 { // a millisecond between two statements
			pass(time.Millisecond)
			for _, c := range cs[:6] {
				h.Busy(c.has(), 0, time.Now())
			}
			pass(time.Millisecond)
			h.idle(cs[:6]...)
			if n := served(cs); n != 6 {
				t.Fatalf("%d transactions are open at a limit of 6", n)
			}
		}
		h.release(cs[0])
		if n := served(cs[6:]); n != 1 {
			t.Errorf("%d begin where one has ended", n)
		}
	})
}

// conflict has so many of the clients' statements wait for locks when the side channel looks.
func (h *harness) conflict(clients []*client, blocked int) {
	h.get(clients...)
	h.SetBlocked(blocked, time.Now())
	h.release(clients...)
	h.SetBlocked(0, time.Now()) // nothing runs
}

// TestTokensAreKeptInGapsWhileTransactionsHoldEachOtherUp: not where most do not wait for locks, and not for long after that.
func TestTokensAreKeptInGapsWhileTransactionsHoldEachOtherUp(t *testing.T) {
	for _, c := range []struct {
		blocked []int // by look, of six that run
		open    int   // of twelve, at a limit of 6
	}{
		{nil, 12}, {[]int{3}, 12}, {[]int{4}, 6}, {[]int{6}, 6}, {[]int{3, 3, 3, 3, 3, 3}, 12},
		{[]int{4, 0, 0, 0, 0}, 6}, {[]int{4, 0, 0, 0, 0, 0}, 12}, {[]int{4, 0, 0, 0, 0, 1, 0, 0, 0, 0}, 6}, {[]int{4, 0, 0, 0, 0, 0, 5}, 6},
	} {
		in(t, small(40), 6, func(t *testing.T, h *harness) {
			cs := h.many("c", 12)
			h.work(cs[:6], 2*time.Millisecond)
			for _, n := range c.blocked {
				h.conflict(cs[:6], n)
			}
			h.SetBlocked(0, time.Now())
			if open := h.begin(cs); open != c.open {
				t.Errorf("%d transactions are open after looks that found %v of 6 blocked, want %d", open, c.blocked, c.open)
			}
		})
	}
}

// TestRefundHoldsBesideGaps: as many more begin as wait for locks, up to half of a limit that is given.
func TestRefundHoldsBesideGaps(t *testing.T) {
	for _, c := range []struct{ blocked, open int }{{0, 6}, {2, 8}, {6, 9}} {
		in(t, small(40), 6, func(t *testing.T, h *harness) {
			h.SetShortGap(time.Minute)
			cs := h.many("c", 20)
			h.get(cs[:6]...) // run, and some of them wait for locks
			h.SetBlocked(c.blocked, time.Now())
			h.SetShortGap(time.Minute)
			h.begin(cs[6:])
			if open := served(cs); open != c.open {
				t.Errorf("%d transactions are open with %d blocked, at a limit of 6, want %d", open, c.blocked, c.open)
			}
		})
	}
}

// TestTokensAreKeptNoLongerThanLooksAreTrusted: where the side channel is away nobody knows whether transactions hold each other up.
func TestTokensAreKeptNoLongerThanLooksAreTrusted(t *testing.T) {
	in(t, small(40), 6, func(t *testing.T, h *harness) {
		h.SetShortGap(time.Second)
		cs := h.many("c", 12)
		if open := h.begin(cs[:7]); open != 6 {
			t.Errorf("%d transactions are open at a limit of 6", open)
		}
		h.release(cs[:6]...)
		h.release(cs[6])
		pass(4 * time.Second)
		if open := h.begin(cs); open != 12 {
			t.Errorf("%d transactions of 12 are open when there has been no look for 4 s", open)
		}
	})
}

// TestLongGapGivesItsTokenBack: whose clients do something else in a transaction holds up nobody for longer than a short gap, whatever else
// happens or does not.
func TestLongGapGivesItsTokenBack(t *testing.T) {
	in(t, small(40), 6, func(t *testing.T, h *harness) {
		cs := h.many("c", 20)
		h.SetShortGap(10 * time.Millisecond)
		h.begin(cs)
		for n := 6; n < 20; n = served(cs) {
			pass(9 * time.Millisecond)
			if now := served(cs); now != n {
				t.Fatalf("%d transactions are open 9 ms after %d were, at a limit of 6", now, n)
			}
			pass(time.Millisecond)
			if now := served(cs); now != min(n+6, 20) {
				t.Fatalf("%d transactions are open 10 ms after %d were, at a limit of 6", now, n)
			}
			for _, c := range cs[n:served(cs)] {
				h.idle(c)
			}
		}
	})
}

// TestShortGapIsShort: how long a gap may be comes from how long statements take, and is never long.
func TestShortGapIsShort(t *testing.T) {
	for _, c := range []struct{ took, want time.Duration }{
		{100 * time.Microsecond, time.Millisecond}, {3 * time.Millisecond, 15 * time.Millisecond}, {time.Second, pool.GapMost},
	} {
		in(t, small(40), 6, func(t *testing.T, h *harness) {
			if short := h.ShortGap(); short != 0 {
				t.Errorf("a gap of %v is short before any statement has run", short)
			}
			h.work(h.many("c", 6), c.took)
			if short := h.ShortGap(); short < c.want*8/10 || short > c.want*12/10 {
				t.Errorf("a gap of %v is short where statements take %v, want about %v", short, c.took, c.want)
			}
		})
	}
}

// TestRefusalCountsTokensOfShortGaps: who is refused for want of a token is told how many are in use.
func TestRefusalCountsTokensOfShortGaps(t *testing.T) {
	cfg := small(40)
	cfg.Classes[0].MaxWait = 10 * time.Millisecond
	in(t, cfg, 6, func(t *testing.T, h *harness) {
		h.SetShortGap(time.Second)
		cs := h.many("c", 7)
		h.begin(cs)
		pass(100 * time.Millisecond)
		checkRefused(t, cs[6].refused(), pool.LackToken, 6)
	})
}

func checkRefused(t *testing.T, err error, lack pool.Lack, active int) {
	t.Helper()
	e, ok := err.(*pool.RefusedError)
	if !ok || e.Lack != lack || e.Active+e.InGap != active {
		t.Errorf("it was told %v, want that it lacks %s beside %d", err, lack, active)
	}
}

// TestEndOfATransactionEndsItsGap: a server that goes back, or is lost, in a short gap gives its token back at once.
func TestEndOfATransactionEndsItsGap(t *testing.T) {
	for name, end := range map[string]func(h *harness, c *client){
		"release": func(h *harness, c *client) { h.release(c) },
		"discard": func(h *harness, c *client) { h.Discard(c.has(), "test", time.Now()) },
		"park":    func(h *harness, c *client) { h.Busy(c.has(), 0, time.Now()); h.Park(c.has(), time.Now()) },
		"stall":   func(h *harness, c *client) { h.Busy(c.has(), 0, time.Now()); h.Stall(c.has(), time.Now(), time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			in(t, small(40), 6, func(t *testing.T, h *harness) {
				h.SetShortGap(time.Minute)
				cs := h.many("c", 7)
				if open := h.begin(cs); open != 6 {
					t.Fatalf("%d transactions are open at a limit of 6", open)
				}
				end(h, cs[0])
				pass(time.Millisecond)
				if cs[6].has().Server == nil {
					t.Error("the next one waits")
				}
			})
		})
	}
}
