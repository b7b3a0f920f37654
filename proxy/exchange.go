package proxy

import (
	"errors"
	"slices"

	"pgguard/proxy/wire"
)

// What the server still owes, one mark for each message, in the order in which it will answer. Marks are what
// exchange.marks holds. Those from markParse on may be skipped by the server after an error.
const (
	markQuery    = 'Q' // a simple query: one ReadyForQuery
	markCall     = 'F' // a function call: one ReadyForQuery
	markSync     = 'S' // a Sync: one ReadyForQuery
	markHidden   = 'h' // a simple query of ours: everything up to its ReadyForQuery is not for the client
	markForget   = 'f' // as markHidden: the server forgets what it remembers of sequences, unless it fails
	markSettings = 's' // as markHidden: gives the server the client's settings
	markBegin    = 'g' // as markHidden: opens the client's transaction
	markDiscard  = 'x' // as markHidden, but its ReadyForQuery is the client's: what was left is discarded
	markAsk      = 'a' // as markHidden, but its ReadyForQuery is the client's: what has the transaction left?
	markParse    = 'P' // the client's Parse
	markKnown    = 'K' // a Close that stands for a Parse of what the server has already: answered as a Parse
	markClose    = 'C' // the client's Close of a statement or a portal
	markOurParse = 'p' // a Parse of ours: its ParseComplete is not for the client
	markOurClose = 'k' // a Close of ours: its CloseComplete is not for the client
	markOurBind  = 'i' // a Bind of ours: its BindComplete is not for the client
	markOurRun   = 'j' // an Execute of ours: its CommandComplete is not for the client
	markBind     = 'B'
	markTwin     = 'b' // as markBind, with the name that the client gave
	markDescribe = 'D'
	markExecute  = 'E'
	markData     = 'd' // the client's CopyData in a row
	markEnd      = 'c' // the client's CopyDone or CopyFail: no answer, but where a COPY ends
)

// keptOps and keptMarks are how much room an idle client keeps.
const (
	keptOps   = 8
	keptMarks = 64
)

// errDoubt ends a server whose answers nobody can tell apart any more.
var errDoubt = errors.New("client and server are out of step")

// maxMarks bounds how far a client may run ahead of its answers.
const maxMarks = 1 << 20

// exchange counts what the client has begun and the server has not finished. It is pure: no IO, no clock.
type exchange struct {
	marks    []byte
	first    int  // marks before it are done
	ops      []op // what the marks that carry one have changed, in the same order
	firstOp  int
	sealed   int  // ops before it were sent before the last Sync: what comes after may run though they have failed
	loose    int  // ops outstanding that change the unnamed statement
	readies  int  // marks outstanding that the client's ReadyForQuery will end
	unsynced bool // extended messages were sent after the last Sync
	executed bool // an Execute was among them
	skipping bool // after an error, with no Sync sent yet: the server drops everything up to one
	doubt    bool // what was sent may be answered in two ways: client and server cannot be kept in step
	partial  bool // the start of a client's message was sent, the end was not
	copyIn   bool // the server waits for copy data
	status   byte // of the last ReadyForQuery; 'I' at the start
	// since the last time that nothing was outstanding
	commit bool // a COMMIT, or a text that may hold one, is under way
	write  bool // something that may write is under way
}

// reset makes e as it is at the start of a lease.
func (e *exchange) reset() {
	*e = exchange{marks: e.marks[:0], ops: e.ops[:0], status: wire.Idle}
}

// rest gives back the room that many messages at once have taken, as at the start of a client. Nothing is outstanding.
func (e *exchange) rest() {
	if cap(e.ops) > keptOps {
		e.ops, e.firstOp = nil, 0
	}
	if cap(e.marks) > keptMarks {
		e.marks, e.first = nil, 0
	}
}

// client notes one message sent, and answers false if the client has run too far ahead. Messages that change what
// statements there are have marks of their own, which are added by their senders.
func (e *exchange) client(typ byte) bool {
	switch typ {
	case wire.Sync:
		e.sync()
	case wire.CopyData:
		e.addOnce(markData)
	case wire.CopyDone, wire.CopyFail:
		e.addOnce(markEnd)
	case wire.Flush:
	case wire.Query, wire.FunctionCall:
		e.misplaced()
		if !e.skipping {
			e.add(typ)
			e.unsynced, e.executed = false, false // its ReadyForQuery comes also without a Sync
		}
	case wire.Bind, wire.Describe, wire.Execute:
		e.extended(typ)
	case wire.Parse, wire.Close:
		e.extendedOp(typ, op{})
	}
	return len(e.marks)-e.first <= maxMarks
}

// extended notes one extended message, by its mark.
func (e *exchange) extended(mark byte) {
	e.misplaced()
	e.unsynced, e.executed = true, e.executed || mark == markExecute
	if !e.skipping {
		e.add(mark)
	}
}

// extendedOp notes an extended message that changes what statements there are, and how.
func (e *exchange) extendedOp(mark byte, o op) {
	e.extended(mark)
	if !e.skipping {
		e.ops = append(e.ops, o)
		if o.unnamed {
			e.loose++
		}
	}
}

// outstanding is true if an answer is to come.
func (e *exchange) outstanding() bool { return e.first < len(e.marks) }

// carriesOp is true for marks that stand for an op.
func carriesOp(mark byte) bool {
	switch mark {
	case markParse, markKnown, markClose, markOurParse, markOurClose, markTwin:
		return true
	}
	return false
}

// sync notes a Sync.
func (e *exchange) sync() {
	if e.copyIn && !slices.Contains(e.marks[e.first:], markEnd) {
		// The server drops it, unless it has found wrong data meanwhile.
		e.unsynced = true
		e.doubt = e.doubt || slices.Contains(e.marks[e.first:], markData)
		return
	}
	e.unsynced, e.executed, e.skipping = false, false, false
	e.add(markSync)
	e.sealed = len(e.ops)
}

// misplaced notes that something was sent that has no place in copy data. If the server reads some it takes the message
// for an error; but it may have found wrong data meanwhile, and then it runs it.
func (e *exchange) misplaced() {
	if e.copyIn && !slices.Contains(e.marks[e.first:], markEnd) {
		e.doubt = true
	}
}

// addOnce notes copy data or its end. With nothing outstanding the server ignores it.
func (e *exchange) addOnce(mark byte) {
	if n := len(e.marks); e.first < n && e.marks[n-1] != mark {
		e.add(mark)
	}
}

// add notes a message sent, by its mark.
func (e *exchange) add(mark byte) {
	if e.first == len(e.marks) {
		e.marks, e.first = e.marks[:0], 0
		e.ops, e.firstOp, e.sealed = e.ops[:0], 0, 0
	} else if e.first > 1024 && e.first > len(e.marks)/2 { // a client that is never without an answer to wait for
		e.marks = e.marks[:copy(e.marks, e.marks[e.first:])]
		e.ops = e.ops[:copy(e.ops, e.ops[e.firstOp:])]
		e.sealed = max(0, e.sealed-e.firstOp)
		e.first, e.firstOp = 0, 0
	}
	e.marks = append(e.marks, mark)
	if endsReady(mark) {
		e.readies++
	}
}

// endsReady is true for marks that the client's ReadyForQuery ends.
func endsReady(mark byte) bool {
	return mark == markQuery || mark == markCall || mark == markSync || mark == markAsk || mark == markDiscard
}

// front is the mark of the message that is being answered, 0 if nothing is outstanding.
func (e *exchange) front() byte {
	if e.first < len(e.marks) {
		return e.marks[e.first]
	}
	return 0
}

// pop takes the front mark away, and returns its op, if it carries one.
func (e *exchange) pop() (o op) {
	if carriesOp(e.marks[e.first]) {
		o = e.takeOp()
	}
	if endsReady(e.marks[e.first]) {
		e.readies--
	}
	e.first++
	return o
}

// takeOp takes the first op away.
func (e *exchange) takeOp() op {
	o := e.ops[e.firstOp]
	e.ops[e.firstOp] = op{}
	e.firstOp++
	if o.unnamed {
		e.loose--
	}
	return o
}

// dropData takes away the marks of copy data that nobody reads any more.
func (e *exchange) dropData() {
	for m := e.front(); m == markData || m == markEnd; m = e.front() {
		e.first++
	}
}

// hidden is true if the server's next message, of this type, answers something the client did not send.
func (e *exchange) hidden(typ byte) bool {
	switch e.front() {
	case markHidden, markForget, markSettings, markBegin, markAsk, markDiscard:
		return true
	case markOurParse:
		return typ == wire.ParseComplete
	case markOurClose:
		return typ == wire.CloseComplete
	case markOurBind:
		return typ == wire.BindComplete
	case markOurRun:
		return typ == wire.CommandComplete
	}
	return false
}

// answered notes a message of the server that may end the answer to one extended message, and returns the op that it
// confirms, if any.
func (e *exchange) answered(typ byte) (o op) {
	ends := false
	switch e.front() {
	case markParse, markOurParse:
		ends = typ == wire.ParseComplete
	case markKnown, markClose, markOurClose:
		ends = typ == wire.CloseComplete
	case markBind, markTwin, markOurBind:
		ends = typ == wire.BindComplete
	case markDescribe:
		ends = typ == wire.RowDescription || typ == wire.NoData
	case markExecute, markOurRun:
		ends = typ == wire.CommandComplete || typ == wire.EmptyQueryResponse || typ == wire.PortalSuspended
	}
	if ends {
		execute := e.front() == markExecute
		o = e.pop()
		if execute {
			e.copyIn = false
			e.dropData()
		}
	}
	return o
}

// failed notes an ErrorResponse. After one to an extended message the server skips what was sent up to the next Sync:
// undone are the ops of all that, in their order. They are valid until the next message is noted. itself is true if the
// first of them is the op of the very message that failed.
func (e *exchange) failed() (undone []op, itself bool) {
	e.copyIn = false
	switch m := e.front(); m {
	case markParse, markKnown, markClose, markOurParse, markOurClose, markOurBind, markOurRun, markBind, markTwin,
		markDescribe, markExecute:
		itself = carriesOp(m)
	default:
		return nil, false
	}
	from := e.firstOp
	for e.first < len(e.marks) && e.marks[e.first] != markSync && e.marks[e.first] != markHidden && e.marks[e.first] != markForget {
		m := e.marks[e.first]
		if carriesOp(m) {
			e.firstOp++
			if e.ops[e.firstOp-1].unnamed {
				e.loose--
			}
		} else if endsReady(m) {
			e.readies--
		}
		e.first++
	}
	e.skipping = e.first == len(e.marks)
	return e.ops[from:e.firstOp], itself
}

// copyStarted notes CopyInResponse. The server reads on until the end of the copy data and drops every Sync before it,
// so those will not be answered; the client sends another. Anything else that was sent before the end leaves doubt.
func (e *exchange) copyStarted() {
	e.copyIn = true
	if m := e.front(); m != markQuery && m != markExecute {
		e.doubt = true
		return
	}
	at := e.first + 1
	keep := at
	data, dropped := false, false
	for ; at < len(e.marks) && e.marks[at] != markEnd; at++ {
		switch {
		case e.marks[at] == markData:
			data = true
			e.marks[keep] = markData
			keep++
		case e.marks[at] == markSync && !data:
			dropped = true
			e.readies--
		default:
			e.doubt = true
			return
		}
	}
	e.unsynced = e.unsynced || (dropped && !slices.Contains(e.marks[at:], markSync))
	e.marks = e.marks[:keep+copy(e.marks[keep:], e.marks[at:])]
}

// skipped is true for marks that have no ReadyForQuery of their own.
func skipped(mark byte) bool {
	switch mark {
	case markBind, markDescribe, markExecute, markOurBind, markOurRun, markData, markEnd:
		return true
	}
	return carriesOp(mark)
}

// ready notes ReadyForQuery and answers whose it is: 0 if nothing that has one was outstanding.
func (e *exchange) ready(status byte) (mark byte) {
	e.status, e.copyIn = status, false
	for skipped(e.front()) {
		e.pop()
	}
	switch m := e.front(); m {
	case markQuery, markCall, markSync, markHidden, markForget, markSettings, markBegin, markAsk, markDiscard:
		mark = m
		e.pop()
		e.dropData()
	default:
		e.doubt = true
	}
	if e.quiet() {
		e.commit, e.write = false, false
	}
	return mark
}

// quiet is true if the server owes nothing and waits for nothing: in state 'I' it may go back to the pool.
func (e *exchange) quiet() bool {
	return e.first == len(e.marks) && !e.unsynced && !e.skipping && !e.partial && !e.doubt
}

// preparing is true while the server is at what goes ahead of the client's request.
func (e *exchange) preparing() bool {
	switch e.front() {
	case markForget, markSettings, markBegin:
		return true
	}
	return false
}

// lastQuery is true if no simple query was sent after the message that is being answered.
func (e *exchange) lastQuery() bool { return !slices.Contains(e.marks[e.first+1:], markQuery) }

// owed is how many ReadyForQuery the client still expects.
func (e *exchange) owed() int { return e.readies }

// failing is true if a statement may meet a transaction that has failed: it has, or one that is open may have by the
// time the statement comes to its turn.
func (e *exchange) failing() bool { return e.status == wire.Failed || (e.readies > 0 && !e.skipping) }

// rejecting is true if the next message meets a transaction that has failed: nothing that may have ended it was sent since the
// server said so.
func (e *exchange) rejecting() bool {
	mayEnd := func(mark byte) bool { return mark == markExecute || !skipped(mark) }
	return e.status == wire.Failed && !e.executed && !e.partial && !e.doubt && !slices.ContainsFunc(e.marks[e.first:], mayEnd)
}
