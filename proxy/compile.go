package proxy

import (
	"bytes"
	"encoding/binary"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// op is what one message changes in the statements that there are, kept until the server has confirmed it.
type op struct {
	st      *statement // the server has it after this
	closes  *statement // the server has it no more
	name    string     // the client's name that means something else after this; "": none
	was     *statement // what name, or the unnamed statement, meant before
	unnamed bool       // the client's unnamed statement is another after this: is
	is      *statement
	server  bool   // the server\'s unnamed statement is another after this
	rescue  bool   // a simple query follows that the server skips if this fails
	told    bool   // said is known
	said    string // the name by which the client knows what it tried to prepare a second time
}

// nowhere is the body of a Close of a statement that never exists: it costs a server next to nothing and is answered in
// its turn, which makes it the stand-in for a Parse or a Close that a server need not see.
var nowhere = []byte("S" + statementPrefix + "\x00")

// compiler writes a request for one server: names of statements are replaced by the guard's, and what the server lacks
// is prepared.
type compiler struct {
	s    *session
	b    *backend
	from []byte // the client's messages
	done int    // bytes of from that are in out
	at   int    // start of the message at hand
	out  []byte // nil: nothing but from itself
}

// compile returns what must be written to b for r, whose messages are in from, and notes it in the exchange. scratch is
// used if the client's own bytes will not do. It is called with s.mu held.
func (s *session) compile(r *request, b *backend, from, scratch []byte) []byte {
	c := compiler{s: s, b: b, from: from}
	for i := range r.steps[:r.n] {
		st := &r.steps[i]
		m := from[c.at : c.at+int(st.size)]
		if s.ex.skipping && st.typ != wire.Sync {
			c.replace(scratch, len(m)) // the server drops it
		} else if s.route.mode == PoolModeSession || !c.message(r, st, m, scratch) {
			s.ex.client(st.typ)
		}
		c.at += len(m)
	}
	s.suspect |= r.suspect
	s.undo |= r.undo
	s.flux = s.flux || r.sets
	s.ex.partial = r.left > 0
	s.ex.commit = s.ex.commit || r.commit
	s.ex.write = s.ex.write || r.write
	if r.ddl {
		s.ddl = true
		s.route.catalog.changed(from)
	}
	if c.out == nil {
		return from
	}
	return append(c.out, from[c.done:]...)
}

// piece compiles one message, and answers false if it passes as it is and the exchange must be told.
func (c *compiler) message(r *request, st *piece, m, scratch []byte) bool {
	switch st.typ {
	case wire.Query:
		if r.names {
			return c.naming(m, scratch)
		}
		return c.passQuery()
	case wire.Parse:
		return c.parse(r, st, m, scratch)
	case wire.Bind:
		return c.bind(r, m, scratch)
	case wire.Describe, wire.Close:
		if len(m) > wire.HeaderSize && m[wire.HeaderSize] == 'S' {
			return c.describeOrClose(st, m, scratch)
		}
	}
	return false
}

// passQuery notes a simple query, which makes an end of the unnamed statement.
func (c *compiler) passQuery() bool {
	s := c.s
	was := s.unnamed
	s.queried = was
	s.unnamed, c.b.unnamed = nil, noStatement
	if s.ex.unsynced {
		s.ex.late(op{unnamed: true, was: was})
	} else {
		s.ex.client(wire.Query)
	}
	return true
}

// before makes sure that everything up to the message at hand is in out.
func (c *compiler) before(scratch []byte) {
	if c.out == nil {
		c.out = scratch[:0]
	}
	c.out = append(c.out, c.from[c.done:c.at]...)
	c.done = c.at
}

// replace leaves n bytes of the message at hand away.
func (c *compiler) replace(scratch []byte, n int) {
	c.before(scratch)
	c.done += n
}

// ensure has st prepared on the server.
func (c *compiler) ensure(st *statement, scratch []byte) {
	if c.present(st, scratch) {
		return
	}
	c.before(scratch)
	c.out = wire.AppendParse(c.out, st.name, st.body)
	c.b.prepared.add(st)
	c.s.ex.extendedOp(markOurParse, op{st: st})
}

// present answers whether the server has st. If not, there is room for it.
func (c *compiler) present(st *statement, scratch []byte) bool {
	if c.b.prepared.has(st) {
		return true
	}
	if len(c.b.prepared.of) >= c.s.srv.cfg.MaxPrepared {
		c.drop(c.b.prepared.last(), scratch)
	}
	return false
}

// drop has the server close st.
func (c *compiler) drop(st *statement, scratch []byte) {
	c.before(scratch)
	c.out = wire.AppendText(c.out, wire.Close, "S"+st.name)
	c.b.prepared.remove(st)
	c.s.ex.extendedOp(markOurClose, op{closes: st})
}

// parse compiles a Parse.
func (c *compiler) parse(r *request, st *piece, m, scratch []byte) bool {
	s := c.s
	name, body, ok := wire.CString(m[wire.HeaderSize:])
	if !ok {
		return false
	}
	if st.st != nil {
		c.runs(st.st, false, scratch)
	}
	if len(name) == 0 {
		return c.parseUnnamed(st, scratch)
	}
	key := clip(name)
	if old := s.names[string(key)]; old != nil {
		// An error, unless another error comes first: the server shall say.
		c.ensure(takenStatement, scratch)
		c.replace(scratch, len(m))
		c.out = appendHead(c.out, wire.Parse, m, len(takenStatement.name)-len(name))
		c.out = append(append(append(c.out, takenStatement.name...), 0), body...)
		s.ex.extendedOp(markParse, op{told: true, said: string(name)})
		return true
	}
	held := s.pins | s.suspect | r.suspect
	if s.question != nil {
		held |= s.question.suspect
	}
	if st.st == nil || held&pins(sql.Prepared) != 0 {
		// Only the server at hand knows it, beside those that the client has prepared there by SQL.
		c.guardName(name, len(m), scratch)
		s.suspect |= pins(sql.Prepared)
		return false
	}
	o := op{name: string(key)}
	if s.ex.failing() {
		c.parseAgain(st.st, o, scratch, len(m))
	} else if c.present(st.st, scratch) {
		c.replace(scratch, len(m))
		c.out = wire.AppendMessage(c.out, wire.Close, nowhere)
		s.ex.extendedOp(markKnown, o)
	} else {
		c.replace(scratch, len(m))
		c.out = wire.AppendParse(c.out, st.st.name, st.st.body)
		c.b.prepared.add(st.st)
		o.st = st.st
		s.ex.extendedOp(markParse, o)
	}
	s.setName(o.name, st.st)
	return true
}

func (c *compiler) parseUnnamed(st *piece, scratch []byte) bool {
	s := c.s
	o := op{unnamed: true, was: s.unnamed, is: st.st}
	s.lingers = st.st == nil
	if st.st == nil {
		o.is = longStatement
	}
	switch {
	case st.st == nil: // too long to keep
		s.unnamed, c.b.unnamed = longStatement, longStatement
		s.ex.extendedOp(markParse, o)
	case st.st.name == "":
		s.unnamed, c.b.unnamed = st.st, st.st
		s.ex.extendedOp(markParse, o)
	case s.ex.failing():
		s.unnamed = st.st
		c.parseAgain(st.st, o, scratch, int(st.size))
	case c.present(st.st, scratch):
		s.unnamed = st.st
		c.replace(scratch, int(st.size))
		c.out = wire.AppendMessage(c.out, wire.Close, nowhere)
		s.ex.extendedOp(markKnown, o)
	default:
		s.unnamed = st.st
		c.replace(scratch, int(st.size))
		c.out = wire.AppendParse(c.out, st.st.name, st.st.body)
		c.b.prepared.add(st.st)
		o.st = st.st
		s.ex.extendedOp(markParse, o)
	}
	return true
}

// parseAgain sends a Parse as it is, in a place where it fails if its transaction has: a stand-in would succeed. What
// it prepares is the server's unnamed statement, which nobody needs.
func (c *compiler) parseAgain(st *statement, o op, scratch []byte, size int) {
	c.replace(scratch, size)
	c.out = wire.AppendParse(c.out, "", st.body)
	c.b.unnamed = nil
	c.s.ex.extendedOp(markParse, o)
}

// takenStatement stands on a server for a name that the client has used already.
var takenStatement = &statement{name: statementPrefix + "taken", body: emptyBody}

// Two statements that a server's unnamed statement may be: none at all, and one that is too long to remember.
var (
	noStatement   = &statement{}
	longStatement = &statement{}
)

// bind compiles a Bind.
func (c *compiler) bind(r *request, m, scratch []byte) bool {
	portal, rest, _ := wire.CString(m[wire.HeaderSize:])
	name, rest, ok := wire.CString(rest)
	if !ok {
		return false
	}
	if len(name) == 0 {
		c.s.lingers = false
	}
	if c.changed(r, name) {
		c.replace(scratch, len(m))
		c.out = appendHead(c.out, wire.Bind, m, len(staleName)-len(name))
		c.out = append(append(append(c.out, portal...), 0), staleName...)
		c.out = append(append(c.out, 0), rest...)
		c.s.ex.client(wire.Bind)
		return true
	}
	st := c.resolve(name, len(m), scratch)
	if st == nil {
		return false
	}
	c.runs(st, true, scratch)
	c.replace(scratch, len(m))
	c.out = appendHead(c.out, wire.Bind, m, len(st.name)-len(name))
	c.out = append(append(append(c.out, portal...), 0), st.name...)
	c.out = append(append(c.out, 0), rest...)
	if c.s.twins || (c.s.unnamed == st && st.names.Load() > 0) {
		c.s.ex.extendedOp(markTwin, op{told: true, said: string(name)})
	} else {
		c.s.ex.client(wire.Bind)
	}
	return true
}

// staleName is no statement: a Bind of it is an error, which is turned into the one about a changed result.
const staleName = statementPrefix + "stale"

// changed is true for a Bind of a statement that the server does not have, when columns may have changed since its client
// has prepared it and the client does not ask what they are now: it would take the rows for what they were.
func (c *compiler) changed(r *request, name []byte) bool {
	st := c.s.names[string(clip(name))]
	return st != nil && len(name) > 0 && !r.describes && st.age.shape != c.s.route.catalog.shape.Load() &&
		st.scan.First != sql.Begin && st.scan.First != sql.Commit && st.scan.First != sql.Rollback && !c.b.prepared.has(st)
}

// resolve finds what a name in a Bind or Describe means and has it on the server. nil means that the name passes as it
// is.
func (c *compiler) resolve(name []byte, size int, scratch []byte) *statement {
	s := c.s
	st := s.names[string(clip(name))]
	if len(name) == 0 {
		st = s.unnamed
		switch {
		case st == nil:
			if c.b.unnamed != noStatement { // what is there is another client's
				c.before(scratch)
				c.out = wire.AppendText(c.out, wire.Close, "S")
				c.b.unnamed = noStatement
				s.ex.extendedOp(markOurClose, op{server: true})
			}
			return nil
		case st.name == "":
			if c.b.unnamed != st && st != longStatement {
				c.before(scratch)
				c.out = wire.AppendParse(c.out, "", st.body)
				c.b.unnamed = st
				s.ex.extendedOp(markOurParse, op{server: true})
			}
			c.runs(st, true, scratch)
			return nil
		}
	}
	if st == nil {
		c.guardName(name, size, scratch)
		return nil
	}
	if other := c.underSettings(st); other != st {
		if st = other; len(name) == 0 {
			s.unnamed = st
		} else {
			s.setName(string(clip(name)), st)
		}
	}
	c.ensure(st, scratch)
	return st
}

// underSettings returns the statement with st's text as it is read under the settings at hand.
func (c *compiler) underSettings(st *statement) *statement {
	s := c.s
	switch {
	case st.hash == 0: // nobody else's
	case s.flux:
		if !c.b.prepared.has(st) {
			return s.srv.statements.private([]byte(st.body), st.age)
		}
	case st.under != s.settings.parsing || s.renews:
		at := st.age
		if s.renews {
			at = s.route.catalog.age()
		}
		if other := s.srv.statements.named([]byte(st.body), s.settings.parsing, at); other != nil {
			return other
		}
	}
	return st
}

// guardName keeps a client from reaching the guard's statements by their names: it has none of that name.
func (c *compiler) guardName(name []byte, size int, scratch []byte) {
	if !bytes.HasPrefix(name, []byte(statementPrefix)) {
		return
	}
	m := c.from[c.at : c.at+size]
	at := bytes.Index(m, name)
	m[at] = '~' // an underscore before
}

// describeOrClose compiles a Describe or Close of a statement.
func (c *compiler) describeOrClose(piece *piece, m, scratch []byte) bool {
	s := c.s
	name, rest, ok := wire.CString(m[wire.HeaderSize+1:])
	if !ok || len(rest) != 0 {
		return false
	}
	if piece.typ == wire.Describe {
		st := c.resolve(name, len(m), scratch)
		if st == nil {
			return false
		}
		c.replace(scratch, len(m))
		c.out = wire.AppendText(c.out, wire.Describe, "S"+st.name)
		s.ex.client(wire.Describe)
		return true
	}
	if len(name) == 0 {
		o := op{unnamed: true, was: s.unnamed}
		s.unnamed, c.b.unnamed, s.lingers = nil, noStatement, false
		s.ex.extendedOp(markClose, o)
		return true
	}
	old := s.names[string(clip(name))]
	if old == nil {
		c.guardName(name, len(m), scratch)
		s.undo |= pins(sql.Prepared)
		return false
	}
	c.replace(scratch, len(m))
	c.out = wire.AppendMessage(c.out, wire.Close, nowhere)
	s.ex.extendedOp(markClose, op{name: string(clip(name)), was: old})
	s.setName(string(clip(name)), nil)
	return true
}

// naming compiles a simple query that names a prepared statement in its SQL, which may be one of the protocol: the
// server gets it under that name for as long as the query runs.
func (c *compiler) naming(m, scratch []byte) bool {
	s := c.s
	if len(s.names) == 0 || s.ex.status == wire.Failed {
		return c.passQuery()
	}
	text := queryText(m)
	res := sql.Scan(text)
	command, name, all, ok := sql.Target(text)
	ok = ok && res.Statements == 1
	st := s.names[string(name)]
	switch {
	case ok && (all || st == nil):
		return c.passQuery()
	case (!ok && naming(res, text)) || (ok && s.ex.unsynced && command != sql.Deallocate):
		c.handOver(s.ex.unsynced, true, scratch)
		return c.passQuery()
	case !ok:
		return c.passQuery()
	}
	if command == sql.Deallocate {
		c.before(scratch)
		c.out = wire.AppendParse(c.out, string(name), emptyBody)
		if s.ex.unsynced {
			s.ex.extendedOp(markOurParse, op{name: string(name), was: st})
		} else {
			s.ex.add(markOurParse)
			s.ex.ops = append(s.ex.ops, op{})
		}
		s.setName(string(name), nil)
		return c.passQuery()
	}
	body := emptyBody
	if command == sql.Execute {
		body = st.body
	}
	c.before(scratch)
	c.out = wire.AppendParse(c.out, string(name), body)
	c.out = wire.AppendEmpty(c.out, wire.Sync)
	s.ex.add(markHidden) // the answer to the Parse, right or wrong, and to the Sync
	c.passQuery()
	c.replace(scratch, 0)
	c.out = append(c.out, m...)
	c.done += len(m)
	c.out = wire.AppendText(c.out, wire.Close, "S"+string(name))
	c.out = wire.AppendEmpty(c.out, wire.Sync)
	s.ex.add(markHidden)
	s.suspect |= pinsOf(st.scan)
	s.undo |= pins(st.scan.Undo)
	return true
}

// handOver gives the server all of the client's statements by their own names, before a text that names some in ways that
// are not looked into. They are the server's then: the client keeps it for as long as one of them is there.
//
// inBatch: extended messages of the client's are before them, and a Sync may end what it should not. Else each has a Sync
// of its own, so that one that has gone wrong does not keep the server from reading on. query: a simple query follows.
func (c *compiler) handOver(inBatch, query bool, scratch []byte) {
	s := c.s
	c.before(scratch)
	for name, st := range s.names {
		c.out = wire.AppendParse(c.out, name, st.body)
		if inBatch {
			s.ex.extendedOp(markOurParse, op{name: name, was: st, rescue: query})
		} else {
			c.out = wire.AppendEmpty(c.out, wire.Sync)
			s.ex.add(markHidden)
		}
		s.setName(name, nil)
	}
	s.suspect |= pins(sql.Prepared)
}

// emptyBody is a Parse of the empty text without parameters.
const emptyBody = "\x00\x00\x00"

// runs makes sure, before the Parse or, if bound, the Bind of a statement that names others in its SQL, that the server
// knows those by their own names.
func (c *compiler) runs(st *statement, bound bool, scratch []byte) {
	s := c.s
	if len(s.names) == 0 || s.ex.status == wire.Failed || st.scan.Statements != 1 || !naming(st.scan, []byte(st.body)) {
		return
	}
	command, name, all, ok := sql.Target(st.text())
	old := s.names[string(name)]
	if ok && (all || old == nil) {
		return
	}
	if ok && command == sql.Deallocate {
		if !bound {
			return
		}
		c.before(scratch)
		c.out = wire.AppendParse(c.out, string(name), emptyBody)
		s.ex.extendedOp(markOurParse, op{name: string(name), was: old})
		s.setName(string(name), nil)
		return
	}
	c.handOver(true, false, scratch)
}

// appendHead appends the header of m, whose length changes by delta.
func appendHead(dst []byte, typ byte, m []byte, delta int) []byte {
	dst = append(dst, typ)
	return binary.BigEndian.AppendUint32(dst, uint32(int(binary.BigEndian.Uint32(m[1:]))+delta))
}

// setName makes name mean st, or nothing if st is nil. It is called with mu held.
func (s *session) setName(name string, st *statement) {
	if old := s.names[name]; old != nil {
		old.names.Add(-1)
	}
	if st == nil {
		delete(s.names, name)
		return
	}
	if s.names == nil {
		s.names = map[string]*statement{}
	}
	s.names[name] = st
	if st.names.Add(1) > 1 && !s.twins {
		for other, same := range s.names {
			s.twins = s.twins || (same == st && other != name)
		}
	}
}

// dropNames forgets all of the client's statements. It is called with mu held.
func (s *session) dropNames() {
	for _, st := range s.names {
		st.names.Add(-1)
	}
	s.names, s.twins = nil, false
}

// undoLocked takes back what ops changed, because the server has not done it. itself: the first is the op of the message
// that failed.
func (s *session) undoLocked(b *backend, ops []op, itself bool) {
	for i := len(ops) - 1; i >= 0; i-- {
		o := &ops[i]
		if o.st != nil {
			b.prepared.remove(o.st)
		}
		if o.closes != nil {
			b.prepared.add(o.closes)
		}
		if o.name != "" {
			s.setName(o.name, o.was)
		}
		if o.unnamed || o.server {
			b.unnamed = nil
		}
		if o.unnamed && s.unnamed == o.is {
			s.unnamed, s.lingers = o.was, false
			if itself && i == 0 {
				s.unnamed = nil
			}
		}
	}
}
