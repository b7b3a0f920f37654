//go:build pg

package proxy

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/wire"
)

// exit is a way in which a client's connection ends.
type exit struct {
	name  string
	leave func(p *speaker, rest []byte)
	kills bool // its server is ended first
	plain bool // less can go wrong than in another
	rude  bool // what it has sent may be taken back
}

var exits = []exit{
	{name: "Terminate", plain: true, leave: func(p *speaker, _ []byte) {
		p.write(wire.AppendEmpty(nil, wire.Terminate))
		_ = p.nc.Close()
	}},
	{name: "FIN", leave: func(p *speaker, _ []byte) { _ = p.nc.Close() }},
	{name: "RST", plain: true, rude: true, leave: func(p *speaker, _ []byte) {
		_ = p.nc.(*net.TCPConn).SetLinger(0)
		_ = p.nc.Close()
	}},
	{name: "server ended", plain: true, kills: true, leave: func(p *speaker, _ []byte) { _ = p.nc.Close() }},
	{name: "server ended, and the rest", kills: true, leave: func(p *speaker, rest []byte) {
		p.write(rest)
		p.write(wire.AppendEmpty(nil, wire.Terminate))
		_ = p.nc.(*net.TCPConn).CloseWrite()
		p.hears(0, tooMuch, time.Now().Add(patience))
		_ = p.nc.Close()
	}},
}

// unfinishing are the kinds of session that leave, and whether in all ways, or only in those where most can go wrong.
var unfinishing = map[string]bool{"free": true, "pinned by a table": false, "session mode": false, "in a transaction": false, "BEGIN deferred": false}

// What a client has not finished when it goes is in the table as if it had spoken to the server itself, and its server
// serves others.
func TestNotFinishedIsNotCommitted(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{Settings: map[string]string{"max_connections": "300"}})
	admin := askedTable(t, c)
	oid := functionOid(t, admin)
	var want []string
	for _, k := range keeps {
		all, ok := unfinishing[k.name]
		if !ok {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			if k.end != "" || want == nil { // what a session has in its server changes nothing here
				want = unfinishedDirect(t, c, k, oid)
			}
			for _, e := range exits {
				if all || !e.plain {
					t.Run(e.name, func(t *testing.T) { leaveUnfinished(t, c, k, e, oid, want) })
				}
			}
		})
	}
}

// unfinishedDirect is what is in the table for each torso when a client on a direct connection goes in it.
func unfinishedDirect(t *testing.T, c *pgtest.Cluster, k kept, oid uint32) []string {
	t.Helper()
	admin := direct(t, c)
	all := torsos("", oid)
	pids := make([]string, len(all))
	prefix := func(i int) string { return fmt.Sprintf("%s/direct/%d", k.name, i) }
	for i := range all {
		p := k.enter(t, address(c), prefix(i))
		p.play(torsos(prefix(i), oid)[i].steps)
		_ = p.nc.Close()
		pids[i] = fmt.Sprint(p.pid)
	}
	eventually(t, "gone", func() bool {
		return admin.one(t, "select count(*) from pg_stat_activity where pid in ("+strings.Join(pids, ",")+")") == "0"
	})
	found := rows(t, admin)
	out := make([]string, len(all))
	for i := range all {
		out[i] = under(found, prefix(i))
	}
	return out
}

// left is one client in a torso.
type left struct {
	torso
	id, want string
	p        *speaker
	pid      int // of its server, 0: it has none
}

// leaveUnfinished has a client leave in every torso, all at once, and as many come that need all of their servers.
func leaveUnfinished(t *testing.T, cluster *pgtest.Cluster, k kept, e exit, oid uint32, want []string) {
	var all []*left
	for i, c := range torsos("", oid) {
		if e.rude && c.gone || e.kills && (c.own || c.gone) {
			continue
		}
		id := fmt.Sprintf("%s/%s/%d", k.name, e.name, i)
		all = append(all, &left{torso: torsos(id, oid)[i], id: id, want: want[i]})
	}
	g := newGuard(t, address(cluster), func(c *Config) {
		c.Pool.MaxServers, c.MaxPinned, c.Limit = len(all), 2*len(all), plenty
		if k.mode != PoolModeDefault {
			c.Mode = k.mode
		}
		classes(5*time.Second, 1000)(c)
	})
	for _, c := range all {
		c.p = k.enter(t, g.addr, c.id)
		c.p.play(c.steps)
		c.pid = g.pidOf(c.p)
	}
	admin := direct(t, cluster)
	if e.kills {
		endServers(t, admin, all)
	}
	for _, c := range all {
		e.leave(c.p, c.rest)
	}
	eventually(t, "gone", func() bool { return g.clients() == 0 })
	g.atRest(t)
	checkLeft(t, g, e, all, rows(t, admin))
}

// endServers ends the servers of all clients.
func endServers(t *testing.T, admin *caller, all []*left) {
	t.Helper()
	var pids []string
	for _, c := range all {
		pids = append(pids, fmt.Sprint(c.pid))
	}
	from := "from pg_stat_activity where pid in (" + strings.Join(pids, ",") + ")"
	admin.one(t, "select count(pg_terminate_backend(pid)) "+from)
	eventually(t, "ended", func() bool { return admin.one(t, "select count(*) "+from) == "0" })
}

// checkLeft looks at the table and at the servers of those who have left.
func checkLeft(t *testing.T, g *guard, e exit, all []*left, found map[string]int) {
	t.Helper()
	pids := map[int]bool{}
	for range all {
		next, _ := enter(t, g.addr)
		defer func() { _ = next.nc.Close() }()
		next.expect("begin", "C BEGIN; Z T")
		pids[ownPid(next)] = true
	}
	if len(pids) != len(all) {
		t.Errorf("%d servers for %d clients", len(pids), len(all))
	}
	var lost []string
	for _, c := range all {
		if c.pid != 0 && !pids[c.pid] && !e.kills {
			lost = append(lost, c.name)
		}
		t.Run(c.name, func(t *testing.T) {
			if got := under(found, c.id); got != c.want {
				t.Errorf("rows %s, want %s; the client was told %q", got, c.want, c.p.said)
			}
		})
	}
	if len(lost) > 0 {
		t.Logf("cost a server: %s", strings.Join(lost, "; "))
	}
}

// pidOf is the process of the server that the client has, 0 if it has none.
func (g *guard) pidOf(p *speaker) int {
	s, _ := g.keys.find(p.pid, p.key).(*session)
	if s == nil {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil {
		return 0
	}
	return int(s.link.b.pid)
}
