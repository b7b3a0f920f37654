package proxy

import (
	"errors"
	"time"

	"pgguard/pool"
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// send passes on the messages s.in[s.in.r:end), noted in r: at once if the session has a server with a run token, else
// when the pool grants one. It returns without waiting for that.
func (s *session) send(r *run, end int) error {
	s.srv.count.bytesIn.Add(uint64(end - s.in.r))
	s.stream.left, s.stream.typ = r.left, r.types[r.n-1]
	s.mu.Lock()
	fresh := s.backend == nil
	if fresh {
		s.ex.reset()
	}
	if s.unknown && !r.parses {
		s.unnamed = s.unnamed[:0]
	}
	prefix := s.prefixLocked(r, fresh)
	for _, typ := range r.types[:r.n] {
		if !s.ex.client(typ) {
			s.mu.Unlock()
			return &Refusal{Reason: ReasonProtocol, Message: "guard: too many statements sent ahead of their answers"}
		}
	}
	if r.binds || r.parses {
		s.unparsed = false
	}
	if r.parses || r.bound {
		s.lingers, s.parsing, s.unknown = r.long, r.parses && (r.long || len(s.unnamed) > 0), false
	}
	if !fresh && s.ex.quiet() {
		// Copy data after its COPY has failed, or a Flush: the server would not answer.
		s.mu.Unlock()
		s.stream.drop = r.left > 0
		s.in.r = end
		return nil
	}
	s.ex.partial = r.left > 0
	s.ex.commit = s.ex.commit || r.commit
	s.ex.write = s.ex.write || r.write
	if !fresh && !s.parked {
		return s.sendNow(r, prefix, end)
	}
	parked := s.parked
	s.parked = false
	s.waiting = true
	s.again = parked
	s.pendPins = r.pins
	s.waiter.Urgent = r.urgent
	s.pending = s.in
	s.ours, s.prefix = 0, nil
	rest := s.in.split(end)
	if s.pending.prepend(prefix) {
		s.ours = len(prefix)
	} else {
		s.prefix = prefix
	}
	if s.in = rest; rest == nil {
		s.in, s.after = s.after, nil
	}
	b := s.backend
	s.mu.Unlock()
	switch {
	case parked:
		s.route.inst.pool.Again(&s.waiter, b.server, time.Now())
	default:
		if err := s.route.inst.refusing(); err != nil && !r.urgent {
			s.Refused(err)
			return nil
		}
		s.route.inst.pool.Get(&s.waiter, time.Now())
	}
	return nil
}

// parseFailedLocked follows, after an error of the server, whether it has the unnamed statement that the client parsed.
func (s *session) parseFailedLocked() {
	few := len(s.ex.marks)-s.ex.first < 8 // more is surely not the end; looking through all would take time
	if !(s.parsing || s.lingers) || !few || s.ex.owed() > 1 || (s.ex.owed() == 1 && s.ex.unsynced) {
		return // or what was sent after the error's batch may parse another
	}
	s.unknown = s.unknown || s.parsing
	s.lingers = false // what was to be bound was not parsed, or has been bound
}

// prefixLocked returns what must be sent ahead of the client's messages, and notes it in the exchange.
func (s *session) prefixLocked(r *run, fresh bool) []byte {
	var prefix []byte
	if fresh {
		s.unparsed = true
		s.touched = false
	}
	if r.pins&^s.pins&pins(sql.Sequence) != 0 && !s.touched && (fresh || !s.ex.unsynced) {
		s.ex.add(markHidden)
		prefix = append(prefix, discardSequences...)
	}
	s.touched = s.touched || r.touches || r.binds
	if fresh {
		if s.local == wire.InTransaction {
			s.ex.add(markHidden)
			s.ex.status = wire.InTransaction
			switch {
			case len(s.begin) > 0:
				prefix = wire.AppendText(prefix, wire.Query, string(s.begin))
			case prefix == nil:
				prefix = plainBegin
			default:
				prefix = append(prefix, plainBegin...)
			}
		}
	}
	if r.binds && s.unparsed {
		// What this server has as its unnamed statement is another client's.
		prefix = prefix[:len(prefix):len(prefix)]
		if len(s.unnamed) > 0 {
			s.ex.add(markParse)
			prefix = append(prefix, s.unnamed...)
		} else {
			s.ex.add(markClose)
			prefix = append(prefix, closeUnnamed...)
		}
	}
	return prefix
}

// sendNow writes to the server the session has. It is called with mu held and unlocks it.
func (s *session) sendNow(r *run, prefix []byte, end int) error {
	b := s.backend
	s.pinLocked(r.pins)
	busy := s.idle
	s.idle = false
	now := time.Time{}
	if busy {
		now = time.Now()
		s.started = now
	}
	idleSince := s.idleSince
	b.wmu.Lock()
	s.mu.Unlock()
	if busy {
		s.route.inst.pool.Busy(b.server)
		s.srv.times.idle[s.class].observe(now.Sub(idleSince))
	}
	if len(prefix) > 0 {
		s.tell(b, prefix)
	}
	s.tell(b, s.in.data[s.in.r:end])
	b.wmu.Unlock()
	s.in.r = end
	return nil
}

// tell writes p to the session's server, for as long as it takes: a server that runs a statement need not read what
// the client has sent ahead. A write that fails has lost the server: the backend's goroutine sees that, too, and
// answers. tell is called with b.wmu held, by the session's goroutine.
func (s *session) tell(b *backend, p []byte) {
	for {
		err := b.conn.write(p)
		if !errors.Is(err, errStalled) {
			return
		}
		p = p[b.conn.wrote:]
		b.wmu.Unlock()
		s.mu.Lock()
		ending := s.close != nil
		b.wmu.Lock()
		s.mu.Unlock()
		if ending {
			_ = b.conn.Conn.Close() // half a message cannot be followed by anything
			return
		}
	}
}

// sendPiece passes on the next piece of a long message.
func (s *session) sendPiece(p []byte, last bool) error {
	s.mu.Lock()
	b := s.backend
	if b == nil {
		s.mu.Unlock()
		return nil // the server was lost in the middle; the client has been told
	}
	b.wmu.Lock()
	s.mu.Unlock()
	s.tell(b, p)
	b.wmu.Unlock()
	if !last {
		return nil
	}
	s.mu.Lock()
	if s.backend != b {
		s.mu.Unlock()
		return nil
	}
	if sc := s.stream.scanner; sc != nil {
		s.pinLocked(pinsOf(sc.Result()))
	}
	s.ex.partial = false
	if !s.ex.quiet() {
		s.mu.Unlock()
		return nil
	}
	// The server answered before it had the whole message: nobody but us can end the exchange.
	b.wmu.Lock()
	now := time.Now()
	end := s.endLocked(now)
	s.mu.Unlock()
	b.wmu.Unlock()
	s.finishExchange(b, end, now)
	return nil
}

func (s *session) pinLocked(p pins) {
	if added := p &^ s.pins; added != 0 {
		s.pins |= added
		added.each(func(i int) { s.srv.count.pins[i].Add(1) })
	}
}

// Granted implements pool.Grantee: the request's bytes go to the server at once, whoever called.
func (s *session) Granted(server *pool.Server, now time.Time, _ time.Duration) {
	b := server.Conn.(*backend)
	s.mu.Lock()
	again := s.again
	switch {
	case again && s.backend != b && !s.gone:
		// The server that was kept died while it was being granted a token.
		s.mu.Unlock()
		s.Refused(b.demoted(refusedState))
		return
	case s.gone:
		s.waiting = false
		s.ex.reset()
		s.cond.Broadcast()
		s.mu.Unlock()
		if !again {
			s.route.inst.pool.Release(server, now)
		}
		return
	case again:
	case !b.session.CompareAndSwap(nil, s):
		// The server died while it was idle: nothing was sent, so another takes its place.
		s.mu.Unlock()
		s.route.inst.pool.Discard(server, "dead when lent", now)
		s.route.inst.pool.Get(&s.waiter, now)
		return
	default:
		s.backend = b
		s.local = wire.Idle
		s.idle = false
	}
	s.started, s.txStarted = now, now
	s.pinLocked(s.pendPins)
	pending, prefix := s.pending, s.prefix
	s.pending, s.prefix = nil, nil
	s.waiting = false
	s.cond.Signal()
	b.wmu.Lock()
	s.mu.Unlock()
	if len(prefix) > 0 {
		_ = b.conn.write(prefix)
	}
	_ = b.conn.write(pending.bytes())
	b.wmu.Unlock()
	putBuffer(pending)
}
