package proxy

import (
	"bytes"
	"errors"
	"slices"
	"unicode/utf8"

	"pgguard/breaker"
	"pgguard/proxy/sock"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// errSettings ends a server that did not take the client's settings.
var errSettings = errors.New("server did not take the client's settings")

// passing is what becomes of one message of the server.
type passing uint8

const (
	passOn   passing = iota // it is for the client
	keepBack                // it is not
	takeBack                // neither is what was kept before it
)

func passIf(forClient bool) passing {
	if forClient {
		return passOn
	}
	return keepBack
}

// watched are the messages that change what the guard knows.
var watched = [256]bool{
	wire.ReadyForQuery: true, wire.ErrorResponse: true, wire.ParameterStatus: true, wire.CopyInResponse: true,
	wire.ParseComplete: true, wire.CloseComplete: true, wire.BindComplete: true, wire.RowDescription: true,
	wire.NoData: true, wire.CommandComplete: true, wire.EmptyQueryResponse: true, wire.PortalSuspended: true,
	wire.NoticeResponse: true,
}

// understand notes one whole message and answers whether it is for the client. It is called with s.mu held.
func (b *backend) understand(s *session, m []byte, hidden bool) passing {
	body := m[wire.HeaderSize:]
	switch m[0] {
	case wire.ReadyForQuery:
		if len(body) == 1 {
			return b.ready(s, body[0])
		}
	case wire.ErrorResponse:
		return b.failed(s, body)
	case wire.NotificationResponse:
		return passOn
	case wire.ParameterStatus:
		b.note(body)
		if s.syncs > 0 {
			return keepBack // the client is told the difference when all its settings are in place
		}
		s.params = b.params.Load()
		return passOn
	case wire.NoticeResponse:
		if b.aside(s, body) {
			return keepBack
		}
	case wire.CopyInResponse:
		s.ex.copyStarted()
	case wire.DataRow:
		if s.question != nil && s.ex.front() == markAsk {
			s.question.row(body)
		}
	case wire.CommandComplete:
		b.completed(s, body)
		s.ex.answered(m[0])
	case wire.CloseComplete:
		if s.ex.front() == markKnown {
			m[0] = wire.ParseComplete
		}
		b.confirmed(s, wire.CloseComplete)
	case wire.ParseComplete:
		b.confirmed(s, wire.ParseComplete)
	default:
		s.ex.answered(m[0])
	}
	return passIf(!hidden)
}

// understandLong notes a message of which only the start is there, because it is longer than a buffer, and answers whether it is
// for the client. It is called with s.mu held.
func (b *backend) understandLong(s *session, start []byte, hidden bool) passing {
	switch start[0] {
	case wire.ErrorResponse:
		return b.failed(s, wire.ErrorStart(start[wire.HeaderSize:]))
	case wire.NoticeResponse:
		if b.aside(s, start[wire.HeaderSize:]) {
			return keepBack
		}
	case wire.DataRow: // of a residue query
		if s.question != nil {
			s.question.failed = true
		}
	default:
		s.ex.answered(start[0])
	}
	return passIf(!hidden)
}

// aside is true for a notice that is not for the client. It is called with s.mu held.
func (b *backend) aside(s *session, body []byte) bool {
	s.lesson = lesson{}
	if s.ex.front() == markOurParse {
		return true // the client has had it when it prepared the statement
	}
	// A server that ends because another has crashed says so as a warning. Behind an answer it is about the server.
	f, err := wire.ParseError(wire.ErrorStart(body))
	return err == nil && string(f.Code) == codeCrashShutdown && s.ex.quiet()
}

// confirmed notes that the server has done what changes the statements that there are.
func (b *backend) confirmed(s *session, typ byte) {
	o := s.ex.answered(typ)
	if o.unnamed {
		s.unnamed = o.is
	}
	if o.drops {
		s.dropping = former{o.was, o.name}
	}
	// What was sent before it may have failed, and have undone it; what was sent after it counts more.
	if o.st != nil && !s.ex.concerns(o.st) {
		b.prepared.add(o.st)
	}
	if o.closes != nil && !s.ex.concerns(o.closes) {
		b.prepared.remove(o.closes)
	}
}

// completed notes the tags after which a session has forgotten things.
func (b *backend) completed(s *session, body []byte) {
	if len(body) < len("DISCARD ALL") || body[0] != 'D' {
		return
	}
	switch string(body[:len(body)-1]) {
	case "DISCARD ALL":
		s.forgotten |= pinSequence | pinFunction
		s.discarded = true
	case "DISCARD SEQUENCES":
		s.forgotten |= pinSequence
		return
	case "DEALLOCATE ALL":
	default:
		return
	}
	s.dropNames()
	b.prepared.clear()
	b.unnamed = nil
}

// ready deals with ReadyForQuery.
func (b *backend) ready(s *session, status byte) passing {
	mark := s.ex.ready(status)
	s.dropping = former{}
	if s.stops && !s.ex.preparing() {
		s.stops = false
		if s.ex.outstanding() {
			b.beginCancel()
			s.srv.work.Go(func() { // ends when the server has been told
				_ = b.deliverCancel()
				b.endCancel()
			})
		}
	}
	if s.ex.quiet() {
		s.former = nil
		if status == wire.Idle {
			s.armed, s.unsure = false, false
		}
	}
	if status == wire.Idle && s.ddl {
		s.route.catalog.Committed(s.shape)
		s.ddl, s.shape = false, false
	}
	switch mark {
	case markSettings:
		b.synced(s)
		return keepBack
	case markAsk:
		return b.answered(s)
	case markDiscard:
		s.endExcess(b)
		return keepBack
	}
	visible := mark != markHidden && mark != markForget && mark != markBegin && mark != 0
	if s.healing {
		s.healing = false
		b.todo, b.todoIn = s.retryLocked(b)
		s.cond.Broadcast()
		return keepBack
	}
	if ask := s.askOnceQuietLocked(); ask != nil {
		s.held = visible
		b.todo = ask
		return keepBack
	}
	return passIf(visible)
}

// synced notes that a query that gives the server the client's settings has been answered.
func (b *backend) synced(s *session) {
	s.syncs--
	if s.syncs > 0 || s.failed != nil {
		return
	}
	b.news = append(b.news, s.newsLocked(b)...)
	if !s.staged {
		return
	}
	s.staged = false
	if s.gone {
		s.waiting = false
		s.cond.Broadcast()
		return
	}
	s.ex.partial = s.request.left > 0
	b.todo, b.todoIn = s.firstLocked(b, nil, nil)
}

// answered ends a residue query.
func (b *backend) answered(s *session) passing {
	was := s.settings
	if more := s.answeredLocked(b); more != nil {
		b.todo = more
		return keepBack
	}
	s.taughtLocked(b, was)
	if s.excess && s.pins != 0 && s.ex.quiet() {
		s.discarded = false
		s.ex.add(markDiscard)
		b.todo = discardAll
		return keepBack
	}
	visible := s.held
	s.held = false
	return passIf(visible)
}

// endExcess tells a client that what its transaction left in its server has been discarded, because too many clients
// keep one of their own.
func (s *session) endExcess(b *backend) {
	if !s.discarded {
		s.ex.doubt = true // what it left is still there
		return
	}
	refusal := *refusedPins
	refusal.Detail = "reason=" + s.pins.String()
	s.unpinLocked()
	b.settings = plain
	s.becomeSettings(plain)
	if s.held {
		s.srv.refused(&refusal, s.class)
		b.extra = wire.AppendReady(refusal.append(nil, false), s.ex.status)
	}
	s.held = false
}

// failed deals with ErrorResponse.
func (b *backend) failed(s *session, body []byte) passing {
	f, err := wire.ParseError(body)
	if err == nil && f.Fatal() {
		b.fatal = append([]byte(nil), body...)
		return keepBack
	}
	switch s.ex.front() {
	case markSettings, markBegin:
		e := upstream.ParseError(body)
		s.failed = &Refusal{Reason: ReasonLost, Message: e.Message, raw: e.Demoted()}
		return keepBack
	case markAsk:
		s.question.failed = true
		return keepBack
	case markForget:
		s.owns = false // the transaction had failed before it
		return keepBack
	case markHidden, markDiscard:
		return keepBack
	}
	s.lesson = lesson{}
	s.ran.failed = true
	if breaker.Classify(string(f.Code)) == breaker.Broken {
		s.ran.broken = true
	}
	if s.dropping.st != nil && s.ex.front() == markQuery {
		b.todo = s.dropFailed()
	}
	ops, itself := s.ex.failed()
	if string(f.Code) == "22021" && s.ex.front() == markQuery && s.ex.lastQuery() {
		s.unnamed, b.unnamed = s.queried, nil // the server could not read the query, and has forgotten nothing
	}
	var said *string
	if itself && ops[0].told {
		name := ops[0].said
		said = &name
	}
	if itself && ops[0].rescue && s.ex.skipping {
		// The server would wait for a Sync, the client for the end of its simple query.
		s.ex.sync()
		b.todo = wire.AppendEmpty(nil, wire.Sync)
	}
	unread := itself && string(f.Code) == "22021" && ops[0].is != nil && !utf8.ValidString(ops[0].is.body)
	s.undoLocked(b, ops, itself && !unread)
	s.cond.Broadcast()
	if err != nil {
		return passOn
	}
	return b.reworded(s, body, f, said)
}

// reworded deals with an error that is about the guard's own doing: the request is run again, or the error told in the
// client's words.
func (b *backend) reworded(s *session, body []byte, f wire.ErrorFields, said *string) passing {
	code := string(f.Code)
	stale := code == "0A000" && bytes.Contains(body, []byte("RRevalidateCachedQuery\x00"))
	lost := code == "26000" && bytes.Contains(f.Message, []byte(statementPrefix))
	if stale || lost {
		s.route.catalog.Renew() // who prepares the text again gets another statement
		if s.retry.request != nil && !s.retry.opens && !s.ex.skipping && s.ex.readies == 1 {
			s.healing = true
			return takeBack
		}
	}
	if bytes.Contains(f.Message, []byte(staleName)) {
		b.extra = changedResult
		return keepBack
	}
	if bytes.Contains(f.Message, []byte(statementPrefix)) {
		b.extra = wire.AppendMessage(nil, wire.ErrorResponse, s.clientNames(body, said))
		return keepBack
	}
	return passOn
}

// clientNames replaces the guard's name of a statement in an error by the client's: said, if it is known.
func (s *session) clientNames(body []byte, said *string) []byte {
	at := bytes.Index(body, []byte(statementPrefix))
	end := at + bytes.IndexByte(body[at:], '"')
	if end < at {
		return body
	}
	clients := ""
	switch guards := string(body[at:end]); {
	case said != nil:
		clients = *said
	case s.unnamed == nil || s.unnamed.name != guards:
		for _, f := range s.former {
			if f.st.name == guards {
				clients = f.name
			}
		}
		for name, st := range s.names {
			if st.name == guards {
				clients = name
			}
		}
	}
	return append(append(append([]byte(nil), body[:at]...), clients...), body[end:]...)
}

// retry is a request that is kept until the server's first answer, to run it again if nothing has happened yet: because the
// server's plan has become stale, or, if it opens a transaction, because the server was going when it was sent. request
// is nil if there is none.
type retry struct {
	request *request
	pending *sock.Buffer
	at      int  // where the client's bytes begin in pending
	opens   bool // BEGIN goes ahead of it

	// as they were before it was compiled
	unnamed *statement
	renamed []former
}

// mayRetry is true for a request outside a transaction that is all of one exchange and runs a prepared statement, and
// whose client is told what columns there are.
func mayRetry(r *request) bool {
	if !r.describes {
		return false
	}
	binds := false
	for i, st := range r.steps[:r.n] {
		switch st.typ {
		case wire.Bind, wire.Describe:
			binds = true
		case wire.Sync:
			return binds && i == r.n-1
		case wire.Parse, wire.Execute, wire.Close:
		default:
			return false
		}
	}
	return false
}

// retryLocked compiles the request that is kept once more.
func (s *session) retryLocked(b *backend) ([]byte, *sock.Buffer) {
	k := s.retry
	s.retry = retry{}
	for _, f := range slices.Backward(k.renamed) {
		s.setName(f.name, f.st)
	}
	s.unnamed, b.unnamed = k.unnamed, nil
	s.ran = ran{}
	s.renews = true
	out := s.compile(k.request, b, k.pending.Bytes(), nil)
	s.renews = false
	putRequest(k.request)
	return out, k.pending
}

// dropRetry forgets the request that is kept.
func (s *session) dropRetry() { s.retry.drop() }

func (k *retry) drop() {
	if k.request != nil {
		putRequest(k.request)
		sock.Return(k.pending)
		*k = retry{}
	}
}
