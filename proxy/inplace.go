package proxy

import (
	"bytes"

	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// inPlace answers m, the message at the start of s.in, in the server's place if it can, and returns how many bytes it dealt
// with: 0 if the message must be sent on. The session is free, or parked.
func (s *session) inPlace(m *translate.Message, at state) (n int, err error) {
	drop := s.skip && m.Type != wire.Sync
	switch m.Type {
	case wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Flush:
		// A client may still send copy data after its COPY has failed; PostgreSQL ignores it, too.
		drop = true
	}
	if at == free && s.local == wire.Idle {
		s.opening.Text = s.opening.Text[:0]
	}
	switch {
	case drop:
		s.stream = stream{left: m.Left, drop: m.Left > 0}
		return len(m.Bytes), nil
	case m.Type == wire.Sync:
		s.skip = false
		var told []byte
		if s.lost != nil { // the batch that it ends has gone with its server
			told = s.answerLost(nil, sql.Result{Statements: 1})
		}
		return len(m.Bytes), s.ready(told)
	case at == parked:
		if m.Type == wire.Query && m.Proper() && m.Scan.Statements == 0 && len(m.Bytes) <= wire.HeaderSize+2 && s.dropUnnamed() {
			return len(m.Bytes), s.say(emptyIdle)
		}
		return 0, nil
	case m.Type == wire.Query:
		return s.queryInPlace(m)
	case m.Type == wire.Close:
		if n, err := s.closesInPlace(); n > 0 || err != nil {
			return n, err
		}
	}
	return s.batchInPlace(m)
}

// ready says answer, which may be empty, and ReadyForQuery.
func (s *session) ready(answer []byte) error {
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	return s.say(wire.AppendReady(append(scratch.Data[:0], answer...), s.local))
}

// dropUnnamed forgets the unnamed statement, as a simple query does, while the session is parked. It returns false if
// the server must be told.
func (s *session) dropUnnamed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || s.link.lease.Untouched() || s.link.lease.Lingers() {
		return false
	}
	s.client.ForgetUnnamed()
	return true
}

// failParse notes that a message was answered with an error. A Parse of the unnamed statement leaves none behind then: what is bound next
// is not the one before it.
func (s *session) failParse(typ byte, m []byte) {
	if typ != wire.Parse || len(m) <= wire.HeaderSize || m[wire.HeaderSize] != 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client.ForgetUnnamed()
	if s.link != nil {
		s.link.lease.SkipUnnamed()
	}
}

// forgetUnnamed forgets the unnamed statement, as a simple query does, while the session is free.
func (s *session) forgetUnnamed() {
	s.mu.Lock()
	s.client.ForgetUnnamed()
	s.mu.Unlock()
}

// become changes the transaction state as the client sees it.
func (s *session) become(state byte) {
	s.mu.Lock()
	s.local = state
	s.mu.Unlock()
}

// begin opens a transaction that no server knows of yet; false: the client has just been told to go.
func (s *session) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.close != nil {
		return false
	}
	s.local = wire.InTransaction
	s.begun++
	return true
}

// queryInPlace answers a simple query.
func (s *session) queryInPlace(m *translate.Message) (int, error) {
	res, text := m.Scan, []byte(nil)
	s.bound = sql.Empty
	switch {
	case m.Proper():
		text = m.Text()
	case m.Left > 0 && s.local == wire.Failed:
		head := sql.Scan(m.Text())
		res = sql.Result{First: head.First, Statements: 1, TxControl: head.TxControl}
	default:
		res = sql.Result{First: sql.Other, Statements: 1}
	}
	if s.local == wire.Idle && s.lost == nil && res.Statements > 0 && !res.TxControl {
		// As command would say, at less cost for what comes most often.
		if res.Statements > 1 || m.Left > 0 || s.route.mode == PoolModeSession {
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
	s.stream = stream{left: m.Left, drop: m.Left > 0}
	return len(m.Bytes), s.say(wire.AppendReady(out, s.local))
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
			if !s.begin() {
				return out, false
			}
			s.lower(text)
			s.opening = translate.Opening{Text: s.opening.Text[:0]}
			if !res.PlainBegin {
				s.opening.Text = append(s.opening.Text, text...)
			}
			return wire.AppendText(out, wire.CommandComplete, tag), true
		case res.PlainEnd && s.client.MayWarn():
			return wire.AppendText(append(out, warnNoTransaction(res.First)...), wire.CommandComplete, endTag(res.First)), true
		case res.TxControl && s.route.mode == PoolModeStatement:
			s.srv.countRefusal(refusedBlocks, s.class)
			return refusedBlocks.append(out, false), true
		case res.First == sql.Begin && res.Statements == 1:
			s.opening = translate.Opening{Text: append(s.opening.Text[:0], text...)} // a server has it
		}
	case wire.InTransaction:
		switch {
		case res.PlainBegin && s.client.MayWarn():
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
		case aborts(res):
			return append(out, abortedError...), true
		}
	}
	return out, false
}

// answerLost is the answer to the first statement after the server was lost between two statements of a transaction:
// an error whatever it is, because nobody looks at the tag of a COMMIT; but a ROLLBACK gets what it asks for.
func (s *session) answerLost(out []byte, res sql.Result) []byte {
	r := s.lost
	s.lost = nil
	if s.local != wire.Failed { // what was lost was not a transaction of the client's
		s.srv.countRefusal(r, s.class)
		return r.append(out, false)
	}
	if res.PlainEnd {
		s.become(wire.Idle)
		if res.First == sql.Rollback {
			return wire.AppendText(out, wire.CommandComplete, "ROLLBACK")
		}
	}
	s.srv.countRefusal(r, s.class)
	return r.append(out, false)
}

// batchInPlace answers a whole Parse, Bind, Execute, Sync of one command that the guard knows, or, where a transaction has failed, what it can.
func (s *session) batchInPlace(m *translate.Message) (int, error) {
	if s.lost != nil || s.local == wire.Failed {
		return s.failedInPlace(m)
	}
	b, ok := parseBatch(s.in.Data[s.in.R:s.in.W])
	if !ok {
		return 0, nil
	}
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	out := b.appendPrelude(scratch.Data[:0])
	prelude, was := len(out), s.local
	answer, ok := s.command(out, sql.Scan(b.text), b.text)
	if !ok {
		return 0, nil
	}
	s.opening.Bound = was == wire.Idle && s.local == wire.InTransaction
	if answer[prelude] == wire.ErrorResponse {
		answer = answer[prelude:]
	}
	s.mu.Lock()
	s.client.ParseUnnamed(b.parse)
	s.mu.Unlock()
	return b.size, s.say(wire.AppendReady(answer, s.local))
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
		case typ == wire.Bind && want == wire.Bind:
			if called, plain := plainBind(body); !plain || len(called) > 0 {
				return out, false
			}
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

// appendPrelude appends what comes before the command's own answer.
func (b *batch) appendPrelude(out []byte) []byte {
	out = wire.AppendEmpty(out, wire.ParseComplete)
	if b.describesName {
		out = wire.AppendEmpty(append(out, noParameters...), wire.NoData)
	}
	out = wire.AppendEmpty(out, wire.BindComplete)
	if b.describesRun {
		out = wire.AppendEmpty(out, wire.NoData)
	}
	return out
}
