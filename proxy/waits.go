package proxy

import (
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/wire"
)

// A server that waits for its client - for copy data, for the end of a batch or of a message, or for its answers to be read - does
// nothing, as in a transaction between two statements. It is found by looking, four times a second: what moves between two looks is
// at work. Then it gives its run token back, and may be reaped. Whoever moves it takes a token without waiting, since the server may
// hold locks.

// stillFor is for how many looks nothing must have moved where only the server knows whether it still works and does not tell: a second.
const stillFor = 4

// still is what the last looks saw of a server. It belongs to the control loop of its instance.
type still struct {
	moves uint64
	looks int // in which nothing had moved
	since time.Time
}

// rest looks which servers wait for their clients, and takes their run tokens back.
func (srv *Server) rest(in *instance.Instance, now time.Time) {
	seen := in.Seen()
	for _, lease := range in.Running() {
		b, ok := lease.Server.Conn.(*backend)
		if ok && b.awaitsClient(seen, now) {
			in.Pool.Stall(lease, b.still.since, now)
		}
	}
}

// awaitsClient is true if the server has just been found to wait for its client.
func (b *backend) awaitsClient(seen *instance.Seen, now time.Time) bool {
	l := b.link.Load()
	if l == nil || l.s == nil {
		return false
	}
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != l || l.b != b || s.state != running || b.waits.Load() {
		return false
	}
	awaits, doubt := l.lease.AwaitsClient()
	if s.conn.Stuck() {
		awaits, doubt = true, true // the server works until there is no room for what it says
	}
	switch {
	case !awaits || b.still.moves != b.moves:
		b.still = still{moves: b.moves, since: now}
		return false
	case doubt && !b.confirmed(seen):
		return false
	}
	b.waits.Store(true)
	l.idleSince, l.ran.waited = b.still.since, true
	return true
}

// confirmed says whether a server that may still be at work is not: because the side channel has seen it wait for its client since
// anything moved, or has seen nothing of it, and nothing has moved for a second.
func (b *backend) confirmed(seen *instance.Seen) bool {
	b.still.looks++
	if seen != nil && seen.At.After(b.still.since) {
		switch seen.Active[b.server] {
		case instance.ActiveForClient:
			return true
		case instance.ActiveAtWork:
			return false
		}
	}
	return b.still.looks >= stillFor
}

// moved takes a run token for a server that waited for its client and goes on. No lock of the session's is needed.
func (b *backend) moved(granted pool.Lease) {
	if b.waits.Load() && b.waits.Swap(false) {
		b.inst.Pool.Busy(granted, uint16(b.print.Load()), time.Now())
	}
}

// reapWaiting takes the server from a session whose server waits for it in the middle of an exchange. What the client waits for, or the
// next that it sends, is answered. False means that it has gone on, or cannot do without.
func (s *session) reapWaiting(b *backend, now time.Time) bool {
	if s.conn.Stuck() {
		if b.waits.Load() {
			s.cut(refusedUnread) // half an answer cannot be taken back
			return true
		}
		return false
	}
	if !s.wmu.TryLock() { // something is being said to it
		return false
	}
	s.mu.Lock()
	l := s.link
	if l == nil || l.b != b || s.state != running || s.close != nil || !b.waits.Load() || l.holdsLocked() || l.lease.Lingers() {
		s.mu.Unlock()
		s.wmu.Unlock()
		return false
	}
	partial, idle := l.lease.Partial(), now.Sub(l.idleSince)
	if last := l.dismissesLocked(); last != nil {
		b.waits.Store(false)
		s.dismissLocked(last, idle)
		s.wmu.Unlock()
		return true
	}
	o, answer := s.forsakeLocked()
	s.mu.Unlock()
	if o == nil { // it has just died, which is told by itself
		s.wmu.Unlock()
		return false
	}
	b.waits.Store(false)
	s.srv.times.idle[s.class].observe(idle)
	s.srv.work.Go(func() { // ends when the client has taken the answer, or is cut, and the server is given back, or closed
		if len(answer) > 0 {
			if err := s.sayLocked(answer); err != nil {
				s.cut(err)
			}
		}
		s.wmu.Unlock()
		if partial { // nobody but the client knows the rest of its message
			b.conn.Cut()
			return
		}
		o.clean(s.srv.cfg().CancelTimeout)
	})
	return true
}

// forsakeLocked takes the server from the session in the middle of an exchange, and returns a link without a client for it and what the
// client is told at once. It is called with mu and wmu held.
func (s *session) forsakeLocked() (o *link, answer []byte) {
	lease := &s.link.lease
	open, owes, skipping, unsynced := lease.Open(), lease.Owes(), lease.Skipping(), lease.Unsynced()
	told, refusal := lease.Outstanding(), refusedReaped
	if lease.MayLast() {
		refusal = refusedReapedUnknown
	}
	lease.Forsake()
	if o = s.orphanLocked(); o == nil {
		return nil, nil
	}
	if s.local = wire.Idle; open {
		s.local = wire.Failed
	}
	switch {
	case told && owes:
		answer = wire.AppendReady(refusal.append(nil, false), s.local)
	case told:
		answer = refusal.append(nil, false)
		s.skip = true // its ReadyForQuery follows the client's Sync
	case skipping: // it has been told of an error, and waits for its Sync to be answered
		s.skip = true
	case open || unsynced:
		s.lost = refusal
	}
	if told {
		s.srv.countRefusal(refusal, s.class)
	}
	s.moveLocked(free)
	return o, answer
}
