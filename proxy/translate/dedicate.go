package translate

import (
	"maps"
	"slices"
	"strings"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// A client that does what is seldom done and dear to follow is given its server until DISCARD ALL, DEALLOCATE of all that it has there,
// or its end: its statements are prepared there by their own names, and from then on its messages pass untouched.

// naming is true for a text that may name a prepared statement.
func naming(res sql.Result, text []byte) bool {
	switch res.First {
	case sql.Deallocate, sql.Execute:
		return true
	case sql.Prepare:
		return res.Statements > 1 || !res.TxControl // PREPARE TRANSACTION
	}
	if res.Statements > 1 && (res.Residue|res.Undo)&sql.Prepared != 0 {
		return true
	}
	return res.Ask && (res.Statements > 1 || res.First == sql.Explain || res.First == sql.Ddl) && // CREATE TABLE … AS EXECUTE
		containsFold(text, "execute")
}

// mayName is true for a text of which only the start is known if it may name a prepared statement.
func mayName(start []byte) bool {
	switch sql.Scan(start).First {
	case sql.Select, sql.Insert, sql.Update, sql.Delete, sql.Merge, sql.Values, sql.Table, sql.With, sql.Copy:
		return false
	}
	return true
}

// namesOthers is true for a statement of the protocol that may name one of the client's in its SQL, or all: what is sent behind it in
// the same batch may mean another thing once it has run.
func (w *sending) namesOthers(st *Statement) bool {
	l := w.l
	switch {
	case l.rejecting() || st.Scan.Statements != 1:
		return false
	case st.Scan.First == sql.Discard:
		return sql.DiscardsAll(st.Text())
	case !naming(st.Scan, []byte(st.Body)):
		return false
	}
	_, called, all, ok := sql.Target(st.Text())
	return (all && !w.alone()) || (!ok && len(l.c.names) > 0) || l.c.names[string(called)] != nil
}

// alone is true for a batch that runs one statement and does nothing else: nothing behind it can mean another thing once that has run, and what it
// has forgotten is told by its tag.
func (w *sending) alone() bool {
	r := w.r
	if !w.fresh || r.left > 0 || r.n == 0 || r.steps[r.n-1].typ != wire.Sync {
		return false
	}
	binds, runs := 0, 0
	for i, st := range r.steps[:r.n-1] {
		switch st.typ {
		case wire.Parse:
			if i > 0 {
				return false
			}
		case wire.Bind:
			binds++
		case wire.Execute:
			runs++
		case wire.Describe:
		default:
			return false
		}
	}
	return binds == 1 && runs == 1
}

// query writes a simple query, which makes an end of the unnamed statement.
func (w *sending) query(st *step, m []byte) {
	l := w.l
	e := effect{unnamed: true, before: l.c.unnamed}
	if w.reaching(st, m) {
		e.hands = w.reach(l.unsynced)
	} else if w.r.names && len(l.c.names) > 0 && !l.rejecting() {
		w.queryNaming(m, &e)
	}
	if text, _, whole := wire.CString(m[wire.HeaderSize:]); whole && !l.dedicated {
		w.stock(text, l.unsynced)
	}
	l.c.unnamed, l.s.unnamed, l.lingers = nil, none, false
	l.query(e)
}

// queryNaming makes sure that the server knows the client's statements that a simple query names in its SQL.
func (w *sending) queryNaming(m []byte, e *effect) {
	l := w.l
	text, _, whole := wire.CString(m[wire.HeaderSize:])
	if !whole {
		e.hands = true
		w.dedicate(l.unsynced)
		return
	}
	command, called, all, ok := sql.Target(text)
	ok = ok && sql.Scan(text).Statements == 1
	st := l.c.names[string(called)]
	switch {
	case ok && (all || st == nil): // none of them, or all, which the tag will tell
	case ok && command == sql.Deallocate:
		// The server gets something to drop.
		e.name, e.meant, e.deallocates = string(called), st.st, true
		w.guards(parse, effect{})
		w.out = wire.AppendParse(w.out, string(called), emptyBody)
		l.rename(e.name, nil)
	default:
		e.hands = true
		w.dedicate(l.unsynced)
	}
}

// dedicate gives the client its server: it gets the client's statements by their own names.
//
// inBatch: the client's extended messages are before them, or behind, and a Sync may end what it should not. Else each has a Sync
// of its own, so that one that has gone wrong does not keep the server from reading on.
func (w *sending) dedicate(inBatch bool) {
	l := w.l
	for called := range l.c.names {
		if !l.reached && strings.HasPrefix(called, StatementPrefix) {
			l.noteReached()
			w.rid()
		}
	}
	l.dedicated = true
	l.suspect |= PinDedicated | Pins(sql.Prepared)
	for _, st := range l.c.stock {
		if l.status != wire.Failed {
			w.supply(st, st.body(), inBatch)
		}
	}
	w.before()
	hand := func(called, body string, e effect) {
		w.out = wire.AppendParse(w.out, called, body)
		if inBatch {
			l.extended(expectation{kind: parse, whose: guard, effect: e})
			return
		}
		w.out = wire.AppendEmpty(w.out, wire.Sync)
		l.owed.add(expectation{kind: query, whose: guard, own: true})
	}
	for _, called := range slices.Sorted(maps.Keys(l.c.names)) {
		n := l.c.names[called]
		hand(called, string(n.st.appendAgain(nil)), effect{name: called, meant: n.st, hands: true})
		if !inBatch && l.status == wire.Idle { // in a transaction it would do harm
			hand(called, n.st.gone(), effect{}) // an error unless the other has gone wrong
		}
	}
	for called := range l.c.names {
		l.rename(called, nil)
	}
	if st := l.c.unnamed; st != nil && st.Body != "" && l.s.unnamed != only(st) {
		hand("", string(st.appendAgain(nil)), effect{server: true})
	}
	if l.c.unnamed == nil && l.s.unnamed != none { // what is there is another client's
		if inBatch {
			w.guards(closing, effect{server: true})
			w.out = wire.AppendText(w.out, wire.Close, "S")
		} else {
			w.out = wire.AppendEmpty(wire.AppendText(w.out, wire.Close, "S"), wire.Sync)
			l.owed.add(expectation{kind: query, whose: guard, own: true})
		}
	}
	if l.c.unnamed == nil || l.s.unnamed != only(l.c.unnamed) {
		l.s.unnamed = unnamed{}
	}
}
