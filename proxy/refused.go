package proxy

import (
	"errors"

	"pgguard/pool"
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// Refused implements pool.Grantee: the session's goroutine is woken to answer.
func (s *session) Refused(err error) {
	s.mu.Lock()
	s.refused = err
	s.cond.Broadcast()
	s.mu.Unlock()
	s.conn.interrupt()
}

// answerRefused answers the first message of the request that was refused and puts the others back, to be dealt with
// as if they had just come.
func (s *session) answerRefused() error {
	s.mu.Lock()
	refusal := refusalFor(s.refused)
	if errors.Is(s.refused, pool.ErrClosed) && s.close == nil {
		s.close = errDrained
	}
	s.refused, s.waiting, s.pendPins = nil, false, 0
	back := s.pending
	s.pending, s.prefix = nil, nil
	s.parked = s.backend != nil
	s.ex.reset()
	if s.local == wire.InTransaction {
		s.local = wire.Failed
	}
	s.mu.Unlock()
	s.conn.resume()
	back.r += s.ours
	s.after, s.in = s.in, back

	typ, size, _, _ := wire.Peek(back.bytes())
	s.srv.refused(refusal, s.class)
	var out [1024]byte
	answer := refusal.append(out[:0], false)
	if typ == wire.Query || typ == wire.FunctionCall {
		if typ == wire.Query && s.local == wire.Failed && size <= back.w-back.r {
			if res := sql.Scan(queryText(back.data[back.r : back.r+size])); res.PlainEnd {
				s.local = wire.Idle
			}
		}
		answer = wire.AppendReady(answer, s.local)
		if s.stream.left > 0 && size > back.w-back.r {
			s.stream.drop = true
		}
		back.r += min(size, back.w-back.r)
	} else {
		s.skip = true // and what is left of a long message is dropped when its turn comes
		s.stream.drop = s.stream.left > 0
	}
	return s.say(answer)
}
