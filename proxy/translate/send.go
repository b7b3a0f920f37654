package translate

import (
	"bytes"
	"encoding/binary"
	"time"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// sending writes a request for one server: names of statements are replaced by the guard's, and what the server lacks
// is prepared.
type sending struct {
	l    *Lease
	r    *Request
	from []byte // the client's messages
	done int    // bytes of from that are in out
	at   int    // start of the message at hand
	out  []byte // begins in the caller's scratch
	own  bool   // out is to be written, and from[done:]; else from as it is

	fresh bool // the request begins a batch

	now   time.Time
	i     int        // number of the step at hand
	bound *Statement // of the last Bind, if it is known
	to    []byte     // its portal
	news  *Statement // that the client has just prepared anew, and describes itself
}

// Send returns what must be written to the server for r, whose messages are in from, and notes what the server owes for it. The
// result is from itself, or begins in scratch, or is new.
func (l *Lease) Send(r *Request, from, scratch []byte, now time.Time) []byte {
	w := sending{l: l, r: r, from: from, out: scratch[:0], now: now, fresh: !l.unsynced}
	read := false // the server reads some of it
	for i := range r.steps[:r.n] {
		st := &r.steps[i]
		w.i = i
		m := from[w.at : w.at+int(st.size)]
		switch {
		case l.skipping && st.typ != wire.Sync: // the server drops it
			w.replace(len(m))
			w.at += len(m)
			continue
		case l.Untouched():
			if l.skipped {
				w.forgetUnnamed(st.typ)
			}
			if l.c.Session {
				w.bringUnnamed(m)
			}
			if !l.c.Session && (l.unrid || reachedByName(m) || w.reaching(st, m)) {
				w.reach(true)
			}
			l.untouched(st, m)
		case !w.message(st, m):
			l.passes(st.typ)
		}
		w.at += len(m)
		read = read || st.typ != wire.Sync
	}
	l.differ = nil
	l.partial = r.left > 0 && !l.skipping
	if read {
		l.mayHaveDone(r, from)
	}
	if !w.own {
		return from
	}
	return append(w.out, from[w.done:]...)
}

// untouched notes a message that passes as it is because the client has the server to itself. Its unnamed statement outlives that: DISCARD ALL and
// DEALLOCATE ALL drop only those with names.
func (l *Lease) untouched(st *step, m []byte) {
	switch {
	case st.anon:
		is, e := st.st, effect{unnamed: true, before: l.c.unnamed}
		if l.lingers = is == nil; is == nil { // only the server knows what it is
			is = &Statement{}
		}
		l.c.unnamed, l.s.unnamed = is, only(is)
		l.extended(expectation{kind: parse, effect: e})
		return
	case st.typ == wire.Query:
		e := effect{unnamed: true, before: l.c.unnamed}
		l.c.unnamed, l.s.unnamed, l.lingers = nil, none, false
		l.query(e)
		return
	case st.typ == wire.Bind:
		if _, rest, ok := wire.CString(m[wire.HeaderSize:]); ok && len(rest) > 0 && rest[0] == 0 {
			l.lingers = false
		}
	case st.typ == wire.Close && len(m) > wire.HeaderSize+1 && m[wire.HeaderSize] == 'S':
		if l.undo |= Pins(sql.Prepared); m[wire.HeaderSize+1] == 0 {
			e := effect{unnamed: true, before: l.c.unnamed}
			l.c.unnamed, l.s.unnamed, l.lingers = nil, none, false
			l.extended(expectation{kind: closing, effect: e})
			return
		}
	}
	l.passes(st.typ)
}

// mayHaveDone notes what a request that is sent may leave behind.
func (l *Lease) mayHaveDone(r *Request, from []byte) {
	l.suspect |= r.suspect
	l.c.hide(r.suspect)
	l.undo |= r.undo
	l.flux = l.flux || r.sets
	l.course |= r.course
	if r.runs > 0 {
		l.course |= l.bound
	} else if r.binds(-1) {
		l.bound |= r.course & (commits | rolls | odd)
	}
	l.write = l.write || r.write
	l.unseen, l.obscure = l.unseen || r.unseen, l.obscure || r.obscure
	if r.ddl {
		l.ddl = true
		l.functions = l.c.Catalog.Changed(from) || l.functions
	}
}

// SendsRest notes that the rest of a long text is about to be sent, which does this: it may be run before SentRest is called.
func (l *Lease) SendsRest(res sql.Result) { l.course |= courseOf(res) }

// SentRest notes that the rest of a long message has been sent; res is what its text may have done, if it has one. What waited for it is in Out.
func (l *Lease) SentRest(res *sql.Result) {
	l.partial = false
	if l.unsettled && (l.skipping || l.owed.len() == 0) {
		l.settle()
	}
	if res == nil {
		return
	}
	r := new(Request)
	l.c.suspects(r, *res)
	if res.Residue&sql.Setting != 0 {
		r.suspect |= pinOpaque // its name has passed
	}
	if (res.Residue|res.Undo)&sql.Prepared != 0 && !l.c.Session {
		l.noteReached()
		l.unrid = true
	}
	l.mayHaveDone(r, nil)
}

// passes notes a message that is sent as it is.
func (l *Lease) passes(typ byte) {
	switch typ {
	case wire.Sync:
		l.sync()
	case wire.CopyData, wire.CopyDone, wire.CopyFail:
		l.copy(typ != wire.CopyData)
	case wire.Flush:
	case wire.Query, wire.FunctionCall:
		l.query(effect{})
	case wire.Bind:
		l.extended(expectation{kind: bind})
	case wire.Describe:
		l.extended(expectation{kind: describe})
	case wire.Execute:
		l.extended(expectation{kind: execute})
	case wire.Parse:
		l.extended(expectation{kind: parse})
	case wire.Close:
		l.extended(expectation{kind: closing})
	}
}

// extended notes a message of the extended protocol.
func (l *Lease) extended(e expectation) {
	l.misplaced()
	l.unsynced, l.executed = true, l.executed || e.kind == execute
	if !l.skipping {
		l.owed.add(e)
		l.runs = l.runs || (e.kind == execute && e.whose == client)
	}
}

// query notes a simple query, or a function call.
func (l *Lease) query(e effect) {
	l.misplaced()
	if l.skipping {
		return
	}
	l.owed.add(expectation{kind: query, effect: e})
	l.runs = true
	l.readies++
	l.unsynced, l.executed = false, false // its ReadyForQuery comes also without a Sync
}

// copy notes copy data, or their end. Without a COPY the server ignores both.
func (l *Lease) copy(end bool) {
	if l.copying.in {
		l.copying.data, l.copying.end = true, l.copying.end || end
	} else if n := len(l.owed.row); n > l.owed.first { // of a COPY that the server has yet to begin
		e := &l.owed.row[n-1]
		e.data, e.end = true, e.end || end
	}
}

// sync notes a Sync.
func (l *Lease) sync() {
	if l.copying.in && !l.copying.end {
		// The server drops it, unless the COPY fails before it is read.
		l.copying.early = true
		l.unsynced = l.unsynced || l.owed.front().kind == execute
		return
	}
	l.unsynced, l.executed, l.skipping, l.stands = false, false, false, false
	l.owed.add(expectation{kind: sync})
	l.readies++
}

// misplaced notes that something was sent that has no place in copy data. If the server reads some it takes the message
// for an error; but it may have found wrong data meanwhile, and then it runs it.
func (l *Lease) misplaced() {
	l.doubt = l.doubt || (l.copying.in && !l.copying.end)
}

// failing is true if a statement meets a transaction that has failed.
func (l *Lease) failing() bool { return l.status == wire.Failed }

// rejecting is true if the next message meets a transaction that has failed: nothing that may have ended it was sent since the
// server said so.
func (l *Lease) rejecting() bool {
	return l.status == wire.Failed && !l.executed && !l.partial && l.readies == 0
}

// message writes one message, and answers false if it passes as it is and is not noted yet.
func (w *sending) message(st *step, m []byte) bool {
	if w.l.unrid {
		w.ridOf(st.typ)
	}
	switch st.typ {
	case wire.Query:
		w.query(st, m)
		return true
	case wire.Parse:
		return w.parse(st, m)
	case wire.Bind:
		return w.bind(m)
	case wire.Describe, wire.Close:
		if len(m) > wire.HeaderSize && m[wire.HeaderSize] == 'S' {
			return w.describeOrClose(st.typ, m)
		}
		if st.typ == wire.Describe && w.bound != nil && w.bound.columns.Load() == 0 && w.r.steps[w.i-1].typ == wire.Bind && w.describesBound(m) {
			w.l.extended(expectation{kind: describe, of: w.bound})
			return true
		}
	}
	return false
}

// describesBound is true for a Describe of the portal that was bound last.
func (w *sending) describesBound(m []byte) bool {
	portal, _, ok := wire.CString(m[wire.HeaderSize+1:])
	return ok && bytes.Equal(portal, w.to)
}

// forgetUnnamed has the server forget its unnamed statement ahead of a message that may be about it.
func (w *sending) forgetUnnamed(typ byte) {
	switch typ {
	case wire.Query:
		w.l.skipped = false // it will
	case wire.Parse, wire.Bind, wire.Describe, wire.Execute, wire.Close:
		w.l.skipped = false
		w.guards(closing, effect{server: true})
		w.out = wire.AppendText(w.out, wire.Close, "S")
	}
}

// bringUnnamed prepares the client's unnamed statement ahead of a message that is about it, where one that the guard answered made it: the
// server has none, or another.
func (w *sending) bringUnnamed(m []byte) {
	st := w.l.c.unnamed
	if st == nil || st.Body == "" || w.l.s.unnamed == only(st) {
		return
	}
	called := m[wire.HeaderSize:]
	switch {
	case m[0] == wire.Bind:
		_, called, _ = wire.CString(called)
	case m[0] == wire.Describe && len(called) > 0 && called[0] == 'S':
		called = called[1:]
	default:
		return
	}
	if len(called) > 0 && called[0] == 0 {
		w.unnamedAgain(st)
	}
}

// before makes sure that everything up to the message at hand is in out.
func (w *sending) before() {
	w.own = true
	w.out = append(w.out, w.from[w.done:w.at]...)
	w.done = w.at
}

// replace leaves n bytes of the message at hand away.
func (w *sending) replace(n int) {
	w.before()
	w.done += n
}

// guards notes and writes a message of the guard's within the client's batch.
func (w *sending) guards(k kind, e effect) {
	w.before()
	w.l.extended(expectation{kind: k, whose: guard, effect: e})
}

// ensure has st prepared on the server.
func (w *sending) ensure(st *Statement) {
	if w.l.s.prepared.has(st) {
		return
	}
	w.makeWay(st)
	w.guards(parse, effect{adds: st.Name})
	w.out = wire.AppendParse(w.out, st.Name, string(st.appendAgain(nil)))
	w.l.s.prepared.add(st, moment{})
}

// makeWay has the name of st free on the server, and room for one more.
func (w *sending) makeWay(st *Statement) {
	if w.l.s.prepared.find(st) == nil {
		w.makeRoom()
		return
	}
	w.guards(closing, effect{drops: w.l.s.prepared.remove(st.Name)})
	w.out = wire.AppendText(w.out, wire.Close, "S"+st.Name)
}

// makeRoom drops what has not been used for long, so that one more statement fits. What a client that keeps its server has
// prepared by name stays: its temporary tables may have given the text another meaning since.
func (w *sending) makeRoom() {
	p := &w.l.s.prepared
	for n := len(p.entries); n > 0 && len(p.entries) >= w.l.c.MaxPrepared; n-- {
		old := p.oldest
		if old.held() && w.l.pins|w.l.suspect != 0 {
			p.use(old) // the next
			continue
		}
		w.guards(closing, effect{drops: p.remove(old.name)})
		w.out = wire.AppendText(w.out, wire.Close, "S"+old.name)
	}
}

// appendHead appends the header of m, whose length changes by delta.
func appendHead(dst []byte, typ byte, m []byte, delta int) []byte {
	dst = append(dst, typ)
	return binary.BigEndian.AppendUint32(dst, uint32(int(binary.BigEndian.Uint32(m[1:]))+delta))
}
