//go:build pg

package proxy

import (
	"testing"
	"time"
)

// The side channel sees who waits for a lock, who holds it up, and who is a stranger.
func TestSideChannelSeesLocks(t *testing.T) {
	g := narrow(t, 6, nil)
	setup, _ := enter(t, g.addr)
	setup.ask("drop table if exists fought; create table fought as select 1 as id, 0 as n")
	holder, _ := enter(t, g.addr)
	holder.ask("begin; update fought set n = n + 1")
	var waiters []*speaker
	for range 4 {
		p, _ := enter(t, g.addr)
		p.write(textQuery("update fought set n = n + 1 where id = 1"))
		waiters = append(waiters, p)
	}
	in := g.the(t)
	within(t, 10*time.Second, "waiters seen", func() bool { s := in.Seen(); return s != nil && s.Blocked == 4 })
	s := in.Seen()
	if s.Foreign != 0 || s.Peers != 0 {
		t.Errorf("%d strangers and %d statements of other guards are seen", s.Foreign, s.Peers)
	}
	if g.pool().Blocked != 4 {
		t.Errorf("the pool takes %d to be blocked", g.pool().Blocked)
	}
	most := 0
	for _, n := range s.Blocks {
		most = max(most, n)
	}
	if most < 1 {
		t.Errorf("nobody is known to hold up others: %v", s.Blocks)
	}
	holder.ask("commit")
	for _, p := range waiters {
		p.read("Z")
	}
	within(t, 10*time.Second, "nobody waits", func() bool { return in.Seen().Blocked == 0 })
}
