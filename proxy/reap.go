package proxy

import (
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy/instance"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// mostReaped bounds how many transactions are ended at once: four times a second as many as a database opens in a second.
const mostReaped = 64

// reap ends transactions that do nothing while others wait for their slots, if there are any that may be ended.
func (srv *Server) reap(in *instance.Instance, now time.Time) {
	srv.rest(in, now)
	var blocks map[*pool.Server]int
	if seen := in.Seen(); seen != nil && now.Sub(seen.At) < 3*instance.SampleEvery {
		blocks = seen.Blocks
		if c := seen.Culprit; c != nil {
			if r := in.Pool.Culprit(c, blocks[c], now); r.Server != nil {
				srv.reapOne(in, r, now)
			}
		}
	}
	for range mostReaped {
		r := in.Pool.Reap(now, blocks)
		if r.Server == nil || !srv.reapOne(in, r, now) || !r.More {
			return
		}
	}
}

// reapOne ends the transaction that the pool has chosen, and answers whether another may be looked for.
func (srv *Server) reapOne(in *instance.Instance, r pool.Reapable, now time.Time) bool {
	b := r.Server.Conn.(*backend)
	l := b.link.Load()
	if l == nil || l.s == nil {
		return false
	}
	s := l.s
	class, from := srv.cfg().Pool.Classes[r.Class].Name, "idle in transaction"
	switch {
	case s.keeps(b):
		in.Pool.SetPinned(r.Lease) // the next look finds another
		return true
	case s.isSuspended():
		in.Pool.Excuse(r.Lease, now) // as above
		return true
	case srv.cfg().Observe:
		if s.reported.CompareAndSwap(false, true) {
			srv.count.wouldReap[r.Class].Add(1)
			break
		}
		return false
	case s.reap(b, now):
		in.Pool.SetReaped(r.Lease)
	case s.reapWaiting(b, now):
		in.Pool.SetReaped(r.Lease)
		from = "waiting for its client"
	default:
		return false
	}
	in.Explain(event.Event{
		Time: now, Kind: event.Reap, Subject: class, Cause: r.Why, From: from, To: "rolled back", Evidence: event.Of(
			event.Number{Name: "idle_seconds", Value: r.Idle.Seconds()}, event.Number{Name: "after_seconds", Value: r.After.Seconds()},
			event.Number{Name: "pressed_seconds", Value: r.Pressed.Seconds()}, event.Number{Name: "blocks", Value: float64(r.Blocks)},
			event.Number{Name: "pid", Value: float64(b.pid)},
		),
	})
	return !srv.cfg().Observe
}

// keeps is true if the client cannot do without this server, whatever becomes of its transaction.
func (s *session) keeps(b *backend) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link != nil && s.link.b == b && s.link.holdsLocked()
}

// holdsLocked is true if the client cannot do without its server, whatever becomes of its transaction.
func (l *link) holdsLocked() bool {
	return l.lease.Keeps() || l.lease.Stays()&^translate.PinFunction != 0
}

// dismissesLocked is what the client is told whose connection ends with its transaction, because nobody knows what was left in its server that a
// rollback does not take back, or what the client believes to be in; nil: it stays.
func (l *link) dismissesLocked() *Refusal {
	switch {
	case l.lease.Stays() == 0 && !l.lease.Astray():
		return nil
	case l.lease.MayLast():
		return refusedReapedUnknown
	}
	return refusedReaped
}

// dismissLocked ends the session with what dismissesLocked says; idle is for how long its transaction did nothing. It is called with mu held and unlocks it.
func (s *session) dismissLocked(last *Refusal, idle time.Duration) {
	s.endLocked(last)
	s.mu.Unlock()
	s.srv.times.idle[s.class].observe(idle)
	s.kick(last)
}

// reap takes the server from a session whose transaction does nothing. The transaction is rolled back at once; the
// client's next statement is told, whatever it is. False means that the client has gone on, would have, or cannot do without.
func (s *session) reap(b *backend, now time.Time) bool {
	s.mu.Lock()
	l := s.link
	if l == nil || l.b != b || s.state != idling || s.close != nil || s.suspendedLocked() || l.holdsLocked() || l.lease.Lingers() {
		s.mu.Unlock()
		return false
	}
	idle := now.Sub(l.idleSince)
	if last := l.dismissesLocked(); last != nil {
		s.dismissLocked(last, idle)
		return true
	}
	o := s.orphanLocked()
	if o == nil { // it has just died, which is told by itself
		s.mu.Unlock()
		return false
	}
	s.lost = refusedReaped
	s.local = wire.Failed
	s.moveLocked(free)
	s.mu.Unlock()
	s.srv.times.idle[s.class].observe(idle)
	s.srv.work.Go(func() { o.clean(s.srv.cfg().CancelTimeout) }) // ends when the server is given back, or closed
	return true
}
