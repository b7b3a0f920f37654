package proxy

import (
	"pgguard/proxy/instance"
	"strings"
	"sync/atomic"
)

// login is what is remembered for a key: what a client is told when it logs in.
type login struct {
	params  atomic.Pointer[instance.Params]
	options []setting // sent in the start-up packet
	lessons lessons
}

// first is what a setting is in a new session, as far as its own start-up packet says, else usual.
func (l *login) first(name, usual string) string {
	for _, o := range l.options {
		if strings.EqualFold(o.name, name) {
			return o.value
		}
	}
	return usual
}

// newsLocked returns what the client must be told ahead of anything its server says: in what that server differs from
// what the client was told before. Nearly always that is nothing.
func (s *session) newsLocked(b *backend) []byte {
	p := b.params.Load()
	if p == s.params {
		return nil
	}
	news := p.AppendDiff(nil, s.params)
	s.params = p
	return news
}
