package proxy

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/sql"
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
// A session is free (no server), waiting (its request is in the pool's hands) or attached (it has a server). While it
// is free its goroutine writes to the client; while it is attached the backend does.
type session struct {
	srv   *Server
	route *route
	conn  sock.Conn
	class int     // of the transaction; guarded by mu where tags may change it
	own   int     // of the client
	rules []*Rule // that lower the class of a transaction by its tags
	key   cancelKey
	since time.Time

	admitted bool // counted in srv.admitted; guarded by srv.mu

	// of the session's goroutine
	in          *sock.Buffer // bytes read from the client and not yet dealt with; nil when there are none
	after       *sock.Buffer // bytes that come after in
	stream      stream       // the rest of a message longer than a buffer
	hasPeeked   bool
	begin       []byte           // text of the deferred BEGIN with modes; empty: a plain one
	bound       bool             // it came by the extended protocol, and has left a portal
	params      *instance.Params // what the client was told of its server's settings; also of the granter
	peeked      sql.Result       // of the query at the start of in, if hasPeeked
	peekedPrint uint64           // its fingerprint
	sees        view

	mu   sync.Mutex
	cond sync.Cond // signalled when waiting ends, and to a session that is ending when its server has answered

	// guarded by mu
	backend   *backend
	ex        exchange
	waiting   bool
	again     bool     // the request under way is for a token for the server the session has kept
	parked    bool     // attached, between transactions, without a run token
	idle      bool     // attached, in a transaction, without a run token
	gone      bool     // the client has left; answers are dropped
	pins      pins     // why the server is kept between transactions
	owns      bool     // the server's memory of sequences is from this lease alone
	touched   bool     // it may be from a statement of this lease
	lingers   bool     // an unnamed statement too long to remember was parsed and not bound yet: keep the server for it
	local     byte     // transaction state as the client sees it, while free
	skip      bool     // after an error of ours: drop everything up to Sync
	lost      *Refusal // the server was lost between two statements: the answer to the next one
	refused   error
	pending   *sock.Buffer // what to send when granted
	request   *request     // what is in pending
	started   time.Time    // of the statement that runs
	txStarted time.Time    // of the transaction
	idleSince time.Time    // of the idle stretch inside the transaction
	ran       ran          // what runs
	close     error        // why the guard wants the client closed

	// guarded by mu: what the client's session is, wherever its server
	settings settings              // as of the last end of a transaction
	warns    bool                  // the guard may send PostgreSQL's warnings, in English and at the default level
	names    map[string]*statement // the client's prepared statements, as they are when all that was sent succeeds
	renews   bool                  // statements are prepared again, as if their clients had just done so
	twins    bool                  // two names may mean one statement
	hides    uint64                // schema age from which the client's first temporary objects may hide others; 0: none
	hidden   bool                  // it has had some
	former   []former              // forgotten since nothing was outstanding
	dropping former                // what a DEALLOCATE under way drops, if it succeeds
	queried  *statement            // what the unnamed one was before the last simple query
	unnamed  *statement            // the unnamed one, as the server has confirmed it; nil: none
	armed    bool                  // a statement is bound, or may be, that may prepare or forget statements by SQL
	unsure   bool                  // one was run since the server was idle
	settling bool                  // the session's goroutine waits for answers before it sends more

	// guarded by mu: what the transaction may have left in its server
	suspect   pins      // since the server was asked last
	undo      pins      // of the reasons for pins, which may be gone
	flux      bool      // settings were changed, if only for the transaction
	ddl       bool      // what statements mean was changed
	shape     bool      // columns may have been, too
	question  *question // the residue query under way
	held      bool      // the client's ReadyForQuery waits for the answer to it
	forgotten pins      // of the reasons for pins: surely gone
	discarded bool      // the server has carried out DISCARD ALL since this was cleared
	excess    bool      // too many clients are pinned already: what is left is to be discarded
	lesson    lesson    // what can be learned from the exchange under way

	// guarded by mu: the first request of a lease
	syncs   int      // queries under way that give the server the client's settings
	staged  bool     // the request is sent when they have been answered
	stops   bool     // a cancel request waits for what goes ahead of the client's statement
	failed  *Refusal // why they could not be carried out
	retry   retry    // the request, while it can still be run again
	healing bool     // the server's next ReadyForQuery is the signal to do so

	wmu sync.Mutex // held while writing to the client; locked before mu

	waiter   pool.Waiter
	client   uint64      // the application it belongs to: those with the same are served as one, in turn with others
	reported atomic.Bool // observe: its transaction would have been ended
}

// stream is the rest of a message that is passed on, or dropped, piece by piece.
type stream struct {
	typ     byte
	left    int
	drop    bool
	scanner *sql.Scanner // of a text that is scanned while it passes
	ended   bool         // the text's NUL has passed
}

// init makes s ready; its conn must be set.
func (s *session) init() {
	s.cond.L = &s.mu
	s.local = wire.Idle
	s.settings, s.warns = plain, s.route.warns
	s.ex.reset()
	s.waiter = pool.Waiter{Key: s.route.key, Class: s.class, Grantee: s, Client: s.client}
	s.since = time.Now()
}

// run serves the client until it leaves, and is its goroutine. It returns why it ended. An idle session waits in serve.
func (s *session) run() error {
	for {
		err := s.conn.Serve()
		if !sock.Interrupted(err) {
			return err
		}
		s.conn.Resume()
		s.mu.Lock()
		cause, refused := s.close, s.refused
		s.mu.Unlock()
		if cause != nil {
			return cause
		}
		if refused != nil {
			if err := s.answerRefused(); err != nil {
				return err
			}
			if err := s.consume(); err != nil {
				return err
			}
		}
	}
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
		if err := s.resolved(); err != nil {
			return err
		}
		more, err := true, error(nil)
		if s.stream.left > 0 {
			err = s.pass()
		} else {
			more, err = s.turn()
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

// resolved waits until the request under way, if any, has been granted or refused, and answers a refusal. Bytes that
// come while a request waits stay where they are: a client that runs ahead is held up.
func (s *session) resolved() error {
	for {
		s.mu.Lock()
		for s.waiting && s.refused == nil && s.close == nil {
			s.cond.Wait()
		}
		cause, refused := s.close, s.refused
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

// say writes p to the client; the session must be free, or p must be an answer that nothing else is in the way of.
func (s *session) say(p []byte) error {
	s.wmu.Lock()
	defer s.wmu.Unlock()
	s.srv.count.bytesOut.Add(uint64(len(p)))
	return s.conn.Send(p)
}

// end notes why the session is to end, if it is not ending already, and wakes who waits in it.
func (s *session) end(cause error) {
	s.mu.Lock()
	if s.close == nil {
		s.close = cause
	}
	s.cond.Broadcast()
	s.mu.Unlock()
}

// kick ends the session from outside, for the reason given. Any goroutine may call it.
func (s *session) kick(cause error) {
	s.end(cause)
	s.conn.Interrupt()
	_ = s.conn.SetWriteDeadline(time.Now().Add(lastWait))
}
