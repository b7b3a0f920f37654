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

// Advise tells each client of a PostgreSQL whose request has waited for a server for after or longer what is wrong, once for each wait: as a NOTICE, if PostgreSQL would
// tell the client its notices. Who keeps a server is told nothing: that may be in the middle of a message of its own to the client. It looks at each session, and waits for none.
func (srv *Server) Advise(upstream, sentence string, after time.Duration) {
	now := time.Now()
	for _, s := range srv.all() {
		if s.instance().Name() != upstream {
			continue
		}
		s.advise(after, now, func(waited time.Duration) *notice {
			return &notice{sentence, fmt.Sprintf("This statement has waited for %.1f s; class %s.", waited.Seconds(), srv.cfg().Pool.Classes[s.class].Name)}
		})
	}
}

// noServerNow is what PgBouncer tells a client that waits.
var noServerNow = &notice{message: "No server connection available in postgres backend, client being queued"}

// tellWaiting tells each client whose request has waited for a server for Config.NoticeAfter or longer that it waits, once for each wait, as Advise does. Of who keeps one,
// and waits for a run token, it would not be true; in PgBouncer he does not wait.
func (srv *Server) tellWaiting(now time.Time) {
	after := srv.cfg().NoticeAfter
	if after == 0 {
		return
	}
	for _, s := range srv.all() {
		s.advise(after, now, func(time.Duration) *notice { return noServerNow })
	}
}

// advise has the session's goroutine tell its client, if it has waited for after and may be told.
func (s *session) advise(after time.Duration, now time.Time, what func(waited time.Duration) *notice) {
	s.mu.Lock()
	waited := now.Sub(s.offered)
	tells := s.state == queued && !s.advised && waited >= after && s.client.MayWarn()
	if tells {
		s.advised, s.notice = true, what(waited)
	}
	s.mu.Unlock()
	if tells {
		s.conn.Interrupt()
	}
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
