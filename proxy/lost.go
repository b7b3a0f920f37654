package proxy

import (
	"errors"

	"pgguard/proxy/wire"
)

// Causes that end a backend.
var (
	errFatal   = errors.New("server ended the connection")
	errTooLong = errors.New("server sent a control message of absurd length")
	errUnasked = errors.New("server sent an answer nobody asked for")
)

// detailKept is added to the server's own last words.
const detailKept = "the guard keeps this client connection"

// serverLost answers for a server that went while the session had it; false: the session did not have it any more. It is
// called once, by the backend's goroutine.
func (s *session) serverLost(b *backend, cause error) bool {
	s.mu.Lock()
	if s.backend != b {
		s.mu.Unlock()
		return false
	}
	s.backend = nil
	waiting := s.waiting
	open := s.ex.status != wire.Idle
	outstanding := !s.ex.quiet()
	unsynced := s.ex.unsynced
	readies := s.ex.owed()
	commit, write := s.ex.commit, s.ex.write
	pinned := s.pins != 0 || s.route.mode == PoolModeSession
	torn := b.left > 0 && !b.drop
	s.parked, s.idle, s.pins, s.lingers = false, false, 0, false
	s.ex.reset()
	if s.gone {
		s.quiet = true
		s.cond.Broadcast()
		s.mu.Unlock()
		return true
	}
	if torn || pinned {
		// Half a row cannot be taken back; session state cannot be given back. Only a new connection is honest.
		s.wmu.Lock()
		s.mu.Unlock()
		if !torn {
			_ = s.conn.write(b.lastWords(refusedState, true))
		}
		s.wmu.Unlock()
		s.kick(errors.Join(errServerLost, cause))
		return true
	}
	if waiting {
		// It waited for a token for the server it had kept for an unnamed statement.
		s.local = wire.Idle
		s.mu.Unlock()
		if b.inst.pool.Withdraw(&s.waiter) {
			s.Refused(b.demoted(refusedState))
		}
		return true
	}
	if !outstanding {
		if open {
			s.lost = b.demoted(refusedLost)
			s.local = wire.Failed
		} else {
			s.local = wire.Idle
		}
		s.mu.Unlock()
		return true
	}
	refusal := refusedRead
	state := byte(wire.Idle)
	switch {
	case commit || (!open && write):
		refusal = refusedUnknown
	case open:
		refusal, state = refusedLost, wire.Failed
	}
	s.local = state
	s.skip = unsynced
	s.wmu.Lock()
	s.mu.Unlock()
	r := b.demoted(refusal)
	s.srv.refused(r, s.class)
	out := r.append(nil, false)
	for i := range readies {
		if i > 0 {
			out = r.append(out, false)
		}
		out = wire.AppendReady(out, state)
	}
	if err := s.conn.write(out); err != nil {
		s.cut(err)
	}
	s.wmu.Unlock()
	return true
}

var errServerLost = errors.New("server connection was lost")

// demoted is the answer with the server's own last words, if it had any, made an ERROR.
func (b *backend) demoted(r *Refusal) *Refusal {
	if b.fatal == nil {
		return r
	}
	raw, err := wire.AppendDemoted(nil, b.fatal, detailKept)
	if err != nil {
		return r
	}
	return &Refusal{Reason: r.Reason, Message: r.Message, raw: raw}
}

// lastWords are the server's own FATAL, or ours.
func (b *backend) lastWords(r *Refusal, fatal bool) []byte {
	if b.fatal == nil {
		return r.append(nil, fatal)
	}
	out := []byte{wire.ErrorResponse, 0, 0, 0, 0}
	n := len(b.fatal) + 4
	out[1], out[2], out[3], out[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return append(out, b.fatal...)
}

// cut closes a client that cannot be written to; its session notices and cleans up.
func (s *session) cut(cause error) {
	s.mu.Lock()
	if s.close == nil {
		s.close = cause
	}
	s.cond.Broadcast()
	s.mu.Unlock()
	_ = s.conn.Conn.Close()
}
