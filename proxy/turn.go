package proxy

import (
	"errors"
	"fmt"

	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// turn deals with the messages at the start of s.in: it answers one in the server's place, or sends a request on.
// more is false when the next message is not whole yet.
func (s *session) turn() (more bool, err error) {
	m, ok, err := s.message(s.in.R)
	switch {
	case !ok || err != nil:
		return false, err
	case m.Type == wire.Terminate:
		return false, errTerminate
	}
	m.Look(s.client.Library)
	s.mu.Lock()
	before := s.state
	s.mu.Unlock()
	if before == free || before == parked {
		n, err := s.inPlace(&m, before)
		if n != 0 || err != nil {
			s.in.R += n
			return true, err
		}
	}
	if before == free && s.local == wire.Idle && len(s.rules) > 0 {
		s.lower(s.textOf(&m))
	}
	if s.srv.cfg().Spans != nil {
		s.trace(&m, before)
	}
	r := getRequest()
	end := s.read(r, m)
	if s.srv.cfg().SlowQuery > 0 {
		s.callSlow(r, &m)
	}
	return true, s.send(r, end, before)
}

// read gathers a request, of which m is the first message, and returns where it ends in s.in.
func (s *session) read(r *request, m translate.Message) (end int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var on translate.Standing
	if s.link != nil {
		on = s.link.lease.Standing()
	}
	end = s.in.R
	for {
		s.client.Note(&r.Request, &m, on)
		switch m.Type {
		case wire.Parse:
			s.did.parses.Add(1)
		case wire.Bind:
			s.did.binds.Add(1)
		}
		end += len(m.Bytes)
		if r.Full() || end == s.in.W {
			return end
		}
		var ok bool
		var err error
		m, ok, err = s.message(end)
		if !ok || err != nil || m.Type == wire.Terminate {
			return end
		}
		m.Look(s.client.Library)
	}
}

// message frames the message at pos of s.in. ok is false when more must be read first.
func (s *session) message(pos int) (m translate.Message, ok bool, err error) {
	b := s.in.Data[pos:s.in.W]
	typ, size, ok, err := wire.Peek(b)
	if err != nil || (ok && !fromClient(typ)) {
		return m, false, s.protocolError(b[0], err)
	}
	switch {
	case !ok:
		return m, false, nil
	case size > wire.HeaderSize && (typ == wire.Sync || typ == wire.Flush):
		return m, false, s.protocolError(typ, errors.New("invalid message format"))
	case size-1 > maxSmall && isSmall(typ):
		return m, false, s.protocolError(typ, fmt.Errorf("invalid message length: message type %q with %d bytes", typ, size-1))
	case size <= len(b):
		return translate.Message{Type: typ, Bytes: b[:size]}, true, nil
	case size <= sock.BufferSize-sock.Headroom || !s.in.Full():
		return m, false, nil
	}
	whole := typ == wire.Parse && size <= maxText && s.route.mode != PoolModeSession
	if whole || !wholeNames(typ, b[wire.HeaderSize:]) {
		if len(b) > maxText {
			return m, false, s.protocolError(typ, fmt.Errorf("message type %q with a name longer than %d bytes", typ, maxText))
		}
		if pos == s.in.R {
			s.in.Grow(min(size, 4*len(b)))
		}
		return m, false, nil
	}
	return translate.Message{Type: typ, Bytes: b, Left: size - len(b)}, true, nil
}

// maxSmall is the longest message, without its type, of a kind that has no contents to speak of: PostgreSQL closes the connection
// at a longer one (PQ_SMALL_MESSAGE_LIMIT).
const maxSmall = 10_000

// isSmall is true for the messages to which maxSmall applies.
func isSmall(typ byte) bool {
	switch typ {
	case wire.Describe, wire.Execute, wire.Close, wire.Sync, wire.Flush, wire.CopyDone, wire.CopyFail, wire.Terminate:
		return true
	}
	return false
}

// maxText bounds what is read whole though it is longer than a buffer: the text of a Parse, and names. A longer text passes in
// pieces. PostgreSQL has no bound of its own for names, and looks at 63 bytes of one.
const maxText = 1 << 20

// wholeNames is true if the start of a message's body holds all the names that are in it.
func wholeNames(typ byte, body []byte) bool {
	ok := true
	switch typ {
	case wire.Bind:
		if _, body, ok = wire.CString(body); ok {
			_, _, ok = wire.CString(body)
		}
	case wire.Parse:
		_, _, ok = wire.CString(body)
	}
	return ok
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
	b := s.in.Bytes()
	b = b[:min(len(b), s.stream.left)]
	s.stream.left -= len(b)
	s.did.received.Add(uint64(len(b)))
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
	s.in.R += len(b)
	if s.stream.left == 0 {
		s.stream = stream{}
	}
	return err
}
