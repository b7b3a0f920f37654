//go:build pg

package proxy

import (
	"sync/atomic"
	"testing"

	"pgguard/proxy/translate"
)

// mine is a Catalog with a bug in it that goes off where it is told to, once.
type mine struct {
	translate.Catalog
	where atomic.Pointer[string]
}

func (m *mine) at(where string) {
	if w := m.where.Load(); w != nil && *w == where && m.where.CompareAndSwap(w, nil) {
		panic("a bug, " + where)
	}
}

func (m *mine) Age() translate.Age       { m.at("when a message is read"); return m.Catalog.Age() }
func (m *mine) Changed(text []byte) bool { m.at("when it is sent"); return m.Catalog.Changed(text) }
func (m *mine) Committed(functions bool) {
	m.at("when its answer comes")
	m.Catalog.Committed(functions)
}

// TestBugEndsOneSession: a panic in what is done for one client, in whichever goroutine and with whichever locks held, ends that client and its
// server; the others, and whoever gave it the server, go on.
func TestBugEndsOneSession(t *testing.T) {
	for _, where := range []string{"when a message is read", "when it is sent", "when its answer comes"} {
		for _, state := range []string{"at once", "granted by another", "in a transaction"} {
			t.Run(where+", "+state, func(t *testing.T) {
				g := narrow(t, 1, nil)
				other, _ := enter(t, g.addr)
				victim, _ := enter(t, g.addr, "extra_float_digits", "1")
				victim.ask("select 1")
				m := &mine{}
				victimOf(g, func(s *session) {
					m.Catalog = s.client.Terms.Catalog
					terms := *s.client.Terms
					terms.Catalog = m
					s.client.Terms = &terms
				})
				switch state {
				case "in a transaction":
					victim.ask("begin")
					victim.ask("select 1")
				case "granted by another":
					other.ask("begin")
					other.ask("select 1")
				}
				m.where.Store(&where)
				victim.write(append(append(parse("n", "create table if not exists bug (a int)"), bound("", "n")...), append(execute("", 0), msgSync...)...))
				if state == "granted by another" {
					eventually(t, "the victim waiting", func() bool { return g.Stats().Clients["waiting"] == 1 || m.where.Load() == nil })
					other.expect("commit", "C COMMIT; Z I")
				}
				victim.write(simple("commit"))
				victim.read("ZZZ")
				if !victim.over {
					t.Fatalf("the client was told %q", victim.lines())
				}
				if m.where.Load() != nil {
					t.Fatal("the bug was not met")
				}
				other.expect("select 'still here'", "T ?column?:25:0; D still here; C SELECT 1; Z I")
				other.leave()
				g.atRest(t)
				if n := g.count.panics.Swap(0); n == 0 {
					t.Error("it was not counted")
				}
			})
		}
	}
	_, _ = direct(t, shared).query("drop table if exists bug")
}

// victimOf calls f with the session of the client that came with extra_float_digits.
func victimOf(g *guard, f func(s *session)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.entered {
		if len(s.client.Terms.Began) > 0 {
			s.mu.Lock()
			f(s)
			s.mu.Unlock()
		}
	}
}
