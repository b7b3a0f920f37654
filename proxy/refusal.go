package proxy

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
	"pgguard/proxy/upstream"
)

// Reason is a word for why the guard answered in the database's place; it is a metric label.
type Reason string

// The reasons.
const (
	ReasonWait         Reason = "wait"        // waited too long for a server
	ReasonQueueFull    Reason = "queue_full"  // shed: too many wait already
	ReasonOverload     Reason = "overload"    // shed: interactive work queues without a pause, and this waited for longer than its clients do
	ReasonTooLate      Reason = "too_late"    // shed: its turn would come when its client will have left
	ReasonReaped       Reason = "reaped"      // the idle transaction was rolled back
	ReasonBreaker      Reason = "breaker"     // the database cannot be reached
	ReasonLost         Reason = "server_lost" // the server went in mid-transaction
	ReasonUnknown      Reason = "outcome"     // the server went while a COMMIT or a write was under way
	ReasonCanceled     Reason = "canceled"    // the client canceled its statement before it was sent
	ReasonRejected     Reason = "rejected"    // the server refuses this user or database
	ReasonClients      Reason = "max_clients" // too many clients
	ReasonUnreachable  Reason = "unreachable" // login: the database is not accepting connections
	ReasonDraining     Reason = "draining"    // the guard is going away
	ReasonProtocol     Reason = "protocol"    // the client does not speak the protocol
	ReasonUnsupported  Reason = "unsupported" // the client asks for what the guard cannot do
	ReasonPassword     Reason = "password"    // login: the client has not proved that it knows the user's password
	ReasonIdentity     Reason = "identity"    // login: no rule lets the client in as this user
	ReasonConsole      Reason = "console"     // login: the user may not come to the console
	ReasonPinned       Reason = "pinned"      // too many clients keep a server of their own
	ReasonTransactions Reason = "pool_mode"   // a transaction block in statement mode

	ReasonStatementTimeout   Reason = "statement_timeout"   // disconnect_after: a statement ran for too long
	ReasonTransactionTimeout Reason = "transaction_timeout" // disconnect_after: a transaction lasted for too long
	ReasonIdleTransaction    Reason = "idle_in_transaction" // disconnect_after: a transaction did nothing for too long
	ReasonIdle               Reason = "idle"                // disconnect_after: a client did nothing for too long
)

const hintSafe = "The statement was not sent; it is safe to try again."

// row is one line of the refusal table.
type row struct {
	code  string
	fatal bool // the client is closed; never for pressure
	hint  string
}

// refusals is the table of everything that the guard answers in the database's place. Why these codes: drivers keep
// their connection on class 53, do not retry by themselves, and show it to the application as lack of resources.
var refusals = map[Reason]row{
	ReasonWait:         {"53300", false, hintSafe},
	ReasonQueueFull:    {"53400", false, hintSafe},
	ReasonOverload:     {"53400", false, hintSafe},
	ReasonTooLate:      {"53400", false, hintSafe},
	ReasonReaped:       {"25P03", false, "Run the whole transaction again, and keep what is slow out of it."},
	ReasonBreaker:      {"53000", false, hintSafe},
	ReasonLost:         {"08006", false, "Run the whole transaction again."},
	ReasonUnknown:      {"08007", false, "Check before running it again."},
	ReasonCanceled:     {"57014", false, ""},
	ReasonRejected:     {"08004", false, ""},
	ReasonClients:      {"53300", true, ""},
	ReasonUnreachable:  {"57P03", true, "The guard's log says more, and so does pgguard check --connect."},
	ReasonDraining:     {"57P01", true, ""},
	ReasonProtocol:     {"08P01", true, ""},
	ReasonUnsupported:  {"0A000", true, ""},
	ReasonPassword:     {"28P01", true, ""},
	ReasonIdentity:     {"28000", true, ""},
	ReasonConsole:      {"08P01", true, ""},
	ReasonPinned:       {"53400", false, "Release what the session keeps (locks, temporary tables, LISTEN, cursors), or raise pool.max_pinned."},
	ReasonTransactions: {"0A000", false, "Set pool.mode to transaction."},

	ReasonStatementTimeout:   {"57014", true, ""},
	ReasonTransactionTimeout: {"25P04", true, ""},
	ReasonIdleTransaction:    {"25P03", true, ""},
	ReasonIdle:               {"57P05", true, ""},
}

// Refusal is an answer given in the database's place; the client stays connected unless the table says fatal.
type Refusal struct {
	Reason  Reason
	Message string
	Detail  string
	// Retry is after how long it may be worth to try again; 0 if that is not known.
	Retry time.Duration
	// raw, if not nil, is the whole ErrorResponse to send: the server's own words.
	raw []byte
}

func (r *Refusal) Error() string { return r.Message }

// Fatal is true if the client is closed after the answer.
func (r *Refusal) Fatal() bool { return refusals[r.Reason].fatal }

// append appends the ErrorResponse. fatal makes it end the client whatever the table says.
func (r *Refusal) append(dst []byte, fatal bool) []byte {
	if r.raw != nil && !fatal {
		return append(dst, r.raw...)
	}
	severity := "ERROR"
	if fatal || r.Fatal() {
		severity = "FATAL"
	}
	t := refusals[r.Reason]
	return encode(dst, &pgproto3.ErrorResponse{
		Severity: severity, SeverityUnlocalized: severity, Code: t.code,
		Message: r.Message, Detail: r.Detail, Hint: r.hint(),
	})
}

// hint is what to do: when, if that is known, in seconds.
func (r *Refusal) hint() string {
	hint := refusals[r.Reason].hint
	if r.Retry <= 0 {
		return hint
	}
	return fmt.Sprintf("%s Try again in %d s.", hint, (r.Retry+time.Second-1)/time.Second)
}

// appendWarning appends the same as a warning, for a statement that has been answered with an error of its own.
func (r *Refusal) appendWarning(dst []byte) []byte {
	t := refusals[r.Reason]
	return encode(dst, &pgproto3.NoticeResponse{
		Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: t.code, Message: r.Message, Detail: r.Detail, Hint: r.hint(),
	})
}

// encode appends a message of ours, which is always short enough to be encoded.
func encode(dst []byte, m interface {
	Encode(dst []byte) ([]byte, error)
},
) []byte {
	out, err := m.Encode(dst)
	if err != nil {
		panic("proxy: message of ours cannot be encoded: " + err.Error())
	}
	return out
}

// refusalFor turns an error of the pool into the answer for a statement.
func refusalFor(err error) *Refusal {
	var pressure *pool.RefusedError
	var down *pool.UnreachableError
	var rejected *pool.RejectedError
	var full *pool.KeyFullError
	var r *Refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.As(err, &pressure):
		return refusalForPressure(pressure)
	case errors.As(err, &down):
		return &Refusal{Reason: ReasonBreaker, Message: "guard: circuit open, the database cannot be reached",
			Detail: strings.TrimSpace(upstream.Plain(err) + " The guard tries again all the time; the first success closes the circuit.")}
	case errors.As(err, &rejected), errors.As(err, &full):
		var pe *upstream.Error
		if errors.As(err, &pe) {
			return &Refusal{Reason: ReasonRejected, Message: "guard: server refused the login", raw: pe.Demoted()}
		}
		return &Refusal{Reason: ReasonRejected, Message: "guard: server refused the login"}
	case errors.Is(err, pool.ErrClosed):
		return &Refusal{Reason: ReasonDraining, Message: "guard: shutting down"}
	}
	return &Refusal{Reason: ReasonLost, Message: "guard: " + err.Error()}
}

// unreachable is the answer to a login while no server can be logged in to, for a reason that is named as far as a client may know it.
func unreachable(err error) *Refusal {
	return &Refusal{Reason: ReasonUnreachable, Message: "guard: database is not accepting connections", Detail: upstream.Plain(err)}
}

// refusalForPressure says what a request has waited for in vain.
func refusalForPressure(e *pool.RefusedError) *Refusal {
	ms := e.Waited.Milliseconds()
	r := &Refusal{Reason: ReasonWait, Retry: e.Expected, Detail: fmt.Sprintf("class=%s waiting=%d active=%d limit=%d wait=%dms lack=%s servers=%d idle=%d max_servers=%d",
		e.Class, e.Waiting, e.Active, e.Limit, ms, e.Lack, e.Lent, e.Idle, e.Cap)}
	if e.Expected > 0 {
		r.Detail += fmt.Sprintf(" expected_wait=%dms", e.Expected.Milliseconds())
	}
	switch e.Reason {
	case "too_late":
		r.Reason = ReasonTooLate
		r.Message = fmt.Sprintf("guard: statement of class %q shed: it would have to wait for about %d ms, and may for %d ms", e.Class,
			e.Expected.Milliseconds(), e.InTime.Milliseconds())
		return r
	case "queue_full":
		r.Reason, r.Message = ReasonQueueFull, fmt.Sprintf("guard: statement of class %q shed, its queue is full", e.Class)
		return r
	case "overload":
		r.Reason = ReasonOverload
		r.Message = fmt.Sprintf("guard: statement of class %q shed after %d ms, the database is overloaded", e.Class, ms)
		return r
	}
	r.Message = fmt.Sprintf("guard: no server connection became free within %d ms", ms)
	switch e.Lack {
	case pool.LackServer:
		r.Message += fmt.Sprintf(": %d of %d are in use, %d of them by transactions that do nothing", e.Lent, e.Cap, e.Idle)
	case pool.LackShare:
		r.Message += fmt.Sprintf(": class %q has %d of %d, which is its share", e.Class, e.Own, e.Cap)
	case pool.LackReserve:
		r.Message += fmt.Sprintf(": class %q has %d of %d, and the rest is kept for interactive work", e.Class, e.Own, e.Cap)
	case pool.LackToken:
		r.Message = fmt.Sprintf("guard: statement could not begin within %d ms: %d run, the limit is %d", ms, e.Active, e.Limit)
		if e.InGap > 0 {
			r.Message = fmt.Sprintf("guard: statement could not begin within %d ms: %d run and %d transactions are about to go on, the limit is %d", ms, e.Active, e.InGap, e.Limit)
		}
	case pool.LackSlow:
		r.Message = fmt.Sprintf("guard: statement could not begin within %d ms: slow statements have their share of the limit of %d", ms, e.Limit)
	case pool.LackConvoy:
		r.Message = fmt.Sprintf("guard: statement could not begin within %d ms: others of its kind wait for a lock", ms)
	case pool.LackCeiling:
		r.Message = fmt.Sprintf("guard: statement could not begin within %d ms: the database has been away and is given work little by little", ms)
	case pool.LackLogin:
		r.Message += ": none could be opened"
	case pool.LackKey:
		r.Message += ": the role or the database has as many as it may have"
	}
	var pe *upstream.Error
	if errors.As(e.Err, &pe) { // the server has said itself what is in the way
		r.Message, r.raw = "guard: "+pe.Message, pe.Demoted()
	}
	return r
}

// The answers about a lost server.
var (
	refusedLost = &Refusal{Reason: ReasonLost,
		Message: "guard: server connection was lost; the transaction was rolled back"}
	refusedRead = &Refusal{Reason: ReasonLost,
		Message: "guard: server connection was lost while the statement ran"}
	refusedUnknown = &Refusal{Reason: ReasonUnknown,
		Message: "guard: server connection was lost while committing; outcome unknown"}
	refusedState = &Refusal{Reason: ReasonLost,
		Message: "guard: server connection was lost with the session state it held"}
	refusedAstray = &Refusal{Reason: ReasonLost,
		Message: "guard: server connection was lost while a transaction began"}
	refusedStrayed = &Refusal{Reason: ReasonUnknown,
		Message: "guard: the server did not take the client's settings or its BEGIN; what was sent behind may have run without"}
	refusedReaped = &Refusal{Reason: ReasonReaped,
		Message: "guard: the transaction did nothing while others waited, and was rolled back"}
	refusedReapedUnknown = &Refusal{Reason: ReasonUnknown,
		Message: "guard: what was sent had no end while others waited; outcome unknown"}
	refusedUnread = &Refusal{Reason: ReasonReaped,
		Message: "guard: the client did not read its answers while others waited"}
	refusedPins = &Refusal{Reason: ReasonPinned,
		Message: "guard: too many clients keep a server of their own; what this one would have kept it for was discarded"}
	refusedCanceled = &Refusal{Reason: ReasonCanceled, Message: "canceling statement due to user request"}
	refusedBlocks   = &Refusal{Reason: ReasonTransactions, Message: "guard: transaction blocks need pool mode transaction or session"}
)

// abortedError is what PostgreSQL answers in a transaction that has failed.
var abortedError = encode(nil, &pgproto3.ErrorResponse{
	Severity: "ERROR", SeverityUnlocalized: "ERROR", Code: "25P02",
	Message: "current transaction is aborted, commands ignored until end of transaction block",
	File:    "postgres.c", Routine: "exec_simple_query",
})
