package proxy

import (
	"errors"
	"time"

	"pgguard/proxy/wire"
)

// Causes that end a backend.
var (
	errFatal   = errors.New("server ended the connection")
	errTooLong = errors.New("server sent a control message of absurd length")
	errUnasked = errors.New("server sent an answer nobody asked for")
)

// detailKept is added to the server's own last words.
const detailKept = "the guard keeps this client connection"

// loss is what a session had under way when its server went.
type loss struct {
	gone     bool // the client had left
	waiting  bool // it waited for a token for the server it had kept
	open     bool // a transaction was open
	quiet    bool // nothing was outstanding
	unsynced bool // extended messages were sent, their Sync was not
	readies  int  // how many ReadyForQuery the client expects
	commit   bool // a COMMIT was under way
	write    bool // something that may write was under way
	state    bool // the server held session state of the client, or may have
	staged   bool // the request had not been sent, only what goes ahead of it
}

// loseLocked takes the server out of the session and says what it was doing.
func (s *session) loseLocked() loss {
	was := loss{
		gone: s.gone, waiting: s.waiting, open: s.ex.status != wire.Idle, quiet: s.ex.quiet(), unsynced: s.ex.unsynced,
		readies: s.ex.owed(), commit: s.ex.commit, write: s.ex.write, state: s.keepsLocked() || s.question != nil,
		staged: s.staged,
	}
	s.undoLocked(s.backend, s.ex.ops[s.ex.firstOp:], false)
	s.backend = nil
	s.parked, s.idle, s.lingers, s.staged, s.syncs, s.held, s.healing = false, false, false, false, 0, false, false
	s.ddl, s.shape, s.stops = false, false, false
	s.question, s.lesson = nil, lesson{}
	s.unpinLocked()
	s.dropRetry()
	s.cond.Broadcast()
	s.ex.reset()
	return was
}

// serverLost answers for a server that went while the session had it; false: the session did not have it any more. It is
// called once, by the backend's goroutine.
func (s *session) serverLost(b *backend, cause error) bool {
	s.wmu.Lock()
	s.mu.Lock()
	if s.backend != b {
		s.mu.Unlock()
		s.wmu.Unlock()
		return false
	}
	replay := s.replayLocked(b)
	was := s.loseLocked()
	torn := (b.left > 0 && !b.drop) || errors.Is(cause, errDoubt)
	failed := s.failed
	s.failed = nil
	strayed := failed != nil && !was.staged // the statement may have run under settings, or outside a transaction, that were not the client's
	var answer []byte
	anew := was.staged
	switch {
	case was.gone:
		s.waiting = s.waiting && !was.staged
		s.cond.Broadcast()
	case was.staged:
	case torn: // half a row cannot be taken back, and what the client waits for is not known
	case strayed:
		answer = refusedStrayed.append(nil, true)
	case was.state: // nor can session state be given back: only a new connection is honest
		answer = b.lastWords(refusedState, true)
	case was.waiting:
		s.local = wire.Idle
	case replay.request != nil:
		anew = s.beginAnewLocked(&replay)
	case was.quiet && was.open:
		s.lost = b.demoted(refusedLost)
		s.local = wire.Failed
	case was.quiet:
		s.local = wire.Idle
	default:
		answer = s.answerLossLocked(was, b)
	}
	s.mu.Unlock()
	if len(answer) > 0 {
		if err := s.conn.Send(answer); err != nil {
			s.cut(err)
		}
	}
	s.wmu.Unlock()
	replay.drop()
	switch {
	case was.gone:
	case was.staged && failed != nil:
		s.Refused(failed)
	case anew:
		b.inst.Pool.Get(&s.waiter, time.Now())
	case torn || strayed || was.state:
		s.kick(errors.Join(errServerLost, cause))
	case was.waiting && b.inst.Pool.Withdraw(&s.waiter):
		s.Refused(b.demoted(refusedState))
	}
	return true
}

// replayWithin is how soon after the first statement of a transaction was first sent its server must be known to be gone for
// the statement to be sent again: it can have been no operator's aim then. A restart ends the servers one after the other, so that
// the next may be going, too. Tests change it.
var replayWithin = 100 * time.Millisecond

// replayLocked takes out the request that is to be sent to another server, if any: it has opened a transaction, which is gone
// with all that it did, nothing of its answer has been passed on, and the server was told to go.
func (s *session) replayLocked(b *backend) (k retry) {
	if !s.retry.opens || s.gone || s.close != nil || !b.sentAway() {
		return retry{}
	}
	if r := s.retry.request; r.sent.IsZero() {
		r.sent = s.started
	}
	if time.Since(s.retry.request.sent) > replayWithin {
		return retry{}
	}
	k, s.retry = s.retry, retry{}
	return k
}

// beginAnewLocked makes the request that was taken out the one that waits for a server.
func (s *session) beginAnewLocked(k *retry) bool {
	s.pending, s.request = k.pending, k.request
	s.pending.R = k.at
	s.local, s.waiting, s.again = wire.InTransaction, true, false
	*k = retry{}
	return true
}

// sentAway is true if the server was told to go, by its own last words or, if they were lost because it no longer read, by those
// of others just now: PostgreSQL is being restarted.
func (b *backend) sentAway() bool {
	if b.fatal == nil {
		return b.inst.Restarting(time.Now())
	}
	code := b.lastCode()
	return code == codeAdminShutdown || code == codeCrashShutdown
}

// The SQLSTATEs of a server that ends because it, or all of PostgreSQL, was told to, or because another has crashed.
const (
	codeAdminShutdown = "57P01"
	codeCrashShutdown = "57P02"
)

// lastCode is the SQLSTATE of the server's last words, "" if there were none.
func (b *backend) lastCode() string {
	if f, err := wire.ParseError(b.fatal); b.fatal != nil && err == nil {
		return string(f.Code)
	}
	return ""
}

// mayReplay is true for the first request of a transaction that may run once more if the server was lost before it answered: all
// of it is at hand, and it does not end the transaction.
func mayReplay(r *request) bool { return r.left == 0 && !r.commit }

// answerLossLocked builds the answer to what was outstanding: an error in the place of every answer still expected.
func (s *session) answerLossLocked(was loss, b *backend) (out []byte) {
	refusal := refusedRead
	s.local = wire.Idle
	switch {
	case was.commit || (!was.open && was.write):
		refusal = refusedUnknown
	case was.open:
		refusal = refusedLost
		s.local = wire.Failed
	}
	s.skip = was.unsynced
	r := b.demoted(refusal)
	s.srv.refused(r, s.class)
	for range was.readies {
		out = wire.AppendReady(r.append(out, false), s.local)
	}
	if was.unsynced || was.readies == 0 {
		out = r.append(out, false) // its ReadyForQuery follows the client's Sync
	}
	return out
}

var errServerLost = errors.New("server connection was lost")

// demoted is the answer with the server's own last words, if it had any, made an ERROR.
func (b *backend) demoted(r *Refusal) *Refusal {
	if b.fatal == nil {
		return r
	}
	raw, err := wire.AppendDemoted(nil, b.fatal, detailKept)
	if err != nil {
		return r
	}
	return &Refusal{Reason: r.Reason, Message: r.Message, raw: raw}
}

// lastWords are the server's own FATAL, or ours.
func (b *backend) lastWords(r *Refusal, fatal bool) []byte {
	if b.fatal == nil {
		return r.append(nil, fatal)
	}
	return wire.AppendMessage(nil, wire.ErrorResponse, b.fatal)
}

// cut closes a client that cannot be written to; its session notices and cleans up.
func (s *session) cut(cause error) {
	s.end(cause)
	_ = s.conn.Conn.Close()
}
