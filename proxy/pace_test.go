package proxy

import (
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
		var began []int
		for i := range n {
			go func() {
				if p.enter(nil) {
					began = append(began, i)
				}
			}()
			synctest.Wait()
		}
		for turn := range n / turnsPerCore {
			if len(began) != (turn+1)*turnsPerCore {
				t.Fatalf("%d logins have begun after %s", len(began), time.Since(start))
			}
			time.Sleep(turnLength)
			synctest.Wait()
		}
		for i, b := range began {
			if i != b {
				t.Fatalf("they began in the order %v", began)
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
