//go:build pg

package proxy

import (
	"bufio"
	"io"
	"net"
	"runtime"
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// exchanges runs n round trips of one request whose answer is size bytes long, and allocates nothing itself.
func exchanges(t *testing.T, nc net.Conn, request []byte, size, n int) {
	t.Helper()
	answer := make([]byte, size)
	_ = nc.SetDeadline(time.Now().Add(patience))
	for range n {
		if _, err := nc.Write(request); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(nc, answer); err != nil {
			t.Fatal(err)
		}
		if answer[size-6] != wire.ReadyForQuery {
			t.Fatalf("the answer has changed its length: %q", answer)
		}
	}
}

// TestQueriesAllocateNothing counts what the whole process allocates while it passes on queries.
func TestQueriesAllocateNothing(t *testing.T) {
	g := narrow(t, 1, nil)
	g.measured(t) // what the side channel does at its start is not counted
	block := append(append(simple("begin"), simple("select 1")...), simple("commit")...)
	for name, c := range map[string]struct {
		request []byte
		until   string
	}{
		"simple":   {simple("select 1"), "Z"},
		"extended": {unnamed("select $1::int", "1"), "Z"},
		"block":    {block, "ZZZ"},
		"empty":    {simple(";"), "Z"},
		"write":    {simple("update keyed set id = id where false"), "Z"},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := enter(t, g.addr)
			p.write(c.request)
			size := 0
			p.r = bufio.NewReader(io.TeeReader(p.nc, counter{&size}))
			p.read(c.until)
			exchanges(t, p.nc, c.request, size, 200)
			const n = 10_000
			var before, after runtime.MemStats
			start := time.Now()
			runtime.ReadMemStats(&before)
			exchanges(t, p.nc, c.request, size, n)
			runtime.ReadMemStats(&after)
			// The rest is the clock's and the pool's: a ticker, a garbage collection that empties sync.Pool, and what is done
			// once a second whatever the clients do, the side channel's look above all.
			clock := uint64(250 * time.Since(start).Seconds())
			if got := after.Mallocs - before.Mallocs; got > n/20+clock && !racing {
				t.Errorf("%d allocations in %d exchanges", got, n)
			}
		})
	}
}

// counter counts the bytes written to it.
type counter struct{ n *int }

func (c counter) Write(p []byte) (int, error) { *c.n += len(p); return len(p), nil }
