package proxy

import (
	"fmt"
	"time"

	"github.com/jackc/pgproto3/v2"
)

// notice is what a client is told while its request waits.
type notice struct{ message, detail string }

// append appends it as PostgreSQL would say it.
func (n *notice) append(dst []byte) []byte {
	return encode(dst, &pgproto3.NoticeResponse{Severity: "NOTICE", SeverityUnlocalized: "NOTICE", Code: "00000", Message: n.message, Detail: n.detail})
}

// Advise tells each client of a PostgreSQL whose request has waited for after or longer what is wrong, once for each wait: as a NOTICE, if PostgreSQL would tell the
// client its notices. It looks at each session, and waits for none.
func (srv *Server) Advise(upstream, sentence string, after time.Duration) {
	now := time.Now()
	for _, s := range srv.all() {
		if s.instance().Name() == upstream && s.advise(sentence, after, now) {
			s.conn.Interrupt()
		}
	}
}

// advise has the session's goroutine tell its client, and reports whether it is to be woken for that.
func (s *session) advise(sentence string, after time.Duration, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	waited := now.Sub(s.offered)
	if s.state != queued || s.advised || waited < after || !s.client.MayWarn() {
		return false
	}
	s.advised = true
	s.notice = &notice{sentence, fmt.Sprintf("This statement has waited for %.1f s; class %s.", waited.Seconds(), s.srv.cfg().Pool.Classes[s.class].Name)}
	return true
}

// tellNotice tells the client n. It does not if the client's request waits no more, or if the client is in the middle of a message or sends on meanwhile: then it may
// not read. It is called by the session's goroutine.
func (s *session) tellNotice(n *notice) error {
	s.wmu.Lock() // whoever is granted a server for the client writes its answer behind this
	defer s.wmu.Unlock()
	s.mu.Lock()
	waits := s.state == queued && s.link == nil && s.close == nil && s.denied == nil
	if waits && (s.in != nil || s.stream.left > 0) {
		waits, s.advised = false, false
	}
	s.mu.Unlock()
	if !waits {
		return nil
	}
	return s.sayLocked(n.append(nil))
}
