package proxy

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestLoginsTakeTurns: a few begin at once, the next a turn later, in the order in which they came.
func TestLoginsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3 * turnsPerCore
		p, start := newPace(1), time.Now()
		p.on.Store(true)
		var began [n]time.Duration // after start
		var logins sync.WaitGroup
		for i := range n {
			logins.Go(func() {
				if p.enter(nil) {
					began[i] = time.Since(start)
				}
			})
			synctest.Wait() // it waits before the next one comes
		}
		logins.Wait()
		for i, b := range began {
			if want := time.Duration(i/turnsPerCore) * turnLength; b != want {
				t.Errorf("login %d began after %s, not %s", i, b, want)
			}
		}
	})
}

// TestClosingEndsTheWaitForATurn: a login that waits does not hold up the end.
func TestClosingEndsTheWaitForATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := newPace(1), make(chan struct{})
		p.on.Store(true)
		for range turnsPerCore {
			if !p.enter(done) {
				t.Fatal("no turn, and nobody has one")
			}
		}
		close(done)
		if p.enter(done) {
			t.Error("a turn beyond those there are")
		}
	})
}

// TestNobodyWaitsForATurnWhereNobodyStays: all of an application's clients may log in at once when it starts.
func TestNobodyWaitsForATurnWhereNobodyStays(t *testing.T) {
	p := newPace(1)
	for range 10 * turnsPerCore {
		p.enter(nil) // the test would not end
	}
}
