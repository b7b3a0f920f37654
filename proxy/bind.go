package proxy

import (
	"bytes"
	"strings"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// bind compiles a Bind.
func (c *compiler) bind(r *request, m []byte) bool {
	portal, rest, _ := wire.CString(m[wire.HeaderSize:])
	name, rest, ok := wire.CString(rest)
	if !ok {
		return false
	}
	if len(name) == 0 {
		c.s.lingers = false
	}
	if c.changed(r, name) || c.misread(name) {
		c.bindTo(staleName, portal, name, rest, m)
		c.s.ex.client(wire.Bind)
		return true
	}
	st := c.resolve(name, len(m), true)
	if st == nil {
		return false
	}
	c.runs(st, true)
	c.s.hide(pinsOf(st.scan))
	c.bindTo(st.name, portal, name, rest, m)
	if r.renames || c.twin(name, st) {
		c.s.ex.extendedOp(markTwin, op{told: true, said: string(name)})
	} else {
		c.s.ex.client(wire.Bind)
	}
	return true
}

// twin is true if an error about st may have to be told under another name than the one that st is found by: then the mark
// keeps the name that the client gave.
func (c *compiler) twin(name []byte, st *statement) bool {
	s := c.s
	return s.twins || s.ex.firstOp < len(s.ex.ops) || (st.names.Load() > 0 && (len(name) == 0 || s.unnamedLocked() == st))
}

// bindTo puts a Bind of another statement in the place of m.
func (c *compiler) bindTo(statement string, portal, name, rest, m []byte) {
	c.replace(len(m))
	c.out = appendHead(c.out, wire.Bind, m, len(statement)-len(name))
	c.out = append(append(append(c.out, portal...), 0), statement...)
	c.out = append(append(c.out, 0), rest...)
}

// staleName is no statement: a Bind of it is an error, which is turned into the one about a changed result.
const staleName = statementPrefix + "stale"

// changed is true for a Bind of a statement that the server does not have, when columns may have changed since its client
// has prepared it and the client does not ask what they are now: it would take the rows for what they were.
func (c *compiler) changed(r *request, name []byte) bool {
	st := c.s.names[string(clip(name))]
	return st != nil && len(name) > 0 && !r.describes && st.age.Shape != c.s.route.catalog.Age().Shape &&
		returnsAll(st) && !c.b.prepared.has(st)
}

// misread is true for a statement that the server does not have, if its text would be read in another encoding than when its
// client prepared it: its constants would be other ones. Drivers prepare such a statement again when they are told that its
// result has changed.
func (c *compiler) misread(name []byte) bool {
	st := c.s.unnamedLocked()
	if len(name) > 0 {
		st = c.s.names[string(clip(name))]
	}
	return st != nil && st.name != "" && !c.b.prepared.has(st) && c.foreign(st)
}

// foreign is true for a text that is not ASCII and was prepared in another encoding than the client's now.
func (c *compiler) foreign(st *statement) bool {
	if st.under == c.s.settings.parsing && !c.s.flux || isASCII(st.body) {
		return false
	}
	first := ""
	if p := c.s.route.key.Value.(*login).params.Load(); p != nil {
		first = p.Get(settingEncoding)
	}
	was, ok := settings{all: st.under}.get(settingEncoding)
	if !ok {
		was = first
	}
	is, ok := c.s.settings.get(settingEncoding)
	if c.s.flux {
		is = c.b.params.Load().Get(settingEncoding)
	} else if !ok {
		is = first
	}
	return was != is
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}

// returnsAll is true for a statement that may return whatever columns a table has.
func returnsAll(st *statement) bool {
	star := strings.Contains(strings.ReplaceAll(st.body, "(*)", ""), "*")
	switch st.scan.First {
	case sql.Table:
		return true
	case sql.Select, sql.With:
		return star
	case sql.Insert, sql.Update, sql.Delete, sql.Merge:
		return star && strings.Contains(strings.ToLower(st.body), "returning")
	}
	return false
}

// resolve finds what a name in a Bind or Describe means and has it on the server. nil means that the name passes as it
// is. bound: it is in a Bind.
func (c *compiler) resolve(name []byte, size int, bound bool) *statement {
	s := c.s
	st := s.names[string(clip(name))]
	if len(name) == 0 {
		st = s.unnamedLocked()
		switch {
		case st == nil:
			if c.b.unnamed != noStatement { // what is there is another client's
				c.before()
				c.out = wire.AppendText(c.out, wire.Close, "S")
				c.b.unnamed = noStatement
				s.ex.extendedOp(markOurClose, op{server: true})
			}
			return nil
		case st.name == "":
			if c.b.unnamed != st && st != longStatement {
				c.before()
				c.out = wire.AppendParse(c.out, "", st.body)
				c.b.unnamed = st
				s.ex.extendedOp(markOurParse, op{server: true})
			}
			c.runs(st, bound)
			return nil
		}
	}
	if st == nil {
		c.guardName(name, size)
		return nil
	}
	if other := c.underSettings(st); other != st {
		if st = other; len(name) > 0 {
			s.setName(string(clip(name)), st)
		} else if o := s.ex.lastUnnamed(); o != nil {
			o.is = st
		} else {
			s.unnamed = st
		}
	}
	c.ensure(st)
	return st
}

// underSettings returns the statement with st's text as it is read under the settings at hand, and by a client that has had
// its first temporary object since: that makes PostgreSQL read all of a session's statements again, but not on a server
// that has seen one before.
func (c *compiler) underSettings(st *statement) *statement {
	s := c.s
	hidden := st.age.Schema < s.hides
	at := st.age
	if hidden || s.renews {
		at = s.route.catalog.Age()
	}
	switch {
	case st.hash == 0 && !hidden: // nobody else's
	case st.under == s.settings.parsing && !s.flux && !s.renews && !hidden:
	case !s.renews && !hidden && c.b.prepared.has(st) && !c.b.prepared.unknown(st) && !s.ex.doubtful(st):
		// As for a client that has this server to itself: PostgreSQL knows what makes it read a text again.
	case c.foreign(st): // to be had only as it is
	default:
		if st.hash != 0 && !s.flux {
			if other := s.srv.statements.named([]byte(st.body), s.settings.parsing, at); other != nil {
				return other
			}
		}
		if hidden || (s.flux && !c.b.prepared.has(st)) {
			return s.srv.statements.private([]byte(st.body), at)
		}
	}
	return st
}

// hide notes that what has been sent may make the client's first temporary object, for which suspect has the reason.
func (s *session) hide(suspect pins) {
	if suspect&pins(sql.TempTable) != 0 && !s.hidden {
		s.hides = s.route.catalog.Renew()
	}
}

// guardName keeps a client from reaching the guard's statements by their names: it has none of that name.
func (c *compiler) guardName(name []byte, size int) {
	if !bytes.HasPrefix(name, []byte(statementPrefix)) {
		return
	}
	m := c.from[c.at : c.at+size]
	at := bytes.Index(m, name)
	m[at] = '~' // an underscore before
}

// describeOrClose compiles a Describe or Close of a statement.
func (c *compiler) describeOrClose(piece *piece, m []byte) bool {
	s := c.s
	name, rest, ok := wire.CString(m[wire.HeaderSize+1:])
	if !ok || len(rest) != 0 {
		return false
	}
	if piece.typ == wire.Describe {
		st := c.resolve(name, len(m), false)
		if st == nil {
			return false
		}
		c.replace(len(m))
		c.out = wire.AppendText(c.out, wire.Describe, "S"+st.name)
		s.ex.client(wire.Describe)
		return true
	}
	if len(name) == 0 {
		c.b.unnamed, s.lingers = noStatement, false
		s.ex.extendedOp(markClose, op{unnamed: true})
		return true
	}
	old := s.names[string(clip(name))]
	if old == nil {
		c.guardName(name, len(m))
		s.undo |= pins(sql.Prepared)
		return false
	}
	c.replace(len(m))
	c.out = wire.AppendMessage(c.out, wire.Close, nowhere)
	s.ex.extendedOp(markClose, op{name: string(clip(name)), was: old})
	s.setName(string(clip(name)), nil)
	return true
}
