//go:build pg

package proxy

import (
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
)

// TestServerLostBeforeTheSync loses a server when all of a batch has been answered but its Sync has not come: the next message is told,
// whatever it is, and the client is in step after it.
func TestServerLostBeforeTheSync(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	g := newGuard(t, address(c), nil)
	for what, next := range map[string][]byte{
		"Sync":          msgSync,
		"query":         simple("select 7"),
		"batch":         unnamed("select 7"),
		"function call": functionCall("2026"), // pg_backend_pid
		"copy data":     append(append(copyData("1"), msgCopyDone...), msgSync...),
		"flush":         append(append([]byte(nil), msgFlush...), msgSync...),
	} {
		for state, opening := range map[string][]step{
			"I": nil, "E": queries("begin", "select 1"),
			"I, behind its COMMIT": append(queries("begin", "select 1"), say("C", parse("", "commit"), bound("", ""), execute("", 0), msgFlush)),
		} {
			t.Run(what+", "+state, func(t *testing.T) {
				state, _, _ := strings.Cut(state, ",")
				p, _ := enter(t, g.addr)
				p.play(append(opening, say("C", parse("", "select 'before'"), bound("", ""), execute("", 0), msgFlush)))
				admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%before%' and pid <> pg_backend_pid()")
				eventually(t, "the server gone", func() bool { return g.pool().Servers["active"] == 0 })
				p.write(next)
				p.read("Z")
				said := p.lines()
				if len(said) != 2 || !strings.HasPrefix(said[0], "E SERROR") || said[1] != "Z "+state {
					t.Errorf("got %q, want one error and ReadyForQuery in state %s", said, state)
				}
				if state == "E" {
					p.expect("rollback", "C ROLLBACK; Z I")
				}
				p.expect("select 8", "T ?column?:23:0; D 8; C SELECT 1; Z I")
				p.play(batches("select 9"))
				p.leave()
			})
		}
	}
	g.atRest(t)
}

// TestServerLostInAFailedBatch: a transaction that has failed in a batch, whose server goes before the Sync, is one that has failed.
func TestServerLostInAFailedBatch(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	admin := direct(t, c)
	g := newGuard(t, address(c), nil)
	p, _ := enter(t, g.addr)
	fails := "do $$ begin raise exception 'no'; end $$ /* before */"
	p.play([]step{say("Z", simple("begin")), say("E", parse("", fails), bound("", ""), execute("", 0), msgFlush)})
	admin.one(t, "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%before%' and pid <> pg_backend_pid()")
	eventually(t, "the server gone", func() bool { return g.pool().Servers["active"] == 0 })
	p.write(msgSync)
	p.read("Z")
	if said := p.lines(); len(said) != 1 || said[0] != "Z E" {
		t.Errorf("got %q, want ReadyForQuery in state E", said)
	}
	p.expect("rollback", "C ROLLBACK; Z I")
	p.leave()
	g.atRest(t)
}
