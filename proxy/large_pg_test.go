//go:build pg

package proxy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

func TestLargeMessages(t *testing.T) {
	g := narrow(t, 1, nil)
	long := func(n int) string { return strings.Repeat("0123456789abcdef", n/16) }
	for name, steps := range map[string][]step{
		"query":          {say("Z", simple("select length('"+long(1<<20)+"')")), say("Z", simple("select 1"))},
		"query, comment": {say("Z", simple("/* "+long(1<<20)+" */ select 1")), say("Z", simple("select 1 -- "+long(1<<20)))},
		"query, error":   {say("Z", simple("select 1 from "+long(1<<20))), say("Z", simple("select 1"))},
		"query, block":   {say("Z", simple("begin")), say("Z", simple("select length('"+long(1<<20)+"')")), say("Z", simple("commit"))},
		"parse":          {say("Z", unnamed("select length('"+long(1<<20)+"')")), say("Z", unnamed("select 1"))},
		"bind":           {say("Z", unnamed("select length($1::text), md5($1)", long(5<<20))), say("Z", unnamed("select 1"))},
		"bind, two":      {say("Z", unnamed("select length($1::text), md5($2::text)", long(5<<20), long(1<<20))), say("Z", unnamed("select 1"))},
		"bind, block":    {say("ZZZ", unnamed("begin"), unnamed("select length($1::text)", long(5<<20)), unnamed("commit"))},
		"pipeline":       {say("ZZZZ", simple("select 1"), unnamed("select length($1::text)", long(1<<20)), simple("select md5('"+long(1<<20)+"')"), unnamed("select 4"))},
		"row":            {say("Z", simple("select repeat('x', 20 << 20)")), say("Z", simple("select 1"))},
		"row, parts":     {say("Z", simple("select repeat('x', 1 << 20), repeat('y', 1 << 20), null from generate_series(1, 5)"))},
		"row, portal":    {say("Z", parse("", "select repeat('x', 5 << 20) from generate_series(1, 3)"), bound("", ""), execute("", 2), execute("", 2), msgSync)},
		"name":           {say("Z", parse(long(20<<10), "select 1"), bound("", long(20<<10)), execute("", 0), msgSync)},
		"column names":   {say("Z", simple("select 1 as \""+long(64)+"\""+strings.Repeat(", 1 as \""+long(64)+"\"", 500)))},
		"error text":     {say("Z", simple("do $$ begin raise exception '%', repeat('x', 1 << 20); end $$")), say("Z", simple("select 1"))},
		"error, block":   {say("Z", simple("begin")), say("Z", unnamed("do $$ begin raise exception '%', repeat('x', 1 << 20); end $$")), say("Z", simple("commit"))},
		"notice text":    {say("Z", simple("do $$ begin raise notice '%', repeat('x', 1 << 20); end $$")), say("Z", simple("select 1"))},
		"many notices":   {say("Z", simple("do $$ begin for i in 1..3000 loop raise notice 'number %', i; end loop; end $$"))},
	} {
		t.Run(name, func(t *testing.T) {
			same(t, g, steps...)
			g.atRest(t)
		})
	}
}

// Messages whose lengths are around those of a buffer and of the room kept in it.
func TestMessagesAroundBufferSize(t *testing.T) {
	g := narrow(t, 1, nil)
	var all []byte
	n := 0
	for _, size := range []int{sock.BufferSize, sock.BufferSize - sock.Headroom, sock.BufferSize, 2 * sock.BufferSize} {
		for d := -12; d <= 12; d++ {
			pad := strings.Repeat("x", size+d-len("select  -- ")-6-4)
			all = append(all, simple(fmt.Sprintf("select %4d -- %s", n, pad))...)
			all = append(all, unnamed(fmt.Sprintf("select %4d -- %s", n, pad))...)
			all = append(all, simple("select '"+pad+"'")...)
			all = append(all, unnamed("select $1::text", pad)...)
			n += 4
		}
	}
	same(t, g, step{send: all, until: strings.Repeat("Z", n)})
	g.atRest(t)
}

func TestBytesOneAtATime(t *testing.T) {
	g := narrow(t, 1, nil)
	for _, s := range []step{
		say("Z", simple("select 'slow'")), say("Z", unnamed("select $1::int", "1")), say("ZZZZ", simple("begin"), unnamed("select 1"), simple(""), unnamed("commit")),
	} {
		s.each = 1
		same(t, g, s)
	}
}

// pipeline writes all at once while nobody reads, then reads n answers.
func pipeline(t *testing.T, g *guard, one []byte, n int, want string) {
	t.Helper()
	p, _ := enter(t, g.addr)
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.write([]byte(strings.Repeat(string(one), n)))
	}()
	select {
	case <-done:
	case <-time.After(soon):
		dump(t, "the guard does not take %d statements ahead of their answers", n)
	}
	for i := range n {
		p.read("Z")
		if got := strings.Join(p.lines(), "; "); got != want {
			t.Fatalf("answer %d: got %s, want %s", i, got, want)
		}
	}
	p.leave()
	g.atRest(t)
}

func TestTenThousandQueriesInOneWrite(t *testing.T) {
	g := narrow(t, 2, nil)
	const n = 10_000
	for name, c := range map[string]struct {
		one  []byte
		want string
	}{
		"simple":   {simple("select 1"), "T ?column?:23:0; D 1; C SELECT 1; Z I"},
		"extended": {unnamed("select 1"), `1; t "\x00\x00"; T ?column?:23:0; 2; D 1; C SELECT 1; Z I`},
		"errors":   {unnamed("select 1/0"), `1; t "\x00\x00"; T ?column?:23:0; E SERROR VERROR C22012 Mdivision by zero; Z I`},
		"empty":    {simple(";"), "I; Z I"},
		"blocks":   {simple("begin; select 1; commit"), "C BEGIN; T ?column?:23:0; D 1; C SELECT 1; C COMMIT; Z I"},
	} {
		t.Run(name, func(t *testing.T) { pipeline(t, g, c.one, n, c.want) })
	}
}

// Answers far larger than what sockets hold, to statements that the client goes on sending without reading.
func TestLargeAnswersToPipelineDoNotDeadlock(t *testing.T) {
	g := narrow(t, 1, nil)
	p, _ := enter(t, g.addr)
	const n = 200
	go p.write([]byte(strings.Repeat(string(simple("select repeat('x', 100000), '"+strings.Repeat("y", 30_000)+"'")), n)))
	for range n {
		p.read("Z")
		if lines := p.lines(); len(lines) != 4 || lines[2] != "C SELECT 1" {
			t.Fatalf("got %q", lines)
		}
	}
	p.leave()
}

// silentServer is the address of a server that lets everybody in, reads all and answers nothing but what it is asked behind its login.
func silentServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = nc.Close() }()
				if _, err := wire.ReadStartup(nc); err != nil {
					return
				}
				hello := append([]byte{wire.Authentication, 0, 0, 0, 8}, 0, 0, 0, 0)
				hello = wire.AppendKey(hello, 1, []byte("1234"))
				_, _ = nc.Write(wire.AppendReady(hello, wire.Idle))
				asked := make([]byte, 4096)
				if n, err := nc.Read(asked); err != nil || asked[0] != wire.Query || !strings.Contains(string(asked[:n]), pgtest.AskedOfAll) {
					return
				}
				_, _ = nc.Write(wire.AppendReady(wire.AppendEmpty(nil, wire.EmptyQueryResponse), wire.Idle))
				_, _ = io.Copy(io.Discard, nc)
			}()
		}
	}()
	return l.Addr().String()
}

// A client that runs too far ahead of the answers to a batch is not read from until they come.
func TestRunningTooFarAheadIsHeldUp(t *testing.T) {
	g := newGuard(t, silentServer(t), func(c *Config) {
		c.Pool.MaxServers = 1
		c.CancelTimeout = 100 * time.Millisecond
	})
	p, _ := enter(t, g.addr)
	_ = p.nc.SetWriteDeadline(time.Now().Add(2 * time.Second))
	batch := []byte(strings.Repeat(string(parse("", "select 1")), 1000))
	sent := 0
	for range 1000 {
		n, err := p.nc.Write(batch)
		if sent += n; err != nil {
			break
		}
	}
	most := 2*translate.MaxOwed*len(batch)/1000 + 16<<20 // what is in sockets is not ours
	if sent < translate.MaxOwed*len(batch)/1000 || sent > most {
		t.Errorf("%d bytes were taken, at most %d should be", sent, most)
	}
	if n := g.clients(); n != 1 {
		t.Errorf("%d clients", n)
	}
	_ = p.nc.(*net.TCPConn).SetLinger(0) // else its end would wait behind what is not read
	_ = p.nc.Close()
	g.atRest(t)
}

// A server that runs a statement does not read; what the client has sent behind it waits, longer than any time-out.
func TestServerMayTakeItsTimeToRead(t *testing.T) {
	g := narrow(t, 1, func(c *Config) { c.WriteTimeout = 20 * time.Millisecond })
	pad := strings.Repeat("z", 10_000)
	all := simple("select pg_sleep(0.5)")
	const n = 1500
	for range n {
		all = append(all, simple("select 'z' /* "+pad+" */")...)
	}
	all = append(all, simple("select '"+strings.Repeat(pad, 300)+"' = ''")...)
	same(t, g, step{send: all, until: strings.Repeat("Z", n+2)})
	g.atRest(t)
}
