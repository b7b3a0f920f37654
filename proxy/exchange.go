package proxy

import "pgguard/proxy/wire"

// What the server still owes, in the order in which it will answer. Marks are what exchange.marks holds.
const (
	markQuery  = 'Q' // a simple query: one ReadyForQuery
	markCall   = 'F' // a function call: one ReadyForQuery
	markSync   = 'S' // a Sync: one ReadyForQuery
	markHidden = 'h' // a simple query of ours: everything up to its ReadyForQuery is not for the client
	markParse  = 'p' // a Parse of ours: its ParseComplete is not for the client
	markEnd    = 'c' // the client's CopyDone or CopyFail: no answer, but where a COPY ends
)

// maxMarks bounds how far a client may run ahead of its answers.
const maxMarks = 1 << 20

// exchange counts what the client has begun and the server has not finished. It is pure: no IO, no clock.
type exchange struct {
	marks    []byte
	first    int  // marks before it are done
	unsynced bool // extended messages were sent after the last Sync
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
	case wire.Query:
		e.add(markQuery)
	case wire.FunctionCall:
		e.add(markCall)
	case wire.Sync:
		e.unsynced = false
		e.add(markSync)
	case wire.CopyDone, wire.CopyFail:
		if e.unsynced || len(e.marks) > e.first {
			e.add(markEnd)
		}
	case wire.CopyData, wire.Flush:
	default:
		e.unsynced = true
	}
	return len(e.marks)-e.first <= maxMarks
}

// add notes a message sent, by its mark.
func (e *exchange) add(mark byte) {
	if e.first == len(e.marks) {
		e.marks, e.first = e.marks[:0], 0
	}
	e.marks = append(e.marks, mark)
}

// hidden is true if the server's next message answers something the client did not send.
func (e *exchange) hidden(typ byte) bool {
	if e.first == len(e.marks) {
		return false
	}
	switch e.marks[e.first] {
	case markHidden:
		return true
	case markParse:
		return typ == wire.ParseComplete
	}
	return false
}

// parsed notes that the ParseComplete of a Parse of ours came, or an error in its place.
func (e *exchange) parsed() {
	if e.first < len(e.marks) && e.marks[e.first] == markParse {
		e.first++
	}
}

// copyStarted notes CopyInResponse. The server reads on until the end of the copy data and drops every Sync before it,
// so those will not be answered; the client sends another.
func (e *exchange) copyStarted() {
	e.copyIn = true
	keep := e.first
	ended := false
	for i := e.first; i < len(e.marks); i++ {
		m := e.marks[i]
		if m == markEnd {
			ended = true
		}
		if m == markSync && !ended {
			e.unsynced = true
			continue
		}
		if m == markSync {
			e.unsynced = false
		}
		e.marks[keep] = m
		keep++
	}
	e.marks = e.marks[:keep]
}

// ready notes ReadyForQuery and answers whether it is for the client.
func (e *exchange) ready(status byte) (visible bool) {
	e.status, e.copyIn = status, false
	visible = true
	for e.first < len(e.marks) {
		m := e.marks[e.first]
		e.first++
		if m == markEnd || m == markParse {
			continue
		}
		visible = m != markHidden
		break
	}
	for e.first < len(e.marks) && e.marks[e.first] == markEnd {
		e.first++
	}
	if e.quiet() {
		e.commit, e.write = false, false
	}
	return visible
}

// quiet is true if the server owes nothing and waits for nothing: in state 'I' it may go back to the pool.
func (e *exchange) quiet() bool {
	return e.first == len(e.marks) && !e.unsynced && !e.partial
}

// owed calls f for each ReadyForQuery that the client still expects, in order.
func (e *exchange) owed() (readies int) {
	for _, m := range e.marks[e.first:] {
		if m == markQuery || m == markCall || m == markSync {
			readies++
		}
	}
	return readies
}
