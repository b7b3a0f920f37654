package proxy

import (
	"cmp"
	"errors"
	"time"

	"pgguard/pool"
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// Refused implements pool.Grantee: the session's goroutine is woken to answer.
func (s *session) Refused(err error) {
	s.mu.Lock()
	s.asked = false
	s.denied = err
	s.cond.Broadcast()
	s.mu.Unlock()
	s.conn.Interrupt()
}

// withdrawLocked takes the session's request out of the pool, and says whether it was there. If somebody is about to grant or refuse it, it waits until
// that is done. It is called with mu held, and gives it up meanwhile.
func (s *session) withdrawLocked() bool {
	for s.asked {
		in := s.route.inst
		s.mu.Unlock()
		withdrawn := in.Pool.Withdraw(&s.waiter)
		s.mu.Lock()
		switch {
		case withdrawn:
			s.asked = false
			s.cond.Broadcast()
			return true
		case s.asked:
			s.cond.Wait()
		}
	}
	return false
}

// answerRefused answers the first message of the request that was refused, so that nothing of it is sent later, and puts the others
// back, to be dealt with as if they had just come.
func (s *session) answerRefused() error {
	s.mu.Lock()
	if errors.Is(s.denied, errElsewhere) {
		s.mu.Unlock()
		return s.rehome()
	}
	refusal := refusalFor(s.denied)
	if errors.Is(s.denied, pool.ErrClosed) && s.close == nil {
		s.close = errDrained
	}
	s.denied = nil
	if s.span != nil {
		s.tracedLocked(time.Time{}, time.Now())
	}
	r := s.request
	s.request = nil
	if s.link != nil {
		s.moveLocked(parked)
	} else {
		s.moveLocked(free)
	}
	if s.local == wire.InTransaction {
		s.local = wire.Failed
	}
	back := r.buf
	back.R, r.buf = r.at, nil
	s.mu.Unlock()
	putRequest(r)
	s.conn.Resume()
	s.putBack(back)

	s.srv.countRefusal(refusal, s.class)
	var out [1024]byte
	answer := s.closeFirst(out[:0])
	typ, size, _, _ := wire.Peek(s.in.Bytes())
	answer = refusal.append(answer, false)
	if typ == wire.Query || typ == wire.FunctionCall {
		if typ == wire.Query && s.local == wire.Failed && size <= s.in.W-s.in.R {
			m := translate.Message{Type: typ, Bytes: s.in.Data[s.in.R : s.in.R+size]}
			if sql.Scan(m.Text()).PlainEnd {
				s.become(wire.Idle)
			}
		}
		answer = wire.AppendReady(answer, s.local)
		if n := s.in.W - s.in.R; size > n { // it is longer than a buffer, and nothing else is in this one
			s.stream = stream{left: size - n, drop: true}
			size = n
		}
		s.in.R += size
	} else {
		s.skip = true
		s.failParse(typ, s.in.Bytes())
	}
	return cmp.Or(s.say(answer), s.closing())
}

// closing is why the guard wants the client closed, nil if it does not.
func (s *session) closing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close
}

// closeFirst carries out the Close messages with which a refused request begins, if the session has no server, and appends their answers.
func (s *session) closeFirst(out []byte) []byte {
	count, size, _ := leadingCloses(s.in.Bytes())
	if count == 0 || s.state != free {
		return out
	}
	out = s.carryOut(s.in.Bytes()[:size], out)
	s.in.R += size
	return out
}

// putBack puts a request's bytes before those that have been read since it was sent. A message of which they hold only
// the start is dealt with from its start again.
func (s *session) putBack(back *sock.Buffer) {
	s.stream = stream{}
	if s.after == nil {
		s.in, s.after = back, s.in
		return
	}
	// What was read since is in after, so that in is the rest of the buffer of which back is the start.
	if s.in != nil {
		back.Compact()
		n := copy(back.Data[back.W:], s.in.Bytes())
		if n < s.in.W-s.in.R {
			panic("proxy: a request that is put back does not fit before the rest of its buffer")
		}
		back.W += n
		sock.Return(s.in)
	}
	s.in = back
}

// tellRefusals logs how often the guard has refused since it was said last, a line for each reason, if that was long ago. It is of lookAround's goroutine.
func (srv *Server) tellRefusals(now time.Time) {
	for reason, classes := range srv.count.refusals {
		n := uint64(0)
		for i := range classes {
			n += classes[i].Load()
		}
		last := srv.refused[reason]
		if n == last.n || now.Sub(last.at) < rationEvery {
			continue
		}
		srv.refused[reason] = refusalsTold{n, now}
		srv.log.Info("refused", "reason", string(reason), "times", n-last.n)
	}
}

// refusalsTold is how often something had happened when it was last logged.
type refusalsTold struct {
	n  uint64
	at time.Time
}
