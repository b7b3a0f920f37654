package proxy

import (
	"fmt"

	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// turn deals with the messages at the start of s.in: it answers one in the server's place, or sends a run of them on.
// more is false when the next message is not whole yet.
func (s *session) turn() (more bool, err error) {
	s.mu.Lock()
	free := s.backend == nil
	parked := s.parked
	s.sees = s.lookLocked()
	s.mu.Unlock()

	s.hasPeeked = false
	if free || parked {
		n, err := s.inPlace(parked)
		if n != 0 || err != nil {
			s.in.R += max(n, 0)
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
	pos := s.in.R
	for pos < s.in.W && r.n < maxRun && r.left == 0 {
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
	return true, s.send(r, pos, free)
}

// view is what a turn must know of the session's settings, and of the answers that have not come.
type view struct {
	flux    bool
	parsing parsing
	armed   bool // an Execute may run a statement that prepares or forgets others
	unsure  bool // one is under way
	names   bool // what names mean depends on what was sent before a Sync
	loose   bool // what the unnamed statement is does
	ops     bool // and if there is one more Sync, what names mean
	changes bool // and what the unnamed statement is
	open    bool // extended messages were sent after the last Sync
}

// lookLocked says what the session's turn must know.
func (s *session) lookLocked() view {
	v := view{flux: s.flux, parsing: s.settings.parsing, armed: s.armed}
	if s.ex.outstanding() {
		v.unsure, v.open = s.unsure, s.ex.unsynced
		v.names, v.loose = s.ex.unsettled(false), s.ex.unsettled(true)
		v.ops, v.changes = s.ex.firstOp < len(s.ex.ops), s.ex.loose > 0
	}
	return v
}

// settled waits, before a message whose meaning depends on what becomes of those before it, until the server has
// answered them.
func (s *session) settled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.healing && (s.backend == nil || !s.dependsLocked(s.in.Data[s.in.R])) {
		return s.close
	}
	s.settling = true
	for s.healing && s.close == nil {
		s.cond.Wait() // what is run again comes before
	}
	for flushed := false; s.backend != nil && s.close == nil && s.dependsLocked(s.in.Data[s.in.R]); {
		if b := s.backend; s.ex.unsynced && !flushed {
			flushed = true
			b.wmu.Lock()
			s.mu.Unlock()
			s.tell(b, flush)
			b.wmu.Unlock()
			s.mu.Lock()
			continue
		}
		s.cond.Wait()
	}
	s.settling = false
	s.sees = s.lookLocked()
	return s.close
}

// flush has the server say what it has to say.
var flush = wire.AppendEmpty(nil, wire.Flush)

// dependsLocked is true if what a message means depends on answers that have not come. It is not if the server waits for copy data.
func (s *session) dependsLocked(typ byte) bool {
	if !s.ex.outstanding() || s.ex.copyIn || s.ex.partial {
		return false
	}
	switch typ {
	case wire.Parse, wire.Bind, wire.Describe, wire.Close:
		// A Parse replaces the unnamed statement, whatever that is.
		return s.unsure || s.ex.unsettled(typ != wire.Parse)
	case wire.Query, wire.FunctionCall:
		return s.unsure || s.ex.unsynced || s.ex.loose > 0
	}
	return false
}

// mustWait is true if what the next message means depends on what becomes of those in r, or of those before.
func (s *session) mustWait(r *request, typ byte) bool {
	if r.n == 0 {
		return false // settled has waited
	}
	v := &s.sees
	switch typ {
	case wire.Parse, wire.Bind, wire.Describe, wire.Close:
		return r.unsure || v.unsure || r.renamed || v.names || (r.synced && v.ops) ||
			(typ != wire.Parse && !r.fresh && (r.loose || v.loose || (r.synced && v.changes)))
	case wire.Query, wire.FunctionCall:
		return r.unsure || v.unsure || r.extended || v.changes || (v.open && !r.synced)
	}
	return false
}

// message returns the message at pos of s.in: all of it, or, if it is longer than a buffer, its start with every name in
// it, and how many bytes are left of it. m is nil when more must be read first.
func (s *session) message(pos int) (typ byte, m []byte, left int, err error) {
	b := s.in.Data[pos:s.in.W]
	typ, size, ok, err := wire.Peek(b)
	if err != nil || (ok && !fromClient(typ)) {
		return 0, nil, 0, s.protocolError(b[0], err)
	}
	switch {
	case !ok:
		return 0, nil, 0, nil
	case size-1 > maxSmall && isSmall(typ):
		return 0, nil, 0, s.protocolError(typ, fmt.Errorf("invalid message length: message type %q with %d bytes", typ, size-1))
	case size <= len(b):
		return typ, b[:size], 0, nil
	case size <= sock.BufferSize-sock.Headroom || !s.in.Full():
		return 0, nil, 0, nil
	case !wholeNames(typ, b[wire.HeaderSize:]):
		if len(b) > maxNames {
			return 0, nil, 0, s.protocolError(typ, fmt.Errorf("message type %q with a name longer than %d bytes", typ, maxNames))
		}
		if pos == s.in.R {
			s.in.Grow(min(size, 2*len(b)))
		}
		return 0, nil, 0, nil
	}
	return typ, b, size - len(b), nil
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

// maxNames bounds the names in a message. PostgreSQL has no bound of its own, and looks at 63 bytes of a name.
const maxNames = 1 << 20

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
	s.in.R += len(b)
	if s.stream.left == 0 {
		s.stream = stream{}
	}
	return err
}
