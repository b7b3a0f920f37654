package pgtest

import (
	"context"
	"net"
	"sync"
)

// tapConn is one connection through a Tap.
type tapConn struct {
	client net.Conn
	ctx    context.Context // ends when the connection does
	cancel context.CancelFunc
	done   chan struct{} // closed when its goroutines have ended

	mu sync.Mutex

	server net.Conn // guarded by mu; nil until connected
	closed bool     // guarded by mu
}

// join adds the server's side; false means that the connection has ended meanwhile and server is closed.
func (c *tapConn) join(server net.Conn) bool {
	c.mu.Lock()
	closed := c.closed
	c.server = server
	c.mu.Unlock()
	if closed {
		reset(server)
	}
	return !closed
}

// close ends both sides, with RST if hard. Only the first call counts.
func (c *tapConn) close(hard bool) {
	c.mu.Lock()
	first, server := !c.closed, c.server
	c.closed = true
	c.mu.Unlock()
	if !first {
		return
	}
	c.cancel()
	for _, conn := range []net.Conn{c.client, server} {
		switch {
		case conn == nil:
		case hard:
			reset(conn)
		default:
			_ = conn.Close()
		}
	}
}
