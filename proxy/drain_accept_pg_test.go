//go:build pg

package proxy

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// lateSocket has one connection, which it has accepted a moment before it was closed.
type lateSocket struct {
	net.Listener
	one    chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *lateSocket) Accept() (net.Conn, error) {
	if c, ok := <-l.one; ok {
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *lateSocket) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// TestClientAcceptedAsTheDrainBeginsIsServed: nobody is there when the drain begins but one whom the kernel has given to the guard a moment ago. Where
// another process listens on the same socket, nobody else will ever serve him.
func TestClientAcceptedAsTheDrainBeginsIsServed(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	g := newGuard(t, address(c), nil)
	door, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = door.Close() }()
	late := &lateSocket{Listener: door, one: make(chan net.Conn, 1), closed: make(chan struct{})}
	l := &listener{Listener{Addr: door.Addr().String()}, late}
	g.mu.Lock()
	g.listeners = append(g.listeners, l)
	g.mu.Unlock()
	g.work.Add(1)
	g.accepts.Add(1)
	go g.accept(l)

	done := g.shutdown(t, context.Background())
	<-late.closed
	select {
	case <-done:
		t.Fatal("the drain has ended, and an accepted client is not served")
	case <-g.ctx.Done():
		t.Fatal("the drain closes everything, and an accepted client is not served")
	case <-time.After(150 * time.Millisecond): // it looks every 50
	}
	come, err := dialCaller(door.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = come.Close() }()
	nc, err := door.Accept()
	if err != nil {
		t.Fatal(err)
	}
	late.one <- nc
	close(late.one)
	if err := come.login(196608, []string{"user", "postgres", "database", "postgres"}); err != nil {
		t.Fatal(err)
	}
	come.want(t, come.query, "select 1", "", 'I')
	_ = come.Close()
	ended(t, done, 10*time.Second)
}
