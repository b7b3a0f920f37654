package proxy

import (
	"fmt"

	"pgguard/proxy/wire"
)

// turn deals with the messages at the start of s.in: it answers one in the server's place, or sends a run of them on.
// more is false when the next message is not whole yet.
func (s *session) turn() (more bool, err error) {
	s.mu.Lock()
	free := s.backend == nil
	parked := s.parked
	s.sees = view{s.flux, s.settings.parsing, s.ex.named+s.ex.loose > 0}
	s.mu.Unlock()

	s.hasPeeked = false
	if free || parked {
		n, err := s.inPlace(parked)
		if n != 0 || err != nil {
			s.in.r += max(n, 0)
			return n >= 0, err
		}
	}
	if err := s.settled(); err != nil {
		return false, err
	}
	if free && s.local == wire.Idle && len(s.rules) > 0 {
		s.lower(s.firstText())
	}
	r := getRequest()
	pos := s.in.r
	for pos < s.in.w && r.n < maxRun && r.left == 0 {
		typ, m, left, err := s.message(pos)
		if m == nil || err != nil || typ == wire.Terminate {
			if err == nil && typ == wire.Terminate && m != nil {
				err = errTerminate
			}
			if err != nil && r.n == 0 {
				putRequest(r)
				return false, err
			}
			break
		}
		if s.mustWait(r, typ) {
			break
		}
		s.note(r, typ, m, left)
		pos += len(m)
	}
	if r.n == 0 {
		putRequest(r)
		return false, nil
	}
	return true, s.send(r, pos)
}

// view is what a turn must know of the session's settings to tell statements apart.
type view struct {
	flux    bool
	parsing parsing
	pending bool // what names mean depends on answers that have not come
}

// settled waits, before messages that may depend on which statements there are, until the server has confirmed those
// that were sent up to the last Sync: if one of them has failed, names mean something else.
func (s *session) settled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.healing && s.close == nil {
		s.cond.Wait() // what is run again comes before
	}
	switch s.in.data[s.in.r] {
	case wire.Parse, wire.Bind, wire.Describe, wire.Close:
	default:
		return s.close
	}
	named := s.in.data[s.in.r] == wire.Parse // it replaces the unnamed statement, whatever that is
	for (s.ex.named > 0 || (s.ex.loose > 0 && !named)) && !s.ex.unsynced && s.backend != nil && s.close == nil {
		s.cond.Wait()
	}
	return s.close
}

// mustWait is true if the next message depends on what becomes of a statement in r, before a Sync.
func (s *session) mustWait(r *request, typ byte) bool {
	if r.n == 0 || r.steps[r.n-1].typ != wire.Sync {
		return false
	}
	switch typ {
	case wire.Bind, wire.Describe, wire.Close:
		return r.hazard || r.loose || s.sees.pending // what it names may fail to come into being
	case wire.Parse:
		return r.hazard || s.sees.pending
	}
	return false
}

// message returns the message at pos of s.in: all of it, or, if it is longer than a buffer, its start and how many
// bytes are left of it. m is nil when more must be read first.
func (s *session) message(pos int) (typ byte, m []byte, left int, err error) {
	b := s.in.data[pos:s.in.w]
	typ, size, ok, err := wire.Peek(b)
	if err != nil || (ok && !fromClient(typ)) {
		return 0, nil, 0, s.protocolError(b[0], err)
	}
	switch {
	case !ok:
		return 0, nil, 0, nil
	case size <= len(b):
		return typ, b[:size], 0, nil
	case size <= bufferSize-headroom || !s.in.full():
		return 0, nil, 0, nil
	}
	return typ, b, size - len(b), nil
}

func fromClient(typ byte) bool {
	switch typ {
	case wire.Query, wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close, wire.Sync, wire.Flush,
		wire.FunctionCall, wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Terminate:
		return true
	}
	return false
}

func (s *session) protocolError(typ byte, err error) error {
	if err == nil {
		err = fmt.Errorf("invalid frontend message type %d", typ)
	}
	return &Refusal{Reason: ReasonProtocol, Message: err.Error()}
}

// pass sends on, or drops, the next piece of a message longer than a buffer.
func (s *session) pass() error {
	b := s.in.bytes()
	b = b[:min(len(b), s.stream.left)]
	s.stream.left -= len(b)
	s.srv.count.bytesIn.Add(uint64(len(b)))
	if sc := s.stream.scanner; sc != nil && !s.stream.ended {
		text, _, ended := wire.CString(b)
		if !ended {
			text = b
		}
		sc.Feed(text)
		s.stream.ended = ended
	}
	var err error
	if !s.stream.drop {
		err = s.sendPiece(b, s.stream.left == 0)
	}
	s.in.r += len(b)
	if s.stream.left == 0 {
		s.stream = stream{}
	}
	return err
}
