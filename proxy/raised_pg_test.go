//go:build pg

package proxy

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgguard/breaker"
	"pgguard/proxy/pgtest"
)

// TestErrorsThatStatementsRaiseOpenNothing: two clients raise, by themselves and in ever other words, every error that a broken server
// would, among them one of a device that is full. Nobody else is refused.
func TestErrorsThatStatementsRaiseOpenNothing(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), nil)
	g.measured(t)
	codes := []string{"XX000", "XX001", "08006", "08001", "53100", "53200", "58030", "57P01", "57P03"}
	var stop atomic.Bool
	var raised atomic.Int64
	var wg sync.WaitGroup
	for i := range 2 {
		c := g.call(t)
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				text, want := fmt.Sprintf("do $$ begin raise exception 'no %d' using errcode = '%s'; end $$ /* %d */", n, codes[n%len(codes)], i), codes[n%len(codes)]
				if n%10 == 9 {
					text, want = fmt.Sprintf("copy (select repeat('x', 10000) as c%d from generate_series(1, 10)) to '/dev/full'", n), "53100"
				}
				a, err := c.query(text)
				if err != nil || a.code() != want {
					t.Errorf("%v %s, want %s", err, a, want)
					return
				}
				raised.Add(1)
			}
		})
	}
	other := g.call(t)
	eventually(t, "many raised", func() bool {
		other.want(t, other.query, "select 1", "", 'I')
		return raised.Load() > 2000
	})
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		other.want(t, other.query, "select 2", "", 'I')
	}
	stop.Store(true)
	wg.Wait()
	if trips := g.pool().BreakerTrips; trips != 0 {
		t.Errorf("the breaker has opened %d times", trips)
	}
	for _, code := range codes {
		if breaker.Classify(code) != breaker.Broken {
			t.Errorf("%s is no error of a broken server", code)
		}
	}
	g.atRest(t)
}
