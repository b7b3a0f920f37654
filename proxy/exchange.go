package proxy

import (
	"errors"
	"slices"

	"pgguard/proxy/wire"
)

// What the server still owes, in the order in which it will answer, and what decides how it answers. Marks are what
// exchange.marks holds.
const (
	markQuery  = 'Q' // a simple query: one ReadyForQuery
	markCall   = 'F' // a function call: one ReadyForQuery
	markSync   = 'S' // a Sync: one ReadyForQuery
	markHidden = 'h' // a simple query of ours: everything up to its ReadyForQuery is not for the client
	markParse  = 'p' // a Parse of ours: its ParseComplete is not for the client
	markClose  = 'k' // a Close of ours: its CloseComplete is not for the client
	markBatch  = 'x' // extended messages in a row, Execute at most at their end
	markMany   = 'y' // extended messages in a row, others after an Execute
	markData   = 'd' // the client's CopyData in a row
	markEnd    = 'c' // the client's CopyDone or CopyFail: no answer, but where a COPY ends
)

// errDoubt ends a server whose answers nobody can tell apart any more.
var errDoubt = errors.New("client and server are out of step")

// maxMarks bounds how far a client may run ahead of its answers.
const maxMarks = 1 << 20

// exchange counts what the client has begun and the server has not finished. It is pure: no IO, no clock.
type exchange struct {
	marks    []byte
	first    int  // marks before it are done
	unsynced bool // extended messages were sent after the last Sync
	executed bool // the last message sent was an Execute
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
	*e = exchange{marks: e.marks[:0], status: wire.Idle}
}

// client notes one message sent, and answers false if the client has run too far ahead.
func (e *exchange) client(typ byte) bool {
	switch typ {
	case wire.Sync:
		e.sync()
	case wire.CopyData:
		e.addOnce(markData)
	case wire.CopyDone, wire.CopyFail:
		e.addOnce(markEnd)
	case wire.Flush:
	case wire.Query:
		e.misplaced()
		e.add(markQuery)
	case wire.FunctionCall:
		e.misplaced()
		e.add(markCall)
	default:
		e.misplaced()
		e.unsynced = true
		switch {
		case e.last() != markBatch && e.last() != markMany:
			e.add(markBatch)
		case e.executed:
			e.marks[len(e.marks)-1] = markMany
		}
		e.executed = typ == wire.Execute
	}
	return len(e.marks)-e.first <= maxMarks
}

// sync notes a Sync.
func (e *exchange) sync() {
	if e.copyIn && !slices.Contains(e.marks[e.first:], markEnd) {
		// The server drops it, unless it has found wrong data meanwhile.
		e.unsynced = true
		e.doubt = e.doubt || slices.Contains(e.marks[e.first:], markData)
		return
	}
	e.unsynced = false
	e.add(markSync)
}

// misplaced notes that something was sent that has no place in copy data. If the server reads some it takes the message
// for an error; but it may have found wrong data meanwhile, and then it runs it.
func (e *exchange) misplaced() {
	if e.copyIn && !slices.Contains(e.marks[e.first:], markEnd) {
		e.doubt = true
	}
}

// last is the mark of the message sent last, 0 if nothing is outstanding.
func (e *exchange) last() byte {
	if e.first == len(e.marks) {
		return 0
	}
	return e.marks[len(e.marks)-1]
}

// addOnce notes copy data or its end. With nothing outstanding the server ignores it.
func (e *exchange) addOnce(mark byte) {
	if last := e.last(); last != 0 && last != mark {
		e.add(mark)
	}
}

// add notes a message sent, by its mark.
func (e *exchange) add(mark byte) {
	if e.first == len(e.marks) {
		e.marks, e.first = e.marks[:0], 0
	}
	e.marks = append(e.marks, mark)
	e.executed = false
}

// skipped is true for marks that have no ReadyForQuery of their own.
func skipped(mark byte) bool {
	switch mark {
	case markParse, markClose, markBatch, markMany, markData, markEnd:
		return true
	}
	return false
}

// front is where the mark is that says what is hidden: extended messages before it change nothing in that.
func (e *exchange) front() int {
	i := e.first
	for i < len(e.marks) && (e.marks[i] == markBatch || e.marks[i] == markMany) {
		i++
	}
	return i
}

// hidden is true if the server's next message answers something the client did not send.
func (e *exchange) hidden(typ byte) bool {
	if e.first == len(e.marks) {
		return false
	}
	if e.marks[e.first] == markHidden {
		return true
	}
	switch typ {
	case wire.ParseComplete:
		return e.at(e.front()) == markParse
	case wire.CloseComplete:
		return e.at(e.front()) == markClose
	}
	return false
}

// at is the mark at i, 0 where there is none.
func (e *exchange) at(i int) byte {
	if i < len(e.marks) {
		return e.marks[i]
	}
	return 0
}

// parsed notes that the ParseComplete of a Parse of ours came, or the CloseComplete of a Close.
func (e *exchange) parsed() {
	if i := e.front(); e.at(i) == markParse || e.at(i) == markClose {
		copy(e.marks[e.first+1:i+1], e.marks[e.first:i])
		e.first++
	}
}

// failed notes an ErrorResponse and answers whether it is about extended messages: a COPY under way has ended, and a
// Parse of ours will have no other answer.
func (e *exchange) failed() (extended bool) {
	e.copyIn = false
	switch e.at(e.first) {
	case markBatch, markMany, markParse, markClose:
		extended = true
	}
	e.parsed()
	return extended
}

// copyStarted notes CopyInResponse. The server reads on until the end of the copy data and drops every Sync before it,
// so those will not be answered; the client sends another. Anything else that was sent before the end leaves doubt.
func (e *exchange) copyStarted() {
	e.copyIn = true
	at := e.first
	for at < len(e.marks) && (e.marks[at] == markData || e.marks[at] == markEnd) {
		at++
	}
	if at == len(e.marks) || (e.marks[at] != markQuery && e.marks[at] != markBatch) {
		e.doubt = true
		return
	}
	at++
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
		default:
			e.doubt = true
			return
		}
	}
	if at == len(e.marks) {
		e.unsynced = e.unsynced || dropped
	}
	e.marks = e.marks[:keep+copy(e.marks[keep:], e.marks[at:])]
}

// ready notes ReadyForQuery and answers whether it is for the client.
func (e *exchange) ready(status byte) (visible bool) {
	e.status, e.copyIn = status, false
	asked := false
	for e.first < len(e.marks) {
		m := e.marks[e.first]
		e.first++
		if !skipped(m) {
			asked, visible = true, m != markHidden
			break
		}
	}
	for e.first < len(e.marks) && (e.marks[e.first] == markData || e.marks[e.first] == markEnd) {
		e.first++
	}
	e.doubt = e.doubt || !asked
	if e.quiet() {
		e.commit, e.write = false, false
	}
	return visible
}

// quiet is true if the server owes nothing and waits for nothing: in state 'I' it may go back to the pool.
func (e *exchange) quiet() bool {
	return e.first == len(e.marks) && !e.unsynced && !e.partial && !e.doubt
}

// owed is how many ReadyForQuery the client still expects.
func (e *exchange) owed() (readies int) {
	for _, m := range e.marks[e.first:] {
		if m == markQuery || m == markCall || m == markSync {
			readies++
		}
	}
	return readies
}
