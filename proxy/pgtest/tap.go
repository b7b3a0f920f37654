package pgtest

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Tap forwards TCP connections to a real address and breaks them on demand. Any goroutine may call any method.
// The test's cleanup ends it and its connections.
type Tap struct {
	t      testing.TB
	port   int
	ctx    context.Context // ends when the tap is stopped
	cancel context.CancelFunc
	work   sync.WaitGroup // accepting goroutines and those of the connections

	// refusing is held over a whole change by Refuse, which opens or closes the listener.
	refusing sync.Mutex

	mu sync.Mutex

	l        net.Listener      // guarded by mu; nil while refusing
	flow     chan struct{}     // guarded by mu; closed while bytes flow
	open     map[*tapConn]bool // guarded by mu
	accepted int               // guarded by mu
	target   string            // guarded by mu: host:port, or the path of a socket
}

// NewTap starts a tap in front of addr, a host:port or the path of a socket.
func NewTap(t testing.TB, addr string) *Tap {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &Tap{t: t, target: addr, ctx: ctx, cancel: cancel, flow: make(chan struct{}), open: map[*tapConn]bool{}}
	close(p.flow)
	var err error
	for range portTries {
		if p.port, err = freePort(); err != nil {
			break
		}
		if err = p.listen(); err == nil {
			t.Cleanup(p.stop)
			return p
		}
	}
	cancel()
	t.Fatalf("start a tap: %v", err)
	return nil
}

// Addr is the address to connect to, as host:port.
func (p *Tap) Addr() string { return net.JoinHostPort(host, strconv.Itoa(p.port)) }

// Count is how many connections are open.
func (p *Tap) Count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// Accepted is how many connections were accepted since the start.
func (p *Tap) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Cut resets every open connection on both sides; later ones are not touched. It returns when none is left of those.
func (p *Tap) Cut() {
	for _, c := range p.conns() {
		c.close(true)
		<-c.done
	}
}

// CutHalf resets every other open connection, as Cut does; the rest goes on.
func (p *Tap) CutHalf() {
	for i, c := range p.conns() {
		if i%2 == 0 {
			c.close(true)
			<-c.done
		}
	}
}

// Aim has connections that are accepted from now on go to addr; open ones stay where they are, as behind a name or a proxy that means another
// server now.
func (p *Tap) Aim(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// Stall stops forwarding in both directions, on open connections and new ones, and keeps them; Stall(false) lets all
// that waited through. A byte read before Stall returns may still arrive.
func (p *Tap) Stall(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flow:
		if on {
			p.flow = make(chan struct{})
		}
	default:
		if !on {
			close(p.flow)
		}
	}
}

// Refuse makes new connections fail with "connection refused"; open ones stay. Refuse(false) listens again on the
// same port.
func (p *Tap) Refuse(on bool) {
	p.t.Helper()
	p.refusing.Lock()
	defer p.refusing.Unlock()
	p.mu.Lock()
	l := p.l
	if on {
		p.l = nil
	}
	p.mu.Unlock()
	switch {
	case on && l != nil:
		_ = l.Close()
	case !on && l == nil && p.ctx.Err() == nil:
		if err := p.listen(); err != nil {
			p.t.Errorf("listen again: %v", err)
		}
	}
}

// listen opens the port and starts to accept.
func (p *Tap) listen() error {
	l, err := net.Listen("tcp", p.Addr())
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.l = l
	p.mu.Unlock()
	p.work.Go(func() { p.accept(l) })
	return nil
}

// accept runs until the listener closes.
func (p *Tap) accept(l net.Listener) {
	for {
		client, err := l.Accept()
		if err != nil {
			return
		}
		c := &tapConn{client: client, done: make(chan struct{})}
		c.ctx, c.cancel = context.WithCancel(p.ctx)
		p.mu.Lock()
		p.accepted++
		p.open[c] = true
		p.mu.Unlock()
		if p.ctx.Err() != nil { // stop may have counted before
			c.close(false)
		}
		p.work.Go(func() {
			p.forward(c)
			p.mu.Lock()
			delete(p.open, c)
			p.mu.Unlock()
			close(c.done)
		})
	}
}

// forward connects to the target and copies both ways until both sides have ended.
func (p *Tap) forward(c *tapConn) {
	p.mu.Lock()
	network, target := "tcp", p.target
	p.mu.Unlock()
	if strings.HasPrefix(target, "/") {
		network = "unix"
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	server, err := d.DialContext(c.ctx, network, target)
	if err != nil {
		c.close(true) // the nearest thing to what the target did
		return
	}
	if !c.join(server) {
		return
	}
	var pumps sync.WaitGroup
	pumps.Go(func() { p.pump(c, server, c.client) })
	pumps.Go(func() { p.pump(c, c.client, server) })
	pumps.Wait()
	c.close(false)
}

// pump copies one way. It passes an orderly end on; a broken connection breaks the other side too.
func (p *Tap) pump(c *tapConn, to, from net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		if !p.flowing(c) {
			return
		}
		n, err := from.Read(buf)
		if !p.flowing(c) {
			return
		}
		if n > 0 {
			if _, werr := to.Write(buf[:n]); werr != nil {
				c.close(true)
				return
			}
		}
		if errors.Is(err, io.EOF) {
			if w, ok := to.(interface{ CloseWrite() error }); ok {
				_ = w.CloseWrite()
			}
			return
		}
		if err != nil {
			c.close(true)
			return
		}
	}
}

// flowing waits while the tap stalls; false means the connection is over.
func (p *Tap) flowing(c *tapConn) bool {
	for {
		p.mu.Lock()
		flow := p.flow
		p.mu.Unlock()
		select {
		case <-flow:
			return true
		case <-c.ctx.Done():
			return false
		}
	}
}

// conns are the open connections.
func (p *Tap) conns() []*tapConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := make([]*tapConn, 0, len(p.open))
	for c := range p.open {
		conns = append(conns, c)
	}
	return conns
}

// stop closes the listener and every connection, and waits.
func (p *Tap) stop() {
	p.cancel()
	p.Refuse(true)
	for _, c := range p.conns() {
		c.close(false)
	}
	p.work.Wait()
}
