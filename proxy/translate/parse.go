package translate

import (
	"bytes"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// parse writes a Parse.
func (w *sending) parse(st *step, m []byte) bool {
	l := w.l
	called, body, ok := wire.CString(m[wire.HeaderSize:])
	if !ok {
		return false // the server says what is wrong with it
	}
	if w.reaching(st, m) {
		w.parseReaching(st)
		return true
	}
	if (st.long && !st.anon && !l.rejecting()) || (st.st != nil && w.namesOthers(st.st)) {
		w.dedicate(true)
		e := effect{hands: true}
		if st.anon {
			e.unnamed, e.before = true, l.c.unnamed
			l.c.unnamed, l.s.unnamed = st.st, only(st.st)
		}
		l.extended(expectation{kind: parse, effect: e})
		return true
	}
	if text, _, whole := wire.CString(body); whole { // what EXECUTE returns is settled here
		w.stock(text, true)
	}
	if st.anon {
		l.lingers = false
		w.parseUnnamed(st, m)
		return true
	}
	if inStock(l.c.stock, string(clip(called))) != nil { // an error, as the name is taken
		w.stockNamed(called)
		return false
	}
	held := l.pins | l.suspect | w.r.suspect
	if l.question != nil {
		held |= l.question.suspect
	}
	key := string(clip(called))
	switch {
	case l.c.names[key] != nil:
		// An error, unless another error comes first: the server shall say.
		w.ensure(takenStatement)
		w.replace(len(m))
		w.out = appendHead(w.out, wire.Parse, m, len(takenStatement.Name)-len(called))
		w.out = append(append(append(w.out, takenStatement.Name...), 0), body...)
		l.extended(expectation{kind: parse, said: &name{text: string(called)}})
		return true
	case st.st == nil || held&(Pins(sql.Prepared)|PinDedicated) != 0:
		// Only the server at hand knows it, beside those that the client has prepared there by SQL.
		w.guardName(called, len(m))
		l.suspect |= Pins(sql.Prepared)
		return false
	}
	e := effect{name: key}
	l.rename(key, st.st)
	w.prepare(st.st, e, len(m), l.c.names[key])
	return true
}

// parseUnnamed writes a Parse of the unnamed statement.
func (w *sending) parseUnnamed(st *step, m []byte) {
	l := w.l
	e := effect{unnamed: true, before: l.c.unnamed}
	is := st.st
	if is == nil { // too long to be kept: only this server will know it
		is = &Statement{}
		l.lingers = true
	}
	l.c.unnamed = is
	if is.Name == "" {
		l.s.unnamed = only(is)
		l.extended(expectation{kind: parse, effect: e})
		if is.Body != "" && !w.r.binds(w.i) {
			w.replace(len(m))
			w.out = append(w.out, m...)
			w.asks(is, nil)
		}
		return
	}
	w.prepare(is, e, len(m), nil)
}

// prepare puts in the place of the client's Parse, of size bytes, what gives the server st as the text is read now: nothing that costs
// it anything if it has it from a moment ago. said is the name that the client has for it. Where a transaction has failed the Parse is
// sent as it is, because it must fail, too; what it prepares then, under a name of its own, nobody needs.
func (w *sending) prepare(st *Statement, e effect, size int, said *name) {
	l := w.l
	switch {
	case l.failing() && e.unnamed:
		w.replace(size)
		w.out = wire.AppendParse(w.out, "", st.Body)
		l.s.unnamed = unnamed{}
		l.extended(expectation{kind: parse, effect: e})
	case l.failing():
		w.replace(size)
		w.out = wire.AppendParse(w.out, failingName, st.Body)
		l.extended(expectation{kind: parse, effect: e})
		w.out = wire.AppendText(w.out, wire.Close, "S"+failingName)
		l.extended(expectation{kind: closing, whose: guard})
	case w.young(st):
		w.replace(size)
		w.out = wire.AppendMessage(w.out, wire.Close, nowhere)
		l.extended(expectation{kind: closing, whose: standIn, effect: e})
	default:
		w.makeWay(st)
		w.replace(size)
		w.out = wire.AppendParse(w.out, st.Name, st.Body)
		l.s.prepared.add(st, moment{w.now, l.s.told.Load()})
		e.adds = st.Name
		l.extended(expectation{kind: parse, effect: e})
		w.asks(st, said)
	}
}

// young is true if what the server has of st was read a moment ago.
func (w *sending) young(st *Statement) bool {
	l := w.l
	e := l.s.prepared.find(st)
	if e == nil || e.other || e.read.at.IsZero() || e.read.told != l.s.told.Load() {
		return false
	}
	return w.now.Sub(e.read.at) < l.c.StatementAge
}

// guardName keeps a client from reaching the guard's statements by their names: it has none of that name.
func (w *sending) guardName(called []byte, size int) {
	if !bytes.HasPrefix(called, []byte(StatementPrefix)) {
		return
	}
	m := w.from[w.at : w.at+size]
	at := bytes.Index(m, called)
	m[at] = '~' // an underscore before
}

// describeUnnamed notes a Describe, which passes as it is, of the unnamed statement.
func (w *sending) describeUnnamed(called []byte) bool {
	st := w.l.c.unnamed
	if len(called) > 0 || st == nil || st.Body == "" || st.columns.Load() != 0 {
		return false
	}
	w.l.extended(expectation{kind: describe, of: st})
	return true
}

// describeOrClose writes a Describe or Close of a statement.
func (w *sending) describeOrClose(typ byte, m []byte) bool {
	l := w.l
	called, rest, ok := wire.CString(m[wire.HeaderSize+1:])
	if !ok || len(rest) != 0 {
		return false
	}
	w.stockNamed(called)
	if typ == wire.Describe {
		w.stockOf(called)
		st := w.resolve(called, len(m))
		if st == nil {
			return w.describeUnnamed(called)
		}
		w.replace(len(m))
		w.out = wire.AppendText(w.out, wire.Describe, "S"+st.Name)
		e := expectation{kind: describe, said: l.c.said(called)}
		if w.news == st {
			e.why, w.news = fresh, nil
		}
		if e.why == fresh || st.columns.Load() == 0 {
			e.of = st
		}
		l.extended(e)
		return true
	}
	if len(called) == 0 {
		e := effect{unnamed: true, before: l.c.unnamed}
		l.c.unnamed, l.s.unnamed, l.lingers = nil, none, false
		l.extended(expectation{kind: closing, effect: e})
		return true
	}
	key := string(clip(called))
	old := l.c.names[key]
	if old == nil {
		w.guardName(called, len(m))
		l.undo |= Pins(sql.Prepared)
		return false
	}
	w.replace(len(m))
	w.out = wire.AppendMessage(w.out, wire.Close, nowhere)
	l.extended(expectation{kind: closing, effect: effect{name: key, meant: old.st}})
	l.rename(key, nil)
	return true
}
