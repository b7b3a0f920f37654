package proxy

import (
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// tagRules returns the rules by which the tags of single statements lower a client's class; nearly always there are none.
func (srv *Server) tagRules(l *listener, h *hello) (rules []*Rule) {
	for i := range srv.cfg.Rules {
		if r := &srv.cfg.Rules[i]; r.Tag != "" && r.matches(l, h) {
			rules = append(rules, r)
		}
	}
	return rules
}

// classOf returns the class of a transaction that begins with text: that of the first rule whose tag is in it, but never
// one above the client's own, because a comment may hold what a user typed.
func (s *session) classOf(text []byte) int {
	for _, r := range s.rules {
		if value, ok := sql.Tag(text, r.Tag); ok && (r.TagValue == nil || r.TagValue.Match(value)) {
			return max(s.srv.classes[r.Class], s.own)
		}
	}
	return s.own
}

// lower gives the session the class of the transaction that begins with text.
func (s *session) lower(text []byte) {
	if len(s.rules) == 0 {
		return
	}
	class := s.classOf(text)
	s.mu.Lock()
	s.class, s.waiter.Class = class, class
	s.mu.Unlock()
}

// firstText is the text of the statement that the next message is about, or nil.
func (s *session) firstText() []byte {
	typ, m, _, err := s.message(s.in.R)
	if m == nil || err != nil {
		return nil
	}
	switch body := m[wire.HeaderSize:]; typ {
	case wire.Query:
		return queryText(m)
	case wire.Parse:
		_, body, _ = wire.CString(body)
		text, _, _ := wire.CString(body)
		return text
	case wire.Bind:
		_, body, _ = wire.CString(body)
		name, _, _ := wire.CString(body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if st := s.names[string(clip(name))]; st != nil {
			return st.text()
		}
	}
	return nil
}
