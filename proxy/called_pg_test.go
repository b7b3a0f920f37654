//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"testing"

	"pgguard/pool/event"
	"pgguard/proxy/pgtest"
)

// TestEventsNameStatements: the event of a lock convoy says which statement it is so that it can be found, and nothing of its values.
func TestEventsNameStatements(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"compute_query_id": "on"}})
	admin := direct(t, c)
	admin.want(t, admin.query, "create table hot (id int primary key, secret text)", "", 'I')
	admin.want(t, admin.query, "insert into hot values (1, '')", "", 'I')
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Limit = 20 })
	g.measured(t)
	admin.want(t, admin.query, "begin", "", 'T')
	admin.want(t, admin.query, "update hot set secret = 'x'", "", 'T')
	var all []chan answer
	for i := range 6 {
		all = append(all, g.call(t).later(fmt.Sprintf("update hot set secret = 'hush%d' where id = 1 /*controller='pay',action='buy'*/", i)))
	}
	var found event.Event
	eventually(t, "an event", func() bool {
		list, _ := g.Events(0)
		for _, e := range list {
			if e.Kind == event.Print {
				found = e
				return true
			}
		}
		return false
	})
	admin.want(t, admin.query, "commit", "", 'I')
	for _, done := range all {
		if a := <-done; len(a.codes) > 0 {
			t.Errorf("%s", a)
		}
	}
	if !strings.HasPrefix(found.Subject, "update hot, controller=pay, action=buy, queryid ") || strings.Contains(found.Subject, "hush") {
		t.Errorf("the event is about %q", found.Subject)
	}
}
