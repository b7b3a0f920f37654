package proxy

import (
	"bytes"
	"encoding/binary"

	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// A transaction that has failed without a server - it was lost, or taken away, or the first statement was refused - is the guard's. It ends it
// itself where that is asked for in plain words, so that a client gets out of it also while there is no database, and refuses what PostgreSQL
// surely refuses. For all else, as ROLLBACK AND CHAIN, a server is brought into a transaction that has failed (translate.Opening), and answers.

// failedInPlace answers a message of the extended protocol, or a function call, where a transaction has failed, or what was lost is to be told. It
// returns 0 if a server must answer.
func (s *session) failedInPlace(m *translate.Message) (int, error) {
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	out, ok := s.exit(m, scratch.Data[:0])
	switch {
	case ok:
		return len(m.Bytes), s.say(out)
	case s.lost != nil:
		out = s.answerLost(out, sql.Result{Statements: 1})
	case s.surelyRefused(m):
		out = append(out, abortedError...)
	default:
		s.bound = sql.Empty
		return 0, nil
	}
	s.failParse(m.Type, m.Bytes)
	s.stream = stream{left: m.Left, drop: m.Left > 0}
	if s.skip = m.Type != wire.FunctionCall; !s.skip { // which no Sync follows
		out = wire.AppendReady(out, s.local)
	}
	return len(m.Bytes), s.say(out)
}

// exit carries out a message that is part of the plain end of a transaction that has failed, or is about the empty query, and appends the
// answer. ok is false if m is neither.
func (s *session) exit(m *translate.Message, out []byte) (_ []byte, ok bool) {
	if s.local != wire.Failed || m.Left > 0 {
		return out, false
	}
	switch body := m.Body(); m.Type {
	case wire.Parse:
		if ok = s.parseExit(body); ok {
			out = wire.AppendEmpty(out, wire.ParseComplete)
		}
	case wire.Bind:
		called, plain := plainBind(body)
		if res, known := s.meaning(called); plain && known && res.PlainEnd {
			s.bound, ok = res.First, true
			out = wire.AppendEmpty(out, wire.BindComplete)
		}
	case wire.Describe:
		switch called, _, whole := wire.CString(body[min(1, len(body)):]); {
		case !whole:
		case body[0] == 'P' && len(called) == 0 && s.bound != sql.Empty:
			out, ok = wire.AppendEmpty(out, wire.NoData), true
		case body[0] == 'S':
			if res, known := s.meaning(called); known && leaves(res) {
				out, ok = wire.AppendEmpty(append(out, noParameters...), wire.NoData), true
			}
		}
	case wire.Execute:
		if ok = len(body) == 5 && body[0] == 0 && s.bound != sql.Empty; ok {
			out = s.executeExit(out)
		}
	}
	return out, ok
}

// leaves is true for a statement that PostgreSQL prepares where a transaction has failed and whose answer the guard knows.
func leaves(res sql.Result) bool { return res.PlainEnd || res.Statements == 0 }

// noParameters describes the parameters of a statement that has none.
var noParameters = []byte{wire.ParameterDescription, 0, 0, 0, 6, 0, 0}

// parseExit prepares a statement that exits, and answers false if that of a Parse with this body does not, or a server must say what becomes
// of it.
func (s *session) parseExit(body []byte) bool {
	called, rest, ok1 := wire.CString(body)
	text, types, ok2 := wire.CString(rest)
	if !ok1 || !ok2 || !bytes.Equal(types, []byte{0, 0}) || !leaves(sql.Scan(text)) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(called) == 0 {
		s.client.ParseUnnamed(rest)
		return true
	}
	return s.client.ParseNamed(called, rest)
}

// executeExit runs what is bound, the end of the transaction.
func (s *session) executeExit(out []byte) []byte {
	end := s.bound
	s.bound = sql.Empty
	if s.lost == nil {
		s.become(wire.Idle)
		return wire.AppendText(out, wire.CommandComplete, "ROLLBACK")
	}
	s.skip = end != sql.Rollback
	return s.answerLost(out, sql.Result{First: end, Statements: 1, PlainEnd: true})
}

// meaning is what the statement that a name means may do, as far as the guard has its text.
func (s *session) meaning(called []byte) (res sql.Result, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.client.Meaning(called)
}

// surelyRefused is true for a message of the extended protocol, or a function call, that PostgreSQL surely refuses where a transaction has failed.
func (s *session) surelyRefused(m *translate.Message) bool {
	body := m.Body()
	switch m.Type {
	case wire.FunctionCall:
		return true
	case wire.Parse:
		_, rest, _ := wire.CString(body)
		text, _, whole := wire.CString(rest)
		if !whole {
			text = rest
		}
		res := sql.Scan(text)
		return aborts(res) && (res.Statements == 1 || !whole)
	case wire.Bind:
		called, plain := plainBind(body)
		res, known := s.meaning(called)
		return known && (aborts(res) || (plain && res.Statements == 0))
	case wire.Describe:
		return len(body) > 2 && body[0] == 'P' // of the transaction, as it was
	case wire.Execute:
		return len(body) > 0 && body[0] != 0
	}
	return false
}

// aborts is true for a text that PostgreSQL surely refuses where a transaction has failed, unless it cannot be read: its first statement ends none, and
// goes back to no savepoint.
func aborts(res sql.Result) bool {
	switch res.First {
	case sql.Empty, sql.Other, sql.Commit, sql.Rollback, sql.Savepoint:
		return false
	case sql.Prepare:
		return !res.TxControl // PREPARE TRANSACTION
	}
	return true
}

// plainBind returns the statement that is bound to the unnamed portal without parameters; ok is false for any other Bind.
func plainBind(body []byte) (called []byte, ok bool) {
	portal, rest, ok1 := wire.CString(body)
	called, rest, ok2 := wire.CString(rest)
	if !ok1 || !ok2 || len(portal) > 0 || len(rest) < 2 {
		return called, false
	}
	formats := int(binary.BigEndian.Uint16(rest))
	if rest = rest[2:]; formats > 1 || len(rest) < 2*formats+2 {
		return called, false
	}
	return called, binary.BigEndian.Uint16(rest[2*formats:]) == 0
}
