package translate

import (
	"bytes"
	"slices"
	"unicode/utf8"
	"unique"

	"pgguard/proxy/wire"
)

// Fate is what becomes of one message of the server.
type Fate uint8

const (
	Pass    Fate = iota // it is for the client
	Drop                // it is not
	Retract             // neither is what was to be passed on before it
)

func passIf(forClient bool) Fate {
	if forClient {
		return Pass
	}
	return Drop
}

// watched are the messages that change what the guard knows.
var watched = [256]bool{
	wire.ReadyForQuery: true, wire.ErrorResponse: true, wire.ParameterStatus: true, wire.CopyInResponse: true,
	wire.ParseComplete: true, wire.CloseComplete: true, wire.BindComplete: true, wire.RowDescription: true,
	wire.NoData: true, wire.CommandComplete: true, wire.EmptyQueryResponse: true, wire.PortalSuspended: true,
	wire.NoticeResponse: true, wire.ParameterDescription: true, wire.FunctionCallResponse: true,
}

// Watches is true if a message of this type, the server's next, must be given to Receive; hidden if it is not for the client unless
// Receive says so. Others are for the client, or hidden, whatever is in them.
func (l *Lease) Watches(typ byte) (watches, hidden bool) {
	e := l.owed.front()
	hidden = e != nil && e.hides(typ)
	return watched[typ] || hidden, hidden
}

// NeedsWhole is true for a message that means nothing until its end has come.
func (l *Lease) NeedsWhole(typ byte) bool {
	switch typ {
	case wire.ParameterStatus:
		return true
	case wire.DataRow:
		return l.Asking()
	case wire.ParameterDescription, wire.RowDescription:
		e := l.owed.front()
		return e != nil && e.of != nil
	}
	return false
}

// Receive takes one message of the server, of which whole says whether all of it is in m, and answers what becomes of it. What is
// left to do is in Out, Say, Again, Prepared, Fatal, Failed and Doubt.
func (l *Lease) Receive(m []byte, whole bool) Fate {
	body := m[wire.HeaderSize:]
	e := l.owed.front()
	hidden := e != nil && e.hides(m[0])
	l.doubt = l.doubt || (e != nil && e.strays(m[0]))
	switch m[0] {
	case wire.ReadyForQuery:
		if len(body) == 1 {
			return l.ready(body[0])
		}
		l.doubt = true
		return Drop
	case wire.ErrorResponse:
		return l.error(body, whole)
	case wire.NotificationResponse:
		return Pass
	case wire.ParameterStatus:
		return l.told(body)
	case wire.NoticeResponse:
		if l.aside(body) {
			return Drop
		}
		return passIf(!hidden)
	case wire.CopyInResponse:
		l.copyStarted()
		return passIf(!hidden)
	case wire.DataRow:
		if l.Asking() {
			l.question.row(body, whole)
		}
		return passIf(!hidden)
	case wire.CommandComplete:
		l.begun = true
		l.completed(body)
	case wire.EmptyQueryResponse, wire.FunctionCallResponse:
		l.begun = true
	case wire.ParseComplete:
		l.s.parsed++
	case wire.ParameterDescription:
		l.said = nil
		if e != nil && e.of != nil && whole {
			l.said = slices.Clone(typesOf(body))
		}
	}
	if e != nil && e.kind != query && e.ends(m[0]) {
		if e.of != nil {
			l.described(e, m[0], body, whole)
		}
		l.answered(m)
	}
	return passIf(!hidden)
}

// answered ends the answer to one extended message.
func (l *Lease) answered(m []byte) {
	e := l.owed.front()
	if e.whose == standIn {
		m[0] = wire.ParseComplete
	}
	if e.kind == execute {
		l.copying = copying{}
		if e.whose == client && m[0] == wire.PortalSuspended {
			l.carriedOut(false)
		}
	}
	l.owed.pop()
}

// told notes a setting that the server reports.
func (l *Lease) told(body []byte) Fate {
	e := l.owed.front()
	untold := l.ahead > 0 || (e != nil && e.why == discard && !l.losesSettings())
	if called, rest, ok := wire.CString(body); ok {
		if value, _, ok := wire.CString(rest); ok {
			l.s.Told(string(called), string(value))
			if string(called) == settingName && !untold && l.c.SyncApplicationName && !l.gone {
				return l.toldName(string(value))
			}
		}
		if l.ahead == 0 && !l.flux && l.question == nil {
			l.s.ToldIdle(string(called))
		}
	}
	return passIf(!untold) // the client is told the difference when all its settings are in place
}

// toldName notes the application_name that the server reports. A RESET gives it the one that it was started with, of which its client is to
// see nothing: it gets the client's again.
func (l *Lease) toldName(value string) Fate {
	own := l.c.plain.called
	if l.nameless = own != (unique.Handle[string]{}) && own.Value() != value && value == l.c.Born; l.nameless {
		return Drop
	}
	news := l.c.told != value
	l.c.told = value
	return passIf(news)
}

// askRename returns what gives the server the client's application_name, and notes that it is under way.
func (l *Lease) askRename() []byte {
	l.nameless = false
	l.owed.add(expectation{kind: query, whose: guard, why: rename, own: true})
	name, _ := l.c.plain.Get(settingName)
	const own = StatementPrefix + "name"
	out := wire.AppendParse(nil, own, "SELECT pg_catalog.set_config('application_name',"+literal(name)+",false)\x00\x00\x00")
	out = wire.AppendMessage(out, wire.Bind, []byte(own+"\x00"+own+"\x00\x00\x00\x00\x00\x00\x00"))
	out = wire.AppendMessage(out, wire.Execute, []byte(own+"\x00\x00\x00\x00\x00"))
	out = wire.AppendText(out, wire.Close, "P"+own)
	return wire.AppendEmpty(wire.AppendText(out, wire.Close, "S"+own), wire.Sync)
}

// CodeCrash is the SQLSTATE with which servers end because another has crashed.
const CodeCrash = "57P02"

// aside is true for a notice that is not for the client.
func (l *Lease) aside(body []byte) bool {
	l.noticed = true
	if e := l.owed.front(); e != nil && e.whose == guard && e.kind == parse {
		return true // the client has had it when it prepared the statement
	}
	// A server that ends because another has crashed says so as a warning. Behind an answer it is about the server.
	f, err := wire.ParseError(wire.ErrorStart(body))
	return err == nil && string(f.Code) == CodeCrash && l.Quiet()
}

// completed notes the tags after which a session has forgotten things.
func (l *Lease) completed(body []byte) {
	e := l.owed.front()
	if e != nil && e.whose == client {
		if l.kept && !undone(body) {
			l.Drop() // it must not run twice
		}
		switch string(body) {
		case "BEGIN\x00", "START TRANSACTION\x00": // which leaves nothing, whatever comes behind it
		case "COMMIT\x00", "PREPARE TRANSACTION\x00":
			l.ended = true
			l.carriedOut(true)
		default:
			l.carriedOut(false)
		}
	}
	if len(body) < len("DISCARD ALL") || body[0] != 'D' {
		return
	}
	switch string(body[:len(body)-1]) {
	case "DISCARD ALL":
		l.s.memory = nil
		l.forgotten |= PinSequence | PinFunction | PinDedicated
		l.discarded, l.dedicated, l.reached, l.unrid = true, false, false, false
		if e != nil && e.why == discard { // what the client has that moves is elsewhere next
			l.s.prepared.clear()
			l.s.stock = nil
			return
		}
	case "DISCARD SEQUENCES":
		if e == nil || e.whose == client {
			l.s.memory = nil
			l.forgotten |= PinSequence
		}
		return
	case "DEALLOCATE ALL":
	default:
		return
	}
	l.c.DeallocateAll()
	l.renamed = nil
	l.s.prepared.clear() // but not its unnamed one, unless a simple query has made an end of that
}

// undone is true for the tag of a statement of which surely nothing is left, but in its session, when a later one of the same batch fails: it has
// neither ended a transaction nor begun one.
func undone(tag []byte) bool {
	word, _, _ := bytes.Cut(tag[:max(0, len(tag)-1)], []byte(" "))
	switch string(word) {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "FETCH", "MOVE", "COPY", "SET", "RESET", "SHOW", "EXPLAIN":
		return true
	}
	return false
}

// ready deals with ReadyForQuery.
func (l *Lease) ready(status byte) Fate {
	l.status, l.copying, l.ended = status, copying{}, false
	e := l.owed.front()
	switch {
	case e != nil && e.settles(): // one more than was expected
		l.skipping, l.unsynced, l.stands = false, false, false
		return passIf(!l.gone)
	case e == nil || kinds[e.kind].skips || (e.kind == query && !e.own && !l.begun): // it ends something else
		l.doubt = true
		return Drop
	}
	l.begun = false
	whose, why := e.whose, e.why
	l.owed.pop()
	if l.unsettled && !l.partial {
		l.settle()
	}
	if l.Quiet() || whose == client {
		l.runs, l.course, l.write = false, 0, false
	}
	if status == wire.Idle { // its portals are gone
		l.bound = 0
	}
	ended := status == wire.Idle && l.Quiet() // not that of what went ahead
	if ended && (l.ddl || l.suspect&PinFunction != 0) {
		l.c.Catalog.Stirred()
	}
	if ended && l.ddl {
		l.c.Catalog.Committed(l.functions)
		l.ddl, l.functions = false, false
	}
	if whose == client {
		l.readies--
		l.unsupplied = nil
		l.carriedOut(false)
	}
	l.stands = why == settle && l.skipping
	switch why {
	case settings, begin, fail:
		l.ahead--
		l.prepared = l.ahead+l.checks == 0 && l.failed == nil
		return Drop
	case ask:
		return l.askAnswered()
	case discard:
		l.endExcess()
		return Drop
	}
	if l.heals {
		l.heals, l.again = false, true
		return Drop
	}
	forClient := whose == client
	if why == rename {
		forClient, l.held = l.held, false
	}
	if l.nameless && status != wire.Failed && l.Quiet() {
		l.held, l.out = forClient, l.askRename()
		return Drop
	}
	if question := l.askOnceQuiet(); question != nil {
		l.held = forClient
		l.out = question
		return Drop
	}
	if l.unaskedExcess() {
		l.held = forClient
		return Drop
	}
	return passIf(forClient)
}

// copyStarted notes CopyInResponse. A Sync that was sent before the end of the copy data is dropped by the server and will not be
// answered, unless the COPY fails before it is read; the client sends another.
func (l *Lease) copyStarted() {
	e := l.owed.front()
	if e == nil || e.whose != client || (e.kind != query && e.kind != execute) {
		l.doubt = true
		return
	}
	l.copying = copying{in: true, data: e.data, end: e.end}
	if next := l.owed.first + 1; e.kind == execute && !e.end && next < len(l.owed.row) && l.owed.row[next].kind == sync {
		l.copying.early = true
		l.owed.row = slices.Delete(l.owed.row, next, next+1)
		l.readies--
		l.unsynced = true
	}
}

// settle asks whether a Sync was answered that was sent early in a COPY which has failed: a trigger, or a cancel request, may have ended that
// before the server read the Sync. It asks for an answer that nothing else has: what comes ahead of it and was not expected answers the Sync.
// While the server may wait for a Sync, one of the guard's own goes first.
func (l *Lease) settle() {
	l.unsettled = false
	asked := expectation{kind: sync, whose: guard, why: settle}
	if l.skipping {
		l.owed.add(asked)
		l.out = wire.AppendEmpty(l.out, wire.Sync)
	}
	l.owed.add(expectation{kind: closing, whose: guard, why: settle})
	l.owed.add(asked)
	l.out = wire.AppendEmpty(wire.AppendMessage(l.out, wire.Close, nowhere), wire.Sync)
}

// error deals with ErrorResponse.
func (l *Lease) error(body []byte, whole bool) Fate {
	if !whole {
		body = wire.ErrorStart(body)
	}
	f, err := wire.ParseError(body)
	if err == nil && f.Fatal() {
		l.fatal = slices.Clone(body)
		return Drop
	}
	l.noticed, l.begun = true, true
	e := l.owed.front()
	if e != nil && e.whose == guard && e.kind == query {
		l.ownFailed(e, f, body)
		return Drop
	}
	if e != nil && e.settles() {
		l.doubt = l.doubt || !l.gone // a client's messages were run of which it was believed that the server reads over them
		return Drop
	}
	if e != nil && e.kind == execute && l.obscure {
		l.Drop() // a procedure may have committed something before it failed
	}
	l.code = string(f.Code)
	l.unsettled = l.unsettled || l.copying.early
	l.copying = copying{}
	var said *name
	if e != nil {
		said = e.said
	}
	switch {
	case e == nil:
	case kinds[e.kind].skips:
		l.skip(l.code == "22021")
	case e.kind == query:
		l.queryFailed(e, l.code == "22021" || (l.code == "08P01" && bytes.Contains(body, []byte("Rpq_getmsg"))))
	}
	if l.unsettled && l.skipping && !l.partial { // else the rest of its client's message goes first
		l.settle()
	}
	if l.unsupplied != nil && (l.code == "26000" || l.code == "25P02") && (e == nil || e.whose == client) {
		l.say = wire.AppendMessage(nil, wire.ErrorResponse, l.unsupplied) // why the server does not know the statement
		l.unsupplied = nil
		return Drop
	}
	if err != nil || !whole || l.Untouched() || (l.reached && said == nil) {
		return Pass // it is about the client's own statements
	}
	return l.reworded(body, f, said)
}

// ownFailed notes that the server did not carry out a query of the guard's own.
func (l *Lease) ownFailed(e *expectation, f wire.ErrorFields, body []byte) {
	switch e.why {
	case settings, begin:
		l.failed = slices.Clone(body)
	case fail:
		if string(f.Code) != codeBegunFailed {
			l.failed = slices.Clone(body)
		}
	case ask:
		l.question.failed = true
	case supply:
		l.s.stock = without(l.s.stock, e.stocks)
		l.unsupplied = slices.Clone(body)
	case sequence:
		// The client's statement is on its way: it must not be told what others have left.
		if l.s.memory = mixed; !e.own {
			l.failed = slices.Clone(body)
		}
	}
}

// queryFailed takes back what a simple query would have changed. Its ReadyForQuery follows. unread: the server could not read it, or it
// had no end, and has forgotten nothing.
func (l *Lease) queryFailed(e *expectation, unread bool) {
	switch {
	case unread && e.unnamed:
		l.c.unnamed, l.s.unnamed = e.before, unnamed{}
	case l.code == "08P01":
		l.s.unnamed = unnamed{}
	}
	if !e.deallocates {
		return
	}
	e.deallocates = false
	if l.c.names[e.name] == nil {
		l.rename(e.name, e.meant)
	}
	// The server is rid of what stood in for the statement.
	called := e.name
	l.owed.add(expectation{kind: query, whose: guard, own: true})
	l.out = wire.AppendEmpty(wire.AppendText(nil, wire.Close, "S"+called), wire.Sync)
}

// skip notes that the server reads over what was sent up to the next Sync, and takes back what that would have changed. unread: it
// could not read the text of the message that failed.
func (l *Lease) skip(unread bool) {
	from, to := l.owed.first, l.owed.first
	rescue, guards := false, true
	for ; to < len(l.owed.row); to++ {
		e := &l.owed.row[to]
		if e.kind == sync || e.own {
			break
		}
		if e.why == check {
			l.checked()
		}
		if endsClients(e) {
			l.readies--
			// The server waits for a Sync that its client, who has sent but a query, does not know of.
			rescue = guards
		}
		guards = guards && e.whose == guard
	}
	for i := to - 1; i >= from; i-- {
		l.takeBack(&l.owed.row[i], i == from && !(unread && !readable(l.c.unnamed)))
		l.owed.row[i] = expectation{}
	}
	l.owed.first = to
	l.skipping = l.owed.len() == 0
	l.unsynced = l.unsynced || l.skipping // a query behind, which would have ended the batch, is read over, too
	switch {
	case !l.skipping || !rescue:
	case l.partial: // there is no place for it in the middle of a message
		l.doubt = true
	default:
		l.sync()
		l.out = wire.AppendEmpty(nil, wire.Sync)
	}
}

// readable is true for a statement whose text is what it should be in UTF-8.
func readable(st *Statement) bool { return st == nil || utf8.ValidString(st.Body) }

// takeBack undoes what a message has changed, because the server has not done it. failed: it is the very message that failed, which
// has forgotten the unnamed statement if it was a Parse of it.
func (l *Lease) takeBack(e *expectation, failed bool) {
	if e.adds != "" {
		l.s.prepared.remove(e.adds)
	}
	if e.drops != nil {
		l.s.prepared.restore(e.drops)
	}
	if e.name != "" {
		l.rename(e.name, e.meant)
	}
	if e.stocks != nil {
		l.s.stock = without(l.s.stock, e.stocks)
	}
	if e.hands {
		l.dedicated = false
	}
	if e.sequences {
		l.s.memory = mixed
	}
	if e.unnamed || e.server {
		l.s.unnamed = unnamed{}
	}
	if e.unnamed {
		l.lingers = false
		if l.c.unnamed = e.before; failed && (e.kind == parse || e.whose == standIn) {
			l.c.unnamed = nil
		}
	}
}

// reworded deals with an error that is about the guard's own doing: the request is sent again, or the error told in the
// client's words.
func (l *Lease) reworded(body []byte, f wire.ErrorFields, said *name) Fate {
	stale := (l.code == "0A000" && bytes.Contains(body, []byte("RRevalidateCachedQuery\x00"))) ||
		(l.code == "42804" && (bytes.Contains(body, []byte("RCheckVarSlotCompatibility\x00")) || bytes.Contains(body, []byte("Rtupledesc_match\x00")))) // of a function's result
	lost := l.code == "26000" && bytes.Contains(f.Message, []byte(StatementPrefix))
	if lost {
		l.s.prepared.lose(f.Message)
	}
	if stale || lost {
		l.c.Catalog.Renew() // who prepares the text again gets another statement
		if l.kept && !l.skipping && l.readies == 1 {
			l.heals = true
			return Retract
		}
	}
	switch {
	case bytes.Contains(f.Message, []byte(staleName)):
		l.say = changedResult
		return Drop
	case bytes.Contains(f.Message, []byte(StatementPrefix)):
		l.say = wire.AppendMessage(nil, wire.ErrorResponse, l.inClientsWords(body, said))
		return Drop
	}
	return Pass
}

// changedResult is PostgreSQL's error for a prepared statement whose columns have changed.
var changedResult = wire.AppendMessage(nil, wire.ErrorResponse,
	[]byte("SERROR\x00VERROR\x00C0A000\x00Mcached plan must not change result type\x00Fplancache.c\x00RRevalidateCachedQuery\x00\x00"))

// inClientsWords replaces the guard's name of a statement in an error by the client's: said, if it is known.
func (l *Lease) inClientsWords(body []byte, said *name) []byte {
	at := bytes.Index(body, []byte(StatementPrefix))
	end := at + bytes.IndexByte(body[at:], '"')
	if end < at {
		return body
	}
	clients := ""
	if said != nil {
		clients = said.text
	} else if guards := string(body[at:end]); l.c.unnamed == nil || l.c.unnamed.Name != guards {
		for text, n := range l.c.names {
			if n.st.Name == guards {
				clients = text
			}
		}
	}
	return append(append(slices.Clone(body[:at]), clients...), body[end:]...)
}

// Rewind makes things as they were before the request that is kept, which is to be sent again.
func (l *Lease) Rewind() {
	for _, r := range slices.Backward(l.renamed) {
		l.c.setName(r.text, r.meant)
	}
	l.c.unnamed, l.s.unnamed = l.first.unnamed, unnamed{}
	l.residue, l.runs, l.course, l.write = l.left, false, 0, false
	l.first = first{renews: true}
}

// Renewed ends what Rewind began: the request has been sent.
func (l *Lease) Renewed() { l.renews = false }
