package proxy

import (
	"errors"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// Causes that end a backend.
var (
	errFatal   = errors.New("server ended the connection")
	errTooLong = errors.New("server sent a control message of absurd length")
	errDoubt   = errors.New("client and server are out of step")
	errUnasked = errors.New("server sent an answer nobody asked for")
)

// detailKept is added to the server's own last words.
const detailKept = "the guard keeps this client connection"

// loss is what a session had under way when its server went.
type loss struct {
	at       state
	kept     bool     // the request that was not sent yet was for this server alone
	open     bool     // the client may be in a transaction
	astray   bool     // nobody can tell whether it is
	held     bool     // all is answered but for the ReadyForQuery, which waited for something of the guard's own
	quiet    bool     // nothing was outstanding that the client waits for
	unsynced bool     // extended messages were sent, their Sync was not
	skipping bool     // and an error in them has been told
	owes     bool     // the client expects a ReadyForQuery
	unknown  bool     // something of what was under way may be committed
	state    bool     // the server held session state of the client, or may have
	failed   *Refusal // why the server did not take what goes ahead of the request; nil: it did, or nothing did
	barred   []byte   // the last words, if no server will take it any more
}

// loseLocked takes the server out of the session and says what it was doing. It is called with mu held.
func (s *session) loseLocked() loss {
	l := s.link
	lease := &l.lease
	was := loss{
		at: s.state, kept: s.request != nil && s.request.kept, open: lease.Open(), astray: lease.Astray(), held: lease.Held(), quiet: !lease.Awaited(),
		unsynced: lease.Unsynced(), skipping: lease.Skipping(), owes: lease.Owes(), unknown: lease.Unknown(), state: lease.Keeps() || lease.Stays() != 0,
	}
	if body := lease.Failed(); body != nil {
		e := upstream.ParseError(body)
		was.failed = &Refusal{Reason: ReasonLost, Message: e.Message, raw: e.Demoted()}
		if class := e.Code[:min(2, len(e.Code))]; class == "22" || class == "42" {
			was.barred = barredWords(e)
		}
	}
	lease.Lose()
	lease.Unpin()
	s.partLocked()
	if was.at == leaving {
		s.client.DeallocateAll()
	}
	return was
}

// barredWords are the last to a client whose settings PostgreSQL does not take any more, as when its role was revoked: its session cannot be had
// on another server, and nothing may run without.
func barredWords(e *upstream.Error) []byte {
	return encode(nil, &pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: e.Code, Message: e.Message,
		Detail: "The session had set this before, and cannot go on without it.",
	})
}

// lost answers for a server that went while the link had it, and returns the lease; none: the link did not have it any more. It is called
// once, by the backend's goroutine.
func (l *link) lost(b *backend, cause error) (lent pool.Lease) {
	l.lock()
	s := l.s
	if s == nil {
		defer l.unlock()
		if l.done {
			return pool.Lease{}
		}
		l.dead = true
		l.lease.Unpin()
		l.cond.Broadcast()
		return l.granted
	}
	if s.link != l || l.b != b {
		l.unlock()
		return pool.Lease{}
	}
	lent = l.granted
	again := l.replayLocked()
	was := s.loseLocked()
	torn := (b.left > 0 && !b.drop) || errors.Is(cause, errDoubt) || errors.Is(cause, errBug)
	then := s.afterLossLocked(b, was, torn, again)
	if then.close {
		s.endLocked(errors.Join(errServerLost, cause))
	}
	s.mu.Unlock()
	if len(then.answer) > 0 {
		if err := s.sayLocked(then.answer); err != nil {
			s.cut(err)
		}
	}
	s.mute = s.mute || then.close
	s.wmu.Unlock()
	switch {
	case then.close:
		s.kick(cause)
	case then.refusal != nil:
		s.Refused(then.refusal)
	case then.anew:
		s.getAnother(b.inst, time.Now())
	case was.at == awaiting && b.inst.Pool.Withdraw(&s.waiter):
		s.Refused(b.demoted(refusedState))
	}
	return lent
}

// afterLoss is what is done about a lost server.
type afterLoss struct {
	answer  []byte // for the client
	close   bool   // the client's connection ends
	anew    bool   // the request waits for another server
	refusal error  // the request is answered with this
}

// afterLossLocked decides what is done about a lost server. torn: what the client was told, or waits for, cannot be told from the outside.
// again is the request that may begin on another server.
func (s *session) afterLossLocked(b *backend, was loss, torn bool, again *request) (then afterLoss) {
	if again != nil && (was.at != running || torn || was.state) {
		putRequest(again)
		again = nil
	}
	switch {
	case was.at == leaving: // nobody is there to be told
	case was.at == preparing && was.barred != nil: // nor would it be sent ever
		then.answer, then.close = was.barred, true
	case was.at == preparing && was.failed != nil: // the request has not been sent
		then.refusal = was.failed
	case was.at == preparing && !was.kept:
		s.moveLocked(queued)
		s.asked, then.anew = true, true
	case torn: // half a row cannot be taken back, and what the client waits for is not known
		then.close = true
	case s.close != nil && was.at == running: // who ends it says why
		s.moveLocked(free)
	case was.failed != nil: // the statement may have run under settings, or outside a transaction, that were not the client's
		then.answer, then.close = refusedStrayed.append(nil, true), true
	case was.state || (was.astray && again == nil): // it cannot be given back, or told: only a new connection is honest
		then.answer, then.close = b.lastWords(lastRefusal(was), true), true
	case was.at == awaiting:
	case was.at == preparing:
		then.refusal = b.demoted(lostRefusal(was))
		if was.open {
			s.local = wire.InTransaction
		}
	case again != nil:
		s.request = again
		s.local = wire.Idle
		if again.opens {
			s.local = wire.InTransaction
		}
		s.moveLocked(queued)
		s.asked, then.anew = true, true
	case was.held && !was.open: // and nothing was left
		then.answer, s.local = wire.AppendReady(nil, wire.Idle), wire.Idle
		s.moveLocked(free)
	case was.quiet && (was.open || was.unsynced):
		if s.skip = was.skipping; !s.skip {
			s.lost = b.demoted(refusedLost)
			if was.unknown {
				s.lost = b.demoted(refusedUnknown)
			}
		}
		s.moveLocked(free)
		s.local = wire.Idle
		if was.open {
			s.local = wire.Failed
		}
	case was.quiet:
		s.local = wire.Idle
		s.moveLocked(free)
	default:
		then.answer = s.answerLossLocked(was, b)
		s.moveLocked(free)
	}
	return then
}

// replayWithin is how soon after the first statement of a transaction was first sent its server must be known to be gone for
// the statement to be sent again: it can have been no operator's aim then. A restart ends the servers one after the other, so that
// the next may be going, too. Tests change it.
var replayWithin = 100 * time.Millisecond

// replayLocked takes out the request that may be sent to another server, if any: nothing of its answer has been passed on. It has opened a
// transaction, which is gone with all that it did, on a server that was told to go; or met one that had been idle for too long, which runs
// nothing any more; or was a BEGIN and no more.
func (l *link) replayLocked() *request {
	r := l.kept
	if r == nil || l.s.close != nil || l.s.state != running {
		return nil
	}
	harmless := l.b.lastCode() == codeIdleTimeout || r.Begins()
	if !harmless && (!l.opens || !l.b.sentAway()) {
		return nil
	}
	if r.sent.IsZero() {
		r.sent = l.started
	}
	if !harmless && time.Since(r.sent) > replayWithin {
		return nil
	}
	r.opens = l.opens
	l.kept = nil
	l.lease.Drop()
	return r
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

// codeIdleTimeout is the SQLSTATE of a server whose idle_session_timeout was over before it had read anything more.
const codeIdleTimeout = "57P05"

// codeReadOnly is the SQLSTATE of a write that a standby, or a transaction that is to read only, is asked for.
const codeReadOnly = "25006"

// lastCode is the SQLSTATE of the server's last words, "" if there were none.
func (b *backend) lastCode() string {
	if f, err := wire.ParseError(b.fatal); b.fatal != nil && err == nil {
		return string(f.Code)
	}
	return ""
}

// mayReplay is true for the first request of a transaction that may run once more if the server was lost before it answered: all
// of it is at hand, and nothing of it outlives the transaction.
func mayReplay(r *request) bool {
	return atHand(r) && r.RollsBack()
}

// atHand is true if all of the request has been read, so that it could be sent again.
func atHand(r *request) bool {
	left, _ := r.Left()
	return left == 0
}

// answerLossLocked builds the answer to what was outstanding: an error in the place of the answer still expected.
func (s *session) answerLossLocked(was loss, b *backend) (out []byte) {
	s.local = wire.Idle
	if was.open {
		s.local = wire.Failed
	}
	r := b.demoted(lostRefusal(was))
	s.srv.countRefusal(r, s.class)
	out = r.append(nil, false)
	if was.owes || was.held {
		return wire.AppendReady(out, s.local)
	}
	s.skip = true // its ReadyForQuery follows the client's Sync
	return out
}

// lostRefusal says what the loss of its server means for what a client has under way.
func lostRefusal(was loss) *Refusal {
	switch {
	case was.unknown:
		return refusedUnknown
	case was.open:
		return refusedLost
	}
	return refusedRead
}

// lastRefusal is the last that a client is told whose connection ends with its server.
func lastRefusal(was loss) *Refusal {
	switch {
	case was.unknown:
		return refusedUnknown
	case was.state:
		return refusedState
	}
	return refusedAstray
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
