package proxy

import (
	"bytes"
	"sync"
	"time"

	"pgguard/pool/limit"
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// maxRun is how many messages one request may have.
const maxRun = 256

// piece is one message of a request.
type piece struct {
	typ  byte
	long bool       // it goes on after what the buffer holds
	size int32      // bytes of it in the buffer
	st   *statement // of a Parse: what it prepares; nil: too long, or too many, to be kept
}

// request is a stretch of a client's messages that are sent on in one write.
type request struct {
	steps     [maxRun]piece
	n         int
	suspect   pins   // what its statements may leave behind
	undo      pins   // what may be gone after them
	commit    bool   // may end a transaction for good
	write     bool   // may write
	ddl       bool   // may change what other statements mean
	touches   bool   // may use a sequence without its name in the text, by a default or a trigger
	defaults  bool   // is likely to, by a default or in a function
	urgent    bool   // begins with set-up or clean-up, which pressure must not refuse
	sets      bool   // changes settings, if only for the transaction
	describes bool   // describes a portal or a statement, or parses it
	renames   bool   // changes what a name means
	renamed   bool   // and does so before a Sync
	fresh     bool   // changes the unnamed statement after the last Sync
	loose     bool   // changes it before
	synced    bool   // has a Sync
	extended  bool   // has messages of the extended protocol
	armed     bool   // prepares or binds a statement that may prepare or forget statements by SQL
	unsure    bool   // runs one
	names     bool   // names a prepared statement in its SQL
	runs      int    // statements it runs
	print     uint64 // fingerprint of the one it runs, or binds, last
	kind      limit.Kind
	mute      bool // nothing in it is answered where no COPY is under way
	left      int  // bytes of the last message that have not been read yet

	sent time.Time // first to a server, if that was going and it is to be sent again; else zero
}

var requests = sync.Pool{New: func() any { return new(request) }}

func getRequest() *request {
	r := requests.Get().(*request)
	r.n, r.left, r.suspect, r.undo = 0, 0, 0, 0
	r.commit, r.write, r.ddl, r.touches, r.urgent, r.names, r.mute = false, false, false, false, false, false, true
	r.sets, r.describes, r.renames, r.renamed, r.fresh, r.loose, r.synced = false, false, false, false, false, false, false
	r.extended, r.armed, r.unsure, r.defaults, r.sent = false, false, false, false, time.Time{}
	r.runs, r.print, r.kind = 0, 0, limit.Write
	return r
}

func putRequest(r *request) {
	if r != nil {
		clear(r.steps[:r.n])
		requests.Put(r)
	}
}

// note looks at one message that is about to be sent on: what may it leave behind, what would its loss mean?
func (s *session) note(r *request, typ byte, m []byte, left int) {
	st := &r.steps[r.n]
	*st = piece{typ: typ, size: int32(len(m)), long: left > 0}
	body := m[wire.HeaderSize:]
	switch typ {
	case wire.CopyData, wire.CopyDone, wire.CopyFail, wire.Flush:
	case wire.Query, wire.FunctionCall, wire.Sync:
		r.mute = false
	default:
		r.mute, r.extended = false, true
	}
	switch typ {
	case wire.Query:
		if left > 0 {
			s.stream.scanner = new(sql.Scanner)
		}
		res, print := s.peeked, s.peekedPrint
		if !s.hasPeeked {
			res, print = s.scan(body)
		}
		s.hasPeeked = false
		r.runs++
		r.print, r.kind = print, kindOf(res)
		s.suspects(r, res)
		r.unsure = r.unsure || meddles(res)
		s.learnCustoms(r, res, body)
		r.names = r.names || (left == 0 && naming(res, body))
	case wire.Parse:
		st.st = s.parse(r, m, left)
		r.armed = r.armed || st.st == nil || meddles(st.st.scan)
		if st.st != nil {
			r.print, r.kind = st.st.print, kindOf(st.st.scan)
		}
	case wire.Close:
		if len(body) > 1 && body[0] == 'S' {
			r.fresh = r.fresh || body[1] == 0
			r.renames = r.renames || body[1] != 0
		}
	case wire.Sync:
		r.synced, r.renamed, r.loose, r.fresh = true, r.renames, r.loose || r.fresh, false
	case wire.Describe:
		r.describes = true
	case wire.Bind:
		s.noteBind(r, body)
	case wire.Execute:
		r.runs++
		r.unsure = r.unsure || r.armed || s.sees.armed
	case wire.FunctionCall:
		r.unsure = true
		r.suspect |= pinFunction
		r.write = true
	}
	r.n++
	r.left = left
}

// noteBind notes what the statement of a Bind may do when it is run.
func (s *session) noteBind(r *request, body []byte) {
	_, rest, _ := wire.CString(body)
	name, _, ok := wire.CString(rest)
	if !ok {
		r.write = true
		return
	}
	s.mu.Lock()
	bound := s.unnamedLocked()
	if len(name) > 0 {
		bound = s.names[string(clip(name))]
	}
	if bound == longStatement || (bound == nil && (s.pins|s.suspect|r.suspect)&pins(sql.Prepared) != 0) {
		r.suspect |= pinFunction // what it does is not known any more
	}
	s.mu.Unlock()
	if bound != nil {
		r.print, r.kind = bound.print, kindOf(bound.scan)
	}
	if bound != nil && (bound.body != "" || len(name) > 0) {
		s.suspects(r, bound.scan)
		r.armed = r.armed || meddles(bound.scan)
	} else if r.n == 0 {
		r.write, r.armed = true, true
	}
}

// meddles is true for a text that may prepare or forget statements by SQL: what comes after it may mean something else.
func meddles(res sql.Result) bool {
	return res.Ask || res.Ambiguous || (res.Residue|res.Undo)&sql.Prepared != 0
}

// parse finds what a Parse prepares, and notes what it may do when it is run.
func (s *session) parse(r *request, m []byte, left int) *statement {
	name, body, ok := wire.CString(m[wire.HeaderSize:])
	if !ok { // a name longer than a buffer
		r.suspect |= pinFunction | pins(sql.Prepared)
		r.write = true
		return nil
	}
	text, _, whole := wire.CString(body)
	if left > 0 || !whole || s.route.mode == PoolModeSession {
		if left > 0 && !whole {
			s.stream.scanner = new(sql.Scanner)
		}
		res, _ := s.scan(body)
		s.suspects(r, res)
		return s.unkept(r, name, text)
	}
	table, at := s.srv.statements, s.route.catalog.Age()
	var st *statement
	r.renames = r.renames || len(name) > 0
	r.fresh = r.fresh || len(name) == 0
	switch flux := s.sees.flux || r.sets; {
	case len(name) > 0 && flux:
		st = table.private(body, at)
	case len(name) > 0:
		st = table.named(body, s.sees.parsing, at)
	case flux || !s.srv.cfg.PrepareUnnamed:
		st = single(body, s.sees.parsing)
	default:
		st = table.unnamed(body, s.sees.parsing, at)
	}
	if st == nil {
		s.suspects(r, scanBody(body))
		return s.unkept(r, name, text)
	}
	s.suspects(r, st.scan)
	s.learnCustoms(r, st.scan, text)
	return st
}

// unkept notes a Parse that only the server at hand will know.
func (s *session) unkept(r *request, name, text []byte) *statement {
	if len(name) > 0 {
		r.suspect |= pins(sql.Prepared)
	}
	s.learnCustoms(r, sql.Result{Residue: sql.Setting}, text)
	return nil
}

// scan says what the text at the start of b, up to a NUL, may do, and its fingerprint. The text goes on if a scanner was
// made for it.
func (s *session) scan(b []byte) (sql.Result, uint64) {
	text, _, ok := wire.CString(b)
	if !ok {
		text = b
	}
	if sc := s.stream.scanner; sc != nil {
		sc.Feed(text)
		return sql.Result{First: sql.Other}, 0
	}
	return s.srv.texts.Look(text)
}

// kindOf is what the law is told of a statement.
func kindOf(res sql.Result) limit.Kind {
	switch {
	case res.Statements == 1 && res.TxControl:
		return limit.Control
	case res.ReadOnly:
		return limit.Read
	}
	return limit.Write
}

// learnCustoms remembers the names of custom settings in a text that may set some: the server does not list them.
func (s *session) learnCustoms(r *request, res sql.Result, text []byte) {
	if (res.Residue&sql.Setting == 0 && !res.Ask) || len(text) == 0 {
		return
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	if s.route.catalog.Learn(text) {
		r.suspect |= pinOpaque
	}
}

// suspects notes what a statement may do.
func (s *session) suspects(r *request, res sql.Result) {
	r.suspect |= pinsOf(res)
	switch cat := s.route.catalog; {
	case res.Currval && !res.Ambiguous && !cat.Currval.Load():
		cat.Currval.Store(true)
	case takesDefaults(res) && cat.Currval.Load():
		r.suspect |= pinSequence
	}
	r.undo |= pins(res.Undo)
	r.defaults = r.defaults || res.Ask || takesDefaults(res)
	r.ddl = r.ddl || res.Ddl
	r.sets = r.sets || res.Sets || res.Ask
	harmless := res.Statements == 1 && (res.First == sql.Rollback || res.First == sql.Begin)
	r.commit = r.commit || res.Ask || (res.TxControl && !harmless)
	r.write = r.write || !res.ReadOnly
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

// takesDefaults is true for statements that may take values from sequences by the defaults of columns.
func takesDefaults(res sql.Result) bool {
	switch res.First {
	case sql.Insert, sql.Merge, sql.With, sql.Copy:
		return !res.ReadOnly
	}
	return false
}

// clip cuts a statement's name as PostgreSQL does.
func clip(name []byte) []byte { return name[:min(len(name), sql.MaxName)] }
