//go:build pg

package proxy

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestPairsAreServedByWhoWaitsLongest: 24 databases, or users, one client each, want 8 servers, from their logins on. Each is served, none
// is refused, and the slowest gets at least half of what they get on average.
func TestPairsAreServedByWhoWaitsLongest(t *testing.T) {
	const pairs, servers, length = 24, 8, 4 * time.Second
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	for i := range pairs {
		admin.want(t, admin.query, fmt.Sprintf("create database d%d", i), "", 'I')
		admin.want(t, admin.query, fmt.Sprintf("create role u%d login", i), "", 'I')
	}
	for name, p := range map[string]struct{ user, database, text string }{
		"databases":       {"postgres", "d%d", "select current_database()"},
		"users":           {"u%d", "postgres", "select current_user"},
		"slow statements": {"u%d", "d%d", "select current_user from pg_sleep(0.02)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, address(c), func(cfg *Config) {
				cfg.Pool = Default().Pool
				cfg.Pool.MaxServers = servers
			})
			g.measured(t)
			counts := make([]int, pairs)
			var wg sync.WaitGroup
			end := time.Now().Add(length)
			for i := range pairs {
				user, database := strings.ReplaceAll(p.user, "%d", fmt.Sprint(i)), strings.ReplaceAll(p.database, "%d", fmt.Sprint(i))
				wg.Go(func() { counts[i] = askUntil(t, end, g.addr, user, database, p.text) })
			}
			wg.Wait()
			sum := 0
			for _, n := range counts {
				sum += n
			}
			mean := float64(sum) / pairs
			t.Logf("%d to %d, mean %.0f; logins %v", slices.Min(counts), slices.Max(counts), mean, g.pool().Stats.Logins)
			if least := slices.Min(counts); float64(least) < mean/2 {
				t.Errorf("the slowest got %d of a mean of %.0f: %v", least, mean, counts)
			}
			g.atRest(t)
		})
	}
}

// askUntil logs in and asks the same again and again, and returns how often it was answered.
func askUntil(t *testing.T, end time.Time, addr, user, database, text string) (n int) {
	c, err := call(addr, user, database)
	if err != nil {
		t.Errorf("login of %s at %s: %v", user, database, err)
		return 0
	}
	defer func() { _ = c.Close() }()
	for time.Now().Before(end) {
		a, err := c.query(text)
		if err != nil || len(a.codes) > 0 || len(a.rows) != 1 || a.rows[0] != user && a.rows[0] != database {
			t.Errorf("%s at %s after %d: %v %s", user, database, n, err, a)
			return n
		}
		n++
	}
	return n
}
