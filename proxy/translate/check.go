package translate

import "pgguard/proxy/wire"

// appendChecks appends what has the server prepare the statements that r binds and it lacks, and say what columns they have now: whoever
// knows columns from before, and does not ask, must not be told rows of others. from holds the messages of r. checks: there is
// something to be known before r is sent.
func (l *Lease) appendChecks(prefix []byte, r *Request, from []byte) (_ []byte, checks bool) {
	if !r.blind() || l.Untouched() || l.skipping || l.failing() {
		return prefix, false
	}
	w := sending{l: l, r: r, from: from, out: prefix, fresh: !l.unsynced}
	at := 0
	for i := range r.steps[:r.n] {
		m := from[at : at+int(r.steps[i].size)]
		at += len(m)
		if r.steps[i].typ != wire.Bind || r.described(i) {
			continue
		}
		_, rest, _ := wire.CString(m[wire.HeaderSize:])
		if called, _, ok := wire.CString(rest); ok && !r.prepares(i, called, from) {
			w.check(called)
		}
	}
	if l.checks == 0 {
		return w.out, false
	}
	return wire.AppendEmpty(w.out, wire.Flush), true
}

// check has the server prepare and describe the statement that a name means, if it lacks that and its columns are known.
func (w *sending) check(called []byte) {
	l := w.l
	st := l.meant(called)
	if st == nil || st.Body == "" || st.columns.Load() <= noColumns || w.misread(called) || w.namesOthers(st) {
		return
	}
	if st.Name == "" {
		if l.s.unnamed == only(st) {
			return
		}
		w.unnamedAgain(st)
	} else {
		if l.s.prepared.has(st) {
			return
		}
		w.ensure(st)
	}
	l.checks++
	l.extended(expectation{kind: describe, whose: guard, why: check, of: st})
	w.out = wire.AppendText(w.out, wire.Describe, "S"+st.Name)
}

// described takes the end of the description of a statement.
func (l *Lease) described(e *expectation, typ byte, body []byte, whole bool) {
	columns := uint64(noColumns)
	if typ == wire.RowDescription {
		columns = columnsOf(body)
	}
	types := l.said
	l.said = nil
	switch {
	case !whole: // nothing is known of it
	case e.why == check:
		if e.of.columns.Load() != columns {
			l.differ = append(l.differ, e.of)
			if e.of.Name == "" {
				l.s.unnamed = unnamed{}
			} else {
				l.s.prepared.spoil(e.of)
			}
		}
	case !e.of.learn(types, columns) && e.why == fresh:
		l.another(e, types, columns)
	}
	if e.why == check {
		l.checked()
	}
}

// checked notes that one thing less is to be known before the client's request is sent.
func (l *Lease) checked() {
	l.checks--
	l.prepared = l.ahead+l.checks == 0 && l.failed == nil
}

// another notes that a text which the client has just prepared means something else than before: it is another statement. Who has
// prepared the old one keeps that.
func (l *Lease) another(e *expectation, types []byte, columns uint64) {
	old := e.of
	age := l.c.Catalog.Renew()
	var st *Statement
	if old.Shared {
		st = l.c.Library.Named([]byte(old.Body), old.Under, age)
	}
	if st == nil {
		st = l.c.Library.Private([]byte(old.Body), age)
	}
	st.learn(types, columns)
	l.s.prepared.spoil(old)
	switch {
	case e.said != nil && e.said != noName:
		if key := string(clip([]byte(e.said.text))); l.c.names[key] != nil && l.c.names[key].st == old {
			l.rename(key, st)
		}
	case l.c.unnamed == old:
		l.c.unnamed = st
	}
}

// asks has the server describe st, which the client's message at hand has just prepared, unless the client's next does.
func (w *sending) asks(st *Statement, said *name) {
	if !st.vague() {
		return
	}
	if next := w.i + 1; next < w.r.n && w.r.steps[next].typ == wire.Describe {
		m := w.from[w.at+int(w.r.steps[w.i].size):]
		called, _, ok := wire.CString(m[min(len(m), wire.HeaderSize+1):int(w.r.steps[next].size)])
		key := ""
		if said != nil {
			key = said.text
		}
		if ok && m[wire.HeaderSize] == 'S' && string(clip(called)) == key {
			w.news = st
			return
		}
	}
	w.l.extended(expectation{kind: describe, whose: guard, why: fresh, of: st, said: said})
	w.out = wire.AppendText(w.out, wire.Describe, "S"+st.Name)
}
