package translate

import (
	"strings"

	"pgguard/proxy/wire"
)

// kind is what a message asks of the server.
type kind uint8

const (
	query    kind = iota // a simple query, a function call, or a whole exchange of the guard's own
	sync                 // a Sync
	parse                // a Parse
	bind                 // a Bind
	describe             // a Describe
	execute              // an Execute
	closing              // a Close
)

// kinds is what the answer to each kind of message means. After an error to one that skips the server reads over what follows, up to
// the next Sync; an error to another is followed by its ReadyForQuery.
var kinds = [...]struct {
	name  string
	ends  string // the messages of the server that end the answer
	skips bool
}{
	query:    {name: "query", ends: string(wire.ReadyForQuery)},
	sync:     {name: "sync", ends: string(wire.ReadyForQuery)},
	parse:    {name: "parse", ends: string(wire.ParseComplete), skips: true},
	bind:     {name: "bind", ends: string(wire.BindComplete), skips: true},
	describe: {name: "describe", ends: string(wire.RowDescription) + string(wire.NoData), skips: true},
	execute:  {name: "execute", ends: string(wire.CommandComplete) + string(wire.EmptyQueryResponse) + string(wire.PortalSuspended), skips: true},
	closing:  {name: "close", ends: string(wire.CloseComplete), skips: true},
}

// whose says for whom the answer to a message is.
type whose uint8

const (
	client  whose = iota
	guard         // for nobody but the guard
	standIn       // for the client, in the words of another message: a Close stands for its Parse
)

// purpose is why the guard asks something by itself.
type purpose uint8

const (
	nothing  purpose = iota
	settings         // to give the server the client's settings
	begin            // to open the client's transaction
	fail             // and have it fail, as it has already
	fresh            // to know what a text means now, which a client prepares
	check            // to know whether what the client is about to bind has the columns that it knows
	rename           // to give the server the client's application_name again
	sequence         // to forget what the server remembers of sequences
	ask              // to know what a transaction has left
	supply           // to give the server a statement of the client's by its own name
	discard          // to be rid of what a client left
	order            // to clean up after a client that has gone
	settle           // to know whether a Sync was answered
)

// expectation is an answer that the server owes.
type expectation struct {
	kind  kind
	whose whose
	why   purpose
	own   bool       // of the guard's: it has a Sync of its own, so that an error before it ends there
	data  bool       // copy data were sent behind it
	end   bool       // and their end
	said  *name      // of a Bind or Describe: what the client calls the statement; nil: it has no name
	of    *Statement // of a Describe whose answer is to be learned, or to be compared with what is known
	effect
}

// effect is what a message changes, noted when it is sent and taken back if it does not succeed.
type effect struct {
	adds        string         // the server has the guard's statement of this name
	drops       *preparedEntry // it has it no more
	name        string         // what the client's name means; "": none
	meant       *Statement     // what it meant before
	unnamed     bool           // the client's unnamed statement
	before      *Statement     // what that was
	server      bool           // the server's unnamed statement
	sequences   bool           // the server forgets what it remembers of sequences
	deallocates bool           // by SQL: the server was given something of that name to drop
	stocks      *stocked       // the server has it
	hands       bool           // the client is dedicated to the server
}

// ends is true if a message of this type ends the answer.
func (e *expectation) ends(typ byte) bool { return strings.IndexByte(kinds[e.kind].ends, typ) >= 0 }

// hides is true if a message of this type, which belongs to the answer, is not for the client. An error to one of the guard's
// messages within a client's batch is: it stands for the failure of what the guard's was for.
func (e *expectation) hides(typ byte) bool {
	if e.whose != guard {
		return false
	}
	return e.kind == query || e.ends(typ) || (e.kind == describe && typ == wire.ParameterDescription)
}

// settles is true for what only comes when all has come that may have been answered.
func (e *expectation) settles() bool { return e.why == settle && e.kind == closing }

// strays is true for a message that answers what a client sent, where nothing of that is expected.
func (e *expectation) strays(typ byte) bool {
	return e.settles() && typ != wire.CloseComplete && strings.IndexByte(atAnyTime, typ) < 0
}

// atAnyTime are the messages that may come at any time, and those that are looked at by themselves.
const atAnyTime = string(wire.ReadyForQuery) + string(wire.ErrorResponse) + string(wire.NoticeResponse) + string(wire.ParameterStatus) + string(wire.NotificationResponse)

// owed is the row of expectations, in the order in which the server will answer.
type owed struct {
	row   []expectation
	first int // those before it are answered
}

// keptOwed is how much room a client keeps that is owed nothing.
const keptOwed = 8

// front is the expectation that is being answered, nil if there is none. It is valid until the row changes.
func (o *owed) front() *expectation {
	if o.first == len(o.row) {
		return nil
	}
	return &o.row[o.first]
}

// len is how many answers are owed.
func (o *owed) len() int { return len(o.row) - o.first }

// add notes a message sent.
func (o *owed) add(e expectation) {
	switch {
	case o.row == nil:
		o.row = make([]expectation, 0, keptOwed) // append would make room for more
	case o.first == len(o.row):
		o.row, o.first = o.row[:0], 0
	case o.first > 1024 && o.first > len(o.row)/2: // a client that is never without an answer to wait for
		n := copy(o.row, o.row[o.first:])
		clear(o.row[n:])
		o.row, o.first = o.row[:n], 0
	}
	o.row = append(o.row, e)
}

// pop takes the front away.
func (o *owed) pop() {
	o.row[o.first] = expectation{}
	o.first++
}

// rest gives back the room that many messages at once have taken. Nothing is owed.
func (o *owed) rest() {
	if cap(o.row) > keptOwed {
		o.row = nil
	}
	o.row, o.first = o.row[:0], 0
}

// endsClients is true for what the client's ReadyForQuery will end.
func endsClients(e *expectation) bool {
	return e.whose == client && (e.kind == query || e.kind == sync)
}
