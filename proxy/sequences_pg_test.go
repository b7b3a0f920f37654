//go:build pg

package proxy

import (
	"strings"
	"testing"
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
