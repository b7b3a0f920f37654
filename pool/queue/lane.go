package queue

import "time"

// The lanes of a class. A lane is who is let in by one bound: a lane that is closed holds up nobody in another.
const (
	// Common is for whoever is held up by nothing but what holds up all.
	Common = 0
	// Patient is for work that takes long itself, and that waits for others of its kind: it waits up to PatientWait.
	Patient = 1
	// FirstOwn and those behind it are for statements that have a bound to themselves. Whoever comes when none is left is in Common,
	// and passed by there.
	FirstOwn = 2
	// Lanes is how many a class has: more convoys than this at once have not been seen.
	Lanes = 10
)

// lane is those who wait behind one bound, and how fast they are served.
type lane[T any] struct {
	list[T] // by arrival
	clients *clients[T]
	flow    flow
	spared  int // served since somebody was let in who would be late
}

// spareOf is one of how many served is let in although it would be late: what is known of a lane is found out to be wrong by whom
// it lets in. More would wait in vain, fewer would find it out later.
const spareOf = 32

// push puts w at the end.
func (l *lane[T]) push(w *Waiter[T], active bool, now time.Time) {
	if l.clients == nil {
		l.clients = newClients[T]()
	}
	l.flow.count(now, active && l.n > 0)
	l.list.push(w)
	l.clients.push(w)
	l.flow.ahead += w.size
}

// remove takes w out, who has had his turn if served is true. active is false while nobody can be served.
func (l *lane[T]) remove(w *Waiter[T], served, active bool, now time.Time) {
	l.flow.count(now, active)
	l.list.remove(w)
	if l.flow.ahead -= w.size; l.n == 0 {
		l.flow.ahead = 0 // no error of rounding stays
	}
	if !served {
		l.clients.remove(w)
		return
	}
	l.clients.served(w)
	l.spared++
	if now.After(w.since) { // who need not wait says nothing about those who must
		l.flow.done += w.size
		l.flow.n++
	}
}

// admits says whether one more may wait, who will be served in time if he waits no longer than inTime. Who need not wait for anybody may,
// and so may one of many who will be late.
func (l *lane[T]) admits(inTime time.Duration, now time.Time) bool {
	if l.n == 0 || l.flow.wait(now) <= inTime {
		return true
	}
	if l.spared < spareOf {
		return false
	}
	l.spared = 0
	return true
}
