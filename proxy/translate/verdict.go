package translate

import (
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// Room is where the clients that keep their servers are counted. Any goroutine may call its methods.
type Room interface {
	// Pin notes that a client keeps its server for more reasons; first: it has not kept it before. false: too many do already.
	Pin(more Pins, first bool) bool
	// Unpin notes that one keeps its server no longer.
	Unpin()
}

// verdict ends the suspicions of a transaction: of the reasons asked about, found are those that are there.
func (l *Lease) verdict(of, found Pins) {
	was := l.pins
	if of&Pins(sql.Prepared) != 0 && found&Pins(sql.Prepared) == 0 && !l.reached && (l.pins|found)&PinDedicated != 0 { // nothing is there by its own name
		found &^= PinDedicated
		l.forgotten |= PinDedicated
	}
	l.dedicated = l.dedicated && found&PinDedicated|l.pins&^l.forgotten&PinDedicated != 0
	l.pins = l.pins&^(of|l.forgotten) | found
	l.forgotten = 0
	if (l.pins^was)&Pins(sql.TempTable) != 0 {
		age := l.c.Catalog.Renew() // names of tables mean something else
		if !l.c.hidden && l.c.hides == 0 {
			l.c.hides = age
		}
		l.c.hidden = l.c.hidden || found&Pins(sql.TempTable) != 0
	}
	more := l.pins &^ was
	switch {
	case more != 0 && !l.c.Room.Pin(more, was == 0) && was == 0:
		l.pins &^= PinSequence
		l.excess = l.pins != 0
		if l.pins == 0 {
			l.c.Room.Unpin()
		}
	case was != 0 && l.pins == 0:
		l.c.Room.Unpin()
	}
}

// Transaction ends the suspicions of a transaction about which the server need not be asked.
func (l *Lease) Transaction() {
	if l.suspect|l.undo == 0 && !l.flux && l.forgotten == 0 {
		return
	}
	found := l.suspect & unasked
	l.suspicion = suspicion{}
	l.verdict(0, found)
}

// Unpin notes that the server holds nothing for the client any more, or that the client has none.
func (l *Lease) Unpin() {
	if l.pins != 0 {
		l.c.Room.Unpin()
	}
	l.suspicion, l.pins, l.forgotten, l.excess = suspicion{}, 0, 0, false
}

// unaskedExcess is true if a transaction has ended that left what nobody need be asked about, by which the client keeps its server, and may not: its state is being discarded.
func (l *Lease) unaskedExcess() bool {
	if l.suspect&unasked&^PinSequence == 0 || l.status != wire.Idle || !l.Quiet() || l.c.Session || l.gone {
		return false
	}
	l.Transaction()
	return l.discardsExcess()
}

// discardsExcess has the state of a client be discarded that may not keep its server; false: it may, or keeps none.
func (l *Lease) discardsExcess() bool {
	if !l.excess || l.pins == 0 || !l.Quiet() {
		return false
	}
	l.discarded, l.s.unnamed = false, none
	l.owed.add(expectation{kind: query, whose: guard, why: discard})
	l.out = discardAll
	return true
}

// endExcess ends what a client has left that may not keep its server: its state is discarded, or, if that does not take all of it back, it ends; and the client is to be told.
func (l *Lease) endExcess() {
	if !l.discarded {
		l.doubt = true // what it left is still there
		return
	}
	lost := l.losesSettings()
	l.excessive = l.pins
	l.s.stained = l.s.stained || l.Stained()
	l.Unpin()
	l.dedicated, l.reached, l.unrid = false, false, false
	l.s.settings = Plain
	if lost {
		l.c.Set(l.c.plain)
	}
}

// losesSettings is true for a client that may not keep its server and whose settings cannot be had on another. What else moves with it stays
// what it was.
func (l *Lease) losesSettings() bool { return l.pins&Pins(sql.Setting) != 0 }

// Excess takes the reasons for which the client would have kept its server, if it has just been refused that: its state is discarded.
// told: it waits for a ReadyForQuery.
func (l *Lease) Excess() (reasons Pins, told bool) {
	reasons, told = l.excessive, l.held
	if reasons != 0 {
		l.excessive, l.held = 0, false
	}
	return reasons, told
}
