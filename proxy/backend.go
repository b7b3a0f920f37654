package proxy

import (
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// backend is one server connection. Its goroutine is the only reader of the server's socket and lives as long as it.
type backend struct {
	inst   *instance.Instance
	server *pool.Server
	conn   sock.Conn
	pid    uint32
	secret []byte

	session atomic.Pointer[session] // who is attached; &nobody once the connection has ended
	params  atomic.Pointer[instance.Params]
	cancels cancels                // requests on their way
	print   atomic.Uint32          // number of the statement that it runs, for who looks from the side
	blocked atomic.Bool            // that was seen to wait for a lock
	why     atomic.Pointer[string] // why the guard closes it; nil: the server did

	// wmu is held while writing to the server; a session locks it before it unlocks its own mu, to keep the order. It
	// is the backend's, because a server can answer before the writer has come back from its system call, and the next
	// session may have been granted the server by then.
	wmu sync.Mutex

	// of the backend's goroutine
	in     *sock.Buffer
	left   int          // bytes of a message that is passed on piece by piece
	drop   bool         // that message is not for the client
	fatal  []byte       // body of the error with which the server ended the connection
	news   []byte       // for the client, ahead of what is kept
	extra  []byte       // for the client, after what is kept
	more   bool         // there is more to sort after extra
	todo   []byte       // for the server
	todoIn *sock.Buffer // what todo is in, if it is a buffer's

	// of whoever has the server, under its session's mu
	settings settings   // what is set in it
	prepared prepared   // the guard's statements in it
	unnamed  *statement // its unnamed statement; nil: not known
}

// nobody is attached to a backend that has ended, so that nobody else can be.
var nobody session

// Run implements pool.Conn: it relays what the server sends until the connection ends.
func (b *backend) Run() {
	err := error(nil)
	if b.in != nil {
		err = b.relay()
	}
	for err == nil {
		if err = b.conn.Serve(); sock.Interrupted(err) && b.why.Load() == nil {
			b.conn.Resume()
			if b.why.Load() != nil { // closed meanwhile: its deadline has just been lost
				_ = b.conn.SetReadDeadline(time.Now().Add(closeWait))
			}
			err = nil
		}
	}
	b.ended(err)
}

// Close implements pool.Conn: it says goodbye, and the server closes the connection.
func (b *backend) Close(why string) {
	if !b.why.CompareAndSwap(nil, &why) {
		return
	}
	idle := b.session.Load() == nil
	go func() {
		// The connection counts until the server has closed its end, so that one the guard does not count any more is
		// one the server does not count any more either.
		_ = b.conn.SetDeadline(time.Now().Add(closeWait))
		if idle {
			_, _ = b.conn.Conn.Write(wire.AppendEmpty(nil, wire.Terminate))
		}
		if c, ok := b.conn.Conn.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
			_ = b.conn.Conn.Close()
		}
	}()
}

// closeWait bounds how long a server may take to close its end after the guard said goodbye.
const closeWait = 5 * time.Second

// relay deals with what has been read: whole messages and the start of long ones.
func (b *backend) relay() error {
	s := b.session.Load()
	if s == nil {
		return b.relayIdle()
	}
	for {
		err := b.pass(s)
		if err != nil || !b.more {
			return err
		}
	}
}

// pass sorts what has been read, up to a point where something of the guard's must go to the client, and passes it on.
func (b *backend) pass(s *session) error {
	s.wmu.Lock()
	s.mu.Lock()
	b.more, b.extra, b.news = false, nil, nil
	if s.syncs == 0 {
		b.news = s.newsLocked(b)
	}
	keep, err := b.sort(s)
	if s.settling {
		s.cond.Broadcast()
	}
	from, to := keep[0], keep[1]
	todo, used := b.todo, b.todoIn
	b.todo, b.todoIn = nil, nil
	finished := err == nil && !b.more && s.backend == b && s.ex.quiet() && b.left == 0
	var end ending
	var now time.Time
	if finished {
		now = time.Now()
		end = s.endLocked(now)
	}
	if s.gone {
		from, b.news, b.extra = to, nil, nil
		s.cond.Broadcast()
	}
	if from < to || b.extra != nil {
		s.dropRetry()
	}
	if len(todo) > 0 {
		b.wmu.Lock()
	}
	s.mu.Unlock()
	if len(todo) > 0 {
		_ = b.conn.Send(todo)
		b.wmu.Unlock()
		sock.Return(used)
	}
	for _, p := range [3][]byte{b.news, b.in.Data[from:to], b.extra} {
		if len(p) == 0 {
			continue
		}
		s.srv.count.bytesOut.Add(uint64(len(p)))
		if werr := s.conn.Send(p); werr != nil {
			s.cut(werr)
		}
	}
	s.wmu.Unlock()
	if finished {
		s.finishExchange(b, end, now)
	}
	return err
}

// sort goes through the messages in b.in, notes what they mean for the exchange, and returns the range that is for the
// client. It is called with s.mu held. Messages that are not for the client are closed over. It stops, with b.more set,
// where b.extra must follow what is kept.
func (b *backend) sort(s *session) (keep [2]int, err error) {
	from, to := b.in.R, b.in.R // what is kept, moved together
	take := func(n int) {
		if to != b.in.R {
			copy(b.in.Data[to:], b.in.Data[b.in.R:b.in.R+n])
		}
		to += n
		b.in.R += n
	}
	skip := func(n int) {
		b.in.R += n
		if from == to {
			from, to = b.in.R, b.in.R
		}
	}
	for b.in.R < b.in.W {
		held := b.in.Bytes()
		if b.left > 0 {
			n := min(b.left, len(held))
			b.left -= n
			if b.drop {
				skip(n)
			} else {
				take(n)
			}
			continue
		}
		typ, size, ok, err := wire.Peek(held)
		if err != nil {
			return [2]int{from, to}, err
		}
		if !ok {
			return [2]int{from, to}, nil
		}
		hidden := s.ex.hidden(typ)
		long := false
		if watched[typ] || hidden {
			switch {
			case size <= len(held):
				switch b.understand(s, held[:size], hidden) {
				case passOn:
					take(size)
				case keepBack:
					skip(size)
				case takeBack:
					skip(size)
					from, to = b.in.R, b.in.R
				}
				if err := b.trouble(s); err != nil || b.extra != nil {
					b.more = b.in.R < b.in.W
					return [2]int{from, to}, err
				}
				continue
			case size <= sock.BufferSize-sock.Headroom || len(held) < longHead:
				return [2]int{from, to}, nil
			case b.needsWhole(s, typ) && size <= maxWhole:
				if from == to { // else what is kept is passed on first
					b.in.Grow(size)
					from, to = b.in.R, b.in.R
				}
				return [2]int{from, to}, nil
			}
			long = true
			becomes := b.understandLong(s, held, hidden)
			hidden = becomes != passOn
			if becomes == takeBack {
				from, to = b.in.R, b.in.R
			}
		}
		if size > len(held) {
			b.left, b.drop = size-len(held), hidden
			size = len(held)
		}
		if hidden {
			skip(size)
		} else {
			take(size)
		}
		if long {
			if err := b.trouble(s); err != nil || b.extra != nil {
				return [2]int{from, to}, err
			}
		}
	}
	return [2]int{from, to}, nil
}

// trouble is why the server cannot be used any more after the message just understood.
func (b *backend) trouble(s *session) error {
	switch {
	case b.fatal != nil:
		return errFatal
	case s.failed != nil:
		return errSettings
	case s.ex.doubt:
		return errDoubt
	}
	return nil
}

// longHead is enough of a long message to know what it is: the severity and the code of an error come first.
const longHead = 1 << 10

// maxWhole bounds the messages that are understood whole though they are longer than a buffer.
const maxWhole = 4 << 20

// needsWhole is true for a message of the server that means nothing until its end has come.
func (b *backend) needsWhole(s *session, typ byte) bool {
	return typ == wire.ParameterStatus || (typ == wire.DataRow && s.question != nil && s.ex.front() == markAsk)
}

// relayIdle deals with what a server says while it is not lent.
func (b *backend) relayIdle() error {
	for b.in != nil && b.in.R < b.in.W {
		held := b.in.Bytes()
		typ, size, ok, err := wire.Peek(held)
		switch {
		case err != nil:
			return err
		case !ok || (size > len(held) && size <= sock.BufferSize-sock.Headroom):
			return nil
		case size > len(held):
			return errTooLong
		}
		body := held[wire.HeaderSize:size]
		switch typ {
		case wire.ErrorResponse:
			b.fatal = append([]byte(nil), body...)
			return errFatal
		case wire.ParameterStatus:
			b.note(body)
		case wire.NoticeResponse, wire.NotificationResponse:
		default:
			return errUnasked
		}
		b.in.R += size
	}
	if b.in != nil && b.in.R == b.in.W {
		sock.Return(b.in)
		b.in = nil
	}
	return nil
}

// note keeps a ParameterStatus.
func (b *backend) note(body []byte) {
	name, rest, ok := wire.CString(body)
	if !ok {
		return
	}
	value, _, ok := wire.CString(rest)
	if !ok {
		return
	}
	b.params.Store(b.inst.Intern(b.params.Load().With(string(name), string(value))))
}

// ended takes the backend out of use after its connection has ended, and answers for it.
func (b *backend) ended(cause error) {
	s := b.session.Swap(&nobody)
	if b.lastCode() == codeAdminShutdown {
		b.inst.SentOff(time.Now())
	}
	_ = b.conn.Conn.Close()
	sock.Return(b.in)
	b.in = nil
	lent := s != nil && s.serverLost(b, cause)
	b.logEnd(cause, lent)
	if lent {
		b.inst.Pool.Discard(b.server, "ended", time.Now())
	}
}

// ending is what follows an exchange, decided under the session's lock and carried out without it.
type ending uint8

const (
	endNothing ending = iota
	endIdle           // in a transaction: the run token goes back
	endParked         // between transactions, kept: the run token goes back
	endRelease        // the server goes back
	endGone           // the client has left: its session cleans up
)

// endLocked decides what follows an exchange after which the server owes nothing.
func (s *session) endLocked(now time.Time) ending {
	if s.gone {
		s.cond.Broadcast()
		return endGone
	}
	if s.parked || (s.idle && s.ex.status != wire.Idle) {
		return endNothing // no exchange has ended: the server said something by itself
	}
	if s.staged || s.waiting {
		return endNothing // only what goes ahead of the request has been answered
	}
	took := now.Sub(s.started)
	s.srv.times.query[s.class].observe(took)
	s.srv.count.queries[s.class].Add(1)
	s.backend.server.Sample = s.ran.sample(took)
	s.backend.server.Sample.Blocked = s.backend.blocked.Load() && s.backend.blocked.Swap(false)
	s.route.inst.Ended(s.ran.broken, took)
	s.ran = ran{}
	if s.ex.status != wire.Idle {
		s.idle, s.idleSince = true, now
		return endIdle
	}
	s.idle = false
	if s.suspect|s.undo != 0 || s.flux {
		found := s.suspect & unasked
		s.suspect, s.undo, s.flux = 0, 0, false
		s.verdictLocked(0, found)
	}
	s.srv.times.transaction[s.class].observe(now.Sub(s.txStarted))
	if s.keepsLocked() || s.lingers {
		s.parked = true
		return endParked
	}
	s.backend = nil
	s.local = wire.Idle
	s.ex.rest()
	return endRelease
}

// finishExchange carries out what endLocked decided. No lock is held.
func (s *session) finishExchange(b *backend, end ending, now time.Time) {
	switch end {
	case endIdle:
		b.inst.Pool.Idle(b.server, now)
	case endParked:
		b.inst.Pool.Park(b.server, now)
	case endRelease:
		b.session.CompareAndSwap(s, nil)
		b.giveBack(now)
	}
}

// giveBack returns the server to the pool when no cancel request is on its way to it, so that none can hit the next
// client.
func (b *backend) giveBack(now time.Time) {
	if b.cancels.flying.Load() == 0 || !b.cancels.hold() {
		b.inst.Pool.Release(b.server, now)
	}
}
