package translate

import (
	"bytes"
	"fmt"
	"time"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// far is a server, as its lessee has it, with what was written to it.
type far struct {
	session Server
	lent    bool
	written []byte                // what was sent to it and not taken yet
	taken   func(messages []byte) // takes what is written at once; nil: nobody does
}

func (f *far) write(b []byte) {
	if f.taken != nil {
		f.taken(b)
		return
	}
	f.written = append(f.written, b...)
}

// phase is what a session is doing.
type phase string

const (
	free      phase = "free"      // it has no server
	waiting   phase = "waiting"   // its request waits for one
	preparing phase = "preparing" // what goes ahead of its request must succeed first
	running   phase = "running"
	idling    phase = "idling" // in a transaction
	parked    phase = "parked" // between two, with a server
	lost      phase = "lost"   // its server ended, or had to be ended
)

// talk is a client's session as the proxy has it: it reads requests, sends them to a server when it gets one, and passes the answers
// on. Its rules are those of package proxy, without time, sockets and refusals.
type talk struct {
	client Client
	lease  Lease
	phase  phase
	srv    *far
	local  byte // the transaction state, as the client sees it, while the session is free
	open   Opening
	eager  bool // what the guard can answer by itself it does
	now    time.Time

	in      []said         // what the client has sent and was not read yet
	tail    []byte         // the rest of a message of which the start was read
	drop    bool           // nobody is to have that
	tailTyp byte           // its type
	text    *sql.Scanner   // of that rest
	request *pending       // what waits for a server, or for what goes ahead of it
	kept    *pending       // what may be sent again
	pending []byte         // for the client, and not passed on yet
	heard   []byte         // what the client was told
	read    func(m said)   // is told of each message that was taken from in; nil: nobody cares
	wrote   func(b []byte) // is told what was written to the server; nil: nobody cares

	vague bool // its unnamed statement is long, or was never translated, and it need not be there any more: in a server that went back, or in a
	// transaction that has failed
	again int // how often a request was sent again
}

// pending is a request with its messages.
type pending struct {
	Request
	from []byte
	kept bool // it is for the server at hand alone
}

// terms are those of a client that has set nothing.
func terms(l Library, c Catalog, r Room) *Terms {
	return &Terms{
		Library: l, Catalog: c, Room: r, User: "u", Warns: true, Encoding: func() string { return "UTF8" }, CountsWrites: func() bool { return true }, MaxPrepared: 100, StatementAge: time.Second, PrepareUnnamed: true,
	}
}

func newTalk(t *Terms) *talk {
	return &talk{client: NewClient(t), phase: free, local: wire.Idle, now: time.Unix(1, 0)}
}

// holds is true if the client's next message must wait.
func (k *talk) holds() bool {
	switch k.phase {
	case waiting, preparing, lost:
		return true
	case running:
		return len(k.tail) == 0 && k.lease.Holds()
	}
	return false
}

// next deals with the client's next messages: false if there are none, or they must wait.
func (k *talk) next() bool {
	if len(k.tail) > 0 && k.phase != preparing {
		k.piece(k.tail)
		return true
	}
	if len(k.in) == 0 || k.holds() {
		return false
	}
	m := k.message(k.in[0])
	if (k.phase == free || k.phase == parked) && k.inPlace(&m) {
		return true
	}
	p := k.gather(m)
	last := k.in[0]
	k.in = k.in[1:]
	k.tail = last.tail
	_, k.tailTyp = p.Left()
	k.text = p.Scanner()
	switch {
	case k.phase == running || k.phase == idling:
		k.sendNow(p)
	case p.Mute():
		k.drop = len(k.tail) > 0
	default:
		k.request = p
		if k.phase == parked {
			k.granted(nil)
		} else {
			k.phase = waiting
		}
	}
	return true
}

// message reads one.
func (k *talk) message(m said) Message {
	msg := Message{Type: m.bytes[0], Bytes: bytes.Clone(m.bytes), Left: len(m.tail)}
	msg.Look(k.client.Library)
	return msg
}

// take notes that the client's first message has been read.
func (k *talk) take() {
	if k.read != nil {
		k.read(k.in[0])
	}
}

// gather makes a request of what the client has sent, of which m is the first message. The last stays in k.in.
func (k *talk) gather(m Message) *pending {
	p := new(pending)
	p.Reset()
	var on Standing
	if k.srv != nil {
		on = k.lease.Standing()
	}
	for {
		k.take()
		k.client.Note(&p.Request, &m, on)
		p.from = append(p.from, m.Bytes...)
		if p.Full() || len(k.in) == 1 {
			return p
		}
		k.in = k.in[1:]
		m = k.message(k.in[0])
	}
}

// inPlace answers a message in the server's place, if that is the guard's to do.
func (k *talk) inPlace(m *Message) bool {
	answer := func(b []byte) bool {
		k.take()
		k.tail, k.drop, k.in = k.in[0].tail, len(k.in[0].tail) > 0, k.in[1:]
		k.say(b)
		return true
	}
	local := k.local
	if k.phase == parked {
		local = wire.Idle
	}
	text, scan := m.Text(), m.Scan
	switch {
	case m.Type == wire.CopyData || m.Type == wire.CopyDone || m.Type == wire.CopyFail || m.Type == wire.Flush:
		return answer(nil)
	case m.Type == wire.Sync:
		return answer(wire.AppendReady(nil, local))
	case k.phase == parked:
		return false
	case m.Type == wire.Parse && k.opens():
		return true
	case m.Type != wire.Query || !m.Proper():
		return false
	case k.client.Session && k.local == wire.Idle:
		return false
	case k.eager && scan.Statements == 0:
		k.client.ForgetUnnamed()
		return answer(wire.AppendReady(wire.AppendEmpty(nil, wire.EmptyQueryResponse), local))
	case local == wire.Idle && scan.Deferrable:
		k.client.ForgetUnnamed()
		k.begin(text, scan, false)
		return answer(wire.AppendReady(wire.AppendText(nil, wire.CommandComplete, "BEGIN"), k.local))
	case local == wire.InTransaction && scan.PlainEnd:
		k.client.ForgetUnnamed()
		k.local = wire.Idle
		tag := "ROLLBACK"
		if scan.First == sql.Commit {
			tag = "COMMIT"
		}
		return answer(wire.AppendReady(wire.AppendText(nil, wire.CommandComplete, tag), k.local))
	case local == wire.Idle && k.eager && scan.Statements == 1 && k.ends(text, scan):
		k.client.ForgetUnnamed()
		tag := "DEALLOCATE"
		switch _, _, every, _ := sql.Target(text); {
		case scan.First == sql.Discard:
			tag = "DISCARD ALL"
		case every:
			tag = "DEALLOCATE ALL"
		}
		return answer(wire.AppendReady(wire.AppendText(nil, wire.CommandComplete, tag), k.local))
	}
	return false
}

// ends carries out DISCARD ALL, and DEALLOCATE of what the client has prepared by the protocol.
func (k *talk) ends(text []byte, scan sql.Result) bool {
	switch scan.First {
	case sql.Discard:
		if sql.DiscardsAll(text) {
			k.client.DiscardAll()
			return true
		}
	case sql.Deallocate:
		_, name, every, ok := sql.Target(text)
		if ok && every {
			k.client.DeallocateAll()
		}
		return ok && (every || k.client.Deallocate(name))
	}
	return false
}

// begin keeps a BEGIN for the client's first statement.
func (k *talk) begin(text []byte, scan sql.Result, bound bool) {
	k.local, k.open = wire.InTransaction, Opening{Bound: bound}
	if !scan.PlainBegin {
		k.open.Text = append(k.open.Text, text...)
	}
}

// opens answers a BEGIN that came by the extended protocol.
func (k *talk) opens() bool {
	if k.local != wire.Idle || len(k.in) < 4 {
		return false
	}
	types := ""
	for _, m := range k.in[:4] {
		types += string(m.bytes[0])
	}
	name, rest, _ := wire.CString(k.in[0].bytes[wire.HeaderSize:])
	text, _, whole := wire.CString(rest)
	plain := bytes.Equal(k.in[1].bytes[wire.HeaderSize:], make([]byte, 8)) && bytes.Equal(k.in[2].bytes[wire.HeaderSize:], make([]byte, 5))
	if types != "PBES" || len(name) > 0 || !whole || !plain || len(k.in[0].tail)+len(k.in[1].tail) > 0 {
		return false
	}
	scan := sql.Scan(text)
	if !scan.Deferrable {
		return false
	}
	k.begin(text, scan, true)
	k.client.ParseUnnamed(rest)
	for range 4 {
		k.take()
		k.in = k.in[1:]
	}
	k.say(wire.AppendReady(wire.AppendText([]byte("1\x00\x00\x00\x042\x00\x00\x00\x04"), wire.CommandComplete, "BEGIN"), k.local))
	return true
}

// say tells the client something that needs no server.
func (k *talk) say(b []byte) { k.heard = append(k.heard, b...) }

// granted sends the request that waits, to a server that the client has just been given, or to the one that it keeps.
func (k *talk) granted(srv *far) {
	fresh := srv != nil
	var open *Opening
	if fresh {
		k.srv, srv.lent = srv, true
		k.lease.Begin(&k.client, &srv.session)
		if k.local == wire.InTransaction {
			open = &k.open
		}
	}
	prefix, await := k.lease.Prefix(&k.request.Request, k.request.from, fresh, open)
	if await {
		k.phase, k.request.kept = preparing, !fresh
		k.write(prefix)
		return
	}
	k.first(prefix)
}

// first sends the client's first request of a transaction.
func (k *talk) first(prefix []byte) {
	p := k.request
	k.request = nil
	left, _ := p.Left()
	opens := k.local == wire.InTransaction && left == 0 && p.RollsBack()
	keep := k.lease.Pins() == 0 && !p.kept && (opens || (k.local == wire.Idle && p.Repeatable()))
	k.local, k.phase = wire.Idle, running
	if keep {
		k.kept = p
		if !opens {
			k.lease.Keep()
		}
	}
	k.write(append(bytes.Clone(prefix), k.send(p, nil)...))
}

// send gives what is to be written for a request.
func (k *talk) send(p *pending, scratch []byte) []byte {
	k.vague = k.vague || (k.lease.failing() && k.client.unnamed != nil && k.client.unnamed.Body == "")
	return k.lease.Send(&p.Request, p.from, scratch, k.now)
}

// sendNow sends a request to the server that the session has.
func (k *talk) sendNow(p *pending) {
	k.dropKept()
	prefix, await := k.lease.Prefix(&p.Request, p.from, false, nil)
	if await {
		p.kept = true
		k.request, k.phase = p, preparing
		k.write(prefix)
		return
	}
	prefix = bytes.Clone(prefix)
	out := k.send(p, make([]byte, 0, 64))
	if k.lease.Quiet() || k.lease.Skipping() {
		k.drop = len(k.tail) > 0
	}
	if len(prefix)+len(out) == 0 || k.lease.Quiet() {
		return
	}
	k.phase = running
	k.write(append(prefix, out...))
}

func (k *talk) write(b []byte) {
	if len(b) == 0 {
		return
	}
	if k.wrote != nil {
		k.wrote(b)
	}
	k.srv.write(b)
}

// piece deals with the next piece of a long message.
func (k *talk) piece(b []byte) {
	k.tail = k.tail[len(b):]
	if k.text != nil {
		text, _, ended := wire.CString(b)
		if !ended {
			text = b
		}
		k.text.Feed(text)
	}
	if k.drop || k.srv == nil {
		k.drop = k.drop && len(k.tail) > 0
		return
	}
	k.write(b)
	if len(k.tail) > 0 {
		return
	}
	var res *sql.Result
	if k.text != nil {
		r := k.text.Result()
		res = &r
	}
	k.lease.SentRest(res)
	if out := k.lease.Out(); out != nil {
		k.write(out)
		return
	}
	if !k.lease.Quiet() {
		return
	}
	if ask := k.lease.Ask(); ask != nil {
		k.write(ask)
		return
	}
	k.end()
}

func (k *talk) dropKept() {
	if k.kept != nil {
		k.kept = nil
		k.lease.Drop()
	}
}

// receive takes one message of the server. It must be followed by flush, at the latest before the client's next message.
func (k *talk) receive(m []byte, whole bool) Fate {
	typ := m[0]
	watches, hidden := k.lease.Watches(typ)
	fate := passIf(!hidden)
	if watches {
		fate = k.lease.Receive(m, whole)
	}
	switch fate {
	case Pass:
		k.pending = append(k.pending, m...)
	case Retract:
		k.pending = nil
	}
	k.lease.Noticed()
	k.lease.Code()
	if typ == wire.ReadyForQuery {
		k.ready()
	}
	if k.lease.Prepared() && k.phase == preparing {
		k.first(nil)
		k.drop = k.drop || (k.lease.Skipping() && len(k.tail) > 0)
	}
	k.write(k.lease.Out())
	k.pending = append(k.pending, k.lease.Say()...)
	if k.lease.Fatal() != nil || k.lease.Failed() != nil || k.lease.Doubt() {
		k.flush()
		k.lose()
	}
	return fate
}

// ready carries out what follows from a ReadyForQuery.
func (k *talk) ready() {
	k.lease.Unanswered()
	if reasons, told := k.lease.Excess(); reasons != 0 && told {
		k.pending = append(k.pending, wire.AppendReady(tooMany, k.lease.Status())...)
	}
	if k.lease.Again() {
		if k.kept == nil {
			panic("a request is to be sent again that was not kept")
		}
		p := k.kept
		k.kept = nil
		k.again++
		k.lease.Rewind()
		out := k.send(p, nil)
		k.lease.Renewed()
		k.write(out)
	}
}

// tooMany is what a client is told that may not keep its server.
var tooMany = wire.AppendText(nil, wire.ErrorResponse, "SERROR", "VERROR", "C53400", "Mtoo many", "")

// flush passes on what is for the client, as after one read, and ends the lease if the server owes nothing.
func (k *talk) flush() {
	if k.phase == running && k.lease.Quiet() {
		k.end()
	}
	if len(k.pending) > 0 {
		if !k.lease.Heals() { // what is told while its answer is held back is not of it
			k.dropKept()
		}
		k.heard = append(k.heard, k.pending...)
		k.pending = nil
	}
}

// end is what follows when the server owes nothing.
func (k *talk) end() {
	if k.lease.Status() != wire.Idle {
		k.phase = idling
		return
	}
	k.lease.Transaction()
	if k.lease.Keeps() || k.lease.Lingers() {
		k.phase = parked
		return
	}
	k.part()
	k.phase = free
}

// part gives the server back.
func (k *talk) part() {
	k.dropKept()
	k.lease.Rest()
	k.vague = k.vague || (k.client.unnamed != nil && k.client.unnamed.Body == "")
	k.srv.lent = false
	k.srv, k.local = nil, wire.Idle
}

// lose ends a session whose server has gone, or cannot be used any more.
func (k *talk) lose() {
	k.lease.Lose()
	k.lease.Unpin()
	k.srv, k.phase = nil, lost
}

// orphan is the server of a client that has gone, as the proxy cleans it.
type orphan struct {
	stained bool // it has what nothing takes back
	lease   Lease
	srv     *far
	tail    int // bytes that its last message lacks
	typ     byte
	stage   byte // of its cleaning: 0, then r and d for what was ordered, then the end: f if it is fit for others, u if not
	tries   int
	fault   string
	wrote   func([]byte)
}

// leave takes the client away; nil: it had no server.
func (k *talk) leave() *orphan {
	if k.srv == nil {
		return nil
	}
	o := &orphan{lease: k.lease.Orphan(), srv: k.srv, tail: len(k.tail), typ: k.tailTyp, wrote: k.wrote}
	if k.drop {
		o.tail = 0
	}
	k.srv, k.phase, k.in, k.tail = nil, lost, nil, nil
	k.client.DeallocateAll()
	return o
}

// reaped takes the transaction, which does nothing, from the client, which stays.
func (k *talk) reaped() *orphan {
	o := &orphan{lease: k.lease.Orphan(), srv: k.srv, wrote: k.wrote}
	k.srv, k.phase, k.local = nil, free, wire.Idle
	return o
}

func (o *orphan) write(b []byte) {
	if len(b) == 0 {
		return
	}
	if o.wrote != nil {
		o.wrote(b)
	}
	o.srv.write(b)
}

// receive takes one message of the server.
func (o *orphan) receive(m []byte, whole bool) Fate {
	watches, hidden := o.lease.Watches(m[0])
	fate := passIf(!hidden)
	if watches {
		fate = o.lease.Receive(m, whole)
	}
	o.write(o.lease.Out())
	o.lease.Say()
	return fate
}

// settle does what the proxy does next to clean the server, and says whether there is more to do without an answer.
func (o *orphan) settle() bool {
	if o.stage == 'f' || o.stage == 'u' {
		return false
	}
	more := o.next()
	if o.stage == 'f' || o.stage == 'u' {
		o.lease.Unpin()
	}
	return more
}

func (o *orphan) next() bool {
	l := &o.lease
	switch {
	case l.Doubt() || l.Fatal() != nil:
		o.stage = 'u'
		return false
	case l.Partial() && o.stage == 0:
		if !bytes.ContainsRune([]byte{wire.Query, wire.Parse, wire.Bind, wire.CopyData}, rune(o.typ)) {
			o.stage = 'u'
			return false
		}
		l.Padded()
		o.write(bytes.Repeat([]byte{0xff}, o.tail))
		return true
	}
	if end := l.Closing(); len(end) > 0 {
		if failing(end) {
			o.fault = "a batch is ended by a Sync without what fails it"
		}
		o.write(end)
		return true
	}
	if !l.Quiet() {
		return false
	}
	return o.reset()
}

// reset ends the transaction and discards what was left.
func (o *orphan) reset() bool {
	l := &o.lease
	switch {
	case l.Status() != wire.Idle && o.stage == 0:
		o.stage = 'r'
		o.write(l.Rollback())
	case l.Status() != wire.Idle:
		o.stage = 'u'
	case o.stage == 'd' && l.Discarded():
		l.Clean()
		o.stage = 'f'
	case !l.Dirty():
		o.stage = 'f'
	case l.Stained():
		o.stage, o.stained = 'u', true
	case o.tries < 3:
		o.stage, o.tries = 'd', o.tries+1
		o.write(l.Discard())
	default:
		o.stage = 'u'
	}
	if o.stage == 'f' {
		o.srv.lent = false
	}
	return false
}

// String says how the session stands, for a story.
func (k *talk) String() string {
	if k.srv == nil {
		return fmt.Sprintf("%s %c", k.phase, k.local)
	}
	return fmt.Sprintf("%s: %s", k.phase, k.lease.shows())
}
