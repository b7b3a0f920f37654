package proxy

import (
	"fmt"
	"time"

	"pgguard/proxy/translate"
)

// slowQuery is a statement that took longer than Config.SlowQuery, as it is logged: by what it is, never by its text.
type slowQuery struct {
	took        time.Duration
	print       uint64 // its fingerprint; 0: not known, it was too long
	pid         uint32 // of its server
	transaction bool   // it is not all of its transaction
	failed      bool
	waited      bool // some of it is the client's doing
	s           *session
}

// noteSlowLocked keeps a statement that has ended for tellSlow, if it was slow. It is called with the link's lock held.
func (l *link) noteSlowLocked(took time.Duration) {
	most := l.s.srv.cfg().SlowQuery
	if most <= 0 || took < most {
		return
	}
	fingerprint, _ := l.s.srv.prints.Of(uint16(l.b.print.Load()))
	l.b.slow.Store(&slowQuery{
		took: took, print: fingerprint, pid: l.b.pid, transaction: l.lease.Status() != 'I', failed: l.ran.failed, waited: l.ran.waited, s: l.s,
	})
}

// tellSlow logs what noteSlowLocked has kept, unless there are too many. No lock is held.
func (b *backend) tellSlow(now time.Time) {
	q := b.slow.Swap(nil)
	if q == nil {
		return
	}
	srv := q.s.srv
	tell, untold := srv.slows.allow(now)
	if !tell {
		return
	}
	info := q.s.info(now)
	about := []any{
		"seconds", q.took.Seconds(), "statement", srv.calledBy(q.print), "fingerprint", fmt.Sprintf("%016x", q.print), "database", info.Database, "user", info.User,
		"application_name", info.ApplicationName, "class", info.Class, "client", remote(q.s.conn.Conn), "pid", q.pid,
		"in_transaction", q.transaction, "failed", q.failed,
	}
	if q.waited {
		about = append(about, "client_did_not_read", true)
	}
	if untold > 0 {
		about = append(about, "untold", untold)
	}
	srv.log.Warn("slow query", about...)
}

// calledBy is what the statement of a fingerprint is called: its command, its first table and its tags.
func (srv *Server) calledBy(fingerprint uint64) string {
	_, name := srv.prints.Of(srv.prints.Index(fingerprint))
	return name.Called
}

// callSlow has a request's statement have a name, in case that it is slow: only when it is over is that known, and its text is gone then.
func (s *session) callSlow(r *request, m *translate.Message) {
	if index := s.srv.prints.Index(r.Print()); index != 0 && !s.srv.prints.Named(index) {
		s.srv.prints.Call(s.textOf(m), s.srv.cfg().ShowQueries)
	}
}
