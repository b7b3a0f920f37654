//go:build pg

package proxy

import (
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestPagesDoNotWaitForReports: more reports than may run at once, of half a second each, and pages beside them. But for the first, which comes when
// nobody knew of pages, each is served at once.
func TestPagesDoNotWaitForReports(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Pool = Default().Pool
		cfg.Limit = 4
	})
	g.measured(t)
	over := make(chan struct{})
	var reports sync.WaitGroup
	for range 12 {
		job := g.low(t)
		reports.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					if a, err := job.query("select pg_sleep(0.5)"); err != nil || a.code() != "" {
						t.Errorf("a report: %s, %v", a, err)
						return
					}
				}
			}
		})
	}
	page := g.call(t)
	took := func() time.Duration {
		began := time.Now()
		page.want(t, page.query, "select 1", "", 'I')
		return time.Since(began)
	}
	took()
	var slow []time.Duration
	for begin := time.Now(); time.Since(begin) < 3*time.Second; time.Sleep(20 * time.Millisecond) {
		if d := took(); time.Since(begin) > time.Second && d > 200*time.Millisecond {
			slow = append(slow, d)
		}
	}
	close(over)
	reports.Wait()
	if len(slow) > 0 {
		t.Errorf("%d pages waited beside reports, for up to half a second: %v", len(slow), slow)
	}
}
