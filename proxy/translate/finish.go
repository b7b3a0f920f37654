package translate

import (
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// Closing returns, and notes as sent, what the server still needs to end what a client that has gone has left unfinished, so that
// nothing of it is committed; nil if it needs nothing, or is to be awaited first.
func (l *Lease) Closing() (out []byte) {
	if l.copying.in && !l.copying.end {
		l.copying.end = true
		out = wire.AppendText(out, wire.CopyFail, "client is gone")
	}
	if l.stands {
		l.unsynced, l.skipping, l.stands = false, false, false
	}
	if l.unsynced {
		l.extended(expectation{kind: bind})
		l.sync()
		out = append(out, failBatch...)
	}
	return out
}

// Padded notes that the message that the client left in the middle has been completed.
func (l *Lease) Padded() { l.partial = false }

// Refresh returns, and notes as sent, what makes the server report what its settings are where the client has set none. It is the first
// of a lease.
func (l *Lease) Refresh() []byte {
	var out []byte
	if l.s.settings != l.c.settings {
		out, _ = l.appendSettings(nil)
	}
	l.owed.add(expectation{kind: sync, whose: guard, why: order})
	return wire.AppendEmpty(out, wire.Sync)
}

// Rollback returns, and notes as sent, what ends a transaction; Discard what ends a session.
func (l *Lease) Rollback() []byte {
	l.owed.add(expectation{kind: query, whose: guard, why: order})
	return rollback
}

// Discard returns, and notes as sent, what makes the server's session like a new one. Discarded says whether it has.
func (l *Lease) Discard() []byte {
	l.discarded = false
	l.owed.add(expectation{kind: query, whose: guard, why: order})
	return discardAll
}

// Stained is true if the server has what nothing takes back: a library, a backup that was begun, the seed of random().
func (l *Lease) Stained() bool { return (l.pins|l.suspect)&Pins(sql.Load) != 0 }

// Discarded is true if the server has carried out Discard.
func (l *Lease) Discarded() bool { return l.discarded }

// Clean notes that the server is like a new one.
func (l *Lease) Clean() {
	l.s.settings = Plain
	l.s.forgetStatements()
}
