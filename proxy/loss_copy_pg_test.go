//go:build pg

package proxy

import (
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
)

// TestServerLostBehindAFailedCopy: a COPY fails while the client is in the middle of a long piece of its data, which nobody waits for any more. A server that is lost
// then has lost nothing but a transaction that was open.
func TestServerLostBehindAFailedCopy(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	run(t, c, "create table kept (n int)")
	tap := pgtest.NewTap(t, address(c))
	g := newGuard(t, tap.Addr(), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	long := pieces(strings.Repeat("eleven\n", 8<<10))
	const one = "T ?column?:23:0; D 1; C SELECT 1; Z I"
	for name, sc := range map[string]struct {
		first, until string // what opens the transaction, and what comes of the failed COPY
		copy         []byte
		then         func(p *speaker)
	}{
		"alone": {until: "EZ", copy: simple("copy kept from stdin"), then: func(p *speaker) { p.expect("select 1", one) }},
		"in a transaction": {first: "begin; insert into kept values (1)", until: "EZ", copy: simple("copy kept from stdin"), then: func(p *speaker) {
			p.write(simple("select 1"))
			p.read("EZ")
			if said := strings.Join(p.lines(), "; "); !strings.HasSuffix(said, "Z E") {
				t.Errorf("after a lost transaction: %s", said)
			}
			p.expect("rollback", "C ROLLBACK; Z I")
			p.expect("select 1", one)
		}},
		"before its Sync": {until: "E", copy: append(ext("copy kept from stdin"), msgFlush...), then: func(p *speaker) {
			p.write(msgSync)
			p.read("Z")
			if said := strings.Join(p.lines(), "; "); said != "Z I" {
				t.Errorf("the Sync is answered by %s", said)
			}
			p.expect("select 1", one)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := enter(t, g.addr)
			if sc.first != "" {
				p.ask(sc.first)
			}
			p.write(sc.copy)
			p.read("G")
			p.write(append(pieces("ten\n"), long[:len(long)/2]...))
			p.read(sc.until)
			p.lines()
			tap.Cut()
			eventually(t, "noticed", func() bool { return g.pool().Servers["active"] == 0 })
			p.write(long[len(long)/2:])
			sc.then(p)
			p.leave()
			g.atRest(t)
		})
	}
}
