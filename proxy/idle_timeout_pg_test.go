//go:build pg

package proxy

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestIdleSessionTimeoutIsSilent: PostgreSQL ends servers that have been idle for too long (57P05) at the very moment at which clients send
// something, whatever it is; nobody notices, nothing is lost, and nothing runs twice.
func TestIdleSessionTimeoutIsSilent(t *testing.T) {
	const timeout = 150 * time.Millisecond
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table timed (id text primary key)", "", 'I')
	g := newGuard(t, address(c), nil)
	forms := map[string]func(c *caller, id string) []error{
		"simple":   func(c *caller, id string) []error { return toldOf(c.query, "insert into timed values ('"+id+"')") },
		"extended": func(c *caller, id string) []error { return toldOf(c.extended, "insert into timed values ('"+id+"')") },
		"transaction": func(c *caller, id string) []error {
			return toldOf(c.query, "BEGIN", "insert into timed values ('"+id+"')", "COMMIT")
		},
	}
	var clients sync.WaitGroup
	const rounds = 40
	for name, run := range forms {
		for k := range 3 {
			role := fmt.Sprint(name, k) // so that each has a server of its own
			admin.want(t, admin.query, fmt.Sprintf("create role %s superuser login", role), "", 'I')
			admin.want(t, admin.query, fmt.Sprintf("alter role %s set idle_session_timeout = '%dms'", role, timeout.Milliseconds()), "", 'I')
			client := mustCall(t, g.addr, role, "postgres")
			clients.Go(func() {
				for i := range rounds {
					<-time.After(timeout + time.Duration((i*7+k*3)%40-20)*200*time.Microsecond)
					for _, err := range run(client, fmt.Sprint(name, k, "#", i)) {
						t.Errorf("%s: %v", name, err)
					}
				}
			})
		}
	}
	clients.Wait()
	if got, want := admin.one(t, "select count(*) from timed"), fmt.Sprint(len(forms)*3*rounds); got != want {
		t.Errorf("%s rows, want %s", got, want)
	}
	if n := g.pool().Logins["ok"]; n < rounds {
		t.Errorf("%d logins: the servers did not end, and nothing was tried", n)
	}
}

// toldOf runs statements and returns what was not as it should be.
func toldOf(run func(string) (answer, error), texts ...string) (faults []error) {
	for _, text := range texts {
		if a, err := run(text); err != nil || len(a.codes) > 0 {
			faults = append(faults, fmt.Errorf("%s: %v %s", text, err, a))
		}
	}
	return faults
}
