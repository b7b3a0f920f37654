package pool_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/limit"
)

// A convoy has the places of its bound, in order of arrival, and holds up nobody else; those who came before it was one are among them.
func TestConvoyWaitsInALineOfItsOwn(t *testing.T) {
	in(t, mixed(50), 8, func(t *testing.T, h *harness) {
		const row = 3
		holder := h.many("holder", 8)
		h.get(holder...)
		rows, others := h.many("row", 20), h.many("other", 20)
		for i := range rows {
			rows[i].Print = row
			h.get(rows[i], others[i])
			pass(time.Millisecond)
		}
		h.SetConvoy(row, 2, time.Now())
		more := h.client("more")
		more.Print = row
		h.get(more)
		h.release(holder...)
		if r, o := served(rows), served(others); r != 2 || o != 6 {
			t.Fatalf("%d of the convoy and %d others run, want 2 and 6", r, o)
		}
		for i := range 10 {
			h.release(rows[i])
			if rows[i+2].has().Server == nil {
				t.Fatalf("one of the convoy has ended, and number %d does not have its turn", i+3)
			}
			h.release(others[i])
			if others[i+6].has().Server == nil {
				t.Fatalf("another has ended, and number %d does not have its turn", i+7)
			}
		}
		if p := h.Account(time.Now()).Paces[0]; p.Newest {
			t.Errorf("newest first: %+v", p)
		}
		h.SetConvoy(row, 0, time.Now())
		h.release(rows[10:12]...)
		h.release(others[10:16]...)
		if n := served(rows[12:]) + served([]*client{more}) + served(others[16:]); n != 8 {
			t.Errorf("%d run when there is no convoy any more, want 8", n)
		}
	})
}

// Forty of a convoy that is served five times a second are as many as can be served in eight seconds: who comes is told so, who is quick is not.
func TestConvoyTellsItsOwnWait(t *testing.T) {
	in(t, mixed(50), 8, func(t *testing.T, h *harness) {
		const row = 3
		h.SetConvoy(row, 2, time.Now())
		rows := h.many("row", 60)
		for _, c := range rows {
			c.Print = row
		}
		h.get(rows[:20]...)
		for _, c := range rows[:10] {
			pass(200 * time.Millisecond)
			h.release(c)
		}
		h.get(rows[20:]...)
		told := 0
		var r *pool.RefusedError
		for _, c := range rows[20:] {
			if errors.As(c.refused(), &r) && r.Reason == "too_late" && r.Lack == pool.LackConvoy {
				told++
			}
		}
		if told < 20 || told > 35 {
			t.Errorf("%d of 40 were told that they would come too late; 12 can be served", told)
		}
		quick := h.many("quick", 6)
		h.get(quick...)
		if n := served(quick); n != 6 {
			t.Errorf("%d of 6 others are served beside a convoy: %v", n, quick[5].refused())
		}
	})
}

// Of two hundred who wait and have gone nobody is granted anything.
func TestWhoHasGoneIsGrantedNothing(t *testing.T) {
	in(t, mixed(50), 1, func(t *testing.T, h *harness) {
		holder, gone, stays := h.client("holder"), h.many("gone", 200), h.client("stays")
		h.get(holder)
		h.get(gone...)
		h.get(stays)
		for _, c := range gone {
			if !h.Withdraw(&c.Waiter) {
				t.Fatalf("%s waits and cannot leave", c.name)
			}
		}
		h.release(holder)
		if stays.has().Server == nil || served(gone) != 0 {
			t.Errorf("%d who have gone were served, and who stays was not", served(gone))
		}
	})
}

// How long clients wait is learned from those who leave while their statement runs, too.
func TestPatienceIsLearnedFromStatementsThatAreLeft(t *testing.T) {
	in(t, mixed(50), 40, func(t *testing.T, h *harness) {
		all := h.many("c", 40)
		h.get(all...)
		pass(2010 * time.Millisecond)
		for _, c := range all[:30] {
			l := c.has()
			h.Left(l, time.Now())
			h.Left(l, time.Now()) // it has left once
			h.release(c)
			h.Left(l, time.Now()) // the lease has ended
		}
		pass(200 * time.Millisecond)
		if in := h.Account(time.Now()).Paces[0].InTime; in < 900*time.Millisecond || in > 2*time.Second {
			t.Errorf("taken to be in time within %s, where clients leave after 2 s", in)
		}
		h.idle(all[30]) // its first statement has been answered: that it leaves now is another thing
		h.Left(all[30].has(), time.Now())
	})
}

// mute is a client that only counts.
type mute struct {
	pool.Waiter
	told int
}

func (m *mute) Granted(pool.Lease, time.Time, time.Duration) { panic("granted") }
func (m *mute) Refused(error)                                { m.told++ }

// lateTogether has n who wait be late, and returns how long it takes to tell them.
func lateTogether(tb testing.TB, n int) time.Duration {
	cfg := mixed(100)
	for i := range cfg.Classes {
		cfg.Classes[i].MaxWait, cfg.Classes[i].MaxLength = time.Millisecond, n
	}
	p := pool.New(cfg, limit.Frozen(1), false, func(context.Context, *pool.Server) (pool.Conn, error) { return nil, errAway })
	p.SetCeiling(0, time.Now())
	key := p.Key("db", "app", "", func(*pool.Key) {})
	all := make([]mute, n)
	for i := range all {
		all[i].Waiter = pool.Waiter{Key: key, Class: i % 2, Grantee: &all[i], Client: uint64(i), Print: uint16(i % pool.MaxPrints)}
		p.Get(&all[i].Waiter, time.Now())
	}
	for time.Now().Before(all[n-1].Since().Add(2 * time.Millisecond)) { // the clock is the system's
	}
	start := time.Now()
	p.Expire()
	took := time.Since(start)
	for i := range all {
		if all[i].told != 1 {
			tb.Fatalf("number %d was told %d times", i, all[i].told)
		}
	}
	_ = p.Close(context.Background())
	return took
}

// TestManyWhoAreLateTogetherAreToldQuickly: 20,000, a few milliseconds, cost each of them no more than 1,000 do.
func TestManyWhoAreLateTogetherAreToldQuickly(t *testing.T) {
	const few, many = 1_000, 20_000
	leastFew, leastMany := time.Hour, time.Hour
	for range 5 { // in turns, so that a busy machine is busy for both
		for range 4 {
			leastFew = min(leastFew, lateTogether(t, few))
		}
		leastMany = min(leastMany, lateTogether(t, many))
	}
	// Work for each waiter that grew with their number would make it 400 times, and a cache that is too small a few.
	if leastMany > 5*many/few*leastFew {
		t.Errorf("%s for %d, %s for %d", leastMany, many, leastFew, few)
	}
	t.Logf("%s for %d, %s for %d", leastMany, many, leastFew, few)
}

// Where many run a convoy has a quarter of the limit, however few of it were seen not to wait.
func TestConvoyHasAQuarterOfTheLimit(t *testing.T) {
	for limit, want := range map[int]int{4: 2, 8: 2, 20: 5, 64: 16} {
		in(t, mixed(100), limit, func(t *testing.T, h *harness) {
			const row = 3
			h.SetConvoy(row, 2, time.Now())
			rows := h.many("row", 40)
			for _, c := range rows {
				c.Print = row
			}
			h.get(rows...)
			if n := served(rows); n != want {
				t.Errorf("%d of a convoy run at a limit of %d, want %d", n, limit, want)
			}
		})
	}
}
