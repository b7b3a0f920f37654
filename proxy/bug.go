package proxy

import (
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"pgguard/pool"
)

// A bug in what is done for one client, in whichever goroutine, ends that client and its server, and nobody else.

// errBug ends a client or a server for which the guard has panicked.
var errBug = errors.New("a bug in the guard")

// bug counts and logs a panic. Any goroutine may call it.
func (srv *Server) bug(where string, v any) {
	srv.count.panics.Add(1)
	srv.log.Error(where+" panicked", "panic", v, "stack", string(debug.Stack()))
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// seizeAfter is when a mutex that is still locked is taken for one that a goroutine has left so when it panicked: none is held for longer
// than a write takes, and writes to closed sockets end at once.
const seizeAfter = time.Second

// seize locks mu, or takes it over.
func seize(mu *sync.Mutex) {
	for end := time.Now().Add(seizeAfter); !mu.TryLock() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}

// broke ends a session after a panic v in what was done for it. It is called by the goroutine that has panicked.
func (s *session) broke(v any) error {
	s.srv.bug("session", v)
	_ = s.conn.Conn.SetDeadline(past) // to close it could mean to wait for the very call that has panicked
	seize(&s.mu)
	err := fmt.Errorf("%w: %v", errBug, v)
	s.close = errors.Join(s.close, err)
	l := s.link
	s.cond.Broadcast()
	s.mu.Unlock()
	if l != nil {
		l.b.Close(errBug.Error())
		seize(&l.b.wmu)
		l.b.wmu.Unlock()
	}
	seize(&s.wmu)
	s.wmu.Unlock()
	if !s.route.inst.Pool.Usable(seizeAfter) {
		go panic(v) // the bug was in what all clients share: to end is better than to hang
	}
	return err
}

// grantBroke ends a session for which the goroutine that freed its server has panicked, and the server.
func (s *session) grantBroke(granted pool.Lease, v any) {
	_ = s.broke(v)
	b := granted.Conn.(*backend)
	b.Close(errBug.Error())
	s.conn.Interrupt()
	if b.link.Load() == nil { // its backend will find nobody to answer for
		s.route.inst.Pool.Discard(granted, errBug.Error(), time.Now())
	}
}

// broke ends a server after a panic v in its goroutine, and the client that has it.
func (b *backend) broke(v any) error {
	_ = b.conn.Conn.Close()
	l := b.link.Load()
	if l == nil || l == &nobody {
		return errBug
	}
	if l.s != nil {
		_ = l.s.broke(v)
	} else {
		b.inst.LogBug(v, debug.Stack())
		seize(l.mu)
		l.mu.Unlock()
	}
	seize(&b.wmu)
	b.wmu.Unlock()
	return errBug
}

// cleans cleans up after a client that has gone; a bug in that costs the server.
func (srv *Server) cleans(l *link) {
	defer func() {
		if v := recover(); v != nil {
			srv.bug("cleaning", v)
			l.b.conn.Cut()
			seize(l.mu)
			l.mu.Unlock()
		}
	}()
	l.clean(srv.cleanWithin())
}
