package translate

import (
	"bytes"
	"encoding/binary"
	"slices"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// MaxSteps is how many messages one request may have.
const MaxSteps = 256

// step is one message of a request.
type step struct {
	typ  byte
	long bool       // it goes on after what the buffer holds
	anon bool       // a Parse of the unnamed statement
	size int32      // bytes of it in the buffer
	st   *Statement // of a Parse: what it prepares; nil: too many are kept already, or it is too long
}

// Request is a stretch of a client's messages, up to the first that a ReadyForQuery may answer, that are sent on in one write.
type Request struct {
	steps [MaxSteps]step
	n     int
	reading
}

// reading is what has been read of a request.
type reading struct {
	suspect  Pins   // what its statements may leave behind
	undo     Pins   // what may be gone after them
	defaults bool   // is likely to use a sequence, by a default or in a function
	touches  bool   // may use a sequence without its name in the text, by a default or a trigger
	unread   bool   // goes on with a text that may do anything with sequences
	ddl      bool   // may change what other statements mean
	sets     bool   // changes settings, if only for the transaction
	names    bool   // names a prepared statement in its SQL
	reaches  bool   // may name the guard's statements in its SQL
	describe bool   // describes a portal or a statement
	unseen   bool   // may run functions whose names are not in the text
	obscure  bool   // may leave anything, whatever functions there are
	course   course // what becomes of a transaction by it
	write    bool   // may write
	urgent   bool   // begins with set-up or clean-up, which pressure must not refuse
	closes   bool   // nothing in it but Close, Sync and Flush
	mute     bool   // nothing in it is answered where no COPY is under way
	complete bool   // ends with a message that a ReadyForQuery may answer
	left     int    // bytes of the last message that have not been read yet

	runs  int        // statements it runs
	last  sql.Result // of the one it runs, or binds, last
	print uint64     // the fingerprint of that

	scanner *sql.Scanner // of a text that passes in pieces; nil: none does
}

// Reset empties the request.
func (r *Request) Reset() {
	n := r.n
	r.n = 0
	clear(r.steps[:n])
	r.reading = reading{closes: true, mute: true}
}

// Empty is true if there is no message in the request.
func (r *Request) Empty() bool { return r.n == 0 }

// Full is true if no message may be added: it is complete, or cut off within one, or has as many as it may.
func (r *Request) Full() bool { return r.complete || r.left > 0 || r.n == MaxSteps }

// Left is how many bytes of the last message are still to come, and its type.
func (r *Request) Left() (n int, typ byte) {
	if r.n == 0 {
		return 0, 0
	}
	return r.left, r.steps[r.n-1].typ
}

// Scanner is to be fed with the rest of a text of which the request has the start, nil if there is none.
func (r *Request) Scanner() *sql.Scanner { return r.scanner }

// Urgent is true if the request begins with set-up or clean-up, which pressure must not refuse.
func (r *Request) Urgent() bool { return r.urgent }

// Closes is true if the request closes statements or portals and does nothing else.
func (r *Request) Closes() bool { return r.closes }

// Mute is true if nothing in the request is answered where no COPY is under way.
func (r *Request) Mute() bool { return r.mute }

// Print is the fingerprint of the statement that it runs last, 0 if that is not known.
func (r *Request) Print() uint64 { return r.print }

// Runs is how many statements it runs, and what the last of them may do.
func (r *Request) Runs() (n int, last sql.Result) { return r.runs, r.last }

// Writes is true if it may write.
func (r *Request) Writes() bool { return r.write }

// RollsBack is true if all that it does in a transaction is gone with that: it ends none, and runs nothing whose effect the text does not show.
func (r *Request) RollsBack() bool {
	return r.course&(commits|rolls|odd) == 0 && r.suspect&PinFunction == 0
}

// Begins is true if all that it does is to begin a transaction: there is nothing that could run twice.
func (r *Request) Begins() bool { return r.course == begins }

// Setting returns the text of a request that is a single SET or RESET by a simple query, in the messages that it was made of.
func (r *Request) Setting(from []byte) (text []byte, ok bool) {
	if r.n != 1 || r.steps[0].typ != wire.Query || r.left > 0 || r.undo&Pins(sql.Setting) == 0 {
		return nil, false
	}
	if r.last.Statements != 1 || (r.last.First != sql.Set && r.last.First != sql.Reset) {
		return nil, false
	}
	text, _, ok = wire.CString(from[wire.HeaderSize:])
	return text, ok
}

// Repeatable is true for a request that may be sent again in a transaction of its own if its server has found that a plan is stale:
// it is all of one exchange, uses a prepared statement, and its client is told what columns there are.
func (r *Request) Repeatable() bool {
	if !r.describe || r.left > 0 {
		return false
	}
	uses := false
	for i, st := range r.steps[:r.n] {
		switch st.typ {
		case wire.Bind, wire.Describe:
			uses = true
		case wire.Sync:
			return uses && i == r.n-1
		case wire.Parse, wire.Execute, wire.Close:
		default:
			return false
		}
	}
	return false
}

// blind is true if the request binds what it does not describe.
func (r *Request) blind() bool {
	for i := range r.steps[:r.n] {
		if r.steps[i].typ == wire.Bind && !r.described(i) {
			return true
		}
	}
	return false
}

// described is true if a Describe follows the Bind that is step i, before any other.
func (r *Request) described(i int) bool {
	for _, st := range r.steps[i+1 : r.n] {
		switch st.typ {
		case wire.Describe:
			return true
		case wire.Bind:
			return false
		}
	}
	return false
}

// binds is true if a Bind follows step i.
func (r *Request) binds(i int) bool {
	return slices.ContainsFunc(r.steps[i+1:r.n], func(st step) bool { return st.typ == wire.Bind })
}

// prepares is true if a step before step i is a Parse of that name. from holds the messages.
func (r *Request) prepares(i int, called, from []byte) bool {
	at := 0
	for _, st := range r.steps[:i] {
		m := from[at : at+int(st.size)]
		at += len(m)
		if st.typ != wire.Parse {
			continue
		}
		if is, _, _ := wire.CString(m[wire.HeaderSize:]); bytes.Equal(clip(is), clip(called)) {
			return true
		}
	}
	return false
}

// Note adds a message to a request: what may it leave behind, what would its loss mean?
func (c *Client) Note(r *Request, m *Message, on Standing) {
	r.steps[r.n] = step{typ: m.Type, size: int32(len(m.Bytes)), long: m.Left > 0}
	switch m.Type {
	case wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Flush:
	case wire.Sync:
		r.mute = false
	case wire.Query:
		r.mute = false
		c.noteQuery(r, m)
	case wire.Parse:
		r.mute = false
		r.steps[r.n].st = c.noteParse(r, m, on)
	case wire.Bind:
		r.mute = false
		c.noteBind(r, m.Body(), on)
	case wire.Execute:
		r.mute = false
		r.runs++
	case wire.FunctionCall:
		r.mute = false
		r.noteCall(m.Body())
	default:
		r.mute = false
		r.describe = r.describe || m.Type == wire.Describe
	}
	r.closes = r.closes && (m.Type == wire.Close || m.Type == wire.Sync || m.Type == wire.Flush)
	r.n++
	r.left, r.obscure = m.Left, r.obscure || m.Left > 0
	r.complete = ends(m.Type) || (on.Copying && (m.Type == wire.CopyDone || m.Type == wire.CopyFail))
}

// Standing is what must be known of a client's lease to read its next messages.
type Standing struct {
	Flux bool // its settings are not those of the last end of a transaction
	Held Pins // it keeps, or may come to keep, its server for these

	Copying bool // the server waits for copy data: a ReadyForQuery may answer their end
}

func (c *Client) noteQuery(r *Request, m *Message) {
	r.runs++
	if m.Left > 0 {
		r.scanner = new(sql.Scanner)
		r.scanner.Feed(m.Text())
		r.unread = true
	}
	r.last, r.print = m.Scan, m.Print
	before := r.course
	if c.suspects(r, m.Scan); m.Left > 0 { // the start of a text is not run
		r.course = before | acts
	}
	c.learn(r, m.Scan, m.Text())
	r.reaches = r.reaches || (m.Left == 0 && reaches(m.Scan, m.Text()))
	r.names = (m.Left > 0 && mayName(m.Text())) || (m.Left == 0 && naming(m.Scan, m.Text()))
}

// noteParse finds what a Parse prepares, and notes what it may do when it is run.
func (c *Client) noteParse(r *Request, m *Message, on Standing) *Statement {
	called, body, ok := wire.CString(m.Body())
	if !ok { // not a Parse
		r.write = true
		return nil
	}
	text, _, whole := wire.CString(body)
	r.steps[r.n].anon = len(called) == 0
	if m.Left > 0 || c.Session {
		res := sql.Result{First: sql.Other}
		switch {
		case whole:
			res = sql.Scan(text)
		case m.Left > 0:
			r.scanner = new(sql.Scanner)
			r.scanner.Feed(body)
		}
		before := r.course
		if c.suspects(r, res); m.Left > 0 {
			r.course = before | acts
		}
		c.learn(r, sql.Result{Residue: sql.Setting}, text)
		return nil
	}
	var st *Statement
	switch flux := on.Flux || r.sets; {
	case len(called) > 0 && (c.naming > maxNaming || (flux && !c.Library.HasRoom(body))):
	case len(called) > 0 && flux:
		st = c.Library.Private(body, c.Catalog.Age())
	case len(called) > 0:
		st = c.Library.Named(body, c.settings.parsing, c.Catalog.Age())
	case flux || !c.PrepareUnnamed:
		st = NewStatement(body, c.settings.parsing)
	default:
		st = c.Library.Unnamed(body, c.settings.parsing, c.Catalog.Age())
	}
	if st == nil { // there is no room for it
		r.reaches = r.reaches || reaches(scanBody(body), text)
		c.suspects(r, scanBody(body))
		c.learn(r, sql.Result{Residue: sql.Setting}, text)
		return nil
	}
	r.last, r.print = st.Scan, st.Print
	r.reaches = r.reaches || reaches(st.Scan, text)
	c.suspects(r, st.Scan)
	c.learn(r, st.Scan, text)
	return st
}

// noteBind notes what the statement of a Bind may do when it is run.
func (c *Client) noteBind(r *Request, body []byte, on Standing) {
	_, rest, _ := wire.CString(body)
	called, _, ok := wire.CString(rest)
	if !ok {
		r.write = true
		return
	}
	st := c.called(called)
	for i := r.n - 1; i >= 0 && len(called) == 0; i-- {
		if r.steps[i].anon {
			return // it is of that, which has been noted
		}
	}
	switch {
	case st != nil && st.Body != "":
		r.last, r.print = st.Scan, st.Print
		c.suspects(r, st.Scan)
	case st != nil, c.Session, (on.Held|r.suspect)&(Pins(sql.Prepared)|PinDedicated) != 0:
		r.suspect |= PinFunction // what it does is not known any more
		r.write, r.obscure = true, true
		r.course |= tangled
	default:
		r.write = r.write || r.n == 0
	}
}

// setConfig is the number of pg_catalog.set_config, the same on every server.
const setConfig = 2078

// noteCall notes what a function call may do. Its arguments are not read.
func (r *Request) noteCall(body []byte) {
	r.suspect |= PinFunction
	r.sets, r.write, r.obscure = true, true, true
	r.course |= acts | lasts
	if len(body) >= 4 && binary.BigEndian.Uint32(body) == setConfig {
		r.suspect |= pinOpaque
	}
}

// learn remembers the names of custom settings in a text that may set some: the server does not list them.
func (c *Client) learn(r *Request, res sql.Result, text []byte) {
	if (res.Residue&sql.Setting == 0 && !res.Ask) || len(text) == 0 {
		return
	}
	if c.Catalog.Learn(text) {
		r.suspect |= pinOpaque
	}
}

// suspects notes what a statement may do.
func (c *Client) suspects(r *Request, res sql.Result) {
	r.suspect |= pinsOf(res)
	switch {
	case res.Currval && !res.Ambiguous && !c.Catalog.Currval():
		c.Catalog.NoteCurrval()
	case takesDefaults(res) && c.Catalog.Currval():
		r.suspect |= PinSequence
	}
	r.undo |= Pins(res.Undo)
	r.defaults = r.defaults || res.Ask || takesDefaults(res)
	r.ddl = r.ddl || res.Ddl
	r.sets = r.sets || res.Sets || res.Ask
	r.course |= courseOf(res)
	r.write = r.write || !res.ReadOnly
	r.unseen = r.unseen || res.Statements > 1 || runs(res.First)
	r.obscure = r.obscure || (res.Ask && !callsOnly(res))
	switch res.First {
	case sql.Set, sql.Reset, sql.Discard, sql.Deallocate, sql.Unlisten, sql.Close, sql.Commit, sql.Rollback:
		r.urgent = r.urgent || r.n == 0
		r.touches = r.touches || res.Statements > 1
	case sql.Begin, sql.Savepoint:
		r.touches = r.touches || res.Statements > 1
	default:
		r.touches = r.touches || !res.ReadOnly
	}
}

// runs is true for statements that may run functions whose names are not in their text: behind triggers, views, operators and the like.
func runs(first sql.Command) bool {
	switch first {
	case sql.Empty, sql.Begin, sql.Commit, sql.Rollback, sql.Savepoint, sql.Show, sql.Set, sql.Reset, sql.Discard, sql.Deallocate, sql.Close, sql.Unlisten,
		sql.ListenCommand, sql.Notify, sql.Lock, sql.LoadCommand:
		return false
	}
	return true
}

// callsOnly is true for a statement that may leave something by the functions that it calls alone: no DO, no CALL of what is made now, no DDL.
func callsOnly(res sql.Result) bool {
	switch res.First {
	case sql.Select, sql.Insert, sql.Update, sql.Delete, sql.Merge, sql.Values, sql.With:
		return res.Statements == 1 && !res.Ambiguous && !res.Ddl
	}
	return false
}

// takesDefaults is true for statements that may take values from sequences by the defaults of columns.
func takesDefaults(res sql.Result) bool {
	switch res.First {
	case sql.Insert, sql.Merge, sql.With, sql.Copy:
		return !res.ReadOnly
	}
	return false
}
