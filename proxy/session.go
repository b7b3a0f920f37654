package proxy

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// Causes that end a session, as they stand in the log.
var (
	errTerminate = errors.New("client said goodbye")
	errDrained   = errors.New("guard is shutting down")
)

// session is one client. Its goroutine is the only reader of the client's socket and, but for the first bytes of a
// lease, the only writer of the server's.
//
// What it is doing is its state. While it has no link its goroutine writes to the client; while it has one the backend does.
type session struct {
	srv   *Server
	route *route
	conn  sock.Conn
	key   cancelKey
	did   tally
	identity

	stays     atomic.Bool // it cannot be handed over, whatever it does
	walsender *walsender  // of a replication client; nil: it is none
	admitted  bool        // counted in srv.admitted; guarded by srv.mu
	seen      sighting    // of endOverdue

	// of the session's goroutine
	in     *sock.Buffer     // bytes read from the client and not yet dealt with; nil when there are none
	after  *sock.Buffer     // bytes that come after in
	stream stream           // the rest of a message longer than a buffer
	params *instance.Params // what the client was told of its server's settings; also of whoever has the link

	mu   sync.Mutex
	cond sync.Cond // signalled when the state changes, and when the server has answered

	// guarded by mu
	state  state
	client translate.Client
	link   *link    // the lease; nil: none
	spare  *link    // to be the next
	local  byte     // transaction state as the client sees it, while free
	begun  uint64   // BEGINs that waited for a statement, ever
	skip   bool     // after an error of ours: drop everything up to Sync
	lost   *Refusal // the answer to the next statement: the server was lost, or taken away, between two
	span   *Span    // of the exchange under way; nil: it is in no trace
	close  error    // why the guard wants the client closed
	class  int      // of the transaction
	withoutServer
	pending

	wmu  sync.Mutex // held while writing to the client; locked before mu
	mute bool       // guarded by wmu: the client has heard the last

	heldUp   atomic.Bool // what its client has sent waits: its end would not be seen
	waiter   pool.Waiter
	reported atomic.Bool // observe: its transaction would have been ended
}

// identity is who a client is, as it came in.
type identity struct {
	user     string                // as it calls itself
	listener string                // the address that it came to, as in the configuration
	called   unique.Handle[string] // its application_name at its login, fit to be shown
	since    time.Time
	id       uint64  // among clients and servers; 0: it is not in yet
	own      int     // class of the client
	head     head    // counted in srv.heads from admit to the end
	rules    []*Rule // that lower the class of a transaction by its tags
}

// withoutServer is what is known of a transaction that no server has.
type withoutServer struct {
	opening translate.Opening // while local is T: the BEGIN that is sent with the first statement; while it is E: that of the transaction
	bound   sql.Command       // while local is E: its end, Commit or Rollback, in the unnamed portal; of the session's goroutine
}

// stream is the rest of a message that is passed on, or dropped, piece by piece.
type stream struct {
	typ     byte
	left    int
	drop    bool
	scanner *sql.Scanner // of a text that is scanned while it passes
	ended   bool         // the text's NUL has passed
}

// init makes s ready; its conn must be set. name is the client's application_name.
func (s *session) init(name string) {
	s.cond.L, s.called = &s.mu, named(name)
	s.local = wire.Idle
	s.client = translate.NewClient(s.route.terms)
	if s.srv.cfg().SyncApplicationName {
		s.client.Call(name)
	}
	s.waiter = pool.Waiter{Key: s.route.key, Class: s.class, Grantee: s, Client: s.waiter.Client, Gate: &s.route.site.gate}
	s.since = time.Now()
}

// run serves the client until it leaves, and is its goroutine. It returns why it ended. An idle session waits in serve.
func (s *session) run() error {
	if err := s.consume(); err != nil { // what came with it from another process
		return err
	}
	for {
		err := s.conn.Serve()
		if !sock.Interrupted(err) {
			return err
		}
		s.conn.Resume()
		s.mu.Lock()
		cause, refused, notice := s.close, s.denied, s.notice
		s.notice = nil
		s.mu.Unlock()
		if cause != nil {
			return cause
		}
		if notice != nil {
			if err := s.tellNotice(notice); err != nil {
				return err
			}
		}
		if refused != nil {
			if err := s.answerRefused(); err != nil {
				return err
			}
			if err := s.consume(); err != nil {
				return err
			}
		}
		if err := s.goes(); err != nil {
			return err
		}
	}
}

// goes hands the session over to the process that has taken this one's place, if there is one and it can go. The error is errMoved then.
func (s *session) goes() error {
	if h := s.srv.heir.Load(); h != nil && !s.stays.Load() {
		return s.move(h)
	}
	return nil
}

// joinAfter moves bytes of after to the end of in.
func (s *session) joinAfter() {
	n := copy(s.in.Data[s.in.W:], s.after.Bytes())
	s.in.W += n
	if s.after.R += n; s.after.R == s.after.W {
		sock.Return(s.after)
		s.after = nil
	}
}

// consume deals with what has been read, as far as it holds whole messages.
func (s *session) consume() error {
	for s.in != nil && s.in.R < s.in.W {
		if err := s.awaitTurn(); err != nil {
			return err
		}
		if err := s.goes(); err != nil {
			return err
		}
		more, err := true, error(nil)
		if s.stream.left > 0 {
			err = s.pass()
		} else {
			more, err = s.turn()
		}
		if err == nil && s.srv.sendsOff.Load() && s.sendOff(s.srv.isPaused(s.route.at)) {
			err = errDrained
		}
		switch {
		case err != nil:
			return err
		case more:
		case s.after == nil:
			return nil
		default:
			s.in.Compact()
			s.joinAfter()
		}
		if s.in != nil && s.in.R == s.in.W && s.after != nil {
			sock.Return(s.in)
			s.in, s.after = s.after, nil
		}
	}
	if s.in != nil && s.in.R == s.in.W {
		sock.Return(s.in)
		s.in = nil
	}
	return nil
}

// awaitTurn waits until the client's next bytes may be dealt with: its request before them has been granted or refused, and its
// ReadyForQuery has come. A refusal is answered. Bytes that come meanwhile stay where they are: a client that runs ahead is held up.
func (s *session) awaitTurn() error {
	for {
		s.mu.Lock()
		for s.heldUpLocked() {
			s.heldUp.Store(true)
			s.cond.Wait()
		}
		s.heldUp.Store(false)
		cause, refused := s.close, s.denied
		s.mu.Unlock()
		switch {
		case cause != nil:
			return cause
		case refused == nil:
			return nil
		}
		if err := s.answerRefused(); err != nil {
			return err
		}
	}
}

// heldUpLocked is true if the client's next bytes must wait.
func (s *session) heldUpLocked() bool {
	if s.close != nil || s.denied != nil {
		return false
	}
	switch {
	case s.state.hasRequest():
		return true
	case s.state == running:
		return s.stream.left == 0 && s.link.lease.Holds() && !s.leavesNow()
	}
	return s.srv.Suspended() && s.stream.left == 0 && s.restsLocked() && !s.leavesNow()
}

// leavesNow is true if the client's next message is its goodbye: what is under way need not be waited for.
func (s *session) leavesNow() bool {
	return s.in.Data[s.in.R] == wire.Terminate
}

// say writes p to the client; the session must have no link, or p must be an answer that nothing else is in the way of.
func (s *session) say(p []byte) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	return s.sayLocked(p)
}

// sayLocked writes p to the client, unless it has heard the last. It is called with wmu held.
func (s *session) sayLocked(p []byte) error {
	if s.mute {
		return nil
	}
	s.did.sent.Add(uint64(len(p)))
	return s.conn.Send(p)
}

// end notes why the session is to end, if it is not ending already, and wakes who waits in it.
func (s *session) end(cause error) {
	s.mu.Lock()
	s.endLocked(cause)
	s.mu.Unlock()
}

func (s *session) endLocked(cause error) {
	if s.close == nil {
		s.close = cause
	}
	s.cond.Broadcast()
}

// kick ends the session from outside, for the reason given. Any goroutine may call it.
func (s *session) kick(cause error) {
	s.end(cause)
	s.conn.Interrupt()
	_ = s.conn.SetWriteDeadline(time.Now().Add(lastWait))
}

// cut closes a client that cannot be written to; its session notices and cleans up.
func (s *session) cut(cause error) {
	s.end(cause)
	s.conn.Cut()
}
