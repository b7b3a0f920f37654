package proxy

import (
	"encoding/binary"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

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

	scratch []byte // what out begins in
}

// compile returns what must be written to b for r, whose messages are in from, and notes it in the exchange. scratch is
// used if the client's own bytes will not do. It is called with s.mu held.
func (s *session) compile(r *request, b *backend, from, scratch []byte) []byte {
	s.unsure = s.unsure && s.ex.outstanding()
	c := compiler{s: s, b: b, from: from, scratch: scratch}
	for i := range r.steps[:r.n] {
		st := &r.steps[i]
		m := from[c.at : c.at+int(st.size)]
		if s.ex.skipping && st.typ != wire.Sync {
			c.replace(len(m)) // the server drops it
		} else if s.route.mode == PoolModeSession || !c.message(r, st, m) {
			s.ex.client(st.typ)
		}
		c.at += len(m)
	}
	s.suspect |= r.suspect
	s.hide(r.suspect)
	s.undo |= r.undo
	s.armed, s.unsure = s.armed || r.armed, s.unsure || r.unsure
	s.ran.add(r)
	s.flux = s.flux || r.sets
	s.ex.partial = r.left > 0
	s.ex.commit = s.ex.commit || r.commit
	s.ex.write = s.ex.write || r.write
	if r.ddl {
		s.ddl = true
		s.shape = s.route.catalog.Changed(from) || s.shape
	}
	if c.out == nil {
		return from
	}
	return append(c.out, from[c.done:]...)
}

// message compiles one message, and answers false if it passes as it is and the exchange must be told.
func (c *compiler) message(r *request, st *piece, m []byte) bool {
	switch st.typ {
	case wire.Query:
		if r.names {
			return c.naming(m)
		}
		return c.passQuery()
	case wire.Parse:
		return c.parse(r, st, m)
	case wire.Bind:
		return c.bind(r, m)
	case wire.Describe, wire.Close:
		if len(m) > wire.HeaderSize && m[wire.HeaderSize] == 'S' {
			return c.describeOrClose(st, m)
		}
	}
	return false
}

// passQuery notes a simple query, which makes an end of the unnamed statement.
func (c *compiler) passQuery() bool {
	s := c.s
	s.queried = s.unnamed
	s.unnamed, c.b.unnamed = nil, noStatement
	s.ex.client(wire.Query)
	return true
}

// before makes sure that everything up to the message at hand is in out.
func (c *compiler) before() {
	if c.out == nil {
		c.out = c.scratch[:0]
	}
	c.out = append(c.out, c.from[c.done:c.at]...)
	c.done = c.at
}

// replace leaves n bytes of the message at hand away.
func (c *compiler) replace(n int) {
	c.before()
	c.done += n
}

// ensure has st prepared on the server.
func (c *compiler) ensure(st *statement) {
	if c.present(st) {
		return
	}
	c.before()
	c.out = wire.AppendParse(c.out, st.name, st.body)
	c.b.prepared.add(st)
	c.s.ex.extendedOp(markOurParse, op{st: st})
}

// present answers whether the server has st. If not, there is room for it.
func (c *compiler) present(st *statement) bool {
	if c.s.ex.doubtful(st) || c.b.prepared.unknown(st) {
		c.drop(st)
		return false
	}
	if c.b.prepared.has(st) {
		return true
	}
	c.makeRoom()
	return false
}

// makeRoom drops what has not been used for long, so that one more statement fits. What a client that keeps its server has
// prepared by name stays: its temporary tables may have given the text another meaning since.
func (c *compiler) makeRoom() {
	p := &c.b.prepared
	for n := len(p.of); n > 0 && len(p.of) >= c.s.srv.cfg.MaxPrepared; n-- {
		if old := p.last(); old.names.Load() > 0 && c.s.pins|c.s.suspect != 0 {
			p.has(old) // the next
		} else {
			c.drop(old)
		}
	}
}

// drop has the server close st, which it may have.
func (c *compiler) drop(st *statement) {
	o := op{closes: st, unsure: c.s.ex.doubtful(st) || c.b.prepared.unknown(st)}
	c.before()
	c.out = wire.AppendText(c.out, wire.Close, "S"+st.name)
	c.b.prepared.remove(st)
	c.s.ex.extendedOp(markOurClose, o)
}

// parse compiles a Parse.
func (c *compiler) parse(r *request, st *piece, m []byte) bool {
	s := c.s
	name, body, ok := wire.CString(m[wire.HeaderSize:])
	if !ok {
		return false
	}
	held := s.pins | s.suspect | r.suspect
	if s.question != nil {
		held |= s.question.suspect
	}
	passes := st.st == nil || held&pins(sql.Prepared) != 0
	key := clip(name)
	taken := len(name) > 0 && s.names[string(key)] != nil
	if st.st != nil && !taken {
		c.runs(st.st, passes && len(name) > 0) // its Bind will pass, too
	}
	if len(name) == 0 {
		return c.parseUnnamed(st)
	}
	if taken {
		// An error, unless another error comes first: the server shall say.
		c.ensure(takenStatement)
		c.replace(len(m))
		c.out = appendHead(c.out, wire.Parse, m, len(takenStatement.name)-len(name))
		c.out = append(append(append(c.out, takenStatement.name...), 0), body...)
		s.ex.extendedOp(markParse, op{told: true, said: string(name)})
		return true
	}
	if passes {
		// Only the server at hand knows it, beside those that the client has prepared there by SQL.
		c.guardName(name, len(m))
		s.suspect |= pins(sql.Prepared)
		return false
	}
	o := op{name: string(key)}
	c.prepare(st.st, o, len(m))
	s.setName(o.name, st.st)
	return true
}

// parseUnnamed compiles a Parse of the unnamed statement.
func (c *compiler) parseUnnamed(st *piece) bool {
	s := c.s
	is := st.st
	if is == nil { // too long to keep
		is = longStatement
	}
	o := op{unnamed: true, is: is}
	s.lingers = is == longStatement
	if is.name == "" {
		c.b.unnamed = is
		s.ex.extendedOp(markParse, o)
		return true
	}
	c.prepare(is, o, int(st.size))
	return true
}

// prepare puts in the place of the client's Parse, of size bytes, what gives the server st: nothing that costs it
// anything if it has it. Where a transaction may have failed the Parse is sent as it is, because it must fail, too; what
// it prepares then is the server's unnamed statement, which nobody needs.
func (c *compiler) prepare(st *statement, o op, size int) {
	if c.s.ex.failing() {
		c.replace(size)
		c.out = wire.AppendParse(c.out, "", st.body)
		c.b.unnamed = nil
		c.s.ex.extendedOp(markParse, o)
		return
	}
	if c.present(st) {
		c.replace(size)
		c.out = wire.AppendMessage(c.out, wire.Close, nowhere)
		c.s.ex.extendedOp(markKnown, o)
		return
	}
	c.replace(size)
	c.out = wire.AppendParse(c.out, st.name, st.body)
	c.b.prepared.add(st)
	o.st = st
	c.s.ex.extendedOp(markParse, o)
}

// takenStatement stands on a server for a name that the client has used already.
var takenStatement = &statement{name: statementPrefix + "taken", body: emptyBody}

// Two statements that a server's unnamed statement may be: none at all, and one that is too long to remember.
var (
	noStatement   = &statement{}
	longStatement = &statement{}
)

// appendHead appends the header of m, whose length changes by delta.
func appendHead(dst []byte, typ byte, m []byte, delta int) []byte {
	dst = append(dst, typ)
	return binary.BigEndian.AppendUint32(dst, uint32(int(binary.BigEndian.Uint32(m[1:]))+delta))
}
