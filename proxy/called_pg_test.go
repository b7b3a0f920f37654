//go:build pg

package proxy

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

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

// TestConvoyIsOfTheStatementThatWaits: transactions that update a row of their own and then one that all want. By the time that it is known what a server waited for it
// may be at another statement; that of the row of their own is no convoy, and is held up by nothing.
func TestConvoyIsOfTheStatementThatWaits(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"synchronous_commit": "off"}})
	admin := direct(t, c)
	for _, text := range []string{
		"create table wanted (id int primary key, n int)", "insert into wanted values (1, 0)",
		"create table own (id int primary key, n int)", "insert into own select i, 0 from generate_series(1, 40) i",
	} {
		admin.want(t, admin.query, text, "", 'I')
	}
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Limit = 20 })
	g.measured(t)
	var over atomic.Bool
	var lives sync.WaitGroup
	for i := range 40 {
		p := g.call(t)
		lives.Go(func() {
			for !over.Load() {
				for _, text := range []string{"begin", fmt.Sprintf("update own set n = n + 1 where id = %d", i+1), "update wanted set n = n + 1", "commit"} {
					if a := <-p.later(text); len(a.codes) > 0 {
						t.Errorf("%s: %s", text, a)
						return
					}
				}
			}
		})
	}
	convoys := map[string]int{}
	for end := time.Now().Add(12 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		list, _ := g.Events(0)
		clear(convoys)
		for _, e := range list {
			if e.Kind == event.Print {
				convoys[e.Subject]++
			}
		}
	}
	over.Store(true)
	lives.Wait()
	for name, n := range convoys {
		if !strings.HasPrefix(name, "update wanted") {
			t.Errorf("%d times taken for a convoy: %s", n, name)
		}
	}
	if len(convoys) == 0 {
		t.Error("40 clients who want one row are no convoy")
	}
}
