package proxy

import (
	"bytes"
	"errors"
	"io"
	"time"

	"pgguard/proxy/wire"
)

// leave ends the session's part in what is under way: nothing more is sent to its client, after last, if that is not nil and the client
// is not in the middle of a row. It returns the link that must be cleaned, nil if there is none.
func (s *session) leave(last []byte) *link {
	s.mu.Lock()
	waits := (s.state == preparing || s.state == running) && (s.close == nil || errors.Is(s.close, io.EOF))
	s.moveLocked(leaving)
	s.withdrawLocked()
	s.mu.Unlock()

	s.wmu.Lock()
	s.mu.Lock()
	torn := s.link != nil && s.link.b.left > 0 && !s.link.b.drop
	l := s.orphanLocked()
	if l != nil {
		l.rest = s.stream
	}
	putRequest(s.request)
	s.request = nil
	s.client.DeallocateAll()
	s.mu.Unlock()
	if last != nil && !torn && !s.mute {
		_ = s.conn.SetWriteDeadline(time.Now().Add(lastWait))
		_, _ = s.conn.Conn.Write(last)
	}
	s.mute = true
	s.wmu.Unlock()
	if waits && l != nil {
		s.route.inst.Pool.Left(l.granted, time.Now())
	}
	return l
}

// clean makes the server of a link without a client fit for others and gives it back: a statement still running is cancelled, what is
// not finished is not committed, session state is discarded. It discards the server if that cannot be done in time.
func (l *link) clean(timeout time.Duration) {
	b := l.b
	stop := time.AfterFunc(timeout, func() { _ = b.conn.Conn.Close() })
	defer stop.Stop()
	l.mu.Lock()
	fit := l.quietLocked() && l.resetLocked()
	if l.dead {
		l.mu.Unlock()
		return // its backend has answered for it
	}
	if fit {
		l.lease.Unpin() // before another client can be pinned to it
		l.done = true
	}
	l.mu.Unlock()
	if !fit {
		b.conn.Cut()
		return
	}
	b.link.CompareAndSwap(l, nil)
	b.giveBack(l.granted, time.Now())
}

// resetLocked ends the transaction and discards what was left, as far as is needed, and says whether that has succeeded. false also for what
// only ends with the server. It is called with mu held, and gives it up meanwhile.
func (l *link) resetLocked() (fit bool) {
	if l.lease.Status() != wire.Idle {
		l.orderLocked(l.lease.Rollback())
	}
	if l.dead || l.lease.Status() != wire.Idle {
		return false
	}
	switch {
	case !l.lease.Dirty():
		return true
	case l.lease.Stained():
		return false
	}
	// A cancel request that comes late may hit this instead of the client's statement, so it is tried again.
	for tries := 3; tries > 0 && !l.dead; tries-- {
		if l.orderLocked(l.lease.Discard()); l.lease.Discarded() {
			l.lease.Clean()
			return !l.dead
		}
	}
	return false
}

// orderLocked sends a statement of ours and waits for its end. It is called with mu held, and gives it up meanwhile.
func (l *link) orderLocked(query []byte) {
	l.tellLocked(query)
	for !l.dead && !l.lease.Quiet() {
		l.cond.Wait()
	}
}

// maxPadding is the longest rest of a message that is filled up to keep a server; what would take longer than a login
// is not worth it.
const maxPadding = 1 << 20

// cancelFirst is how long a statement whose client has gone may take to end by itself before it is cancelled: a cancel
// request costs the server a process, more than most statements cost to finish.
const cancelFirst = 20 * time.Millisecond

// cancelAgain is when a cancel request that had no effect is repeated; the time doubles with each. One that overtakes
// its statement on the way to the server finds nothing to cancel.
const cancelAgain = 50 * time.Millisecond

// quietLocked ends what the client left unfinished and waits until the server owes nothing. It returns false if the server
// is lost, or cannot be brought to that state. It is called with mu held, and gives it up meanwhile.
func (l *link) quietLocked() bool {
	lease := &l.lease
	if lease.Outstanding() && !lease.Partial() && !lease.Copying() && !lease.Unsynced() {
		l.awaitQuietLocked(cancelFirst)
	}
	for pause := cancelAgain; !l.dead && !lease.Quiet(); pause *= 2 {
		if lease.Doubt() {
			return false
		}
		if !lease.Copying() && lease.Outstanding() {
			l.b.beginCancel()
			l.mu.Unlock()
			_ = l.b.deliverCancel()
			l.b.endCancel()
			l.mu.Lock()
		}
		if !l.dead && lease.Partial() && !l.padLocked() {
			return false
		}
		l.awaitQuietLocked(pause)
	}
	return !l.dead
}

// awaitQuietLocked waits until the server owes nothing, at most for d, and sends what it needs for that. It gives mu up meanwhile.
func (l *link) awaitQuietLocked(d time.Duration) {
	due := false
	timer := time.AfterFunc(d, func() {
		l.mu.Lock()
		due = true
		l.cond.Broadcast()
		l.mu.Unlock()
	})
	defer timer.Stop()
	for !l.dead && !l.lease.Quiet() && !l.lease.Doubt() && !due {
		if end := l.lease.Closing(); len(end) > 0 {
			l.tellLocked(end)
			continue
		}
		l.cond.Wait()
	}
}

// tellLocked writes to the server. It gives mu up meanwhile. A write that fails ends the server, because half a message
// cannot be followed by anything; the server's goroutine sees that and answers.
func (l *link) tellLocked(p []byte) {
	l.b.wmu.Lock()
	l.mu.Unlock()
	if l.b.conn.Send(p) != nil {
		l.b.conn.Cut()
	}
	l.b.wmu.Unlock()
	l.mu.Lock()
}

// padLocked completes the message that the client left in the middle so that nothing can come of it, and answers false
// if that is not possible. A statement's text filled up with anything but NUL has no end, which PostgreSQL refuses before
// it reads the text; a Bind that succeeds by chance is not executed; and a COPY is going to be failed. It gives mu up meanwhile.
func (l *link) padLocked() bool {
	switch l.rest.typ {
	case wire.Query, wire.Parse, wire.Bind, wire.CopyData:
	default:
		return false
	}
	if l.rest.left > maxPadding {
		return false
	}
	l.lease.Padded()
	l.tellLocked(bytes.Repeat([]byte{0xff}, l.rest.left))
	return true
}
