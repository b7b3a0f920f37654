package proxy

import (
	"sync"
	"time"

	"pgguard/pool"
	"pgguard/proxy/translate"
)

// link is one lease: a session and a backend joined, from the grant until the server goes back. A session has at most one. When
// its client goes before the server can go back, the link is replaced by one without a client, which cleans up.
//
// Its mu is that of its session, or its own if it has none.
type link struct {
	s       *session // nil: the client has gone
	b       *backend
	granted pool.Lease
	mu      *sync.Mutex
	cond    *sync.Cond

	// guarded by mu
	lease     translate.Lease
	kept      *request  // that may be sent again until the first byte of its answer; nil: none
	opens     bool      // BEGIN went ahead of it
	rested    bool      // the server had been idle for long
	lesson    lesson    // what can be learned from the exchange under way
	ran       ran       // what runs
	stops     bool      // a cancel request waits for what goes ahead of the client's statement
	dead      bool      // of a link without a client: the server has gone
	done      bool      // of a link without a client: the server is given back
	rest      stream    // of a link without a client: what is missing of its last message
	started   time.Time // of the statement that runs
	txStarted time.Time // of the transaction
	pinned    time.Time // when the client began to keep the server between transactions; zero: it does not
	idleSince time.Time // of the idle stretch inside the transaction
}

// nobody is the link of a backend that has ended, so that it cannot have another.
var nobody link

// joinLocked makes a link of the session and a backend that it has been granted; nil: the backend has just ended. It is called
// with mu held.
func (s *session) joinLocked(b *backend, granted pool.Lease) *link {
	l := s.spare
	if l == nil {
		l = &link{s: s, mu: &s.mu, cond: &s.cond}
	}
	if !b.link.CompareAndSwap(nil, l) {
		return nil
	}
	l.b, l.granted = b, granted
	l.lease.Begin(&s.client, &b.session)
	s.link, s.spare = l, nil
	s.did.leases.Add(1)
	return l
}

// partLocked ends the link, whose server goes back or has gone. It may be the session's next. It is called with mu held.
func (s *session) partLocked() {
	l := s.link
	l.dropKept()
	l.lease.Rest()
	l.opens, l.lesson, l.ran, l.stops, l.pinned = false, lesson{}, ran{}, false, time.Time{}
	s.link, s.spare = nil, l
}

// clientless returns a link of a backend without a client. The backend does not know of it yet.
func clientless(b *backend, granted pool.Lease) *link {
	l := &link{b: b, granted: granted, mu: new(sync.Mutex)}
	l.cond = sync.NewCond(l.mu)
	return l
}

// orphanLocked takes the server from the session for good and returns a link without a client for it; nil: the session has no server,
// or that has just ended, which is told by itself. It is called with mu held.
func (s *session) orphanLocked() *link {
	l := s.link
	if l == nil {
		return nil
	}
	o := clientless(l.b, l.granted)
	o.started, o.txStarted, o.idleSince = l.started, l.txStarted, l.idleSince
	o.mu.Lock()
	defer o.mu.Unlock()
	if !l.b.link.CompareAndSwap(l, o) {
		return nil
	}
	l.dropKept()
	o.lease = l.lease.Orphan()
	s.link = nil
	return o
}

// dropKept forgets the request that may be sent again.
func (l *link) dropKept() {
	if l.kept != nil {
		putRequest(l.kept)
		l.kept = nil
		l.lease.Drop()
	}
}

// ending is what follows an exchange, decided under the link's lock and carried out without it.
type ending uint8

const (
	endNothing ending = iota
	endIdle           // in a transaction: the run token goes back
	endParked         // between transactions, kept: the run token goes back
	endRelease        // the server goes back
)

// endLocked decides what follows when the server owes nothing.
func (l *link) endLocked(now time.Time) ending {
	s := l.s
	if s == nil || s.state != running {
		return endNothing // no exchange has ended: the server said something by itself, or only what goes ahead of the request is answered
	}
	took := now.Sub(l.started)
	s.srv.times.query[s.class].observe(took)
	if s.span != nil {
		s.tracedLocked(l.started, now)
	}
	s.did.queries.Add(1)
	s.did.queryTime.Add(int64(took))
	if n := l.b.session.TakePrepared(); n > 0 {
		s.did.prepareds.Add(n)
	}
	l.b.server.Sample = l.ran.sample(took)
	l.b.server.Sample.Blocked = l.b.wasBlocked(l.started)
	s.route.inst.Ended(l.ran.raised, took)
	l.noteSlowLocked(took)
	l.ran = ran{}
	if l.lease.Status() != 'I' {
		l.idleSince = now
		s.moveLocked(idling)
		return endIdle
	}
	l.lease.Transaction()
	s.srv.times.transaction[s.class].observe(now.Sub(l.txStarted))
	s.did.transactions.Add(1)
	s.did.transactTime.Add(int64(now.Sub(l.txStarted)))
	if s.srv.sendsOff.Load() && !s.staysOn() {
		s.endLocked(errDrained) // before the client's next request can begin
	}
	switch {
	case l.lease.Pins() == 0:
		l.pinned = time.Time{}
	case l.pinned.IsZero():
		l.pinned = now
	}
	if l.lease.Keeps() || l.lease.Lingers() {
		s.moveLocked(parked)
		return endParked
	}
	s.local = 'I'
	s.partLocked()
	s.moveLocked(free)
	return endRelease
}

// finish carries out what endLocked decided for a lease. No lock is held: the link may have another by now.
func (l *link) finish(b *backend, granted pool.Lease, end ending, now time.Time) {
	if b.slow.Load() != nil {
		defer b.tellSlow(now) // when the server is given back
	}
	switch end {
	case endIdle:
		b.inst.Pool.Idle(granted, now)
	case endParked:
		b.inst.Pool.Park(granted, now)
	case endRelease:
		b.link.CompareAndSwap(l, nil)
		b.giveBack(granted, now)
	}
}

// giveBack returns the server to the pool, unless it has to end, when no cancel request is on its way to it, so that none can hit the next
// client.
func (b *backend) giveBack(granted pool.Lease, now time.Time) {
	b.server.Trait = pool.Trait(b.session.Trait())
	b.freed = now
	if b.session.Stained() {
		b.inst.Pool.Discard(granted, "a client left what nothing takes back", now)
		return
	}
	if b.cancels.flying.Load() == 0 || !b.cancels.hold(granted) {
		b.inst.Pool.Release(granted, now)
	}
}

var _ pool.Grantee = (*session)(nil)
