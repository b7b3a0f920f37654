//go:build pg

package proxy

import (
	"net"
	"strings"
	"testing"
	"time"

	"pgguard/pool/queue"
)

// crowded is a guard that lets one statement run at a time and nobody wait for longer than wait, in a queue of this length.
func crowded(t *testing.T, wait time.Duration, length int) *guard {
	t.Helper()
	return newGuard(t, address(shared), func(c *Config) {
		c.Limit = 1
		c.Pool.MaxServers = 8
		c.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: wait, MaxLength: length, MaxShare: 1}}
		c.Rules = nil
	})
}

// hold has another client run a statement until the function returned is called.
func (g *guard) hold(t *testing.T) (release func()) {
	t.Helper()
	holder := g.call(t)
	taken := func() bool { return g.Stats().Clients["active"] == 1 }
	for !taken() { // on a busy machine the holder itself may wait for too long
		before := g.refusals()
		_ = holder.send(simple("select pg_sleep(60) /* " + t.Name() + " */"))
		eventually(t, "the token taken, or refused", func() bool { return taken() || g.refusals() > before })
		if taken() {
			break
		}
		if a, err := holder.answer(); err != nil || a.status != 'I' {
			t.Fatalf("the holder: %v %s", err, a)
		}
	}
	return func() {
		t.Helper()
		eventually(t, "the holder cancelled", func() bool {
			_ = holder.cancel()
			return g.Stats().Clients["active"] == 0
		})
		if a, err := holder.answer(); err != nil || a.code() != "57014" {
			t.Errorf("the holder: %v %s", err, a)
		}
	}
}

// refusals is how many there were so far.
func (g *guard) refusals() (n uint64) {
	for _, by := range g.Stats().Refusals {
		n += by
	}
	return n
}

// TestRefusedBatchOfAPinnedClientIsNotRun: a client that keeps its server is refused like any other: one error, one
// ReadyForQuery, and nothing of the batch is sent later.
func TestRefusedBatchOfAPinnedClientIsNotRun(t *testing.T) {
	for name, refuse := range map[string]struct {
		wait   time.Duration
		length int
		code   string
		cancel bool
	}{
		"waited too long": {50 * time.Millisecond, 100, "53300", false},
		"cancelled":       {time.Minute, 100, "57014", true},
	} {
		t.Run(name, func(t *testing.T) {
			g := crowded(t, refuse.wait, refuse.length)
			admin := direct(t, shared)
			_, _ = admin.query("drop table if exists pin; create table pin (a int)")
			p, _ := enter(t, g.addr)
			p.ask("create temporary table tt (a int)")
			release := g.hold(t)
			for i := range 3 {
				p.write([]byte(strings.Repeat(string(unnamed("insert into pin values (1)")), 2)))
				for range 2 {
					if refuse.cancel {
						eventually(t, "waiting", func() bool { return g.Stats().Clients["waiting"] == 1 })
						if err := cancelWith(g.addr, p.pid, p.key); err != nil {
							t.Fatal(err)
						}
					}
					p.read("Z")
					said := p.lines()
					if len(said) != 2 || !strings.Contains(said[0], "C"+refuse.code) || said[1] != "Z I" {
						t.Fatalf("round %d: got %q, want one error and ReadyForQuery", i, said)
					}
				}
			}
			release()
			p.expect("select 1", "T ?column?:23:0; D 1; C SELECT 1; Z I")
			p.play(batches("select 2"))
			p.expect("drop table tt", "C DROP TABLE; Z I")
			p.expect("select 3", "T ?column?:23:0; D 3; C SELECT 1; Z I")
			p.play(batches("select 4"))
			p.leave()
			if n := admin.one(t, "select count(*) from pin"); n != "0" {
				t.Errorf("%s rows of statements that were refused", n)
			}
			g.atRest(t)
		})
	}
}

// TestRefusedParseLeavesNoUnnamedStatement: what is bound after a Parse that was refused is not the statement before it, which would
// run twice.
func TestRefusedParseLeavesNoUnnamedStatement(t *testing.T) {
	admin := direct(t, shared)
	for what, keep := range map[string][]step{
		"free":      nil,
		"pinned":    queries("create temporary table tt (a int)"),
		"begun":     append(append(queries("listen news"), batches("begin", "commit", "begin")...), queries("commit")...),
		"dedicated": append([]step{say("Z", parse("s", "select 1"), msgSync)}, queries("explain execute s", "prepare q as select 1")...),
		"session":   queries("select 1"),
	} {
		t.Run(what, func(t *testing.T) {
			g := newGuard(t, address(shared), func(c *Config) {
				c.Limit, c.Pool.MaxServers = 1, 8
				c.Pool.Classes = []queue.Class{{Name: "high", Weight: 1, MaxWait: 30 * time.Millisecond, MaxLength: 100, MaxShare: 1}}
				c.Rules = nil
				if what == "session" {
					c.Mode = PoolModeSession
				}
			})
			_, _ = admin.query("drop table if exists once; create table once (a int)")
			p, _ := enter(t, g.addr)
			p.play(keep)
			p.play([]step{say("Z", unnamed("insert into once values (1)"))})
			release := g.hold(t)
			p.play([]step{say("Z", parse("", "insert into once values (2)"), describe('S', ""), msgSync)})
			release()
			for range 2 {
				got := p.play([]step{say("Z", bound("", ""), execute("", 0), msgSync)})
				compare(t, []string{"-- 0", "E SERROR VERROR C26000 Munnamed prepared statement does not exist", "Z I"}, got)
			}
			p.play(batches("insert into once values (3)"))
			p.leave()
			if rows := admin.one(t, "select string_agg(a::text, ',' order by a) from once"); rows != "1,3" {
				t.Errorf("rows %s, want 1,3", rows)
			}
		})
	}
}

// onResume is a socket that is told when its reader may wait again.
type onResume struct {
	net.Conn
	do func()
}

func (c *onResume) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		c.do()
	}
	return c.Conn.SetReadDeadline(t)
}

// TestToldToGoWhileItIsRefused: a client that is told to go in the moment in which it is refused goes, though it asks for nothing more.
func TestToldToGoWhileItIsRefused(t *testing.T) {
	g := crowded(t, 50*time.Millisecond, 100)
	c := g.call(t)
	release := g.hold(t)
	for _, s := range g.all() {
		if s.key.pid != c.pid {
			continue
		}
		nc, times := s.conn.Conn, 0
		s.conn.Conn = &onResume{nc, func() {
			if times++; times == 2 { // it has been woken, and answers
				s.end(errDrained)
				_ = nc.SetReadDeadline(past)
			}
		}}
	}
	c.want(t, c.query, "select 1", "53300", 'I')
	c.fatal(t, "57P01")
	release()
}
