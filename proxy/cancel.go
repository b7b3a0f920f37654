package proxy

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"io"
	"sync"
	"time"

	"pgguard/pool"
	"pgguard/proxy/wire"
)

// cancelKey is what a client proves with that it may cancel a session's statement.
type cancelKey struct {
	pid    uint32
	secret []byte
}

// keySize is the length of the secret for protocol 3.2 and later; before, it is 4 bytes.
const keySize = 32

// keyring finds sessions by cancel key. Its methods may be called from any goroutine.
type keyring struct {
	mu sync.Mutex

	sessions map[uint32]*session // guarded by mu
	next     uint32              // guarded by mu
}

// add gives s a key no other session has.
func (k *keyring) add(s *session, size int) {
	secret := make([]byte, size)
	_, _ = rand.Read(secret) // never fails
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		k.next++
		if pid := k.next & 0x7fffffff; pid != 0 && k.sessions[pid] == nil {
			s.key = cancelKey{pid, secret}
			k.sessions[pid] = s
			return
		}
	}
}

func (k *keyring) remove(s *session) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.sessions, s.key.pid)
}

// find returns the session whose key this is, or nil.
func (k *keyring) find(pid uint32, secret []byte) *session {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.sessions[pid]
	if s == nil || subtle.ConstantTimeCompare(s.key.secret, secret) != 1 {
		return nil
	}
	return s
}

// cancel stops what the session is doing: a statement that waits is refused, one that runs is cancelled at its server.
// It returns a word for the metrics.
func (s *session) cancel() (result string) {
	s.mu.Lock()
	b := s.backend
	waiting := s.waiting && s.refused == nil
	running := b != nil && !s.ex.quiet()
	early := running && !waiting && s.ex.preparing()
	s.stops = s.stops || early
	if running && !waiting && !early {
		b.inst.cancels.begin(b)
	}
	s.mu.Unlock()
	switch {
	case early: // it is meant for the client's statement, not for what goes ahead of it
		return "sent"
	case waiting:
		if s.route.inst.pool.Withdraw(&s.waiter) {
			s.Refused(refusedCanceled)
			return "queued"
		}
		return "idle" // it has just been granted; the client may ask again
	case running:
		defer b.inst.cancels.end(b)
		if b.inst.cancels.deliver(b) != nil {
			return "failed"
		}
		return "sent"
	}
	return "idle"
}

// cancels keeps count of the cancel requests on their way to servers. A server with one under way is not lent to
// another client: PostgreSQL's cancel names a server, not a statement.
type cancels struct {
	mu   sync.Mutex
	held map[*backend]struct{} // guarded by mu: given back when the last request has arrived
}

// cancelWait bounds one delivery; PostgreSQL answers by closing the connection.
const cancelWait = 5 * time.Second

// begin is called while the session that has b is locked, so that b cannot be given back in between.
func (c *cancels) begin(b *backend) { b.flying.Add(1) }

func (c *cancels) end(b *backend) {
	c.mu.Lock()
	_, held := c.held[b]
	held = b.flying.Add(-1) == 0 && held
	if held {
		delete(c.held, b)
	}
	c.mu.Unlock()
	if held {
		b.inst.pool.Release(b.server, time.Now())
	}
}

// wait has b given back when no cancel request is on its way to it any more; false: there is none, and none can begin,
// because b belongs to nobody.
func (c *cancels) wait(b *backend) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if b.flying.Load() == 0 {
		return false
	}
	if c.held == nil {
		c.held = map[*backend]struct{}{}
	}
	c.held[b] = struct{}{}
	return true
}

// errNoKey is why a server cannot be told to cancel: it gave no key when it was logged in to.
var errNoKey = errors.New("server has given no cancel key")

// deliver sends one cancel request and waits until the server closes that connection: then the signal is sent.
func (c *cancels) deliver(b *backend) error {
	if len(b.secret) == 0 {
		return errNoKey
	}
	ctx, stop := context.WithTimeout(context.Background(), cancelWait)
	defer stop()
	nc, err := b.inst.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(cancelWait))
	if _, err := nc.Write(wire.AppendCancel(nil, b.pid, b.secret)); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, nc)
	return err
}

var _ pool.Conn = (*backend)(nil)
