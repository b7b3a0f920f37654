//go:build pg

package proxy

import (
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
)

// The first statement of a transaction that meets a server which has been told to go runs on another; what an
// operator has ended does not.
func TestTransactionBegunOnAServerThatGoesRunsElsewhere(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	for _, c := range []struct {
		name   string
		within time.Duration
		begin  []byte
		first  []byte
		want   string
	}{
		{"simple", time.Minute, simple("begin"), simple("insert into moved values (1) returning a"), "T a:23:0; D 1; C INSERT 0 1; Z T"},
		{"extended", time.Minute, unnamed("begin"), unnamed("insert into moved values (1) returning a"), `1; t "\x00\x00"; T a:23:0; 2; D 1; C INSERT 0 1; Z T`},
		{"long after", 0, simple("begin"), simple("insert into moved values (1) returning a"), "E SERROR VERROR C57P01"},
	} {
		t.Run(c.name, func(t *testing.T) {
			replayWithin = c.within
			g := narrow(t, 1, nil)
			p, _ := enter(t, g.addr)
			p.ask("drop table if exists moved; create table moved (a int)")
			pid := ownPid(p)
			signal(t, pid, syscall.SIGSTOP)
			p.write(c.begin)
			p.read("Z")
			p.lines()
			p.write(c.first)
			g.endsStopped(t, pid)
			p.read("Z")
			if got := strings.Join(p.lines(), "; "); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if c.within > 0 {
				p.expect("commit", "C COMMIT; Z I")
				p.expect("select count(*) as n from moved", "T n:20:0; D 1; C SELECT 1; Z I")
			}
		})
	}
}

// A BEGIN that is under way by itself has done nothing: whatever ends its server, it is had on another.
func TestBeginAloneIsHadElsewhere(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	replayWithin = 0
	for name, begin := range map[string][]byte{
		"simple": simple("begin isolation level serializable"), "extended": unnamed("begin isolation level serializable"),
		"by its name": slices.Concat(bound("", "b"), execute("", 0), msgSync),
	} {
		t.Run(name, func(t *testing.T) {
			g := narrow(t, 1, func(c *Config) { c.DeferBegin = false })
			p, _ := enter(t, g.addr)
			p.play([]step{say("Z", parse("b", "begin isolation level serializable"), msgSync)})
			pid := ownPid(p)
			signal(t, pid, syscall.SIGSTOP)
			p.write(begin)
			g.endsStopped(t, pid)
			p.read("Z")
			if got := strings.Join(p.lines(), "; "); !strings.HasSuffix(got, "C BEGIN; Z T") {
				t.Fatalf("got %s", got)
			}
			p.expect("show transaction_isolation", "T transaction_isolation:25:0; D serializable; C SHOW; Z T")
			p.expect("rollback", "C ROLLBACK; Z I")
			p.leave()
			g.atRest(t)
		})
	}
}

// A restart ends the servers one after the other: the next may be going, too.
func TestTransactionBegunInARestartMeetsSeveralServersThatGo(t *testing.T) {
	usual := replayWithin
	t.Cleanup(func() { replayWithin = usual })
	replayWithin = time.Minute
	g := narrow(t, 2, nil)
	p, _ := enter(t, g.addr)
	q, _ := enter(t, g.addr)
	q.ask("begin")
	next := ownPid(q)
	p.ask("begin")
	first := ownPid(p)
	q.ask("rollback")
	p.ask("rollback") // the server freed last is granted first
	for _, pid := range []int{first, next} {
		signal(t, pid, syscall.SIGSTOP)
		signal(t, pid, syscall.SIGTERM)
	}
	p.write(simple("begin"))
	p.read("Z")
	p.lines()
	p.write(simple("select 1 as a"))
	for _, pid := range []int{first, next} {
		eventually(t, "sent", func() bool { return lentPid(g.the(t)) == pid })
		signal(t, pid, syscall.SIGCONT)
	}
	p.read("Z")
	if got := strings.Join(p.lines(), "; "); got != "T a:23:0; D 1; C SELECT 1; Z T" {
		t.Errorf("got %s", got)
	}
	p.expect("rollback", "C ROLLBACK; Z I")
}

// lentPid is the process of a server that is lent, 0 if none is.
func lentPid(in *instance.Instance) int {
	pid := 0
	in.Pool.Each(func(c pool.Conn) {
		b := c.(*backend)
		if l := b.link.Load(); l != nil && l != &nobody {
			pid = int(b.pid)
		}
	})
	return pid
}

// ownPid is the process of p's server.
func ownPid(p *speaker) int {
	pid := 0
	for _, line := range p.ask("select pg_backend_pid()") {
		if value, ok := strings.CutPrefix(line, "D "); ok {
			pid, _ = strconv.Atoi(value)
		}
	}
	return pid
}

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("signal %s to %d: %v", sig, pid, err)
	}
}

// endsStopped has a server that is stopped told to end once it has been sent a request, and go on: it ends with the request unread or unanswered.
func (g *guard) endsStopped(t *testing.T, pid int) {
	t.Helper()
	eventually(t, "sent", func() bool { return g.the(t).Pool.Stats().Running == 1 })
	signal(t, pid, syscall.SIGTERM)
	signal(t, pid, syscall.SIGCONT)
}
