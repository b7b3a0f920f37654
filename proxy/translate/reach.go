package translate

import (
	"bytes"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// The guard's statements are of no concern to a client. One whose SQL may name them is dedicated, to a server from which they have been taken, until
// DISCARD ALL or its end: what it is told of such a name is what PostgreSQL says of it, and no other client meets what it has done.

// reaches is true for a text that may name the guard's statements, or all that there are where the server does not tell.
func reaches(res sql.Result, text []byte) bool {
	naming := false
	switch res.First {
	case sql.Deallocate, sql.Execute, sql.Prepare:
		naming = true
	}
	naming = naming || (res.Residue|res.Undo)&sql.Prepared != 0
	if !naming && !res.Ask {
		return false
	}
	return containsFold(text, StatementPrefix) || (naming && containsFold(text, `u&"`)) || // a name in other characters
		(res.First == sql.Do && containsFold(text, "deallocate"))
}

// containsFold is true if word, which is in small letters, is in text in any.
func containsFold(text []byte, word string) bool {
	for i := range len(text) - len(word) + 1 {
		if text[i]|0x20 == word[0]|0x20 && bytes.EqualFold(text[i:i+len(word)], []byte(word)) {
			return true
		}
	}
	return false
}

// reaching is true for a message whose text may name the guard's statements.
func (w *sending) reaching(st *step, m []byte) bool {
	if !w.r.reaches || (st.typ != wire.Query && st.typ != wire.Parse) {
		return false
	}
	text := m[wire.HeaderSize:]
	if st.typ == wire.Parse {
		_, text, _ = wire.CString(text)
	}
	text, _, _ = wire.CString(text)
	return reaches(sql.Scan(text), text)
}

// reach has the server forget the guard's statements ahead of a message that may name them, and dedicates the client. In a transaction
// that has failed nothing can be handed over: false.
func (w *sending) reach(inBatch bool) bool {
	l := w.l
	l.noteReached()
	w.rid()
	if l.dedicated || l.rejecting() {
		return false
	}
	w.dedicate(inBatch)
	return true
}

// noteReached notes that the client may have reached the guard's statements: it keeps its server.
func (l *Lease) noteReached() {
	l.reached = true
	l.suspect |= PinDedicated | Pins(sql.Prepared)
}

// rid has the server forget the guard's statements.
func (w *sending) rid() {
	l := w.l
	l.unrid = false
	w.guards(closing, effect{})
	w.out = wire.AppendText(w.out, wire.Close, "S"+askName)
	for e := l.s.prepared.oldest; e != nil; e = l.s.prepared.oldest {
		w.guards(closing, effect{drops: l.s.prepared.remove(e.name)})
		w.out = wire.AppendText(w.out, wire.Close, "S"+e.name)
	}
}

// reachedByName is true for a message that passes untouched and names a statement of the guard's.
func reachedByName(m []byte) bool {
	called := m[wire.HeaderSize:]
	switch m[0] {
	case wire.Bind:
		_, called, _ = wire.CString(called)
	case wire.Describe, wire.Close:
		called = called[min(1, len(called)):]
	case wire.Parse:
	default:
		return false
	}
	return bytes.HasPrefix(called, []byte(StatementPrefix))
}

// parseReaching writes a Parse of a text that may name the guard's statements: only the server at hand will know it.
func (w *sending) parseReaching(st *step) {
	l := w.l
	e := effect{hands: w.reach(true)}
	if st.anon {
		e.unnamed, e.before = true, l.c.unnamed
		l.c.unnamed = &Statement{}
		l.s.unnamed, l.lingers = only(l.c.unnamed), true
	}
	l.extended(expectation{kind: parse, effect: e})
}

// ridOf has the server forget the guard's statements ahead of a message that may be about one.
func (w *sending) ridOf(typ byte) {
	switch typ {
	case wire.Query, wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close:
		w.rid()
	}
}
