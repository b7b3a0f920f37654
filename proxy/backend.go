package proxy

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// backend is one server connection. Its goroutine is the only reader of the server's socket and lives as long as it.
type backend struct {
	inst   *instance.Instance
	server *pool.Server
	conn   sock.Conn
	at     upstream.At
	pid    uint32
	id     uint64 // among clients and servers
	secret []byte

	link    atomic.Pointer[link] // the lease; nil: none; &nobody once the connection has ended
	params  atomic.Pointer[instance.Params]
	cancels cancels                   // requests on their way
	slow    atomic.Pointer[slowQuery] // that has just ended; nil: it was quick
	print   atomic.Uint32             // number of the statement that it runs, for who looks from the side
	blocked atomic.Pointer[time.Time] // when a look began by which it was seen to wait for a lock; nil: none has seen that lately
	waits   atomic.Bool               // it has no run token, because it waits for its client in the middle of an exchange
	why     atomic.Pointer[string]    // why the guard closes it; nil: the server did
	silent  atomic.Bool               // it is closed because its machine does not answer

	// wmu is held while writing to the server; a session locks it before it unlocks its own mu, to keep the order. It
	// is the backend's, because a server can answer before the writer has come back from its system call, and the next
	// session may have been granted the server by then.
	wmu sync.Mutex

	// of the backend's goroutine
	in      *sock.Buffer
	left    int              // bytes of a message that is passed on piece by piece
	drop    bool             // that message is not for the client
	flooded bool             // it has reported more settings than any PostgreSQL does
	fatal   []byte           // body of the error with which the server ended the connection
	news    []byte           // for the client, ahead of what is kept
	knew    *instance.Params // what the client has been told of settings before what is kept
	extra   []byte           // for the client, after what is kept
	more    bool             // there is more to sort after extra
	todo    []byte           // for the server
	todoIn  *request         // what todo is in, if it is a request's

	moves uint64 // what has passed either way; of whoever has the server, under its link's mu
	still still  // of the instance's control loop

	freed   time.Time        // when it was given back last; of whoever has the server
	session translate.Server // what the server's session is; of whoever has the server, under its link's mu
}

// Run implements pool.Conn: it relays what the server sends until the connection ends.
func (b *backend) Run() {
	b.ended(b.serve())
}

// serve relays what the server sends, and returns why the connection ended.
func (b *backend) serve() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = b.broke(v)
		}
	}()
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
	return err
}

// Close implements pool.Conn: it says goodbye, and the server closes the connection.
func (b *backend) Close(why string) {
	if !b.why.CompareAndSwap(nil, &why) {
		return
	}
	idle := b.link.Load() == nil
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

// Cut implements instance.Server.
func (b *backend) Cut(why string) {
	b.why.CompareAndSwap(nil, &why)
	b.conn.Cut()
}

// ReadOnly implements instance.Server. Servers before PostgreSQL 14 do not say it.
func (b *backend) ReadOnly() bool { return b.params.Load().Get("in_hot_standby") == "on" }

// closeWait bounds how long a server may take to close its end after the guard said goodbye.
const closeWait = 5 * time.Second

// relay deals with what has been read: whole messages and the start of long ones.
func (b *backend) relay() error {
	for {
		l := b.lock()
		if l == nil {
			return b.relayIdle()
		}
		err := b.pass(l)
		if err != nil || !b.more {
			return err
		}
	}
}

// lock returns the link that has b, with its locks held, nil if there is none.
func (b *backend) lock() *link {
	for {
		l := b.link.Load()
		if l == nil {
			return nil
		}
		l.lock()
		if b.link.Load() == l {
			return l
		}
		l.unlock() // its client has gone meanwhile
	}
}

// lock takes the right to write to the client, if there is one, and the link's mu.
func (l *link) lock() {
	if l.s != nil {
		l.s.wmu.Lock()
	}
	l.mu.Lock()
}

func (l *link) unlock() {
	l.mu.Unlock()
	if l.s != nil {
		l.s.wmu.Unlock()
	}
}

// pass sorts what has been read, up to a point where something of the guard's must go to the client, and passes it on. It is called
// with the link's locks held and gives them back.
func (b *backend) pass(l *link) error {
	s := l.s
	b.moves++
	b.more, b.extra, b.news = false, nil, nil
	if s != nil && !l.lease.Preparing() {
		b.news = s.newsLocked(b)
	}
	if s != nil {
		b.knew = s.params
	}
	keep, err := b.sort(l)
	from, to := keep[0], keep[1]
	todo, used := b.todo, b.todoIn
	b.todo, b.todoIn = nil, nil
	var end ending
	var now time.Time
	if err == nil && !b.more && b.left == 0 && l.lease.Quiet() {
		now = time.Now()
		end = l.endLocked(now)
	}
	if s == nil {
		from, b.news, b.extra = to, nil, nil
	}
	l.cond.Broadcast()
	if (from < to || b.extra != nil) && !l.lease.Heals() { // what is told while its answer is held back is not of it
		l.dropKept()
	}
	granted, stops := l.granted, l.stopsLocked()
	off := s != nil && end >= endParked && errors.Is(s.close, errDrained)
	if len(todo) > 0 {
		b.wmu.Lock()
	}
	l.mu.Unlock()
	b.moved(granted)
	if len(todo) > 0 {
		_ = b.conn.Send(todo)
		b.wmu.Unlock()
	}
	putRequest(used)
	if stops {
		b.stop(s.srv)
	}
	if s != nil {
		b.passOn(s, b.in.Data[from:to], off)
		s.wmu.Unlock()
		b.moved(granted)
	}
	l.finish(b, granted, end, now)
	if off {
		s.kick(errDrained)
	}
	return err
}

// sort goes through the messages in b.in, notes what they mean for the lease, and returns the range that is for the
// client. It is called with the link's locks held. Messages that are not for the client are closed over. It stops, with b.more set,
// where b.extra must follow what is kept.
func (b *backend) sort(l *link) (keep [2]int, err error) {
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
		if err != nil || !ok {
			return [2]int{from, to}, err
		}
		watched, hidden := l.lease.Watches(typ)
		if watched && size > len(held) && b.lacks(l, typ, size, from < to) {
			return [2]int{from, to}, nil
		}
		n := min(size, len(held))
		if watched {
			fate := b.receive(l, held[:n], n == size)
			hidden = fate != translate.Pass
			if fate == translate.Retract {
				from, to = b.in.R, b.in.R
				l.s.params = b.knew // settings that are told between are told with what follows
			}
		}
		b.left, b.drop = size-n, hidden
		if hidden {
			skip(n)
		} else {
			take(n)
		}
		if !watched {
			continue
		}
		if err := b.trouble(l); err != nil || b.extra != nil {
			b.more = err == nil && b.in.R < b.in.W
			return [2]int{from, to}, err
		}
	}
	return [2]int{from, to}, nil
}

// lacks is true if a message of which only the start has come means nothing yet. Where all of it is needed there is room for more of it
// after that, unless something is kept before it, which is passed on first.
func (b *backend) lacks(l *link, typ byte, size int, kept bool) bool {
	have := b.in.W - b.in.R
	if size <= sock.BufferSize-sock.Headroom || have < longHead {
		return true
	}
	if !l.lease.NeedsWhole(typ) || size > maxWhole {
		return false
	}
	if !kept {
		b.in.Grow(min(size, 2*have)) // as much again as has come, not what is announced
	}
	return true
}

// passOn writes to the client what is ready for it; off: and that it is to go, in the same write. It is called with the session's wmu held.
func (b *backend) passOn(s *session, kept []byte, off bool) {
	parts := [3][]byte{b.news, kept, b.extra}
	if off {
		parts = [3][]byte{slices.Concat(b.news, kept, b.extra, drainedWords())}
	}
	for _, p := range parts {
		if len(p) == 0 {
			continue
		}
		if err := s.sayLocked(p); err != nil {
			s.cut(err)
		}
	}
	s.mute = s.mute || off
}

// longHead is enough of a long message to know what it is: the severity and the code of an error come first.
const longHead = 1 << 10

// maxWhole bounds the messages that are understood whole though they are longer than a buffer.
const maxWhole = 4 << 20

// errSettings ends a server that did not take what goes ahead of a client's request.
var errSettings = errors.New("server did not take the client's settings, or its BEGIN")

// trouble is why the server cannot be used any more after the message just received.
func (b *backend) trouble(l *link) error {
	switch {
	case b.fatal != nil:
		return errFatal
	case l.lease.Failed() != nil:
		return errSettings
	case l.lease.Doubt():
		return errDoubt
	case b.flooded:
		return errSettingsFlood
	}
	return nil
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
			if err := b.note(body); err != nil {
				return err
			}
			name, _, _ := wire.CString(body)
			b.session.ToldIdle(string(name))
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

// errSettingsFlood ends a server that reports more than any PostgreSQL does.
var errSettingsFlood = errors.New("not a PostgreSQL server: it reports too many settings")

// note keeps a ParameterStatus.
func (b *backend) note(body []byte) error {
	name, rest, ok := wire.CString(body)
	if !ok || string(name) == "application_name" {
		return nil
	}
	value, _, ok := wire.CString(rest)
	if !ok {
		return nil
	}
	p, ok := b.params.Load().With(string(name), string(value))
	if !ok {
		return errSettingsFlood
	}
	b.params.Store(b.inst.Intern(p))
	return nil
}

// answers has the link answer for its server, which has gone. What a bug has left of the link may have no answer.
func (b *backend) answers(l *link, cause error) (lent pool.Lease) {
	defer func() {
		if v := recover(); v != nil {
			if l.s != nil {
				_ = l.s.broke(v)
			}
			lent = l.granted
		}
	}()
	return l.lost(b, cause)
}

// ended takes the backend out of use after its connection has ended, and answers for it.
func (b *backend) ended(cause error) {
	l := b.link.Swap(&nobody)
	if b.silent.Load() {
		cause = errSilent
	}
	if b.lastCode() == codeAdminShutdown {
		b.inst.SentOff(time.Now())
	}
	_ = b.conn.Conn.Close()
	sock.Return(b.in)
	b.in = nil
	var lent pool.Lease
	if l != nil {
		lent = b.answers(l, cause)
	}
	b.logEnd(cause, lent.Server != nil)
	if lent.Server != nil {
		b.inst.Pool.Discard(lent, "ended", time.Now())
	}
}
