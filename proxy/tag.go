package proxy

import (
	"pgguard/proxy/sql"
)

// tagRules returns the rules by which the tags of single statements lower a client's class; nearly always there are none.
func (srv *Server) tagRules(l *listener, h *hello) (rules []*Rule) {
	all := srv.cfg().Rules
	for i := range all {
		if r := &all[i]; r.Tag != "" && r.matches(l, h) {
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
