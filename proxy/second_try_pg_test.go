//go:build pg

package proxy

import "testing"

// TestStalePlanIsTriedAgainFromTheStart: after a change that the guard has not seen, a request is run again as if it had
// not been sent before: its names are free, its statements new.
func TestStalePlanIsTriedAgainFromTheStart(t *testing.T) {
	admin := direct(t, shared)
	describes := func(name string) []step {
		return []step{say("Z", parse(name, "select * from st"), describe('S', name), bound("", name), describe('P', ""),
			execute("", 0), closes('S', name), msgSync), say("Z", simple("select 1"))}
	}
	for what, steps := range map[string][]step{
		"named":              describes("y"),
		"unnamed":            describes(""),
		"described unnamed":  {say("Z", parse("", "select * from st"), describe('S', ""), msgSync)},
		"described named":    {say("Z", parse("y", "select * from st"), describe('S', "y"), msgSync), say("Z", bound("", "y"), execute("", 0), msgSync)},
		"two":                {say("Z", parse("x", "select 1"), parse("y", "select * from st"), describe('S', "y"), msgSync), say("Z", bound("", "x"), execute("", 0), bound("", "y"), execute("", 0), msgSync)},
		"closed and renamed": {say("Z", parse("y", "select 1"), msgSync), say("Z", closes('S', "y"), parse("y", "select * from st"), describe('S', "y"), bound("", "y"), execute("", 0), msgSync), say("Z", bound("", "y"), execute("", 0), msgSync)},
	} {
		t.Run(what, func(t *testing.T) {
			g := narrow(t, 1, nil)
			_, _ = admin.query("drop table if exists st; create table st (a int); insert into st values (1)")
			for range 3 {
				p, _ := enter(t, g.addr)
				p.play(describes(""))
				p.play(describes("y"))
				p.leave()
			}
			_, _ = admin.query("alter table st add b int default 2")
			same(t, g, steps...)
			g.atRest(t)
		})
	}
}
