package proxy

import (
	"errors"
	"pgguard/pool"
	"time"

	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// send passes on the request in s.in[s.in.R:end): at once if the session has a server with a run token, else when the pool grants
// one. It returns without waiting for that. before is the state in which the request was read.
func (s *session) send(r *request, end int, before state) error {
	s.mu.Lock()
	if cause := s.close; cause != nil {
		s.mu.Unlock()
		putRequest(r)
		return cause
	}
	if s.state == free && before != free || s.state.hasRequest() {
		// The server has been lost, or the transaction ended for others, meanwhile: what is in r may mean another thing now, or what was sent before waits
		// for another server and goes first.
		s.mu.Unlock()
		putRequest(r)
		return nil
	}
	if s.srv.Suspended() && s.restsLocked() { // since it was last looked
		s.mu.Unlock()
		putRequest(r)
		return nil
	}
	s.did.received.Add(uint64(end - s.in.R))
	s.stream.left, s.stream.typ = r.Left()
	s.stream.scanner = r.Scanner()
	if s.state == running || s.state == idling {
		return s.sendNow(r, end)
	}
	if r.Mute() { // copy data after its COPY has failed, or a Flush: the server would not answer
		s.mu.Unlock()
		s.stream.drop = s.stream.left > 0
		s.in.R = end
		putRequest(r)
		return nil
	}
	return s.offer(r, end)
}

// offer has the request wait in the pool. It is called with mu held and unlocks it.
func (s *session) offer(r *request, end int) error {
	in := s.route.inst
	keeps := s.state == parked
	s.waiter.Urgent = r.Urgent() || (keeps && r.Closes())
	s.waiter.Print = s.srv.prints.Index(r.Print())
	s.waiter.Patience = s.client.Patience()
	s.waiter.Trait = pool.Trait(s.client.Trait())
	s.holdLocked(r, end)
	s.asked, s.advised, s.notice = true, false, nil
	now := time.Now()
	s.offered = now
	if keeps {
		granted := s.link.granted
		s.moveLocked(awaiting)
		s.mu.Unlock()
		in.Pool.Again(&s.waiter, granted, now)
		return nil
	}
	s.moveLocked(queued)
	s.mu.Unlock()
	if s.route.strayed() {
		s.Refused(errElsewhere)
		return nil
	}
	if cfg := s.srv.cfg(); cfg != s.route.cfg {
		s.rekey(cfg)
	}
	if !r.Urgent() && !in.Passes() {
		if err := in.Refusing(); err != nil {
			s.Refused(err)
			return nil
		}
		s.srv.count.wouldBreak[s.class].Add(1)
	}
	in.Pool.Get(&s.waiter, now)
	return nil
}

// holdLocked makes r, whose messages end in s.in at end, the request that waits. It is called with mu held.
func (s *session) holdLocked(r *request, end int) {
	s.request = r
	r.buf, r.at = s.in, s.in.R
	rest := s.in.Split(end)
	if s.in = rest; rest == nil {
		s.in, s.after = s.after, nil
	}
}

// sendNow writes to the server the session has. It is called with mu held and unlocks it.
func (s *session) sendNow(r *request, end int) error {
	l := s.link
	b := l.b
	b.moves++
	l.dropKept() // it could not be sent again in its place
	prefix, await := l.lease.Prefix(&r.Request, s.in.Data[s.in.R:end], false, nil)
	if await {
		return s.sendLater(r, end, prefix)
	}
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	defer putRequest(r)
	now := time.Now()
	out := l.lease.Send(&r.Request, s.in.Data[s.in.R:end], scratch.Data[:0], now)
	l.ran.add(r)
	l.lesson = lesson{}
	s.in.R = end
	if l.lease.Quiet() || l.lease.Skipping() {
		s.stream.drop = s.stream.left > 0
	}
	if len(prefix)+len(out) == 0 || l.lease.Quiet() {
		s.mu.Unlock()
		return nil
	}
	print := s.srv.prints.Index(r.Print())
	b.print.Store(uint32(print))
	busy := s.state == idling
	if busy {
		s.moveLocked(running)
		l.started = now
	}
	idleSince, granted := l.idleSince, l.granted
	b.wmu.Lock()
	s.mu.Unlock()
	b.moved(granted)
	if busy {
		s.route.inst.Pool.Busy(granted, print, now)
		s.srv.times.idle[s.class].observe(now.Sub(idleSince))
	}
	if len(prefix) > 0 {
		s.tell(l, prefix)
	}
	if len(out) > 0 {
		s.tell(l, out)
	}
	b.wmu.Unlock()
	return nil
}

// sendLater writes what must be answered before r can be sent, to the server the session has. It is called with mu held and unlocks it.
func (s *session) sendLater(r *request, end int, ahead []byte) error {
	l := s.link
	b := l.b
	now, busy, idleSince, granted := time.Now(), s.state == idling, l.idleSince, l.granted
	r.kept = true
	s.holdLocked(r, end)
	s.moveLocked(preparing)
	if busy {
		l.started = now
	}
	print := s.srv.prints.Index(r.Print())
	b.print.Store(uint32(print))
	b.wmu.Lock()
	s.mu.Unlock()
	if busy {
		s.route.inst.Pool.Busy(granted, print, now)
		s.srv.times.idle[s.class].observe(now.Sub(idleSince))
	}
	s.tell(l, ahead)
	b.wmu.Unlock()
	return nil
}

// tell writes p to the session's server, for as long as it takes: a server that runs a statement need not read what
// the client has sent ahead. A write that fails has lost the server: the backend's goroutine sees that, too, and
// answers. tell is called with l.b.wmu held, by the session's goroutine.
func (s *session) tell(l *link, p []byte) {
	b := l.b
	for {
		err := b.conn.Send(p)
		if !errors.Is(err, sock.ErrStalled) {
			return
		}
		p = p[b.conn.Sent():]
		b.wmu.Unlock()
		s.mu.Lock()
		ending := s.close != nil
		b.wmu.Lock()
		s.mu.Unlock()
		if ending {
			b.conn.Cut() // half a message cannot be followed by anything
			return
		}
	}
}

// sendPiece passes on the next piece of a long message.
func (s *session) sendPiece(p []byte, last bool) error {
	s.mu.Lock()
	l := s.link
	if l == nil {
		s.mu.Unlock()
		return nil // the server was lost in the middle; the client has been told
	}
	b, granted := l.b, l.granted
	b.moves++
	if sc := s.stream.scanner; last && sc != nil {
		l.lease.SendsRest(sc.Result())
	}
	b.wmu.Lock()
	s.mu.Unlock()
	b.moved(granted)
	s.tell(l, p)
	b.wmu.Unlock()
	if !last {
		return nil
	}
	s.mu.Lock()
	if s.link != l || l.b != b {
		s.mu.Unlock()
		return nil
	}
	var res *sql.Result
	if sc := s.stream.scanner; sc != nil {
		r := sc.Result()
		res = &r
	}
	l.lease.SentRest(res)
	ask := l.lease.Out()
	if ask == nil && !l.lease.Quiet() {
		s.mu.Unlock()
		return nil
	}
	// The server answered before it had the whole message: nobody but us can ask what is left, or end the exchange.
	if ask == nil {
		ask = l.lease.Ask()
	}
	if ask != nil {
		b.wmu.Lock()
		s.mu.Unlock()
		s.tell(l, ask)
		b.wmu.Unlock()
		return nil
	}
	b.wmu.Lock()
	now := time.Now()
	end := l.endLocked(now)
	s.mu.Unlock()
	b.wmu.Unlock()
	l.finish(b, granted, end, now)
	return nil
}

// textOf is the text of the statement that a message is about, or nil.
func (s *session) textOf(m *translate.Message) []byte {
	switch m.Type {
	case wire.Query:
		return m.Text()
	case wire.Parse:
		_, body, _ := wire.CString(m.Body())
		text, _, _ := wire.CString(body)
		return text
	case wire.Bind:
		_, body, _ := wire.CString(m.Body())
		called, _, _ := wire.CString(body)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.client.TextOf(called)
	}
	return nil
}
