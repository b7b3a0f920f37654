//go:build pg

package proxy

import (
	"strings"
	"testing"

	"pgguard/proxy/sock"
)

// What is put ahead of a statement for sequences fails unseen where the transaction fails meanwhile, and is put ahead again.
func TestSequencesAreDiscardedUnseenInATransactionThatFails(t *testing.T) {
	g := narrow(t, 1, nil)
	p, _ := enter(t, g.addr)
	p.ask("drop sequence if exists unseen; create sequence unseen; select nextval('unseen')")
	p.leave()
	p, _ = enter(t, g.addr)
	p.expect("begin; savepoint a", "C BEGIN; C SAVEPOINT; Z T")
	p.write(simple("select 1 / (count(*) - count(*)) from generate_series(1, 4000000)"))
	eventually(t, "sent", func() bool { return g.the(t).Pool.Stats().Running == 1 })
	p.write(simple("select lastval()"))
	p.read("ZZ")

	const failed = "25P02"
	got := strings.Join(p.lines(), "; ")
	if n := strings.Count(got, "E S"); n != 2 || !strings.Contains(got, "22012") || !strings.Contains(got, failed) {
		t.Errorf("%d errors, want one for each: %s", n, got)
	}
	p.expect("rollback to a", "C ROLLBACK; Z T")
	if got := strings.Join(p.ask("select lastval()"), "; "); !strings.Contains(got, "C55000") {
		t.Errorf("lastval of another client: %s", got)
	}
}

// A text longer than a buffer is sent before all of it is known: what it takes from sequences stays its client's, and what others took is not
// shown to it.
func TestSequenceMemoryOfLongTexts(t *testing.T) {
	pad := " /*" + strings.Repeat("x", 3*sock.BufferSize) + "*/ "
	const undefined = "E SERROR VERROR C55000 Mlastval is not yet defined in this session"
	for name, c := range map[string]struct {
		known   bool // that clients here ask for what was taken last
		steps   []step
		nothing bool // is there to be shown
	}{
		"read":                {steps: queries("select" + pad + "lastval()"), nothing: true},
		"read in a block":     {steps: queries("begin", "select 1", "select"+pad+"lastval()", "rollback"), nothing: true},
		"read behind another": {steps: queries("select 1;" + pad + "select lastval()"), nothing: true},
		"read in a function":  {steps: queries("select" + pad + "lately()"), nothing: true},
		"read in a batch":     {steps: []step{say("Z", parse("", "select 1"), simple("select"+pad+"lastval()"))}, nothing: true},
		"taken":               {steps: queries("select"+pad+"nextval('far')", "select lately()", "select lastval()")},
		"taken in a block":    {steps: queries("begin", "select 1", "select"+pad+"nextval('far')", "select lately()", "select lastval()", "commit", "select lastval()")},
		"taken by a default":  {known: true, steps: queries("insert into items"+pad+"(id, name) values (default, 'mine')", "select lastval() > 0")},
		"taken, and read":     {steps: queries("truncate items restart identity; insert into items"+pad+"(name) values ('mine'); select lastval()", "select lastval()")},
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 1, nil)
			other, _ := enter(t, g.addr)
			other.ask("drop sequence if exists far; create sequence far; create or replace function lately() returns bigint language sql as 'select lastval()'")
			if c.known {
				other.ask("select lastval()")
				other.ask("discard sequences")
			}
			other.expect("insert into items (name) values ('other''s')", "C INSERT 0 1; Z I")
			other.leave()
			got := scripted(t, g.addr, nil, c.steps)
			next, _ := enter(t, g.addr)
			next.ask("alter sequence far restart")
			next.leave()
			compare(t, scripted(t, address(shared), nil, c.steps), got)
			if c.nothing && !contains(got, undefined) {
				t.Errorf("lastval had a value: %s", got)
			}
		})
	}
}
