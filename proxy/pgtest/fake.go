package pgtest

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"testing"
)

// Fake is a scripted server on a real socket: every connection it accepts runs the script from the start, in a
// goroutine of its own. Any goroutine may call any method. The test's cleanup ends it.
type Fake struct {
	t      testing.TB
	l      net.Listener
	ctx    context.Context // ends when the fake is stopped
	cancel context.CancelFunc
	work   sync.WaitGroup // the accepting goroutine and one for each connection

	mu sync.Mutex

	script   []Step             // guarded by mu
	open     map[*fakeConn]bool // guarded by mu
	accepted int                // guarded by mu
	cancels  []Cancel           // guarded by mu
}

// Cancel is a cancel request that a Fake received.
type Cancel struct {
	PID    uint32
	Key    uint32 // the first four bytes of the secret
	Secret string // all its bytes
}

// NewFake starts a fake server on a free port of 127.0.0.1.
func NewFake(t testing.TB, script ...Step) *Fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &Fake{t: t, l: l, ctx: ctx, cancel: cancel, script: script, open: map[*fakeConn]bool{}}
	f.work.Go(f.accept)
	t.Cleanup(f.stop)
	return f
}

// Addr is the address to connect to, as host:port.
func (f *Fake) Addr() string { return f.l.Addr().String() }

// Script replaces the script for connections accepted from now on.
func (f *Fake) Script(steps ...Step) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.script = steps
}

// Count is how many connections are open: accepted, and their script has not ended.
func (f *Fake) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// Accepted is how many connections were accepted since the start, cancel requests among them.
func (f *Fake) Accepted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.accepted
}

// Cancels are the cancel requests received since the start, in order; the slice is the caller's.
func (f *Fake) Cancels() []Cancel {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Cancel(nil), f.cancels...)
}

// accept runs until the listener closes.
func (f *Fake) accept() {
	for {
		conn, err := f.l.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.accepted++
		c := newFakeConn(f, conn, f.accepted)
		script := f.script
		f.open[c] = true
		f.mu.Unlock()
		if f.ctx.Err() != nil { // stop may have counted before
			_ = conn.Close()
		}
		f.work.Go(func() { f.serve(c, script) })
	}
}

// serve runs the script on one connection and closes it.
func (f *Fake) serve(c *fakeConn, script []Step) {
	defer func() {
		_ = c.conn.Close()
		f.mu.Lock()
		delete(f.open, c)
		f.mu.Unlock()
	}()
	err := c.play(script)
	if err == nil || errors.Is(err, errOver) || f.ctx.Err() != nil {
		return
	}
	f.t.Errorf("fake server, connection %d: %v", c.number, err)
}

// stop ends every script and waits for them.
func (f *Fake) stop() {
	f.cancel()
	_ = f.l.Close()
	f.mu.Lock()
	conns := make([]*fakeConn, 0, len(f.open))
	for c := range f.open {
		conns = append(conns, c)
	}
	f.mu.Unlock()
	for _, c := range conns {
		_ = c.conn.Close()
	}
	f.work.Wait()
}

func (f *Fake) record(pid uint32, secret []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cancels = append(f.cancels, Cancel{pid, binary.BigEndian.Uint32(secret), string(secret)})
}
