package translate

import "pgguard/proxy/wire"

// Opening is the BEGIN of a transaction that the server does not know of: it was kept until one was needed, or another server had it.
type Opening struct {
	Text   []byte // with modes; empty: a plain one
	Bound  bool   // it came by the extended protocol, and has left a portal
	Failed bool   // the transaction has failed
}

// Prefix returns what must be sent ahead of a request, and notes it. fresh: the server has just been granted, which needs the
// client's settings, and open, if it is not nil. from holds the messages of r. await: the request must not be sent before Prepared.
func (l *Lease) Prefix(r *Request, from []byte, fresh bool, open *Opening) (prefix []byte, await bool) {
	prefix, await = l.appendAhead(r, fresh, open)
	prefix, checks := l.appendChecks(prefix, r, from)
	return prefix, await || checks
}

// appendAhead returns what goes ahead of a request but for what is to be known of its statements.
func (l *Lease) appendAhead(r *Request, fresh bool, open *Opening) (prefix []byte, await bool) {
	if fresh && len(l.s.stock) > 0 {
		prefix = l.appendClearing(prefix)
	}
	if fresh && l.s.settings != l.c.settings {
		prefix, await = l.appendSettings(prefix)
	}
	if !l.c.Session && !l.skipping {
		prefix = l.appendOwnMemory(prefix, r, fresh)
	}
	switch {
	case !fresh || open == nil:
		return prefix, await
	case open.Failed:
		return l.appendFailed(prefix, open.Text), true
	}
	l.owed.add(expectation{kind: query, whose: guard, why: begin})
	l.ahead++
	l.status = wire.InTransaction
	if l.s.unnamed = none; open.Bound {
		l.s.unnamed = unnamed{} // the BEGIN
	}
	switch {
	case open.Bound && len(prefix)+len(open.Text) == 0:
		prefix = plainBoundBegin
	case open.Bound:
		prefix = appendBoundBegin(prefix, open.Text)
	case len(open.Text) > 0:
		prefix = wire.AppendText(prefix, wire.Query, string(open.Text))
	case len(prefix) == 0:
		prefix = plainBegin
	default:
		prefix = append(prefix, plainBegin...)
	}
	return prefix, await || l.c.hasty(l.c.settings)
}

// appendFailed appends what brings the server into a transaction that has failed, so that it answers what comes as PostgreSQL does there.
func (l *Lease) appendFailed(prefix, text []byte) []byte {
	l.owed.add(expectation{kind: query, whose: guard, why: fail})
	l.ahead++
	l.status, l.s.unnamed = wire.Failed, none
	if len(text) == 0 {
		text = []byte("BEGIN")
	}
	return wire.AppendText(prefix, wire.Query, string(text)+failBegun)
}

// failBegun follows a BEGIN and fails before it is run, so that it leaves no portal. It calls nothing that a client may have made. PostgreSQL
// logs its error.
const failBegun = "\n; SELECT 'the transaction that failed at pgguard'::pg_catalog.int4"

// codeBegunFailed is the SQLSTATE of that.
const codeBegunFailed = "22P02"

// endsBatch is true for the messages that end a batch without a Sync.
func endsBatch(typ byte) bool { return typ == wire.Query || typ == wire.FunctionCall }

// appendSettings appends what gives the server the client's settings. await: nothing may run before that has succeeded, because it
// takes a role, or because it may be refused, or ended by a timeout.
func (l *Lease) appendSettings(prefix []byte) (_ []byte, await bool) {
	list, await := changes(l.s.settings, l.c.settings)
	await = await || l.c.hasty(l.s.settings)
	prefix, n := appendChanges(prefix, list)
	for range n {
		l.owed.add(expectation{kind: query, whose: guard, why: settings})
	}
	l.ahead += n
	l.s.settings = l.c.settings
	l.s.unnamed = none
	return prefix, await && n > 0
}

// appendOwnMemory sees to it that a request which may read what the server remembers of sequences (lastval, currval) finds its client's
// values there, or none, and notes whose are there after it.
func (l *Lease) appendOwnMemory(prefix []byte, r *Request, fresh bool) []byte {
	reads := r.suspect&(PinSequence|PinFunction) != 0 || r.unread || (r.touches && l.c.Catalog.Currval())
	if !reads && !r.defaults && !r.touches {
		return prefix
	}
	own := l.c.mark()
	if reads && l.s.memory != nil && l.s.memory != own && l.status != wire.Failed {
		prefix = l.appendForget(prefix, fresh || l.status == wire.Idle, r.n > 0 && endsBatch(r.steps[0].typ))
		l.s.memory = nil
	}
	if l.s.memory == nil {
		l.s.memory = own
	} else if l.s.memory != own {
		l.s.memory = mixed
	}
	return prefix
}

// appendForget appends what makes the server forget what it remembers of sequences for others. idle: no transaction is open. ended: what
// follows ends a batch.
func (l *Lease) appendForget(prefix []byte, idle, ended bool) []byte {
	// Behind an Execute without a Sync PostgreSQL 18 runs a query in a transaction that does not end with it.
	ends := l.unsynced && ended && !l.executed
	switch {
	case idle && (!l.unsynced || ends) && !l.lingers && !l.Untouched():
		l.owed.add(expectation{kind: query, whose: guard, why: sequence, effect: effect{server: true, sequences: true}})
		l.s.unnamed = none
		return append(prefix, forgetSequences...)
	case l.unsynced:
		l.owed.add(expectation{kind: parse, whose: guard, effect: effect{sequences: true}})
		l.owed.add(expectation{kind: bind, whose: guard})
		l.owed.add(expectation{kind: execute, whose: guard, effect: effect{sequences: true}})
		l.owed.add(expectation{kind: closing, whose: guard})
		l.owed.add(expectation{kind: closing, whose: guard})
		l.executed = true
		return append(prefix, forgetSequencesBeside...)
	}
	l.owed.add(expectation{kind: query, whose: guard, why: sequence, own: true})
	return wire.AppendEmpty(append(prefix, forgetSequencesBeside...), wire.Sync)
}

// plainBegin is what is sent to a server for a deferred BEGIN without modes.
var plainBegin = wire.AppendText(nil, wire.Query, "BEGIN")

// plainBoundBegin is the same where the client's came by the extended protocol.
var plainBoundBegin = appendBoundBegin(nil, nil)

// appendBoundBegin appends a BEGIN of the extended protocol, after which its portal is there as the client believes.
func appendBoundBegin(dst, text []byte) []byte {
	if len(text) == 0 {
		text = []byte("BEGIN")
	}
	dst = wire.AppendParse(dst, "", string(text)+"\x00\x00\x00")
	dst = wire.AppendMessage(dst, wire.Bind, make([]byte, 8)) // no names, no formats, no parameters
	dst = wire.AppendMessage(dst, wire.Execute, make([]byte, 5))
	return wire.AppendEmpty(dst, wire.Sync)
}

// forgetSequences forgets what a server remembers of sequences, so that a client cannot read another's.
var forgetSequences = wire.AppendText(nil, wire.Query, "DISCARD SEQUENCES")

// forgetSequencesBeside is the same for the middle of a transaction or a batch: the client's unnamed statement and portal
// stay, and it has no ReadyForQuery.
var forgetSequencesBeside = func() []byte {
	const name = StatementPrefix + "discard"
	p := wire.AppendParse(nil, name, "DISCARD SEQUENCES\x00\x00\x00")
	p = wire.AppendMessage(p, wire.Bind, []byte(name+"\x00"+name+"\x00\x00\x00\x00\x00\x00\x00"))
	p = wire.AppendMessage(p, wire.Execute, []byte(name+"\x00\x00\x00\x00\x00"))
	p = wire.AppendText(p, wire.Close, "P"+name)
	return wire.AppendText(p, wire.Close, "S"+name)
}()

// What ends what a client has left, and what stands for nothing.
var (
	// failBatch ends a batch to which its client has sent no Sync so that nothing of it is committed: a Bind of no statement,
	// which is an error, and a Sync.
	failBatch = wire.AppendEmpty(wire.AppendMessage(nil, wire.Bind, []byte("\x00"+StatementPrefix+"unfinished\x00\x00\x00\x00\x00\x00\x00")), wire.Sync)

	// nowhere is the body of a Close of a statement that never exists: it costs a server next to nothing and is answered in
	// its turn, which makes it the stand-in for a Parse or a Close that a server need not see.
	nowhere = []byte("S" + StatementPrefix + "\x00")

	rollback   = wire.AppendText(nil, wire.Query, "ROLLBACK")
	discardAll = wire.AppendText(nil, wire.Query, "DISCARD ALL")
)
