package sock

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
)

// Client returns the client's side of TLS over a socket, for a handshake and then for Init.
func Client(nc net.Conn, cfg *tls.Config) *tls.Conn { return tls.Client(&transport{Conn: nc}, cfg) }

// Server returns the server's side of TLS over a socket, for a handshake and then for Init.
func Server(nc net.Conn, cfg *tls.Config) *tls.Conn { return tls.Server(&transport{Conn: nc}, cfg) }

// Peek reads one byte, and returns a connection from which it is read again, and whether it is first.
func Peek(nc net.Conn, first byte) (again net.Conn, is bool, err error) {
	var b [1]byte
	if _, err := io.ReadFull(nc, b[:]); err != nil {
		return nc, false, err
	}
	return &peeked{Conn: nc, rest: b[:]}, b[0] == first, nil
}

// peeked is a connection of which the first byte has been read ahead.
type peeked struct {
	net.Conn
	rest []byte
}

func (p *peeked) Read(b []byte) (int, error) {
	if len(p.rest) > 0 {
		n := copy(b, p.rest)
		p.rest = p.rest[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// transportOf is the transport under nc, nil if nc was not made by Client or Server.
func transportOf(nc net.Conn) *transport {
	if c, ok := nc.(*tls.Conn); ok {
		t, _ := c.NetConn().(*transport)
		return t
	}
	return nil
}

// Socket is the socket under a connection that Client, Server or Peek made, else the connection itself.
func Socket(nc net.Conn) net.Conn {
	if t := transportOf(nc); t != nil {
		nc = t.Conn
	}
	if p, ok := nc.(*peeked); ok {
		nc = p.Conn
	}
	return nc
}

// transport is what TLS reads from and writes to: a socket, which is used like that of a Conn without TLS once it is a Conn's. A reader that
// waits is told so by an error that TLS takes for a passing one, so that it waits for the next edge of readiness and not here, and holds
// no buffer but what TLS has of a record that has not come whole.
type transport struct {
	net.Conn
	c *Conn // nil during the handshake, which waits here

	// of the reader, within readSecure
	fd      uintptr
	reading bool
	drained bool // the last read left room, the kernel is not asked again

	mu sync.Mutex // of who writes: also the reader, who answers what TLS asks by itself

	// guarded by mu
	sending bool   // within Send: for as long as the peer takes something
	stalled bool   // it took nothing for the write timeout
	unsent  []byte // what it has not taken then; TLS counts it as written
}

// again is the error of a read that would wait.
type again struct{}

func (again) Error() string   { return "nothing to read yet" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// serve gives the transport to a Conn.
func (t *transport) serve(c *Conn) {
	t.mu.Lock()
	t.c = c
	t.mu.Unlock()
}

// Read implements net.Conn for TLS.
func (t *transport) Read(p []byte) (int, error) {
	if !t.reading {
		return t.Conn.Read(p)
	}
	return t.readNow(p)
}

// Write implements net.Conn for TLS, which must not be told of a peer that is only slow: it would write nothing more.
func (t *transport) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.sending && len(t.unsent) > 0:
		t.unsent = append(t.unsent, p...)
		return len(p), nil
	case t.sending:
		return t.push(p)
	case len(t.unsent) > 0: // after a Send that has stalled, the last words
		n, err := t.Conn.Write(t.unsent)
		if t.unsent = t.unsent[n:]; err != nil {
			return 0, err
		}
	}
	return t.Conn.Write(p)
}

// push writes what the peer takes, and keeps the rest.
func (t *transport) push(p []byte) (int, error) {
	n, err := t.c.push(p)
	if err == ErrStalled {
		t.stalled, t.unsent = true, append([]byte(nil), p[n:]...)
		return len(p), nil
	}
	return n, err
}

// begin starts a Send with what the last one has left, and end ends it. Both return ErrStalled if the peer has not taken a byte for the
// write timeout.
func (t *transport) begin() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sending, t.stalled = true, false
	if rest := t.unsent; len(rest) > 0 {
		t.unsent = nil
		if _, err := t.push(rest); err != nil {
			return err
		}
	}
	return t.stallLocked()
}

func (t *transport) end() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sending = false
	return t.stallLocked()
}

func (t *transport) stallLocked() error {
	if t.stalled {
		return ErrStalled
	}
	return nil
}

// maxRecord is the most that one record of TLS holds.
const maxRecord = 16 << 10

// sendSecure is Send under TLS.
func (c *Conn) sendSecure(p []byte) error {
	c.wrote = 0
	err := c.secure.begin()
	for err == nil && c.wrote < len(p) {
		n := min(maxRecord, len(p)-c.wrote)
		if _, err = c.Conn.Write(p[c.wrote : c.wrote+n]); err == nil {
			c.wrote += n
			err = c.secure.stall()
		}
	}
	if stalled := c.secure.end(); err == nil {
		err = stalled
	}
	return err
}

// stall is ErrStalled if the peer does not take anything.
func (t *transport) stall() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.stallLocked()
}
