package proxy

import (
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// sessionInPlace answers, for a session without a server, a statement that only changes the session itself, if it is
// known what it does: SET and RESET that a server has carried out before, DISCARD ALL, and DEALLOCATE of a statement
// that is the guard's. It returns 0 if a server must.
func (s *session) sessionInPlace(m *translate.Message, res sql.Result, text []byte) (int, error) {
	var out []byte
	switch res.First {
	case sql.Set, sql.Reset:
		out = s.setInPlace(text)
	case sql.Discard:
		out = s.discardInPlace(text)
	case sql.Deallocate:
		out = s.deallocateInPlace(text)
	}
	if out == nil {
		return 0, nil
	}
	s.forgetUnnamed()
	return len(m.Bytes), s.say(wire.AppendReady(out, s.local))
}

// setInPlace carries out a SET or RESET that has been seen before.
func (s *session) setInPlace(text []byte) []byte {
	if len(text) > maxLesson {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client.Renamed() {
		return nil
	}
	is := s.client.Settings()
	o, ok := s.route.key.Value.(*login).lessons.recall(lesson{is.Bare(), string(text)}, s.route.inst.Era())
	if !ok {
		return nil
	}
	out := o.params.AppendDiff(wire.AppendText(nil, wire.CommandComplete, o.tag), s.params)
	s.params = o.params
	s.client.Set(o.to.As(is))
	return out
}

// discardInPlace carries out DISCARD ALL.
func (s *session) discardInPlace(text []byte) []byte {
	if !sql.DiscardsAll(text) {
		return nil
	}
	p := s.route.key.Value.(*login).known()
	if p == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out := wire.AppendText(nil, wire.CommandComplete, "DISCARD ALL")
	s.client.DiscardAll()
	if name, news := s.client.ToldName(); news {
		out = wire.AppendText(out, wire.ParameterStatus, "application_name", name)
	}
	out = p.AppendDiff(out, s.params)
	s.params = p
	return out
}

// deallocateInPlace carries out DEALLOCATE of a statement that the client has prepared by the protocol, or of all.
func (s *session) deallocateInPlace(text []byte) []byte {
	_, name, all, ok := sql.Target(text)
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case all:
		s.client.DeallocateAll()
		return wire.AppendText(nil, wire.CommandComplete, "DEALLOCATE ALL")
	case s.client.Deallocate(name):
		return wire.AppendText(nil, wire.CommandComplete, "DEALLOCATE")
	}
	return nil
}

// PostgreSQL does not refuse a Close, not even in a transaction that has failed, and there are drivers that do not expect it to: pgx
// takes what follows the error for the answer to its next statement. So a Close waits for nothing.

// leadingCloses is how many Close messages are at the start of b, how many bytes they have, and the type of what follows them; 0: nothing
// does yet.
func leadingCloses(b []byte) (count, size int, next byte) {
	for {
		typ, n, whole, err := wire.Peek(b[size:])
		switch {
		case err != nil || !whole || n > len(b)-size:
			return count, size, 0
		case typ != wire.Close || !closesSomething(b[size+wire.HeaderSize:size+n]):
			return count, size, typ
		}
		count++
		size += n
	}
}

// closesSomething is true for the body of a Close that PostgreSQL understands.
func closesSomething(body []byte) bool {
	if len(body) == 0 || (body[0] != 'S' && body[0] != 'P') {
		return false
	}
	_, rest, ok := wire.CString(body[1:])
	return ok && len(rest) == 0
}

// closesInPlace answers, for a session without a server, Close messages after which nothing comes that a server must answer, and the Sync
// after them. It returns 0 if more comes that can be sent on with them.
func (s *session) closesInPlace() (int, error) {
	b := s.in.Bytes()
	count, size, next := leadingCloses(b)
	alone := next == 0 || next == wire.Sync || next == wire.Flush
	if failed := s.lost != nil || s.local == wire.Failed; count == 0 || (!alone && !failed && count < translate.MaxSteps) {
		return 0, nil
	}
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	out := s.carryOut(b[:size], scratch.Data[:0])
	if next == wire.Sync && s.lost == nil {
		out = wire.AppendReady(out, s.local)
		_, n, _, _ := wire.Peek(b[size:])
		size += n
	}
	return size, s.say(out)
}

// carryOut forgets, for a session without a server, what the Close messages name, and appends the answers. It has no portal but the unnamed one.
func (s *session) carryOut(messages, out []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(messages) > 0 {
		_, n, _, _ := wire.Peek(messages)
		if body := messages[wire.HeaderSize:n]; body[0] == 'S' {
			name, _, _ := wire.CString(body[1:])
			s.client.Close(name)
		} else if body[1] == 0 {
			s.bound = sql.Empty
		}
		out = wire.AppendEmpty(out, wire.CloseComplete)
		messages = messages[n:]
	}
	return out
}
