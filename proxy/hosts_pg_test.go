//go:build pg

package proxy

import (
	"net"
	"strconv"
	"testing"
	"time"

	"pgguard/proxy/instance"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// hosts has an upstream be at one of these clusters, of which those are meant.
func hosts(target string, list ...*pgtest.Cluster) func(*Config) {
	return func(cfg *Config) {
		cfg.Upstream.More, cfg.Upstream.Session = nil, target
		for _, c := range list[1:] {
			cfg.Upstream.More = append(cfg.Upstream.More, upstream.Place{Host: c.Host(), Port: c.Port()})
		}
	}
}

// only is the instance of a guard that has one.
func (g *guard) only(t *testing.T) *instance.Instance {
	t.Helper()
	all := g.allInstances()
	if len(all) != 1 {
		t.Fatalf("there are %d instances", len(all))
	}
	return all[0]
}

// servedBy is the port of the server that answers, "" if none does.
func servedBy(c *caller, text string) string {
	if text == "" {
		text = "select current_setting('port')"
	}
	a, err := c.query(text)
	if err != nil || len(a.codes) > 0 || len(a.rows) != 1 {
		return ""
	}
	return a.rows[0]
}

// TestWritesGoToTheHostThatIsPrimary: of two hosts the primary serves, whichever stands first. Once it is dead and the other one is promoted, that serves
// the same clients, and the side channel is there.
func TestWritesGoToTheHostThatIsPrimary(t *testing.T) {
	p := newPair(t)
	g := newGuard(t, address(p.next), hosts("primary", p.next, p.old))
	g.identified(t)
	const write = "insert into written values (1, 1) returning current_setting('port')"
	c := g.call(t)
	if got := servedBy(c, write); got != strconv.Itoa(p.old.Port()) {
		t.Fatalf("served by port %q, the primary's is %d", got, p.old.Port())
	}
	if err := p.old.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.next.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the new primary serves", func() bool { return servedBy(c, write) == strconv.Itoa(p.next.Port()) })
	within(t, 20*time.Second, "the failover is known", func() bool { return g.failovers() > 0 })
	if got := g.only(t).Door().Current().String(); got != address(p.next) {
		t.Errorf("the side channel is at %s", got)
	}
}

// TestServersAreAtOneHost: while the first of two hosts is down the second serves. When the first is there again it is found by the next look, and the
// servers at the other one go as their transactions end.
func TestServersAreAtOneHost(t *testing.T) {
	p := newPair(t)
	g := newGuard(t, address(p.old), hosts("any", p.old, p.next))
	g.identified(t)
	c, holds := g.call(t), g.call(t)
	if got := servedBy(c, ""); got != strconv.Itoa(p.old.Port()) {
		t.Fatalf("served by port %q", got)
	}
	if err := p.old.Shutdown("fast"); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the second host serves", func() bool { return servedBy(c, "") == strconv.Itoa(p.next.Port()) })
	within(t, 20*time.Second, "the side channel is there", func() bool { return g.only(t).Door().Current().String() == address(p.next) })
	within(t, 10*time.Second, "a transaction is there", func() bool {
		a, err := holds.query("BEGIN; SELECT current_setting('port')")
		return err == nil && len(a.codes) == 0
	})
	if err := p.old.StartAgain(); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the first host serves again", func() bool {
		g.only(t).Doubt(0)
		return servedBy(c, "") == strconv.Itoa(p.old.Port())
	})
	holds.want(t, holds.query, "SELECT 1", "", 'T')
	holds.want(t, holds.query, "COMMIT", "", 'I')
	for _, x := range []*caller{c, holds} {
		if got := servedBy(x, ""); got != strconv.Itoa(p.old.Port()) {
			t.Errorf("served by port %q", got)
		}
	}
}

// TestStandbyServesWhoOnlyReads: with target_session_attrs=standby the standby serves; once it is promoted, and the other one has become its standby, that does.
func TestStandbyServesWhoOnlyReads(t *testing.T) {
	p := newPair(t)
	g := newGuard(t, address(p.old), hosts("standby", p.old, p.next))
	g.identified(t)
	c := g.call(t)
	if got := servedBy(c, ""); got != strconv.Itoa(p.next.Port()) {
		t.Fatalf("served by port %q, the standby's is %d", got, p.next.Port())
	}
	if err := p.old.Demote(); err != nil {
		t.Fatal(err)
	}
	if err := p.next.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, 20*time.Second, "the other one serves", func() bool { return servedBy(c, "") == strconv.Itoa(p.old.Port()) })
}

// TestFirstHostThatDoesNotAnswer: a host that takes connections and says nothing is given its time, and then the next one serves.
func TestFirstHostThatDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, l.Addr().String(), func(cfg *Config) {
		cfg.Upstream.ConnectTimeout = time.Second
		cfg.Upstream.More = []upstream.Place{{Host: c.Host(), Port: c.Port()}}
	})
	x := g.call(t)
	within(t, 20*time.Second, "the second host serves", func() bool { return servedBy(x, "") == strconv.Itoa(c.Port()) })
}
