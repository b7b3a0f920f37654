//go:build pg

package proxy

import (
	"testing"
	"time"
)

// TestCulpritIsEnded: one client locks a row and does nothing; ten wait for it, one behind the other. There are servers for everybody, so
// that nobody is short of one: the transaction is ended all the same, its client is told and keeps its connection, and the others go on.
func TestCulpritIsEnded(t *testing.T) {
	admin := direct(t, shared)
	for _, text := range []string{"drop table if exists jammed", "create table jammed as select 1 as id, 0 as n"} {
		if _, err := admin.query(text); err != nil {
			t.Fatal(err)
		}
	}
	g := narrow(t, 30, nil)
	holder, _ := enter(t, g.addr)
	holder.ask("begin; update jammed set n = n + 100")
	var waiters []*speaker
	for range 10 {
		p, _ := enter(t, g.addr)
		p.write(textQuery("update jammed set n = n + 1 where id = 1"))
		waiters = append(waiters, p)
	}
	within(t, 30*time.Second, "the transaction ended", func() bool { return len(reaps(g)) > 0 })
	for _, p := range waiters {
		p.read("Z")
	}
	holder.expect("select 1", reapedWords+"; Z E")
	holder.expect("rollback", "C ROLLBACK; Z I")
	if n := admin.one(t, "select n from jammed"); n != "10" {
		t.Errorf("n is %s, want the ten of those who waited and nothing of the holder's", n)
	}
	within(t, 10*time.Second, "told what it changed", func() bool { return len(reaps(g)) == 2 })
	if list := reaps(g); list[0].Cause != "culprit" || list[1].Cause != "culprit_gone" || list[1].From != "10 wait" || list[1].To != "0 wait" {
		t.Errorf("events %+v", list)
	}
}
