package proxy

import (
	"time"

	"pgguard/breaker"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// receive takes one message of the server, or the start of a long one, and carries out what follows from it. It is called with the
// link's locks held.
func (b *backend) receive(l *link, m []byte, whole bool) translate.Fate {
	s := l.s
	var was translate.Settings
	if s != nil && m[0] == wire.ReadyForQuery {
		was = s.client.Settings()
	}
	fate := l.lease.Receive(m, whole)
	b.fatal = l.lease.Fatal()
	switch m[0] {
	case wire.ParameterStatus:
		b.flooded = b.note(m[wire.HeaderSize:]) != nil
		if s != nil && fate == translate.Pass {
			s.params = b.params.Load()
		}
	case wire.ErrorResponse, wire.NoticeResponse:
		if l.lease.Noticed() {
			l.lesson = lesson{}
		}
		if code := l.lease.Code(); code != "" {
			l.ran.failed = true
			if code == codeReadOnly {
				b.inst.TurnedAway()
			}
			l.ran.raised = l.ran.raised || breaker.Classify(code) == breaker.Broken
		}
	case wire.ReadyForQuery:
		b.afterReady(l, was)
	}
	if l.lease.Prepared() && s != nil {
		b.news = append(b.news, s.newsLocked(b)...)
		if s.state == preparing && s.close == nil { // else it has been told to go, and what has not been sent is never sent
			b.todo, b.todoIn = l.firstLocked(nil, nil, time.Now())
		}
	}
	if out := l.lease.Out(); out != nil {
		b.todo = append(b.todo, out...)
	}
	if say := l.lease.Say(); say != nil {
		b.extra = say
	}
	return fate
}

// afterReady carries out what follows from a ReadyForQuery; was is what the client had set before.
func (b *backend) afterReady(l *link, was translate.Settings) {
	s := l.s
	if s == nil {
		return
	}
	if l.lease.Unanswered() {
		s.srv.log.Warn("residue query failed; client keeps its server", "upstream", b.inst.Name(), "pid", b.pid)
	}
	if l.lesson.text != "" && l.lease.Quiet() {
		l.taughtLocked(was)
	}
	if reasons, told := l.lease.Excess(); reasons != 0 && told {
		refusal := *refusedPins
		refusal.Detail = "reason=" + reasons.String()
		s.srv.countRefusal(&refusal, s.class)
		if b.extra = nil; l.ran.failed { // one error for a statement is enough
			b.extra = refusal.appendWarning(nil)
		} else {
			b.extra = refusal.append(nil, false)
		}
		b.extra = wire.AppendReady(b.extra, l.lease.Status())
	}
	if l.lease.Again() {
		b.todo, b.todoIn = l.againLocked()
	}
}
