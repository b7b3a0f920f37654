package translate

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"pgguard/proxy/wire"
)

// postgres is PostgreSQL's message loop (postgres.c, xact.c, portalcmds.c, copyfromparse.c), reduced to what decides who owes whom an
// answer, what a name means and what is committed. It knows the few statements of run, and says of each what direct would.
type postgres struct {
	in   []byte   // not read yet
	out  [][]byte // messages not taken yet
	dead bool     // it has said FATAL, or read nothing but an end

	who      string             // who runs statements now
	commits  func(write string) // is told of each write that is committed
	eighteen bool               // a query behind an Execute without a Sync does not end the transaction

	skipping bool // after an error, up to a Sync
	open     bool // messages of the extended protocol were read since the last ReadyForQuery
	copies   byte // the message that has begun a COPY FROM STDIN: Q or E
	copied   func(err *problem)

	block     byte // of a transaction block, as in ReadyForQuery
	started   bool // a transaction has begun, perhaps without a block
	executed  bool // an Execute has ended in it without one
	implicit  bool // a block of several statements of a query, or of a pipeline
	immediate bool // what has run must be committed at once

	statements map[string]*stored
	unnamed    *stored
	portals    map[string]*portal

	lasting         // what a transaction that is rolled back has not changed
	before  lasting // as it was before the transaction
	local   map[string]string
	writes  []string // of the transaction

	locks bool
	taken string // who has taken a value from a sequence last; "": nobody
	loads bool

	reports map[string]string // settings that have changed since they were reported

	clock            int  // of what is prepared and bound
	bound            int  // when what runs was
	stale            int  // as many messages from now something is found to be stale; 0: nothing is
	cancel, canceled bool // the next message that runs something is canceled; one was

	odd bool // SQL has named a statement that was prepared after it was bound: a guard looks for that at the Bind
}

// stored is a prepared statement.
type stored struct {
	text string
	rows bool // it returns some
	at   int
}

// portal is one.
type portal struct {
	of   *stored
	at   int
	rows int  // that are still to come; -1: it has not run
	done bool // and cannot run again
	dead bool // its transaction has failed
}

// lasting is what of a session a transaction may change.
type lasting struct {
	settings map[string]string
	temp     map[string]bool
	listens  map[string]bool
	cursors  map[string]bool
}

func (l lasting) clone() lasting {
	return lasting{maps.Clone(l.settings), maps.Clone(l.temp), maps.Clone(l.listens), maps.Clone(l.cursors)}
}

func newPostgres() *postgres {
	p := &postgres{block: wire.Idle, commits: func(string) {}}
	p.statements, p.portals = map[string]*stored{}, map[string]*portal{}
	p.lasting = lasting{map[string]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	p.local, p.reports = map[string]string{}, map[string]string{}
	return p
}

// problem is an error.
type problem struct{ code, text string }

func wrong(code, format string, args ...any) *problem {
	return &problem{code, fmt.Sprintf(format, args...)}
}

func (p *postgres) say(typ byte, body string) {
	p.out = append(p.out, wire.AppendMessage(nil, typ, []byte(body)))
}

func (p *postgres) tag(text string) { p.say(wire.CommandComplete, text+"\x00") }

func (p *postgres) row(values ...string) {
	w := word{name: "D", parts: values}
	m, _ := w.serverSays()
	p.out = append(p.out, m.bytes)
}

func (p *postgres) describe(rows bool) {
	if rows {
		p.say(wire.RowDescription, "\x00\x00")
	} else {
		p.say(wire.NoData, "")
	}
}

func (p *postgres) report(typ byte, severity string, e *problem) {
	routine := ""
	if strings.HasPrefix(e.text, "cached plan") {
		routine = "RRevalidateCachedQuery\x00"
	}
	p.say(typ, "S"+severity+"\x00V"+severity+"\x00C"+e.code+"\x00M"+e.text+"\x00"+routine+"\x00")
}

func (p *postgres) warn(code, text string) {
	p.report(wire.NoticeResponse, "WARNING", &problem{code, text})
}

// fail tells an error, and ends or fails the transaction.
func (p *postgres) fail(e *problem) {
	p.report(wire.ErrorResponse, "ERROR", e)
	p.immediate = false
	if p.block == wire.Idle {
		p.rollback()
		return
	}
	p.block = wire.Failed
	p.restore()
	for _, o := range p.portals {
		o.dead = true
	}
}

// restore takes back what the transaction has done.
func (p *postgres) restore() {
	if p.started {
		p.lasting = p.before.clone()
	}
	p.writes = nil
	clear(p.local)
}

func (p *postgres) rollback() {
	p.restore()
	p.ended()
}

func (p *postgres) commit() {
	for _, w := range p.writes {
		p.commits(w)
	}
	p.writes = nil
	p.ended()
}

func (p *postgres) ended() {
	p.block, p.started, p.executed, p.implicit, p.immediate = wire.Idle, false, false, false, false
	clear(p.portals)
	clear(p.local)
}

// start begins a transaction, or another command in one.
func (p *postgres) start() {
	if !p.started {
		p.started, p.before = true, p.lasting.clone()
	} else if p.executed && p.eighteen && p.block == wire.Idle {
		p.implicit = true
	}
}

// finish ends a command, and the transaction that is nothing but commands.
func (p *postgres) finish() {
	if p.started && p.block == wire.Idle && !p.implicit {
		p.commit()
	}
}

func (p *postgres) ready() {
	status := p.block
	if status == wire.Idle && p.implicit {
		status = wire.InTransaction
	}
	for _, name := range slices.Sorted(maps.Keys(p.reports)) {
		p.say(wire.ParameterStatus, name+"\x00"+p.reports[name]+"\x00")
	}
	clear(p.reports)
	p.open = false
	p.say(wire.ReadyForQuery, string(status))
}

// idle is true if nothing that it was sent can lead to another answer, and it waits for nothing. Copy data that come too late are
// ignored, and a Flush asks for nothing.
func (p *postgres) idle() bool {
	only := true
	eachMessage(p.in, func(m []byte, whole bool) {
		only = only && whole && bytes.IndexByte([]byte("Hdcf"), m[0]) >= 0
	})
	return only && len(p.out) == 0 && !p.skipping && p.copies == 0 && !p.open
}

// step reads one message: false if there is none.
func (p *postgres) step() bool {
	typ, size, ok, err := wire.Peek(p.in)
	if err != nil || p.dead {
		p.dead = true
		return false
	}
	if !ok || size > len(p.in) {
		return false
	}
	if p.cancel && p.copies != 0 { // before that message is read
		p.cancel, p.canceled = false, true
		p.copyEnds(wrong("57014", "canceling statement due to user request"))
		return true
	}
	body := string(p.in[wire.HeaderSize:size])
	p.in = p.in[size:]
	runs := bytes.IndexByte([]byte("QPBDEF"), typ) >= 0 && p.copies == 0 && !p.skipping
	if p.stale > 0 && runs {
		p.stale--
		if p.stale == 0 && (typ == wire.Bind || typ == wire.Execute || typ == wire.Describe) {
			p.open, p.skipping = true, true
			p.fail(wrong("0A000", "cached plan must not change result type"))
			return true
		}
	}
	switch {
	case p.cancel && runs:
		p.cancel, p.canceled = false, true
		if typ == wire.Query || (typ == wire.Parse && body[0] == 0) {
			p.unnamed = nil
		}
		p.fail(wrong("57014", "canceling statement due to user request"))
		if p.skipping = typ != wire.Query && typ != wire.FunctionCall; p.skipping {
			p.open = true
		} else {
			p.ready()
		}
	case p.copies != 0:
		p.copyStep(typ, body)
	case typ == wire.Sync:
		p.implicit = false
		p.finish()
		p.skipping = false
		p.ready()
	case p.skipping, typ == wire.Flush, typ == wire.CopyData, typ == wire.CopyDone, typ == wire.CopyFail:
	case typ == wire.Query:
		p.query(body)
	case typ == wire.FunctionCall:
		p.start()
		if p.block == wire.Failed {
			p.fail(aborted())
		} else {
			p.say(wire.FunctionCallResponse, "\xff\xff\xff\xff")
			p.finish()
		}
		p.ready()
	default:
		p.open = true
		if e := p.extended(typ, body); e != nil {
			p.fail(e)
			p.skipping = true
		}
	}
	return true
}

func aborted() *problem {
	return wrong("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

// cstring takes a text from a message, as pq_getmsgstring does.
func cstring(body string) (text, rest string, e *problem) {
	text, rest, ok := strings.Cut(body, "\x00")
	switch {
	case !ok:
		return "", "", wrong("08P01", "invalid string in message")
	case !utf8.ValidString(text):
		return "", "", wrong("22021", "invalid byte sequence for encoding \"UTF8\"")
	}
	return text, rest, nil
}

// split cuts a text into statements, those that are empty left out.
func split(text string) (list []string) {
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}

// query runs a simple query.
func (p *postgres) query(body string) {
	text, _, e := cstring(body)
	if e != nil {
		p.fail(e)
		p.ready()
		return
	}
	p.start()
	p.unnamed = nil
	p.queries(split(text), 0)
}

// queries runs the statements of a simple query from the i-th on.
func (p *postgres) queries(list []string, i int) {
	end := func(e *problem) {
		if e != nil {
			p.fail(e)
		} else {
			p.finish()
		}
		p.ready()
	}
	if i == 0 {
		for _, s := range list {
			if e := syntax(s); e != nil {
				end(e)
				return
			}
		}
		if len(list) == 0 {
			p.finish()
			p.say(wire.EmptyQueryResponse, "")
			p.ready()
			return
		}
	}
	for ; i < len(list); i++ {
		s := list[i]
		if p.block == wire.Failed && !exits(s) {
			end(aborted())
			return
		}
		p.start()
		if len(list) > 1 && p.block == wire.Idle {
			p.implicit = true
		}
		if strings.HasPrefix(s, "copy t from") {
			p.say(wire.CopyInResponse, "\x00\x00\x00")
			p.copies = wire.Query
			p.copied = func(e *problem) {
				if e != nil {
					end(e)
					return
				}
				p.tag("COPY 1")
				p.after(s, i == len(list)-1, len(list) > 1)
				p.queries(list, i+1)
			}
			p.trigger(s)
			return
		}
		o := &stored{text: s}
		if e := p.analyze(o); e != nil {
			end(e)
			return
		}
		if e := planning(s); e != nil {
			end(e)
			return
		}
		p.bound = p.clock
		tag, e := p.run(s, func(values ...string) { p.row(values...) }, func() { p.say(wire.RowDescription, "\x00\x00") }, len(list) == 1)
		if e != nil {
			end(e)
			return
		}
		p.after(s, i == len(list)-1, len(list) > 1)
		p.tag(tag)
	}
	end(nil)
}

// after is what follows a statement of a simple query.
func (p *postgres) after(s string, last, several bool) {
	if last && several {
		p.implicit = false
	}
	if last || controls(s) {
		p.finish()
	}
}

// extended reads a message of the extended protocol.
func (p *postgres) extended(typ byte, body string) *problem {
	switch typ {
	case wire.Parse:
		return p.parse(body)
	case wire.Bind:
		return p.bind(body)
	case wire.Describe:
		return p.describes(body)
	case wire.Execute:
		return p.execute(body)
	case wire.Close:
		name, _, e := cstring(body[min(1, len(body)):])
		if e != nil {
			return e
		}
		switch {
		case body[0] == 'P':
			delete(p.portals, name)
		case name == "":
			p.unnamed = nil
		default:
			delete(p.statements, name)
		}
		p.say(wire.CloseComplete, "")
		return nil
	}
	return wrong("08P01", "invalid frontend message type")
}

func (p *postgres) parse(body string) *problem {
	name, rest, e := cstring(body)
	if e != nil {
		return e
	}
	text, rest, e := cstring(rest)
	if e != nil {
		return e
	}
	if len(rest) < 2 {
		return wrong("08P01", "insufficient data left in message")
	}
	p.start()
	if name == "" {
		p.unnamed = nil
	}
	list := split(text)
	for _, s := range list {
		if e := syntax(s); e != nil {
			return e
		}
	}
	if len(list) > 1 {
		return wrong("42601", "cannot insert multiple commands into a prepared statement")
	}
	p.clock++
	st := &stored{at: p.clock}
	if len(list) == 1 {
		if st.text = list[0]; p.block == wire.Failed && !exits(st.text) {
			return aborted()
		}
		if e := p.analyze(st); e != nil {
			return e
		}
	}
	if name == "" {
		p.unnamed = st
	} else {
		if p.statements[name] != nil {
			return wrong("42P05", "prepared statement \"%s\" already exists", name)
		}
		p.statements[name] = st
	}
	p.say(wire.ParseComplete, "")
	return nil
}

// called returns a statement.
func (p *postgres) called(name string) (*stored, *problem) {
	if name == "" {
		if p.unnamed == nil {
			return nil, wrong("26000", "unnamed prepared statement does not exist")
		}
		return p.unnamed, nil
	}
	if st := p.statements[name]; st != nil {
		return st, nil
	}
	return nil, wrong("26000", "prepared statement \"%s\" does not exist", name)
}

func (p *postgres) bind(body string) *problem {
	name, rest, e := cstring(body)
	if e != nil {
		return e
	}
	called, rest, e := cstring(rest)
	if e != nil {
		return e
	}
	st, e := p.called(called)
	if e != nil {
		return e
	}
	p.start()
	if rest != "\x00\x00\x00\x00\x00\x00" {
		return wrong("08P01", "invalid message format")
	}
	if p.block == wire.Failed && !exits(st.text) {
		return aborted()
	}
	if name != "" && p.portals[name] != nil {
		return wrong("42P03", "cursor \"%s\" already exists", name)
	}
	if e := p.analyze(&stored{text: st.text}); e != nil {
		return e
	}
	if e := planning(st.text); e != nil {
		return e
	}
	p.clock++
	p.portals[name] = &portal{of: st, at: p.clock, rows: -1}
	p.say(wire.BindComplete, "")
	return nil
}

func (p *postgres) describes(body string) *problem {
	name, _, e := cstring(body[min(1, len(body)):])
	if e != nil {
		return e
	}
	if body[0] == 'P' {
		o := p.portals[name]
		p.start()
		if o == nil {
			return wrong("34000", "portal \"%s\" does not exist", name)
		}
		if p.block == wire.Failed && o.of.rows {
			return aborted()
		}
		p.describe(o.of.rows)
		return nil
	}
	p.start()
	st, e := p.called(name)
	if e != nil {
		return e
	}
	if p.block == wire.Failed && !exits(st.text) { // PostgreSQL describes what returns no rows; a guard may have to prepare it first
		return aborted()
	}
	p.say(wire.ParameterDescription, "\x00\x00")
	p.describe(st.rows)
	return nil
}

func (p *postgres) execute(body string) *problem {
	name, rest, e := cstring(body)
	if e != nil {
		return e
	}
	o := p.portals[name]
	if o == nil {
		return wrong("34000", "portal \"%s\" does not exist", name)
	}
	s := o.of.text
	if s == "" {
		p.say(wire.EmptyQueryResponse, "")
		return nil
	}
	p.start()
	if p.block == wire.Failed && !exits(s) {
		return aborted()
	}
	if o.done || o.dead {
		return wrong("55000", "portal \"%s\" cannot be run", name)
	}
	if strings.HasPrefix(s, "copy t from") {
		p.say(wire.CopyInResponse, "\x00\x00\x00")
		p.copies = wire.Execute
		p.copied = func(e *problem) {
			if e != nil {
				p.fail(e)
				p.skipping = true
				return
			}
			o.done = true
			p.executed = true
			p.tag("COPY 1")
		}
		p.trigger(s)
		return nil
	}
	limit := 0
	if len(rest) == 4 {
		limit = int(rest[3])
	}
	return p.fetch(o, s, limit)
}

// fetch runs a portal, or goes on with it.
func (p *postgres) fetch(o *portal, s string, limit int) *problem {
	tag := "SELECT 0"
	if o.rows != 0 {
		var e *problem
		p.bound = o.at
		if tag, e = p.run(s, func(values ...string) { p.row(values...) }, func() {}, true); e != nil {
			return e
		}
		o.rows, o.done = 0, !o.of.rows
		if o.of.rows && limit == 1 {
			p.executed = true
			p.say(wire.PortalSuspended, "")
			return nil
		}
	}
	if controls(s) || p.immediate {
		p.immediate = false
		p.finish()
	} else {
		p.executed = true
	}
	p.tag(tag)
	return nil
}

// trigger fails a COPY into a table whose trigger does, when it has asked for the data, and before it reads any.
func (p *postgres) trigger(s string) {
	if strings.Contains(s, "where fail") {
		p.copyEnds(wrong("P0001", "the trigger says no"))
	}
}

// copyStep reads a message where copy data should come.
func (p *postgres) copyStep(typ byte, body string) {
	var e *problem
	switch typ {
	case wire.Flush, wire.Sync:
		return
	case wire.CopyData:
		if !strings.Contains(body, "wrong") {
			return
		}
		e = wrong("22P02", "invalid input syntax")
	case wire.CopyDone:
		p.writes = append(p.writes, p.who+" copied")
	case wire.CopyFail:
		e = wrong("57014", "COPY from stdin failed: %s", strings.Trim(body, "\x00"))
	default:
		p.fail(wrong("08P01", "unexpected message type 0x%02X during COPY from stdin", typ))
		p.report(wire.ErrorResponse, "FATAL", wrong("08P01", "terminating connection because protocol synchronization was lost"))
		p.dead = true
		return
	}
	p.copyEnds(e)
}

func (p *postgres) copyEnds(e *problem) {
	done := p.copied
	p.copies, p.copied = 0, nil
	done(e)
}

// ends is what a server does whose client has gone.
func (p *postgres) ends() {
	for p.step() {
	}
	p.rollback()
	p.dead = true
}

// believes returns what is not as a guard believes that it is.
func (p *postgres) believes(s *Server) string {
	for name, e := range s.prepared.entries {
		is, st := p.statements[name], e.of.Value()
		if is == nil {
			return fmt.Sprintf("the server lacks %s", name)
		}
		if st == nil {
			continue // nobody has it any more
		}
		if list := append(split(string(st.Text())), ""); is.text != list[0] {
			return fmt.Sprintf("%s is %q, not %q", st.Name, is.text, list[0])
		}
	}
	for name := range p.statements {
		known := !strings.HasPrefix(name, StatementPrefix) || name == askName
		if !known && s.prepared.entries[name] == nil {
			return fmt.Sprintf("the server has %s, of which nobody knows", name)
		}
	}
	switch st := s.unnamed.st; {
	case !s.unnamed.known:
	case st == nil && p.unnamed != nil:
		return fmt.Sprintf("the server has an unnamed statement %q", p.unnamed.text)
	case st != nil && p.unnamed == nil:
		return fmt.Sprintf("the server has no unnamed statement, not %q", st.Text())
	case st != nil && st.Body != "":
		if list := append(split(string(st.Text())), ""); list[0] != p.unnamed.text {
			return fmt.Sprintf("the server's unnamed statement is %q, not %q", p.unnamed.text, st.Text())
		}
	}
	return ""
}

// holds returns what is set in the session, as a guard knows it.
func (p *postgres) holds() Settings {
	var list []Pair
	for name, value := range p.settings {
		list = append(list, Pair{name, value})
	}
	return NewSettings(list)
}
