//go:build pg

package proxy

import (
	"net"
	"runtime"
	"strings"
	"testing"
)

// TestClientThatGoesIsNotWaitedFor: a client that goes without a word while its server's goroutine writes to it, and its own waits to, keeps
// neither.
func TestClientThatGoesIsNotWaitedFor(t *testing.T) {
	g := narrow(t, 2, nil)
	other, _ := enter(t, g.addr)
	p, _ := enter(t, g.addr)
	_ = p.nc.(*net.TCPConn).SetReadBuffer(4 << 10)
	p.ask("listen flood")
	other.ask("select count(pg_notify('flood', i || repeat('n', 7000))) from generate_series(1, 2000) i")
	eventually(t, "a write that waits", func() bool { return someoneIn("(*Conn).Send") })
	eventually(t, "an answer that waits", func() bool {
		p.write(simple(";")) // one before may have gone between two writes
		return someoneIn("(*session).say(")
	})
	_ = p.nc.(*net.TCPConn).SetLinger(0)
	_ = p.nc.Close()
	other.expect("select 'served'", "T ?column?:25:0; D served; C SELECT 1; Z I")
	other.leave()
	g.atRest(t)
}

// someoneIn is true while a goroutine is in a function.
func someoneIn(function string) bool {
	buf := make([]byte, 1<<20)
	return strings.Contains(string(buf[:runtime.Stack(buf, true)]), function)
}
