//go:build pg

package proxy

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestPairsAreServedByWhoWaitsLongest: 24 databases, one client each, want 8 servers, from their logins on. Each is served, none is
// refused, and the slowest gets at least half of what they get on average.
func TestPairsAreServedByWhoWaitsLongest(t *testing.T) {
	const databases, servers, length = 24, 8, 6 * time.Second
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	for i := range databases {
		admin.want(t, admin.query, fmt.Sprintf("create database d%d", i), "", 'I')
	}
	g := newGuard(t, address(c), func(cfg *Config) {
		cfg.Pool = Default().Pool
		cfg.Pool.MaxServers = servers
	})
	g.measured(t)
	counts := make([]int, databases)
	var wg sync.WaitGroup
	end := time.Now().Add(length)
	for i := range databases {
		wg.Go(func() {
			c, err := call(g.addr, "postgres", fmt.Sprintf("d%d", i))
			if err != nil {
				t.Errorf("login %d: %v", i, err)
				return
			}
			defer func() { _ = c.Close() }()
			for time.Now().Before(end) {
				if a, err := c.query("select current_database()"); err != nil || len(a.codes) > 0 || a.rows[0] != fmt.Sprintf("d%d", i) {
					t.Errorf("client %d after %d: %v %s", i, counts[i], err, a)
					return
				}
				counts[i]++
			}
		})
	}
	wg.Wait()
	sum := 0
	for _, n := range counts {
		sum += n
	}
	mean := float64(sum) / databases
	t.Logf("%d to %d, mean %.0f; logins %v", slices.Min(counts), slices.Max(counts), mean, g.pool().Stats.Logins)
	if least := slices.Min(counts); float64(least) < mean/2 {
		t.Errorf("the slowest got %d of a mean of %.0f: %v", least, mean, counts)
	}
	g.atRest(t)
}
