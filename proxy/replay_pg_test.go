//go:build pg

package proxy

import (
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The first statement of a transaction that meets a server which has been told to go runs on another, once; what an
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
			pid := 0
			for _, line := range p.ask("select pg_backend_pid()") {
				if value, ok := strings.CutPrefix(line, "D "); ok {
					pid, _ = strconv.Atoi(value)
				}
			}
			signal(t, pid, syscall.SIGSTOP)
			p.write(c.begin)
			p.read("Z")
			p.lines()
			p.write(c.first)
			eventually(t, "sent", func() bool { return g.the(t).pool.Stats().Running == 1 })
			signal(t, pid, syscall.SIGTERM)
			signal(t, pid, syscall.SIGCONT)
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

func signal(t *testing.T, pid int, sig syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(pid, sig); err != nil {
		t.Fatalf("signal %s to %d: %v", sig, pid, err)
	}
}
