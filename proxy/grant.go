package proxy

import (
	"io"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// longWait is from when on it is asked, at a grant, whether the client is still there: a client gives up after a hundred times as long, and to ask
// costs a system call for each statement that waits.
const longWait = 10 * time.Millisecond

// Granted implements pool.Grantee: the request's bytes go to the server at once, whoever called, unless the client has been told to go.
func (s *session) Granted(granted pool.Lease, now time.Time, waited time.Duration) {
	defer func() {
		if v := recover(); v != nil {
			s.grantBroke(granted, v)
		}
	}()
	b := granted.Conn.(*backend)
	s.did.waitTime.Add(int64(waited))
	gone := waited >= longWait && s.conn.Gone() // which its goroutine may be late to see
	s.mu.Lock()
	s.asked = false
	if s.inVain(granted, gone, now) {
		return
	}
	keeps := s.state == awaiting
	l := s.link
	if keeps {
		l.rested = false
	} else if l = s.takeLocked(b, granted, now); l == nil {
		// The server died while it was idle: nothing was sent, so another takes its place.
		s.asked = true
		s.mu.Unlock()
		s.route.inst.Pool.Discard(granted, "dead when lent", now)
		s.getAnother(s.route.inst, now)
		return
	}
	b.print.Store(uint32(s.waiter.Print))
	b.moves++
	b.waits.Store(false)
	l.started, l.txStarted = now, now
	var open *translate.Opening
	if !keeps && s.local != wire.Idle {
		open = &s.opening
		open.Failed = s.local == wire.Failed
	}
	r := s.request
	prefix, await := l.lease.Prefix(&r.Request, r.buf.Data[r.at:r.buf.W], !keeps, open)
	if await {
		r.kept = keeps
		s.moveLocked(preparing)
		b.wmu.Lock()
		s.mu.Unlock()
		_ = b.conn.Send(prefix)
		b.wmu.Unlock()
		return
	}
	l.sendFirst(prefix, now)
}

// getAnother has the request wait for another server than the one that it was, or was to be, sent to.
func (s *session) getAnother(in *instance.Instance, now time.Time) {
	in.Pool.Get(&s.waiter, now)
	s.mu.Lock()
	s.cond.Broadcast() // it can be withdrawn now
	s.mu.Unlock()
}

// inVain deals with what is granted to a client for which nothing is sent, and says whether it is. gone: its connection has ended. It is called with mu held,
// and unlocks it then.
func (s *session) inVain(granted pool.Lease, gone bool, now time.Time) bool {
	in, l := s.route.inst, s.link
	if gone && s.state == queued {
		s.endLocked(io.EOF)
	}
	switch {
	case s.close != nil && s.state == queued: // what has not been sent when its client is told to go never is
		s.mu.Unlock()
		in.Pool.Decline(granted, now)
		s.conn.Interrupt()
	case s.state == leaving: // whoever leaves waits for this before it takes its server away
		s.cond.Broadcast()
		s.mu.Unlock()
		if l == nil {
			in.Pool.Decline(granted, now) // for nothing if that was lost which it waited with
		}
	case s.state == awaiting && l == nil: // the server that was kept died while it was being granted a token
		s.mu.Unlock()
		s.Refused(refusedState)
	case s.state == awaiting && s.close != nil: // the token ends with the lease, when the server has been cleaned
		s.mu.Unlock()
	default:
		return false
	}
	return true
}

// takeLocked makes a link of the session and a backend that it has been granted; nil: the backend ends. It is called with mu held.
func (s *session) takeLocked(b *backend, granted pool.Lease, now time.Time) *link {
	rested := now.Sub(b.freed) >= longRest
	if rested && b.conn.Unread() {
		return nil // these are its last words: it has nothing to say otherwise
	}
	l := s.joinLocked(b, granted)
	if l != nil {
		l.rested = rested
	}
	return l
}

// sendFirst writes the session's request, with what goes ahead of it. It is called with mu held and unlocks it.
func (l *link) sendFirst(prefix []byte, now time.Time) {
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	b := l.b
	out, used := l.firstLocked(prefix, scratch.Data[:0], now)
	b.wmu.Lock()
	l.mu.Unlock()
	_ = b.conn.Send(out)
	b.wmu.Unlock()
	putRequest(used)
}

// longRest is how long a server has been idle if it may be about to end because that was too long: below the shortest idle_session_timeout that
// anybody sets, and above the pauses of a server that is in use.
const longRest = 100 * time.Millisecond

// firstLocked takes the session's request and returns what must be written for it, with what goes ahead of it, and the
// request, which may hold that and is to be put when it is written. out begins in scratch if it can. It is called with mu held.
func (l *link) firstLocked(prefix, scratch []byte, now time.Time) (out []byte, used *request) {
	s := l.s
	r := s.request
	s.request = nil
	l.lesson = s.lessonLocked(r)
	opens := s.local == 'T' && mayReplay(r)
	repeats := s.local == 'I' && r.Repeatable()
	keep := l.lease.Pins() == 0 && !r.kept && (opens || repeats || r.Begins() || (l.rested && s.local == 'I' && atHand(r)))
	s.local = 'I'
	s.moveLocked(running)
	if keep {
		r.holders.Add(1)
		l.kept, l.opens = r, opens
		if repeats {
			l.lease.Keep()
		}
	}
	buf := r.buf
	out = l.lease.Send(&r.Request, buf.Data[r.at:buf.W], scratch, now)
	l.ran.add(r)
	if l.lease.Skipping() {
		s.stream.drop = s.stream.left > 0
	}
	switch {
	case len(prefix) == 0:
	case len(out) > 0 && buf.W > r.at && &out[0] == &buf.Data[r.at] && buf.R == r.at && buf.Prepend(prefix):
		out = buf.Bytes()
	default:
		out = append(prefix[:len(prefix):len(prefix)], out...)
	}
	return out, r
}

// againLocked writes the request that is kept once more, as if it had not been sent before. It is called with mu held.
func (l *link) againLocked() (out []byte, used *request) {
	r := l.kept
	l.kept, l.ran = nil, ran{}
	l.lease.Rewind()
	out = l.lease.Send(&r.Request, r.buf.Data[r.at:r.buf.W], nil, time.Now())
	l.lease.Renewed()
	l.ran.add(r)
	return out, r
}
