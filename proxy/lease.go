package proxy

import (
	"errors"
	"strconv"
	"time"

	"pgguard/pool"
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// send passes on the messages s.in[s.in.r:end), noted in r: at once if the session has a server with a run token, else
// when the pool grants one. It returns without waiting for that. free: the session had no server when r was noted.
func (s *session) send(r *request, end int, free bool) error {
	s.mu.Lock()
	b, parked := s.backend, s.parked
	if b == nil && !free {
		// The server has been lost, or the transaction ended for others, meanwhile: what is in r may mean another thing now.
		s.mu.Unlock()
		s.stream = stream{}
		putRequest(r)
		return nil
	}
	s.srv.count.bytesIn.Add(uint64(end - s.in.R))
	s.stream.left, s.stream.typ = r.left, r.steps[r.n-1].typ
	if b != nil && !parked {
		return s.sendNow(r, end)
	}
	if r.mute { // copy data after its COPY has failed, or a Flush: the server would not answer
		s.mu.Unlock()
		s.stream.drop = r.left > 0
		s.in.R = end
		putRequest(r)
		return nil
	}
	if b == nil {
		s.ex.reset()
	}
	s.ex.partial = r.left > 0
	s.parked, s.waiting, s.again = false, true, parked
	s.waiter.Urgent = r.urgent
	s.waiter.Print = s.srv.prints.Index(r.print)
	s.pending, s.request = s.in, r
	rest := s.in.Split(end)
	if s.in = rest; rest == nil {
		s.in, s.after = s.after, nil
	}
	s.mu.Unlock()
	if parked {
		s.route.inst.Pool.Again(&s.waiter, b.server, time.Now())
		return nil
	}
	if !r.urgent && !s.route.inst.Passes() {
		if err := s.route.inst.Refusing(); err != nil {
			s.Refused(err)
			return nil
		}
		s.srv.count.wouldBreak[s.class].Add(1)
	}
	s.route.inst.Pool.Get(&s.waiter, time.Now())
	return nil
}

// sendNow writes to the server the session has. It is called with mu held and unlocks it.
func (s *session) sendNow(r *request, end int) error {
	b := s.backend
	s.dropRetry() // it could not be run again in its place
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	defer putRequest(r)
	print := r.print
	prefix := s.prefixLocked(b, r, false)
	out := s.compile(r, b, s.in.Data[s.in.R:end], scratch.Data[:0])
	s.lesson = lesson{}
	if len(s.ex.marks)-s.ex.first > maxMarks {
		s.mu.Unlock()
		return &Refusal{Reason: ReasonProtocol, Message: "guard: too many statements sent ahead of their answers"}
	}
	s.in.R = end
	if s.ex.quiet() || s.ex.skipping {
		s.stream.drop = r.left > 0
		s.ex.partial = false
	}
	if len(prefix)+len(out) == 0 || s.ex.quiet() {
		s.mu.Unlock()
		return nil
	}
	b.print.Store(uint32(s.srv.prints.Index(print)))
	busy := s.idle
	s.idle = false
	now, index := time.Time{}, uint16(0)
	if busy {
		now, index = time.Now(), s.srv.prints.Index(print)
		s.started = now
	}
	idleSince := s.idleSince
	b.wmu.Lock()
	s.mu.Unlock()
	if busy {
		s.route.inst.Pool.Busy(b.server, index, now)
		s.srv.times.idle[s.class].observe(now.Sub(idleSince))
	}
	if len(prefix) > 0 {
		s.tell(b, prefix)
	}
	if len(out) > 0 {
		s.tell(b, out)
	}
	b.wmu.Unlock()
	return nil
}

// prefixLocked returns what must be sent ahead of a request, and notes it in the exchange. fresh: the server has just
// been granted.
func (s *session) prefixLocked(b *backend, r *request, fresh bool) (prefix []byte) {
	if fresh {
		s.touched, s.owns = false, false
		if b.settings != s.settings {
			prefix = s.syncLocked(b, prefix)
		}
	}
	idle := fresh || s.ex.status == wire.Idle
	alone := idle && !s.ex.unsynced && !s.lingers
	counts := r.suspect&pinSequence != 0 || idle && r.suspect&pinFunction != 0 || alone && r.touches && s.route.catalog.Currval.Load()
	if counts && !s.touched && !s.owns && s.pins&pinSequence == 0 && !s.ex.skipping {
		prefix = s.discardSequencesLocked(b, prefix, alone, r.n > 0 && endsBatch(r.steps[0].typ))
	}
	s.touched = s.touched || r.defaults
	if !fresh || s.local != wire.InTransaction {
		return prefix
	}
	if hasty(s.route.key, s.settings) {
		s.staged = true
	}
	if s.staged {
		s.syncs++
		s.ex.add(markSettings)
	} else {
		s.ex.add(markBegin)
	}
	s.ex.status = wire.InTransaction
	b.unnamed = noStatement
	if s.bound {
		if prefix == nil && len(s.begin) == 0 {
			return plainBoundBegin
		}
		return appendBoundBegin(prefix, s.begin)
	}
	if len(s.begin) > 0 {
		return wire.AppendText(prefix, wire.Query, string(s.begin))
	}
	if prefix == nil {
		return plainBegin
	}
	return append(prefix, plainBegin...)
}

// discardSequencesLocked appends what makes the server forget what it remembers of sequences for others. alone: there is neither
// a batch nor an unnamed statement that it would disturb. ended: what follows ends a batch.
func (s *session) discardSequencesLocked(b *backend, prefix []byte, alone, ended bool) []byte {
	// Behind an Execute without a Sync PostgreSQL 18 runs a query in a transaction that does not end with it.
	ends := ended && !s.ex.executed && s.ex.status == wire.Idle
	switch {
	case alone:
		s.ex.add(markForget)
		prefix = append(prefix, discardSequences...)
		b.unnamed = noStatement
	case s.ex.status == wire.Failed:
		return prefix // it would fail, too
	case s.ex.unsynced && !ends:
		s.ex.extendedOp(markOurParse, op{owns: true})
		s.ex.extended(markOurBind)
		s.ex.extended(markOurRun)
		s.ex.extendedOp(markOurClose, op{owns: true})
		s.ex.extendedOp(markOurClose, op{owns: true})
		prefix = append(prefix, discardSequencesBeside...)
	default:
		s.ex.unsynced = false
		s.ex.add(markForget)
		prefix = wire.AppendEmpty(append(prefix, discardSequencesBeside...), wire.Sync)
	}
	s.owns = true
	return prefix
}

// endsBatch is true for the messages that end a batch without a Sync.
func endsBatch(typ byte) bool { return typ == wire.Query || typ == wire.FunctionCall }

// appendBoundBegin appends a BEGIN of the extended protocol, after which its portal is there as the client believes.
func appendBoundBegin(dst, text []byte) []byte {
	if len(text) == 0 {
		text = []byte("BEGIN")
	}
	dst = wire.AppendParse(dst, "", string(text)+"\x00\x00\x00")
	dst = wire.AppendMessage(dst, wire.Bind, make([]byte, 8)) // no names, no formats, no parameters
	dst = wire.AppendMessage(dst, wire.Execute, make([]byte, 5))
	return wire.AppendEmpty(dst, wire.Sync)
}

// syncLocked appends what gives the server the client's settings, and notes that it has them.
func (s *session) syncLocked(b *backend, prefix []byte) []byte {
	list, awaited := changes(b.settings, s.settings)
	awaited = awaited || hasty(s.route.key, b.settings)
	prefix, n := appendChanges(prefix, list)
	for range n {
		s.ex.add(markSettings)
	}
	s.syncs = n
	s.staged = n > 0 && awaited
	b.settings = s.settings
	b.unnamed = noStatement
	return prefix
}

// hasty is true if a timeout in these settings may end what the guard runs ahead of a client's statement. Then its success is awaited,
// so that nothing runs under settings, or in a transaction, that are not the client's.
func hasty(k *pool.Key, in settings) bool {
	for _, name := range []string{"statement_timeout", "transaction_timeout"} {
		v, ok := in.get(name)
		if !ok {
			v = k.Value.(*login).first(name, "0")
		}
		if ms, err := strconv.Atoi(v); err != nil || (ms > 0 && ms < hastyBelow) { // what a start-up packet says may have a unit
			return true
		}
	}
	return false
}

// hastyBelow is how short a timeout must be, in milliseconds, to be feared: what the guard runs takes one, and a thousand times that
// where a thousand processes want the processor.
const hastyBelow = 1000

// tell writes p to the session's server, for as long as it takes: a server that runs a statement need not read what
// the client has sent ahead. A write that fails has lost the server: the backend's goroutine sees that, too, and
// answers. tell is called with b.wmu held, by the session's goroutine.
func (s *session) tell(b *backend, p []byte) {
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
		s.suspectLong(sc.Result())
	}
	s.ex.partial = false
	if !s.ex.quiet() {
		s.mu.Unlock()
		return nil
	}
	// The server answered before it had the whole message: nobody but us can ask what is left, or end the exchange.
	if ask := s.askOnceQuietLocked(); ask != nil {
		b.wmu.Lock()
		s.mu.Unlock()
		s.tell(b, ask)
		b.wmu.Unlock()
		return nil
	}
	b.wmu.Lock()
	now := time.Now()
	end := s.endLocked(now)
	s.mu.Unlock()
	b.wmu.Unlock()
	s.finishExchange(b, end, now)
	return nil
}

// suspectLong notes what a text that passed in pieces may have done. It is called with mu held.
func (s *session) suspectLong(res sql.Result) {
	s.suspect |= pinsOf(res)
	s.undo |= pins(res.Undo)
	s.flux = s.flux || res.Sets
	if res.Ddl {
		s.ddl = true
		s.shape = s.route.catalog.Changed(nil) || s.shape
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
			s.route.inst.Pool.Release(server, now)
		}
		return
	case again:
	case !b.session.CompareAndSwap(nil, s):
		// The server died while it was idle: nothing was sent, so another takes its place.
		s.mu.Unlock()
		s.route.inst.Pool.Discard(server, "dead when lent", now)
		s.route.inst.Pool.Get(&s.waiter, now)
		return
	default:
		s.backend = b
		s.idle = false
	}
	b.print.Store(uint32(s.waiter.Print))
	s.started, s.txStarted = now, now
	partial := s.ex.partial
	scratch := sock.Borrow()
	defer sock.Return(scratch)
	prefix := s.prefixLocked(b, s.request, !again)
	if s.staged {
		s.ex.partial = false
		b.wmu.Lock()
		s.mu.Unlock()
		_ = b.conn.Send(prefix)
		b.wmu.Unlock()
		return
	}
	s.ex.partial = partial
	out, used := s.firstLocked(b, prefix, scratch.Data[:0])
	b.wmu.Lock()
	s.mu.Unlock()
	_ = b.conn.Send(out)
	b.wmu.Unlock()
	sock.Return(used)
}

// firstLocked takes the pending request and returns what must be written for it, with what goes ahead of it, and the
// buffer that may hold that.
func (s *session) firstLocked(b *backend, prefix, scratch []byte) (out []byte, used *sock.Buffer) {
	pending, r := s.pending, s.request
	s.pending, s.request = nil, nil
	s.waiting = false
	s.cond.Signal()
	s.lesson = s.lessonLocked(r, pending)
	before := pending.R
	opens := s.local == wire.InTransaction && mayReplay(r)
	keep := s.pins == 0 && (opens || s.local == wire.Idle && mayRetry(r))
	s.local = wire.Idle
	if keep {
		s.retry = retry{request: r, pending: pending, at: before, opens: opens, unnamed: s.unnamed}
	}
	out = s.compile(r, b, pending.Bytes(), scratch)
	if !keep {
		putRequest(r)
	}
	switch {
	case len(prefix) == 0:
	case len(out) > 0 && len(pending.Bytes()) > 0 && &out[0] == &pending.Data[before] && pending.Prepend(prefix):
		out = pending.Bytes()
	default:
		out = append(prefix[:len(prefix):len(prefix)], out...)
	}
	if keep {
		return out, nil
	}
	return out, pending
}
