package proxy

import (
	"bytes"
	"time"

	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// rollback and discardAll put a server back into the state of a new one.
var (
	rollback   = wire.AppendText(nil, wire.Query, "ROLLBACK")
	discardAll = wire.AppendText(nil, wire.Query, "DISCARD ALL")
)

// finish gives back what the session holds after its client has left: a statement still running is cancelled, a
// transaction rolled back, session state discarded, and the server kept. It is the last thing the session's goroutine
// does.
func (s *session) finish() {
	s.mu.Lock()
	s.gone = true
	for s.waiting {
		s.mu.Unlock()
		withdrawn := s.route.inst.Pool.Withdraw(&s.waiter)
		s.mu.Lock()
		if withdrawn || s.refused != nil {
			s.waiting = false
			s.ex.reset()
			break
		}
		if s.waiting {
			s.cond.Wait() // somebody is about to grant or refuse
		}
	}
	b := s.backend
	sock.Return(s.pending)
	putRequest(s.request)
	s.pending, s.request = nil, nil
	s.mu.Unlock()
	if b != nil {
		s.clean(b)
	}
	s.mu.Lock()
	s.unpinLocked()
	s.dropNames()
	s.dropRetry()
	s.mu.Unlock()
	sock.Return(s.in)
	sock.Return(s.after)
	s.in, s.after = nil, nil
}

// clean makes the server fit for others and gives it back, or discards it if that cannot be done in time.
func (s *session) clean(b *backend) {
	stop := time.AfterFunc(s.srv.cfg.CancelTimeout, func() { _ = b.conn.Conn.Close() })
	defer stop.Stop()
	if !s.settle(b) {
		return // the server is gone, and its backend has answered for it
	}
	s.mu.Lock()
	open := s.ex.status != wire.Idle
	dirty := s.pins != 0 || s.suspect|s.undo != 0 || s.flux || s.route.mode == PoolModeSession
	s.mu.Unlock()
	if open && !s.order(b, rollback) {
		return
	}
	if dirty && !s.discard(b) {
		return
	}
	s.mu.Lock()
	if s.backend != b {
		s.mu.Unlock()
		return
	}
	fit := s.ex.status == wire.Idle && (s.discarded || !dirty)
	if dirty {
		b.settings = plain
		b.prepared.clear()
		b.unnamed = nil
	}
	if fit {
		s.backend = nil
		s.unpinLocked() // before another client can be pinned to it
	}
	s.mu.Unlock()
	if !fit {
		_ = b.conn.Conn.Close()
		return
	}
	b.session.CompareAndSwap(s, nil)
	b.giveBack(time.Now())
}

// discard resets the server's session. A cancel request that comes late may hit that instead of the client's statement,
// so it is tried again. False means that the server is lost.
func (s *session) discard(b *backend) bool {
	s.mu.Lock()
	s.discarded = false
	s.mu.Unlock()
	for range 3 {
		if !s.order(b, discardAll) {
			return false
		}
		s.mu.Lock()
		done := s.discarded
		s.mu.Unlock()
		if done {
			break
		}
	}
	return true
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

// settle ends what the client left unfinished and waits until the server owes nothing. It returns false if the server
// is lost, or cannot be brought to that state.
func (s *session) settle(b *backend) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.backend == b && !s.ex.quiet() && !s.ex.partial && !s.ex.copyIn && !s.ex.unsynced {
		s.settledLocked(b, cancelFirst)
	}
	for pause := cancelAgain; s.backend == b && !s.ex.quiet(); pause *= 2 {
		if !s.ex.copyIn && s.ex.outstanding() {
			s.stopLocked(b)
		}
		if s.backend == b && s.ex.partial && !s.padLocked(b) {
			_ = b.conn.Conn.Close()
			return false
		}
		s.settledLocked(b, pause)
	}
	return s.backend == b
}

// stopLocked cancels what the server runs. It unlocks mu meanwhile.
func (s *session) stopLocked(b *backend) {
	b.beginCancel()
	s.mu.Unlock()
	_ = b.deliverCancel()
	b.endCancel()
	s.mu.Lock()
}

// settledLocked waits until the server owes nothing, at most for d, and sends what it needs for that. It unlocks mu
// meanwhile.
func (s *session) settledLocked(b *backend, d time.Duration) {
	due := false
	timer := time.AfterFunc(d, func() {
		s.mu.Lock()
		due = true
		s.cond.Broadcast()
		s.mu.Unlock()
	})
	defer timer.Stop()
	for s.backend == b && !s.ex.quiet() && !due {
		if end := s.closingLocked(); len(end) > 0 {
			s.tellLocked(b, end)
			continue
		}
		s.cond.Wait()
	}
}

// tellLocked writes to the server. It unlocks mu meanwhile. A write that fails ends the server, because half a message
// cannot be followed by anything; the server's goroutine sees that and answers.
func (s *session) tellLocked(b *backend, p []byte) {
	b.wmu.Lock()
	s.mu.Unlock()
	if b.conn.Send(p) != nil {
		_ = b.conn.Conn.Close()
	}
	b.wmu.Unlock()
	s.mu.Lock()
}

// padLocked completes the message that the client left in the middle so that nothing can come of it, and answers false
// if that is not possible. A statement's text filled up with anything but NUL has no end, which PostgreSQL refuses before
// it reads the text; a Bind that succeeds by chance is not executed; and a COPY is going to be failed.
func (s *session) padLocked(b *backend) bool {
	switch s.stream.typ {
	case wire.Query, wire.Parse, wire.Bind, wire.CopyData:
	default:
		return false
	}
	if s.stream.left > maxPadding {
		return false
	}
	s.ex.partial = false
	s.tellLocked(b, bytes.Repeat([]byte{0xff}, s.stream.left))
	return true
}

// closingLocked returns, and notes as sent, what the server still needs to end the exchange.
func (s *session) closingLocked() (out []byte) {
	if s.ex.copyIn {
		s.ex.copyIn = false
		s.ex.client(wire.CopyFail)
		out = wire.AppendText(out, wire.CopyFail, "client is gone")
	}
	if s.ex.unsynced {
		s.ex.client(wire.Bind)
		s.ex.client(wire.Sync)
		out = append(out, failBatch...)
	}
	return out
}

// failBatch ends a batch to which its client has sent no Sync so that nothing of it is committed: a Bind of no statement,
// which is an error, and a Sync.
var failBatch = wire.AppendEmpty(wire.AppendMessage(nil, wire.Bind, []byte("\x00"+statementPrefix+"unfinished\x00\x00\x00\x00\x00\x00\x00")), wire.Sync)

// order sends a statement of ours and waits for its end.
func (s *session) order(b *backend, query []byte) bool {
	s.mu.Lock()
	if s.backend != b {
		s.mu.Unlock()
		return false
	}
	s.ex.client(wire.Query)
	s.tellLocked(b, query)
	s.mu.Unlock()
	return s.await(b)
}

// await waits until the server owes nothing; false means that the server is lost.
func (s *session) await(b *backend) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.backend == b && !s.ex.quiet() {
		s.cond.Wait()
	}
	return s.backend == b
}
