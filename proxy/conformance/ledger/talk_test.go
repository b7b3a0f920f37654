package ledger

import (
	"fmt"
	"strings"

	"pgguard/proxy/wire"
)

// owed is a message that was sent and is not answered yet.
type owed struct {
	*message
	at      int  // deeds before it are done
	errored bool // it has had its error; only its ReadyForQuery is to come
	ended   bool // of a COPY: the CopyDone was sent
	half    bool // of a Describe of a statement: the first of its two answers has come
	behind  bool // it came behind a batch without a Sync
	part    bool // only the start of it was sent: it may be refused, and cannot run
}

// done is whether only ReadyForQuery is to come.
func (o *owed) done() bool { return o.errored || o.at == len(o.deeds) }

// talk follows a conversation from the client's side. It knows what the server owes and what has become of every row, and
// holds because a server reads its client's messages in order and answers each in a known way; only an error and COPY make it
// read over some.
type talk struct {
	owed     []*owed
	skipping bool     // the server reads over everything until a Sync
	unsynced bool     // messages of the extended protocol were sent after the last Sync
	verdict  outcome  // of what it reads over
	copying  *owed    // the server waits for the data of this
	failure  *failure // in the exchange under way
	last     *failure // the last there was
	fatal    *failure // the connection is ended by this

	status   byte // of the last ReadyForQuery
	explicit bool // a transaction block is open
	poisoned bool // and has failed
	unit     []*attempt
	points   []savepoint
	names    map[string]bool // prepared statements

	broken []string // rules that an answer broke without being out of step
}

// savepoint is how much of the unit stands before it.
type savepoint struct {
	name string
	at   int
}

func newTalk() *talk { return &talk{status: wire.Idle, names: map[string]bool{}} }

// say enters a message that was sent to its last byte.
func (t *talk) say(m *message) {
	switch m.typ {
	case wire.CopyData:
		return
	case wire.CopyDone, wire.CopyFail:
		if o := t.lastCopy(); o != nil {
			o.ended = true
		}
		t.copying = nil
		return
	case wire.Sync, wire.Flush:
		if t.copying != nil {
			return // means nothing to a server that waits for copy data
		}
	}
	if t.skipping && m.typ != wire.Sync {
		t.each(m, 0, func(a *attempt) { a.settle(t.verdict, "read over after "+t.last.String()) })
		return
	}
	o := &owed{message: m, behind: t.unsynced}
	switch t.skipping = false; m.typ {
	case wire.Query, wire.FunctionCall, wire.Sync:
		t.unsynced = false
	case wire.Flush:
	default:
		t.unsynced = true
	}
	t.each(m, 0, func(a *attempt) { a.settle(sent, "") })
	t.owed = append(t.owed, o)
}

// begin enters a message of which only the start was sent, before the client leaves.
func (t *talk) begin(m *message) {
	switch m.typ {
	case wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Sync, wire.Flush:
		return
	}
	if !t.skipping && t.copying == nil {
		t.owed = append(t.owed, &owed{message: m, part: true})
	}
}

// each calls f for every row of the deeds of m from the given on.
func (t *talk) each(m *message, from int, f func(a *attempt)) {
	for _, d := range m.deeds[min(from, len(m.deeds)):] {
		for _, a := range d.rows {
			f(a)
		}
		for _, a := range d.inner {
			f(a)
		}
	}
}

// lastCopy is the last COPY whose data may still be sent.
func (t *talk) lastCopy() *owed {
	for i := len(t.owed) - 1; i >= 0; i-- {
		o := t.owed[i]
		if n := len(o.deeds); n > 0 && o.deeds[n-1].act == actCopy && !o.done() {
			return o
		}
	}
	return nil
}

// head is what the server answers now, nil if it owes nothing.
func (t *talk) head() *owed {
	for len(t.owed) > 0 && t.owed[0].typ == wire.Flush {
		t.owed = t.owed[1:]
	}
	if len(t.owed) == 0 {
		return nil
	}
	return t.owed[0]
}

// waiting is whether something must come without anything more being sent.
func (t *talk) waiting() bool {
	if t.copying != nil || t.head() == nil {
		return false
	}
	for i := len(t.owed) - 1; i >= 0; i-- {
		switch t.owed[i].typ {
		case wire.Sync, wire.Query, wire.FunctionCall:
			return true
		case wire.Flush:
			return i > 0
		}
	}
	return false
}

// outOfStep is an answer that nobody is owed.
func (t *talk) outOfStep(typ byte, body []byte) error {
	what := "nothing"
	if h := t.head(); h != nil {
		what, _, _ = strings.Cut(h.short, " ")
		if h.done() && len(h.deeds) > 0 {
			what = "the ReadyForQuery of " + what
		}
	}
	came := fmt.Sprintf("%c", typ)
	if f, err := parseFailure(body); typ == wire.ErrorResponse && err == nil {
		came += " " + f.String()
	}
	if t.fatal != nil {
		what = "nothing, after " + t.fatal.String() + ","
	}
	return fmt.Errorf("%s owed, and there came %s", what, came)
}

// hear enters a message that has come; an error is one that must not come now.
func (t *talk) hear(typ byte, body []byte) error {
	switch typ {
	case wire.NoticeResponse, wire.ParameterStatus, wire.NotificationResponse:
		return nil
	case wire.ErrorResponse:
		return t.hearError(typ, body)
	}
	h := t.head()
	if h == nil || t.fatal != nil || h.part && !h.errored {
		return t.outOfStep(typ, body)
	}
	if typ == wire.ReadyForQuery {
		return t.hearReady(h, typ, body)
	}
	ok := false
	switch h.typ {
	case wire.Query, wire.FunctionCall, wire.Execute:
		return t.hearRun(h, typ, body)
	case wire.Parse:
		if ok = typ == wire.ParseComplete; ok && h.name != "" {
			t.names[h.name] = true
		}
	case wire.Bind:
		ok = typ == wire.BindComplete
	case wire.Close:
		ok = typ == wire.CloseComplete
		delete(t.names, h.name)
	case wire.Describe:
		if h.what == 'S' && !h.half {
			h.half = true
			if typ != wire.ParameterDescription {
				return t.outOfStep(typ, body)
			}
			return nil
		}
		ok = typ == wire.RowDescription || typ == wire.NoData
	}
	if !ok {
		return t.outOfStep(typ, body)
	}
	t.owed = t.owed[1:]
	return nil
}

// hearReady enters ReadyForQuery.
func (t *talk) hearReady(h *owed, typ byte, body []byte) error {
	switch h.typ {
	case wire.Query, wire.FunctionCall:
		if !h.done() {
			return t.outOfStep(typ, body)
		}
	case wire.Sync:
	default:
		return t.outOfStep(typ, body)
	}
	if len(body) != 1 {
		return t.outOfStep(typ, body)
	}
	t.owed = t.owed[1:]
	now := body[0]
	if want := t.mayBe(h); !contains(want, now) {
		t.broken = append(t.broken, fmt.Sprintf("ReadyForQuery says %c, want one of %s, after %s", now, want, h.short))
	}
	t.status, t.explicit, t.poisoned = now, now != wire.Idle, now == wire.Failed
	if now == wire.Idle {
		o, why := t.atEnd()
		t.decide(&t.unit, o, why)
		t.points = nil
	}
	t.failure = nil
	return nil
}

func contains(set string, b byte) bool {
	for i := range len(set) {
		if set[i] == b {
			return true
		}
	}
	return false
}

// mayBe are the states in which the exchange that ends now, with h, may leave the session.
func (t *talk) mayBe(h *owed) string {
	switch f := t.failure; {
	case f == nil && !t.explicit && h.typ == wire.Query && h.behind: // PostgreSQL 18 leaves the batch's transaction open
		return "IT"
	case f != nil && (f.lossy() || f.ends || f.code == "25P03"): // a COMMIT may be among what it is the answer to
		return "IE"
	case !t.explicit:
		return "I"
	case f != nil || t.poisoned:
		return "E"
	}
	return "T"
}

// atEnd is what has become of what was written since the last commit, at the end of an exchange that has left no
// transaction open.
func (t *talk) atEnd() (o outcome, why string) {
	switch f := t.failure; {
	case f == nil:
		return acknowledged, "acknowledged"
	case f.discards():
		// The guard tells so of a transaction that has left too much in its server, and is committed.
		return unknown, f.String()
	default:
		return failed, "rolled back by " + f.String()
	}
}

// decide settles all of a list and empties it.
func (t *talk) decide(list *[]*attempt, o outcome, why string) {
	for _, a := range *list {
		a.settle(o, why)
	}
	*list = nil
}
