package proxy

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool"
)

// cancelKey is what a client proves with that it may cancel a session's statement.
type cancelKey struct {
	pid    uint32
	secret []byte
}

// keySize is the length of the secret for protocol 3.2 and later; before, it is 4 bytes.
const keySize = 32

// canceled is whose statement a cancel request may stop: a session, or an operator.
type canceled interface {
	// cancel stops it, and returns a word for the metrics.
	cancel() (result string)
}

// keyring finds sessions and operators by cancel key. Its methods may be called from any goroutine.
type keyring struct {
	mu sync.Mutex

	owners map[uint32]owner // guarded by mu
	next   uint32           // guarded by mu
}

// owner is whose a key is.
type owner struct {
	secret []byte
	who    canceled
}

// add makes a key that nobody else has.
func (k *keyring) add(who canceled, size int) cancelKey {
	secret := make([]byte, size)
	_, _ = rand.Read(secret) // never fails
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		k.next++
		if pid := k.next & 0x7fffffff; pid != 0 && k.owners[pid].who == nil {
			k.owners[pid] = owner{secret, who}
			return cancelKey{pid, secret}
		}
	}
}

// errKeyTaken is why a client cannot keep its key.
var errKeyTaken = errors.New("another client has its cancel key")

// keep takes a key that another process has made.
func (k *keyring) keep(who canceled, key cancelKey) (cancelKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.owners[key.pid].who != nil {
		return cancelKey{}, errKeyTaken
	}
	k.owners[key.pid] = owner{key.secret, who}
	return key, nil
}

// reservedKeys is how many keys a process may still make after it has handed over: for those whose login is under way, who are
// no more than the lobby holds.
const reservedKeys = 1 << 16

// reserve is the number from which another process may make keys; begin has this one do so.
func (k *keyring) reserve() uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.next + reservedKeys
}

func (k *keyring) begin(next uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.next = max(k.next, next)
}

func (k *keyring) remove(key cancelKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.owners, key.pid)
}

// find returns whose key this is, or nil.
func (k *keyring) find(pid uint32, secret []byte) canceled {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := k.owners[pid]
	if o.who == nil || subtle.ConstantTimeCompare(o.secret, secret) != 1 {
		return nil
	}
	return o.who
}

// cancel stops what the session is doing: a statement that waits is refused, one that runs is cancelled at its server.
// It returns a word for the metrics.
func (s *session) cancel() (result string) {
	s.mu.Lock()
	if s.withdrawLocked() {
		s.mu.Unlock()
		s.Refused(refusedCanceled)
		return "queued"
	}
	switch l := s.link; {
	case s.walsender != nil:
		s.mu.Unlock()
		return sentOr(s.walsender.cancel())
	case l == nil || l.lease.Quiet() || l.lease.Asking() || l.lease.Held(): // what it is meant for is over
		s.mu.Unlock()
		return "idle"
	case (s.state == preparing && s.request.kept) || (s.state != preparing && !l.lease.Preparing()):
		b, granted := l.b, l.granted
		b.beginCancel()
		s.mu.Unlock()
		defer b.endCancel()
		b.inst.Pool.Left(granted, time.Now())
		return sentOr(b.deliverCancel())
	default: // it is meant for the client's statement, not for what goes ahead of it
		l.stops = true
		granted, in := l.granted, s.route.inst
		s.mu.Unlock()
		in.Pool.Left(granted, time.Now())
		return "sent"
	}
}

// sentOr is the word for how the delivery of a cancel request went.
func sentOr(err error) string {
	if err != nil {
		return "failed"
	}
	return "sent"
}

// stopsLocked takes whether a cancel request that has waited for what goes ahead of the client's statement is to be sent now: the
// statement is under way. The server is not given back before endCancel then. It is called with mu held.
func (l *link) stopsLocked() bool {
	if !l.stops || l.s == nil || l.s.state != running || l.lease.Preparing() {
		return false
	}
	l.stops = false
	if !l.lease.Outstanding() {
		return false
	}
	l.b.beginCancel()
	return true
}

// stop sends a cancel request for which beginCancel was called, and does not wait.
func (b *backend) stop(srv *Server) {
	srv.work.Go(func() { // ends when the server has been told
		_ = b.deliverCancel()
		b.endCancel()
	})
}

// cancels keeps count of the cancel requests on their way to one server. A server with one under way is not lent to
// another client: PostgreSQL's cancel names a server, not a statement.
type cancels struct {
	flying atomic.Int32
	mu     sync.Mutex
	held   bool       // guarded by mu: the server is given back when the last request has arrived
	lease  pool.Lease // guarded by mu: if it is held
}

// beginCancel is called while the session that has b is locked, so that b cannot be given back in between.
func (b *backend) beginCancel() { b.cancels.flying.Add(1) }

// deliverCancel sends one cancel request.
func (b *backend) deliverCancel() error { return b.inst.Door().Cancel(b.at, b.pid, b.secret) }

func (b *backend) endCancel() {
	c := &b.cancels
	c.mu.Lock()
	held, granted := c.flying.Add(-1) == 0 && c.held, c.lease
	if held {
		c.held = false
	}
	c.mu.Unlock()
	if held {
		b.inst.Pool.Release(granted, time.Now())
	}
}

// hold has the server given back when no cancel request is on its way to it any more; false: there is none, and none can
// begin, because the server belongs to nobody.
func (c *cancels) hold(granted pool.Lease) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flying.Load() == 0 {
		return false
	}
	c.held, c.lease = true, granted
	return true
}
