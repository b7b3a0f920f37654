package proxy

import (
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
