package proxy

import (
	"bytes"
	"fmt"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// maxUnnamed is the longest Parse of the unnamed statement that is remembered for a Bind in a later transaction; what
// is longer keeps its server until it is bound, and is unknown after.
const maxUnnamed = 4 << 10

// unnamedStatement is the body of a Describe or Close of the unnamed statement.
var unnamedStatement = []byte{'S', 0}

// maxRun is how many messages one run may have.
const maxRun = 256

// run is a stretch of a client's messages that are sent on in one write.
type run struct {
	types   [maxRun]byte
	n       int
	pins    pins
	commit  bool // may end a transaction for good
	write   bool // may write
	touches bool // may use a sequence without its name in the text, by a default or a trigger
	urgent  bool // begins with set-up or clean-up, which pressure must not refuse
	binds   bool // binds the unnamed statement before it replaces it
	parses  bool // replaces the unnamed statement: parses one, closes it, or drops it by a simple query
	bound   bool // binds the unnamed statement
	long    bool // ends with an unnamed statement that was parsed, not bound, and is too long to remember
	left    int  // bytes of the last message that have not been read yet
}

// turn deals with the messages at the start of s.in: it answers one in the server's place, or sends a run of them on.
// more is false when the next message is not whole yet.
func (s *session) turn() (more bool, err error) {
	s.mu.Lock()
	free := s.backend == nil
	parked := s.parked
	s.mu.Unlock()

	s.hasPeeked = false
	if free || parked {
		n, err := s.inPlace(parked)
		if n != 0 || err != nil {
			s.in.r += max(n, 0)
			return n >= 0, err
		}
	}
	var r run
	pos := s.in.r
	for pos < s.in.w && r.n < maxRun && r.left == 0 {
		typ, m, left, err := s.message(pos)
		if m == nil || err != nil || typ == wire.Terminate {
			if err == nil && typ == wire.Terminate && m != nil {
				err = errTerminate
			}
			if err != nil && r.n == 0 {
				return false, err
			}
			break
		}
		if r.binds && (typ == wire.Parse || typ == wire.Query || typ == wire.Close) {
			break // the statement that was bound must still be known when the run is sent
		}
		s.note(&r, typ, m, left)
		r.types[r.n] = typ
		r.n++
		r.left = left
		pos += len(m)
	}
	if r.n == 0 {
		return false, nil
	}
	return true, s.send(&r, pos)
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

// note looks at one message that is about to be sent on: what may it leave behind, what would its loss mean?
func (s *session) note(r *run, typ byte, m []byte, left int) {
	body := m[wire.HeaderSize:]
	switch typ {
	case wire.Query:
		s.unnamed = s.unnamed[:0]
		r.parses, r.long = true, false
		if left > 0 {
			s.stream.scanner = new(sql.Scanner)
		}
		if s.hasPeeked {
			s.suspect(r, s.peeked)
			s.hasPeeked = false
			break
		}
		s.suspect(r, s.scan(body))
	case wire.Parse:
		name, text, ok := wire.CString(body)
		if !ok {
			r.pins |= pinFunction // a name longer than a buffer
			break
		}
		if len(name) > 0 {
			r.pins |= pins(sql.Prepared)
		} else {
			r.parses = true
			s.unnamed = s.unnamed[:0]
			r.long = left > 0 || len(m) > maxUnnamed
			if !r.long {
				s.unnamed = append(s.unnamed, m...)
			}
		}
		if left > 0 && !bytes.Contains(text, []byte{0}) {
			s.stream.scanner = new(sql.Scanner)
		}
		s.suspect(r, s.scan(text))
	case wire.Describe:
		r.binds = r.binds || (!r.parses && bytes.Equal(body, unnamedStatement))
	case wire.Bind:
		_, rest, _ := wire.CString(body)
		if name, _, ok := wire.CString(rest); ok && len(name) == 0 {
			r.binds = r.binds || !r.parses
			r.bound, r.long = true, false
			r.write = r.write || !r.parses // else its Parse has told
			break
		}
		r.write = true
	case wire.Close:
		if bytes.Equal(body, unnamedStatement) {
			s.unnamed = s.unnamed[:0]
			r.parses, r.long = true, false
		}
	case wire.FunctionCall:
		r.pins |= pinFunction
		r.write = true
	}
}

// scan says what the text at the start of b, up to a NUL, may do. The text goes on if a scanner was made for it.
func (s *session) scan(b []byte) sql.Result {
	text, _, ok := wire.CString(b)
	if !ok {
		text = b
	}
	if sc := s.stream.scanner; sc != nil {
		sc.Feed(text)
		return sql.Result{First: sql.Other}
	}
	return sql.Scan(text)
}

func (s *session) suspect(r *run, res sql.Result) {
	r.pins |= pinsOf(res)
	harmless := res.Statements == 1 && (res.First == sql.Rollback || res.First == sql.Begin)
	r.commit = r.commit || res.Ask || (res.TxControl && !harmless)
	r.write = r.write || !res.ReadOnly
	switch res.First {
	case sql.Set, sql.Reset, sql.Discard, sql.Deallocate, sql.Unlisten, sql.Close, sql.Commit, sql.Rollback:
		r.urgent = r.urgent || r.n == 0
		r.touches = r.touches || res.Statements > 1
	case sql.Begin, sql.Savepoint:
		r.touches = r.touches || res.Statements > 1
	default:
		r.touches = r.touches || !res.ReadOnly
	}
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
