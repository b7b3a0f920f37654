package proxy

import (
	"bytes"
	"slices"
	"strings"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// naming is true for a text that may name a prepared statement.
func naming(res sql.Result, text []byte) bool {
	switch res.First {
	case sql.Deallocate, sql.Execute, sql.Prepare:
		return true
	}
	if res.Statements > 1 && (res.Residue|res.Undo)&sql.Prepared != 0 {
		return true
	}
	return res.Ask && (res.Statements > 1 || res.First == sql.Explain || res.First == sql.Ddl) && // CREATE TABLE … AS EXECUTE
		bytes.Contains(bytes.ToLower(text), []byte("execute"))
}

// naming compiles a simple query that names a prepared statement in its SQL, which may be one of the protocol: the
// server gets it under that name for as long as the query runs.
func (c *compiler) naming(m []byte) bool {
	s := c.s
	if len(s.names) == 0 || s.ex.rejecting() {
		return c.passQuery()
	}
	text := queryText(m)
	res := sql.Scan(text)
	command, name, all, ok := sql.Target(text)
	ok = ok && res.Statements == 1
	st := s.names[string(name)]
	if ok && command == sql.Execute && st != nil && naming(st.scan, []byte(st.body)) { // and that names others
		c.handOver(s.ex.unsynced, append(append(st.text(), ' '), text...), true)
		s.suspect |= pinsOf(st.scan)
		s.undo |= pins(st.scan.Undo)
		return c.passQuery()
	}
	switch {
	case ok && (all || st == nil):
		return c.passQuery()
	case (!ok && naming(res, text)) || (ok && s.ex.unsynced && command != sql.Deallocate):
		c.handOver(s.ex.unsynced, text, true)
		return c.passQuery()
	case !ok:
		return c.passQuery()
	}
	if command == sql.Deallocate {
		c.before()
		c.out = wire.AppendParse(c.out, string(name), emptyBody)
		s.ex.extendedOp(markOurParse, op{name: string(name), was: st, rescue: true, drops: true})
		s.setName(string(name), nil)
		return c.passQuery()
	}
	body := emptyBody
	if command == sql.Execute {
		body = st.body
	}
	c.before()
	c.out = wire.AppendParse(c.out, string(name), body)
	c.out = wire.AppendEmpty(c.out, wire.Sync)
	s.ex.add(markHidden) // the answer to the Parse, right or wrong, and to the Sync
	c.passQuery()
	c.replace(0)
	c.out = append(c.out, m...)
	c.done += len(m)
	c.out = wire.AppendText(c.out, wire.Close, "S"+string(name))
	c.out = wire.AppendEmpty(c.out, wire.Sync)
	s.ex.add(markHidden)
	s.suspect |= pinsOf(st.scan)
	s.undo |= pins(st.scan.Undo)
	return true
}

// handOver gives the server the client's statements that a text may name, by their own names, before the text, which names
// some in ways that are not looked into. They are the server's then: the client keeps it for as long as one of them is there.
//
// inBatch: the client's extended messages are before them, and a Sync may end what it should not. Else each has a Sync
// of its own, so that one that has gone wrong does not keep the server from reading on. query: a simple query follows.
func (c *compiler) handOver(inBatch bool, text []byte, query bool) {
	s := c.s
	c.before()
	for _, name := range slices.Backward(s.mentioned(text)) { // EXECUTE is described by what it names
		st := s.names[name]
		c.out = wire.AppendParse(c.out, name, st.body)
		if inBatch {
			s.ex.extendedOp(markOurParse, op{name: name, was: st, rescue: query})
		} else {
			c.out = wire.AppendEmpty(c.out, wire.Sync)
			s.ex.add(markHidden)
		}
		if !inBatch && s.ex.status == wire.Idle { // in a transaction it would do harm
			c.out = wire.AppendParse(c.out, name, goneBody) // an error unless the other has gone wrong
			c.out = wire.AppendEmpty(c.out, wire.Sync)
			s.ex.add(markHidden)
		}
		s.setName(name, nil)
	}
	s.suspect |= pins(sql.Prepared)
}

// mentioned are the names of the client's statements that a text may name, each before those that it names itself.
func (s *session) mentioned(text []byte) []string {
	var names []string
	text = bytes.ToLower(text)
	for again := true; again; {
		again = false
		for name, st := range s.names {
			if slices.Contains(names, name) || !mentions(text, strings.ToLower(name)) {
				continue
			}
			names = append(names, name)
			if naming(st.scan, []byte(st.body)) {
				text, again = append(append(text, ' '), bytes.ToLower(st.text())...), true
			}
		}
	}
	return names
}

// mentions is true if word stands in text by itself.
func mentions(text []byte, word string) bool {
	inWord := func(c byte) bool {
		return c == '_' || c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z')
	}
	for from := 0; ; {
		i := bytes.Index(text[from:], []byte(word))
		if i < 0 {
			return false
		}
		at, end := from+i, from+i+len(word)
		if (at == 0 || !inWord(text[at-1])) && (end == len(text) || !inWord(text[end])) {
			return true
		}
		from = at + 1
	}
}

// goneBody is a Parse of what takes the place of a statement that cannot be prepared any more: its name is taken, and to plan
// it, which EXECUTE, EXPLAIN and Bind do, is an error.
const goneBody = "select ('guard: statement cannot be prepared any more'::pg_catalog.text)::pg_catalog.int4\x00\x00\x00"

// emptyBody is a Parse of the empty text without parameters.
const emptyBody = "\x00\x00\x00"

// good is true for a statement that can still be prepared: nothing that it depends on has changed.
func (c *compiler) good(st *statement) bool {
	return st.age == c.s.route.catalog.Age() && st.under == c.s.settings.parsing && !c.s.flux
}

// runs makes sure, before the Parse or, if bound, the Bind of a statement that names others in its SQL, that the server
// knows those by their own names.
func (c *compiler) runs(st *statement, bound bool) {
	s := c.s
	if len(s.names) == 0 || s.ex.rejecting() || st.scan.Statements != 1 || !naming(st.scan, []byte(st.body)) {
		return
	}
	command, name, all, ok := sql.Target(st.text())
	old := s.names[string(name)]
	if ok && (all || old == nil) {
		return
	}
	if ok && command != sql.Execute && !bound {
		return // what it is about does not matter before it runs
	}
	if ok && command == sql.Deallocate && !c.good(old) {
		// If it is never run, the client has lost what may have gone wrong, and is told so.
		c.before()
		c.out = wire.AppendParse(c.out, string(name), goneBody)
		s.ex.extendedOp(markOurParse, op{name: string(name), was: old})
		s.setName(string(name), nil)
		s.suspect |= pins(sql.Prepared)
		return
	}
	text := st.text()
	if ok && command == sql.Execute && naming(old.scan, []byte(old.body)) { // and that names others
		text = append(append(old.text(), ' '), text...)
		s.suspect |= pinsOf(old.scan)
		s.undo |= pins(old.scan.Undo)
	}
	c.handOver(true, text, false)
}
