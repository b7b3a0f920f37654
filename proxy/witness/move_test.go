//go:build pg && faults

package witness_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/proxy/diagnosis"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// TestMoveFarAwayIsNotPressure: a database goes to a server that is 150 ms away, under a hundred clients. Nobody is refused, the law does not take the way for work
// and lower its limit, but lets more in, and nothing is said to be wrong with the database; that clients wait until the law has found the new knee is.
func TestMoveFarAwayIsNotPressure(t *testing.T) {
	const clients = 100
	sc, far := open(t, pgtest.Options{}, nil), pgtest.New(t, pgtest.Options{})
	for _, c := range []*pgtest.Cluster{sc.db, far} {
		if err := c.Exec(context.Background(), fmt.Sprintf("create table moved as select id, 0 as n from generate_series(0, %d) id", clients)); err != nil {
			t.Fatal(err)
		}
	}
	w := newWay(t, fmt.Sprintf("%s:%d", far.Host(), far.Port()))
	w.delay.Store(int64(75 * time.Millisecond))
	to, err := upstream.Parse("postgres://" + sc.user() + "@" + w.addr + "/postgres?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	var over atomic.Bool
	var done atomic.Int64
	var lives sync.WaitGroup
	for id := range clients {
		c := sc.enter("mover")
		lives.Go(func() {
			for !over.Load() {
				if _, err := c.Exec(ctx, "update moved set n = n + 1 where id = $1", id); err != nil {
					t.Errorf("client %d: %v", id, err)
					over.Store(true)
				}
				done.Add(1)
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	near, _ := sc.calm(5*time.Second, &over)
	at := done.Load()
	began := time.Now()
	if err := sc.server.Pause(ctx, ""); err != nil {
		t.Fatal(err)
	}
	cfg := sc.server.Config()
	cfg.Upstream = to
	if err := errors.Join(sc.server.Reload(cfg), sc.server.Resume("")); err != nil {
		t.Fatal(err)
	}
	paused := time.Since(began)
	away, last := sc.calm(20*time.Second, &over)
	moved := done.Load() - at
	over.Store(true)
	lives.Wait()
	for reason, n := range sc.server.Stats().Refusals {
		if n > 0 {
			t.Errorf("%d refused for %v", n, reason)
		}
	}
	if away < near {
		t.Errorf("the limit was %d at least before, and falls to %d", near, away)
	}
	if last < 4*near && last < clients/2 {
		t.Errorf("20 s later the limit is %d, which was %d where a statement took a hundredth of the time", last, near)
	}
	t.Logf("%d clients waited for at most %s; then %d statements in 20 s, the limit at least %d before and %d after, %d in the end", clients, paused, moved, near, away, last)
}

// calm fails the test if anything is said to be wrong for so long, and returns the lowest limit meanwhile, and the last.
func (sc *scene) calm(d time.Duration, over *atomic.Bool) (least, last int) {
	for end := time.Now().Add(d); time.Now().Before(end) && !over.Load(); time.Sleep(50 * time.Millisecond) {
		if v := sc.see.Verdict(); !v.State.Healthy() && v.State != diagnosis.Guarding {
			sc.t.Errorf("%s: %s", v.State, v.Sentence)
			over.Store(true)
		}
		for _, p := range sc.server.Stats().Pools {
			if last = p.Limit; least == 0 || last < least {
				least = last
			}
		}
	}
	return least, last
}
