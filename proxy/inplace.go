package proxy

import (
	"bytes"
	"encoding/binary"

	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// inPlace answers the message at the start of s.in in the server's place if it can, and returns how many bytes it dealt
// with: 0 if the message must be sent on, -1 if more must be read first. The session is free, or parked.
func (s *session) inPlace(parked bool) (n int, err error) {
	typ, m, left, err := s.message(s.in.R)
	switch {
	case err != nil:
		return 0, err
	case m == nil:
		return -1, nil
	case typ == wire.Terminate:
		return 0, errTerminate
	case parked && !s.skip:
		if typ == wire.Query && left == 0 && len(m) <= wire.HeaderSize+2 && wholeText(m) && sql.Scan(queryText(m)).Statements == 0 && s.dropUnnamed() {
			return len(m), s.say(emptyIdle)
		}
		return 0, nil
	}
	drop := s.skip && typ != wire.Sync
	switch typ {
	case wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Flush:
		// A client may still send copy data after its COPY has failed; PostgreSQL ignores it, too.
		drop = true
	}
	if drop {
		s.stream = stream{left: left, drop: left > 0}
		return len(m), nil
	}
	if typ == wire.Query {
		return s.queryInPlace(m, left)
	}
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	out := scratch.Data[:0]
	if typ == wire.Sync {
		s.skip = false
		return len(m), s.say(wire.AppendReady(out, s.local))
	}
	return s.batchInPlace(out, typ, m, left)
}

// dropUnnamed forgets the unnamed statement, as a simple query does, while the session is parked. It returns false if
// the server must be told, because it is kept for the statement.
func (s *session) dropUnnamed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lingers {
		return false
	}
	s.unnamed = nil
	return true
}

// forgetUnnamed forgets the unnamed statement, as a simple query does, while the session is free.
func (s *session) forgetUnnamed() {
	s.mu.Lock()
	s.unnamed = nil
	s.mu.Unlock()
}

// become changes the transaction state as the client sees it.
func (s *session) become(state byte) {
	s.mu.Lock()
	s.local = state
	s.mu.Unlock()
}

// queryInPlace answers a simple query.
func (s *session) queryInPlace(m []byte, left int) (int, error) {
	var text []byte
	var res sql.Result
	if left == 0 && wholeText(m) {
		text = queryText(m)
		res, s.peekedPrint = s.srv.texts.Look(text)
		s.peeked, s.hasPeeked = res, true
	} else {
		res = sql.Result{First: sql.Other, Statements: 1}
	}
	if s.local == wire.Idle && s.lost == nil && res.Statements > 0 && !res.TxControl {
		// As command would say, at less cost for what comes most often.
		if res.Statements > 1 || left > 0 || s.route.mode == PoolModeSession {
			return 0, nil
		}
		return s.sessionInPlace(m, res, text)
	}
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	out, ok := s.command(scratch.Data[:0], res, text)
	if !ok {
		return 0, nil
	}
	s.forgetUnnamed()
	s.stream = stream{left: left, drop: left > 0}
	return len(m), s.say(wire.AppendReady(out, s.local))
}

// wholeText is true if the body of m is a text and its NUL, as it should be; a server says what is wrong with others.
func wholeText(m []byte) bool {
	return len(m) > wire.HeaderSize && bytes.IndexByte(m[wire.HeaderSize:], 0) == len(m)-wire.HeaderSize-1
}

func queryText(m []byte) []byte {
	text, _, ok := wire.CString(m[wire.HeaderSize:])
	if !ok {
		return m[wire.HeaderSize:]
	}
	return text
}

// command appends the answer to a statement, without ReadyForQuery, and changes the state as PostgreSQL would. ok is
// false if only a server can answer.
func (s *session) command(out []byte, res sql.Result, text []byte) (_ []byte, ok bool) {
	if s.lost != nil {
		return s.answerLost(out, res), true
	}
	if res.Statements == 0 {
		return wire.AppendEmpty(out, wire.EmptyQueryResponse), true
	}
	switch s.local {
	case wire.Idle:
		switch {
		case res.Deferrable && s.route.defers:
			tag := beginTag(text)
			if tag == "" {
				return out, false
			}
			s.become(wire.InTransaction)
			s.lower(text)
			s.begin, s.bound = s.begin[:0], false
			if !res.PlainBegin {
				s.begin = append(s.begin, text...)
			}
			return wire.AppendText(out, wire.CommandComplete, tag), true
		case res.PlainEnd && s.warns:
			return wire.AppendText(append(out, warnNoTransaction(res.First)...), wire.CommandComplete, endTag(res.First)), true
		case res.TxControl && s.route.mode == PoolModeStatement:
			s.srv.refused(refusedBlocks, s.class)
			return refusedBlocks.append(out, false), true
		}
	case wire.InTransaction:
		switch {
		case res.PlainBegin && s.warns:
			if tag := beginTag(text); tag != "" {
				return wire.AppendText(append(out, warnInTransaction...), wire.CommandComplete, tag), true
			}
		case res.PlainEnd:
			s.become(wire.Idle)
			return wire.AppendText(out, wire.CommandComplete, endTag(res.First)), true
		}
	case wire.Failed:
		switch {
		case res.PlainEnd:
			s.become(wire.Idle)
			return wire.AppendText(out, wire.CommandComplete, "ROLLBACK"), true
		case res.First == sql.Rollback || res.First == sql.Commit:
			// More follows the end of the transaction in the same text: a server must see it.
			s.become(wire.Idle)
			return out, false
		}
		return append(out, abortedError...), true
	}
	return out, false
}

// answerLost is the answer to the first statement after the server was lost between two statements of a transaction:
// an error whatever it is, because nobody looks at the tag of a COMMIT; but a ROLLBACK gets what it asks for.
func (s *session) answerLost(out []byte, res sql.Result) []byte {
	r := s.lost
	s.lost = nil
	s.become(wire.Failed)
	if res.PlainEnd {
		s.become(wire.Idle)
		if res.First == sql.Rollback {
			return wire.AppendText(out, wire.CommandComplete, "ROLLBACK")
		}
	}
	s.srv.refused(r, s.class)
	return r.append(out, false)
}

// batchInPlace answers extended messages: a whole Parse, Bind, Execute, Sync of one command that the guard knows, or,
// in a transaction that has failed, anything.
func (s *session) batchInPlace(out []byte, typ byte, m []byte, left int) (int, error) {
	failed := s.lost != nil || s.local == wire.Failed
	if b, ok := parseBatch(s.in.Data[s.in.R:s.in.W]); ok {
		before := len(out)
		out = b.appendPrelude(out)
		prelude := len(out)
		wasLost, was := s.lost != nil, s.local
		answer, ok := s.command(out, sql.Scan(b.text), b.text)
		if ok {
			s.bound = was == wire.Idle && s.local == wire.InTransaction
			if len(answer) > prelude && answer[prelude] == wire.ErrorResponse || wasLost {
				answer = append(answer[:before], answer[prelude:]...)
			}
			st := s.srv.statements.unnamed(b.parse, s.sees.parsing, s.route.catalog.Age())
			s.mu.Lock()
			s.unnamed = st
			s.mu.Unlock()
			return b.size, s.say(wire.AppendReady(answer, s.local))
		}
		if !failed {
			return 0, nil
		}
	}
	if !failed {
		return 0, nil
	}
	res := sql.Result{Statements: 1}
	if s.lost == nil {
		out = append(out, abortedError...)
	} else {
		if typ == wire.Parse && left == 0 {
			if _, rest, ok := wire.CString(m[wire.HeaderSize:]); ok {
				if text, _, ok := wire.CString(rest); ok {
					res = sql.Scan(text)
				}
			}
		}
		if res.First == sql.Rollback {
			res.PlainEnd = false // its answer has more parts than an error
		}
		out = s.answerLost(out, res)
	}
	s.skip = true
	s.stream = stream{left: left, drop: left > 0}
	return len(m), s.say(out)
}

// batch is one statement without parameters in the extended protocol, from Parse to Sync.
type batch struct {
	text, parse                 []byte // parse is what follows the name
	describesName, describesRun bool
	size                        int
}

// parseBatch recognises a batch at the start of b. Anything that is not exactly that is left to a server.
func parseBatch(b []byte) (out batch, ok bool) {
	want := wire.Parse
	for {
		typ, size, whole, err := wire.Peek(b[out.size:])
		if err != nil || !whole || size > len(b)-out.size {
			return out, false
		}
		m := b[out.size : out.size+size]
		body := m[wire.HeaderSize:]
		switch {
		case typ == wire.Parse && want == wire.Parse:
			name, rest, ok1 := wire.CString(body)
			text, rest, ok2 := wire.CString(rest)
			if !ok1 || !ok2 || len(name) != 0 || !bytes.Equal(rest, []byte{0, 0}) {
				return out, false
			}
			out.text, out.parse, want = text, body[1:], wire.Bind
		case typ == wire.Describe && want == wire.Bind && bytes.Equal(body, []byte{'S', 0}):
			out.describesName = true
		case typ == wire.Bind && want == wire.Bind && plainBind(body):
			want = wire.Execute
		case typ == wire.Describe && want == wire.Execute && bytes.Equal(body, []byte{'P', 0}):
			out.describesRun = true
		case typ == wire.Execute && want == wire.Execute && len(body) == 5 && body[0] == 0:
			want = wire.Sync
		case typ == wire.Sync && want == wire.Sync:
			out.size += size
			return out, true
		default:
			return out, false
		}
		out.size += size
	}
}

// plainBind is true for a Bind of the unnamed portal to the unnamed statement without parameters.
func plainBind(body []byte) bool {
	if len(body) < 8 || body[0] != 0 || body[1] != 0 {
		return false
	}
	formats := int(binary.BigEndian.Uint16(body[2:]))
	rest := body[4:]
	if len(rest) < 2*formats+2 {
		return false
	}
	rest = rest[2*formats:]
	return binary.BigEndian.Uint16(rest) == 0
}

// appendPrelude appends what comes before the command's own answer.
func (b *batch) appendPrelude(out []byte) []byte {
	out = wire.AppendEmpty(out, wire.ParseComplete)
	if b.describesName {
		out = append(out, wire.ParameterDescription, 0, 0, 0, 6, 0, 0)
		out = wire.AppendEmpty(out, wire.NoData)
	}
	out = wire.AppendEmpty(out, wire.BindComplete)
	if b.describesRun {
		out = wire.AppendEmpty(out, wire.NoData)
	}
	return out
}
