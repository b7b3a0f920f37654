package translate

import (
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// course is what has been sent since the last ReadyForQuery, as far as it decides what becomes of the client's transaction if its server is
// lost. More of it may be noted than has been carried out.
type course uint8

const (
	acts    course = 1 << iota // something else than what follows
	begins                     // BEGIN
	commits                    // COMMIT
	rolls                      // ROLLBACK
	odd                        // AND CHAIN, or what is about a prepared transaction: nobody can tell what the client is in after its loss
	lasts                      // CALL, VACUUM and the like, which outside a transaction may be committed before their batch is
)

// courseOf says what a statement, or a text of several, does to a transaction.
func courseOf(res sql.Result) course {
	switch {
	case !res.TxControl:
		if res.Ask || res.First == sql.Ddl || res.First == sql.Maintenance || res.First == sql.Other {
			return acts | lasts
		}
		return acts
	case res.PlainEnd && res.First == sql.Commit:
		return commits
	case res.PlainEnd:
		return rolls
	case res.Statements == 1 && res.First == sql.Begin:
		return begins
	case res.Statements == 1 && !res.Ambiguous:
		return odd | commits
	}
	return tangled
}

// tangled is the course of a text of which it is not known what it does, or in which order.
const tangled = acts | begins | commits | rolls | lasts

// ran is the course of what has been run; what was only prepared does nothing.
func (l *Lease) ran() course {
	if !l.runs {
		return 0
	}
	return l.course
}

// Open is true if the client may be in a transaction that is not over with the loss of its server: what it sends next may be meant for
// that. It is not, where nothing but its COMMIT is under way, or where that has been carried out and nothing has begun another.
func (l *Lease) Open() bool {
	switch c := l.ran(); {
	case c&begins != 0:
		return true
	case l.ended || c == commits:
		return false
	}
	return l.status != wire.Idle
}

// inBlock is true if what is sent is, or ends, part of a transaction block.
func (l *Lease) inBlock() bool { return l.status != wire.Idle || l.ran()&begins != 0 }

// MayLast is true if some of what has been sent since the last ReadyForQuery may be committed, even if the server is given nothing more to do.
func (l *Lease) MayLast() bool {
	c := l.ran()
	return c&commits != 0 || c&(rolls|acts) == rolls|acts || (l.write && c&lasts != 0 && !l.inBlock())
}

// Unknown is true if some of what has been sent since the last ReadyForQuery may be committed, now that the server is lost.
func (l *Lease) Unknown() bool {
	return l.MayLast() || (l.write && l.Outstanding() && !l.inBlock())
}

// Astray is true if it cannot be told whether the client is in a transaction, or believes that it is: behind AND CHAIN, and while a BEGIN is
// under way by itself, after whose failure no client expects to be in one.
func (l *Lease) Astray() bool {
	c := l.ran()
	return c&odd != 0 || (c == begins && l.Outstanding())
}

// rolledBack are the reasons for pins of which a rollback leaves nothing, and the one that may be given up.
const rolledBack = Pins(sql.Setting|sql.TempTable|sql.Listen|sql.Cursor) | PinSequence | pinOpaque

// carriedOut notes that something of the client's has been carried out of which it is told. committed: its transaction, too.
func (l *Lease) carriedOut(committed bool) {
	l.stays |= l.suspect &^ rolledBack
	if l.undo&Pins(sql.Prepared) != 0 && len(l.c.stock) > 0 {
		l.stays |= Pins(sql.Prepared)
	}
	if committed {
		l.stays |= l.suspect &^ PinSequence
	}
}

// Stays are the reasons for which the client cannot go on without this server in the middle of a transaction, beside those for which it
// keeps it: what it has been told is done, and a rollback does not take back. PinFunction: there may be some.
func (l *Lease) Stays() Pins {
	stays := l.stays | l.suspect&PinDedicated
	if stays&PinFunction != 0 && !l.obscure && !l.c.Catalog.Leaves() {
		stays &^= PinFunction
	}
	return stays
}
