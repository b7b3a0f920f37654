//go:build pg

package proxy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// vanish are the ways in which a client goes whose statement waits.
var vanish = map[string]struct {
	ask func(text string) []byte
	now bool // it goes as soon as it has asked
	end func(c *caller)
}{
	"closes":                   {simple, false, func(c *caller) { _ = c.Close() }},
	"closes at once":           {simple, true, func(c *caller) { _ = c.Close() }},
	"resets":                   {simple, false, (*caller).kill},
	"resets, with more behind": {func(text string) []byte { return slices.Concat(simple(text), simple("select 1")) }, false, (*caller).kill},
	"closes, with more behind": {func(text string) []byte { return slices.Concat(simple(text), simple("select 1")) }, false, func(c *caller) { _ = c.Close() }},
	"closes, with a batch":     {func(text string) []byte { return unnamed(text) }, false, func(c *caller) { _ = c.Close() }},
	"goodbye":                  {func(text string) []byte { return slices.Concat(simple(text), wire.AppendEmpty(nil, wire.Terminate)) }, true, func(c *caller) { _ = c.Close() }},
}

// Of two hundred clients who wait and go, in whatever way, nobody is granted a server: nothing of theirs runs, though a server is free in
// the moment after.
func TestWhoHasGoneIsGrantedNoServer(t *testing.T) {
	for name, way := range vanish {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 1, func(c *Config) { c.Limit, c.Pool.Classes[0].MaxWait = 1, time.Minute })
			setup := g.call(t)
			setup.does(t, "create table if not exists vanished (who int)")
			setup.does(t, "truncate vanished")
			var all []*caller
			for range 200 {
				all = append(all, g.call(t)) // a login may need the server
			}
			release := g.hold(t)
			for i, c := range all {
				if err := c.send(way.ask(fmt.Sprintf("insert into vanished values (%d)", i))); err != nil {
					t.Fatal(err)
				}
				if way.now {
					way.end(c)
				}
			}
			if !way.now {
				eventually(t, "all wait", func() bool { return g.pool().Classes[0].Waiting == len(all) })
				last := time.Now() // who has waited for less than longWait is not asked
				eventually(t, "for long", func() bool { return time.Since(last) > longWait })
				for _, c := range all {
					way.end(c)
				}
			}
			if way.now { // what came after the release would be nobody's who waits
				eventually(t, "all gone", func() bool { return g.clients() == 2 })
			}
			release()
			if n := setup.one(t, "select count(*) from vanished"); n != "0" {
				t.Errorf("%s of 200 statements of clients that had gone were run", n)
			}
			eventually(t, "nobody waits", func() bool { return g.pool().Classes[0].Waiting == 0 })
			g.atRest(t)
		})
	}
}

// How long clients wait is learned from those who go and from those who cancel.
func TestPatienceIsLearnedFromWhoGoes(t *testing.T) {
	for name, goes := range map[string]func(c *caller){
		"gone":      func(c *caller) { c.kill() },
		"cancelled": func(c *caller) { _ = c.cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 2, func(c *Config) { c.Limit = 2 })
			var all []*caller
			for range 30 {
				all = append(all, g.call(t))
			}
			for _, c := range all {
				if err := c.send(simple("select pg_sleep(60)")); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "28 wait and two run", func() bool { p := g.pool(); return p.Classes[0].Waiting == 28 && p.Running == 2 })
			in := func() time.Duration { return g.pool().Classes[0].Pace.InTime }
			if in() != 5*time.Second {
				t.Errorf("taken to be in time within %s before anybody has left", in())
			}
			start := time.Now()
			within(t, 2*time.Second, "a second later", func() bool { return time.Since(start) > time.Second })
			for _, c := range all {
				goes(c)
			}
			eventually(t, "it is learned", func() bool { return in() < 4*time.Second })
			if name == "gone" {
				g.atRest(t)
			}
		})
	}
}
