//go:build pg

package proxy

import (
	"sync"
	"sync/atomic"
	"testing"

	"pgguard/proxy/pgtest"
)

// endless is a report that ends when it is cancelled.
const endless = "select pg_sleep(3600)"

// TestPagesDoNotWaitForReports: more reports than may run at once, none of which ends by itself, and pages beside them. But for the first, which comes when nobody knew of pages, each is
// answered while every report goes on that runs.
func TestPagesDoNotWaitForReports(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Pool = Default().Pool
		cfg.Limit = 4
	})
	g.measured(t)
	admin := direct(t, c)
	running := func() string {
		return admin.one(t, "select count(*) from pg_stat_activity where state = 'active' and query = '"+endless+"'")
	}
	end := func(most string) {
		admin.want(t, admin.query, "select pg_cancel_backend(pid) from pg_stat_activity where state = 'active' and query = '"+endless+"' order by query_start limit "+most, "", 'I')
	}
	var over atomic.Bool
	var reports sync.WaitGroup
	for range 12 {
		job := g.low(t)
		reports.Go(func() {
			for !over.Load() {
				if a, err := job.query(endless); err != nil || a.code() != "57014" {
					t.Errorf("a report: %s, %v", a, err)
					return
				}
			}
		})
	}
	eventually(t, "the limit full of reports", func() bool { return running() == "4" })
	page := g.call(t)
	first := make(chan struct{})
	go func() { defer close(first); page.want(t, page.query, "select 1", "", 'I') }()
	eventually(t, "the first page", func() bool {
		select {
		case <-first:
			return true
		default:
			end("1")
			return false
		}
	})
	for round := range 20 {
		if round == 0 { // what the first has left behind is not seen before a report has ended
			end("1")
		}
		eventually(t, "all the reports that may run beside pages", func() bool { return running() == "3" })
		page.want(t, page.query, "select 1", "", 'I')
		end("1")
	}
	over.Store(true)
	ended := make(chan struct{})
	go func() { defer close(ended); reports.Wait() }()
	eventually(t, "no report", func() bool {
		end("all")
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
}
