package translate

import (
	"pgguard/proxy/wire"
)

// Lease joins a client and a server for as long as the client has it: what goes to and fro between them, and what the server
// owes. Its zero value is not ready: see Begin.
type Lease struct {
	c *Client
	s *Server

	owed      owed
	readies   int  // ReadyForQuery that the client expects: 0 or 1
	ahead     int  // queries under way that go ahead of the client's request
	checks    int  // and descriptions of what it binds
	status    byte // of the last ReadyForQuery; 'I' at the start
	unsynced  bool // extended messages were sent after the last Sync
	executed  bool // an Execute was among them
	skipping  bool // after an error, with no Sync sent yet: the server drops everything up to one
	partial   bool // the start of a client's message was sent, the end was not
	doubt     bool // what was sent may be answered in two ways: client and server cannot be kept in step
	copying   copying
	unsettled bool // a COPY has failed, and a Sync that was sent early was dropped or is answered
	stands    bool // it has been asked: the server does not read over anything, its client believes so until it sends a Sync
	begun     bool // something was answered since the last ReadyForQuery: an answer to a query has more than that
	ended     bool // a COMMIT has been carried out since the last ReadyForQuery
	runs      bool // something was run since then
	course    course
	bound     course // what was bound in this transaction, and not run with that, does to it
	write     bool   // something that may write is under way

	said   []byte       // types of parameters, of the statement that is being described
	differ []*Statement // of what the client's request binds: those that have other columns now

	gone      bool // the client has left
	pins      Pins // why the client keeps its server between transactions
	dedicated bool // its messages pass untouched
	reached   bool // it may have named the guard's statements: it is dedicated for as long as its session lasts
	unrid     bool // the server is to be rid of those, because a long text may have changed them
	skipped   bool // a Parse of the unnamed statement was refused: the server is to forget the one it has
	lingers   bool // its unnamed statement, too long to be kept, has not been bound yet: the server is kept for it
	residue

	first
	effects
}

// copying is what is known of a COPY FROM STDIN under way.
type copying struct {
	in    bool // the server waits for copy data
	data  bool // the client has sent some
	end   bool // and its end
	early bool // and a Sync before that, which the server drops if it gets to read it
}

// residue is what the transaction may have left in its server.
type residue struct {
	suspicion
	ddl       bool      // what statements mean was changed
	functions bool      // so were functions, or what runs them
	question  *question // the residue query under way
	held      bool      // the client's ReadyForQuery waits for the answer to it
	forgotten Pins      // of the reasons for pins: surely gone
	discarded bool      // the server has carried out DISCARD ALL since this was cleared
	nameless  bool      // the server has its own application_name again, which is not the client's
	excess    bool      // too many clients are pinned already: what is left is to be discarded
}

// suspicion is what has gathered since the server was asked last, or needed not to be.
type suspicion struct {
	suspect Pins // what may be left
	undo    Pins // of the reasons for pins, which may be gone
	stays   Pins // of what is suspected: what the client has been told of, and a rollback does not take back
	flux    bool // settings were changed, if only for the transaction
	unseen  bool // something ran that may have run functions whose names are not in its text
	obscure bool // something ran that may have left anything, whatever functions there are
}

// first is what is kept so that a request can be sent again.
type first struct {
	kept    bool
	heals   bool       // the server's next ReadyForQuery is the signal to send it again
	renews  bool       // statements are prepared as if their clients had just done so
	unnamed *Statement // the client's, as it was before
	left    residue    // what was suspected before
	renamed []renamed  // its names, as they were before, in the order in which they were changed
}

// renamed is a name and what it meant.
type renamed struct {
	text  string
	meant *Statement
}

// effects are what is to be done after an answer.
type effects struct {
	out        []byte // for the server
	say        []byte // for the client, behind what is passed on
	fatal      []byte // the body of the error with which the server ends the connection
	failed     []byte // the body of the error by which it did not take the client's settings, or its BEGIN
	code       string // of an error of the client's statement
	unsupplied []byte // the body of the error by which the server did not take a statement of the client's stock
	prepared   bool   // what goes ahead of the request has just succeeded
	again      bool   // the request is to be sent again
	noticed    bool   // the server had something to remark on the client's statement
	excessive  Pins   // why the client would have kept its server

	unanswered bool // the residue query was not answered, twice
}

// Begin makes l a new lease of s to c.
func (l *Lease) Begin(c *Client, s *Server) {
	row := l.owed.row[:0]
	*l = Lease{c: c, s: s, status: wire.Idle}
	l.owed.row = row
}

// Orphan returns the lease without its client, which has gone: what is under way and what may have been left are the same, but
// nothing of the client's session is changed by it any more. l must not be used after it.
func (l *Lease) Orphan() Lease {
	o := *l
	o.c = &Client{Terms: l.c.Terms, settings: l.c.settings, plain: l.c.plain}
	o.first, o.effects, o.gone = first{}, effects{}, true
	o.s.unnamed = unnamed{} // what ends the client's messages may leave it, or not
	for i := o.owed.first; i < len(o.owed.row); i++ {
		o.owed.row[i].name, o.owed.row[i].deallocates = "", false
	}
	*l = Lease{}
	return o
}

// Lose takes back what has not succeeded, because the server has gone. An unnamed statement that was being prepared is none.
func (l *Lease) Lose() {
	l.unread()
	for i := len(l.owed.row) - 1; i >= l.owed.first; i-- {
		l.takeBack(&l.owed.row[i], true)
	}
	l.owed.first = len(l.owed.row)
	l.readies = 0
}

// Rest gives back the room that many messages at once have taken. The server owes nothing.
func (l *Lease) Rest() { l.owed.rest() }

// AwaitsClient is true if the server can do nothing but wait for its client's next message. doubt: it may still be at what the client
// has sent before, as in the middle of copy data, or ahead of half a message.
func (l *Lease) AwaitsClient() (awaits, doubt bool) {
	switch {
	case l.copying.in && !l.copying.end:
		return true, l.copying.data
	case l.partial:
		return true, l.owed.len() > 1
	}
	return l.owed.len() == 0 && (l.unsynced || l.skipping), false
}

// Forsake takes back what the messages that the server has not answered would have changed of the client's session: the server is taken
// from it.
func (l *Lease) Forsake() {
	for i := len(l.owed.row) - 1; i >= l.owed.first; i-- {
		e := l.owed.row[i]
		if e.kind == query {
			continue
		}
		e.adds, e.drops, e.hands, e.sequences = "", nil, false, false // of the server, which somebody else deals with
		l.takeBack(&e, i == l.owed.first)
	}
}

// Status is the transaction state as of the last ReadyForQuery.
func (l *Lease) Status() byte { return l.status }

// Quiet is true if the server owes nothing and waits for nothing: in state I it may go back to the pool.
func (l *Lease) Quiet() bool {
	return l.owed.len() == 0 && !l.unsynced && !l.skipping && !l.partial && !l.doubt
}

// Outstanding is true if an answer is to come.
func (l *Lease) Outstanding() bool { return l.owed.len() > 0 }

// Awaited is true if the client waits for an answer that is to come.
func (l *Lease) Awaited() bool { return l.Outstanding() && (l.readies > 0 || l.unsynced || l.held) }

// Holds is true if the client's next message must wait: the ReadyForQuery before it has not come, and the server does not wait for
// copy data.
func (l *Lease) Holds() bool {
	return (l.readies > 0 && (!l.copying.in || l.copying.end)) || l.heals || l.held || l.question != nil || l.settling() || l.owed.len() > MaxOwed
}

// settling is true while it is asked whether a Sync was answered.
func (l *Lease) settling() bool {
	e := l.owed.front()
	return e != nil && e.why == settle
}

// MaxOwed bounds how far a client may run ahead of its answers within a batch; it waits then.
const MaxOwed = 1 << 16

// Owes is true if the client expects a ReadyForQuery.
func (l *Lease) Owes() bool { return l.readies > 0 }

// Preparing is true while the server is at what goes ahead of the client's request.
func (l *Lease) Preparing() bool {
	e := l.owed.front()
	return l.ahead+l.checks > 0 || (e != nil && e.kind == query && e.whose == guard && (e.why == sequence || e.why == nothing))
}

// Unsynced is true if extended messages were sent after the last Sync.
func (l *Lease) Unsynced() bool { return l.unsynced }

// Skipping is true if the server reads over everything up to a Sync that has not been sent.
func (l *Lease) Skipping() bool { return l.skipping }

// Partial is true if only the start of the client's last message was sent.
func (l *Lease) Partial() bool { return l.partial }

// Copying is true if the server waits for copy data.
func (l *Lease) Copying() bool { return l.copying.in }

// Doubt is true if client and server cannot be kept in step.
func (l *Lease) Doubt() bool { return l.doubt }

// Untouched is true if the client's messages pass as they are: it has its server to itself.
func (l *Lease) Untouched() bool { return l.dedicated || l.c.Session }

// SkipUnnamed notes that a Parse of the unnamed statement was not sent: there is none after it.
func (l *Lease) SkipUnnamed() { l.skipped = l.Untouched() }

// Standing is what must be known of l to read the client's next messages.
func (l *Lease) Standing() Standing { return Standing{l.flux, l.pins | l.suspect, l.copying.in} }

// Pins are why the client keeps its server between transactions.
func (l *Lease) Pins() Pins { return l.pins }

// Keeps is true if the server cannot go to another client: the client keeps it, or may have left something in it, which is not known yet.
func (l *Lease) Keeps() bool { return l.pins != 0 || l.c.Session || l.question.grave(l.c.Catalog) }

// Held is true while the client waits for a ReadyForQuery alone, because its server is asked what was left, or given back its name.
func (l *Lease) Held() bool { return l.held }

// Lingers is true if the client keeps its server for an unnamed statement that has not been bound yet.
func (l *Lease) Lingers() bool { return l.lingers }

// Dirty is true if the server must be discarded before it goes to another client.
func (l *Lease) Dirty() bool {
	return l.pins != 0 || l.suspect|l.undo != 0 || l.flux || l.c.Session || l.question != nil || (l.unseen && l.c.Catalog.Unseen())
}

// Settled is true if the server has what the client has set, so that what a SET did can be told.
func (l *Lease) Settled() bool { return l.pins == 0 && l.s.settings == l.c.settings }

// Out takes what is to be sent to the server.
func (l *Lease) Out() []byte {
	out := l.out
	l.out = nil
	return out
}

// Say takes what is to be said to the client behind what was passed on.
func (l *Lease) Say() []byte {
	say := l.say
	l.say = nil
	return say
}

// Fatal is the body of the error with which the server ends the connection, nil if there was none.
func (l *Lease) Fatal() []byte { return l.fatal }

// Failed is the body of the error by which the server did not take what goes ahead of the client's request, nil if it did.
func (l *Lease) Failed() []byte { return l.failed }

// Code takes the SQLSTATE of an error of the client's statement, "" if there was none.
func (l *Lease) Code() string {
	code := l.code
	l.code = ""
	return code
}

// Prepared takes whether what goes ahead of the client's request has just succeeded.
func (l *Lease) Prepared() bool {
	is := l.prepared
	l.prepared = false
	return is
}

// Again takes whether the request that is kept is to be sent again, now.
func (l *Lease) Again() bool {
	is := l.again
	l.again = false
	return is
}

// Noticed takes whether the server had something to remark: a notice, or an error.
func (l *Lease) Noticed() bool {
	was := l.noticed
	l.noticed = false
	return was
}

// Unanswered takes whether what the client has left could not be found out.
func (l *Lease) Unanswered() bool {
	was := l.unanswered
	l.unanswered = false
	return was
}

// Heals is true from the error after which the request that is kept is to be sent again to the ReadyForQuery behind it.
func (l *Lease) Heals() bool { return l.heals }

// Keep remembers how things are before a request that may be sent again.
func (l *Lease) Keep() { l.first = first{kept: true, unnamed: l.c.unnamed, left: l.residue} }

// Drop forgets that: the request is not sent again.
func (l *Lease) Drop() { l.first = first{heals: l.heals} }

// rename makes a name of the client's mean st.
func (l *Lease) rename(text string, st *Statement) {
	if l.kept {
		var meant *Statement
		if n := l.c.names[text]; n != nil {
			meant = n.st
		}
		l.renamed = append(l.renamed, renamed{text, meant})
	}
	l.c.setName(text, st)
}
