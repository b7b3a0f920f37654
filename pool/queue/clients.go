package queue

// clientSlots is how many clients of one class can be told apart while they wait. Those beyond share places with others
// and are served as if they were one client: unfair among themselves, never lost. A sidecar has fewer processes beside it.
const clientSlots = 128

// clientTries is how many places a client may be found in; with four the first dozens hardly ever share one.
const clientTries = 4

// noClient ends the lists of places.
const noClient = -1

// client is the place of one client that waits, or waited last.
type client[T any] struct {
	key         uint64
	first, last *Waiter[T] // by arrival
	prev, next  int16      // places in the same round
	later       bool       // in the later round
	round       uint64     // in which it was served last; 0: never
}

// round is a list of places.
type round struct{ first, last int16 }

// clients serves the clients of one class in turn: each that waits once in a round. A client that comes back within the
// round it was served in waits for the next one, so that nobody gains turns by coming often.
type clients[T any] struct {
	places  [clientSlots]client[T]
	current round
	coming  round
	number  uint64 // of the current round, from 1
}

func newClients[T any]() *clients[T] {
	empty := round{noClient, noClient}
	return &clients[T]{current: empty, coming: empty, number: 1}
}

// place returns where a client waits: its own place, else a free one, else one that it shares.
func (c *clients[T]) place(key uint64) int16 {
	const spread = 0x9E3779B97F4A7C15 // 2^64 divided by the golden ratio: neighbouring keys end far from each other
	home := int(key * spread >> 32 % clientSlots)
	free := home
	for i := clientTries - 1; i >= 0; i-- {
		at := (home + i) % clientSlots
		if p := &c.places[at]; p.key == key && (p.first != nil || p.round > 0) {
			return int16(at)
		} else if p.first == nil {
			free = at
		}
	}
	if p := &c.places[free]; p.first == nil {
		p.key, p.round = key, 0
	}
	return int16(free)
}

// push puts w at the end of its client's line.
func (c *clients[T]) push(w *Waiter[T]) {
	at := c.place(w.Client)
	p := &c.places[at]
	w.place, w.older, w.newer = at, p.last, nil
	if p.last != nil {
		p.last.newer = w
		p.last = w
		return
	}
	p.first, p.last = w, w
	p.later = p.round == c.number
	c.append(at)
}

// append puts a place at the end of its round.
func (c *clients[T]) append(at int16) {
	p := &c.places[at]
	r := &c.current
	if p.later {
		r = &c.coming
	}
	p.prev, p.next = r.last, noClient
	if r.last != noClient {
		c.places[r.last].next = at
	} else {
		r.first = at
	}
	r.last = at
}

// unlink takes a place out of its round.
func (c *clients[T]) unlink(at int16) {
	p := &c.places[at]
	r := &c.current
	if p.later {
		r = &c.coming
	}
	if p.prev != noClient {
		c.places[p.prev].next = p.next
	} else {
		r.first = p.next
	}
	if p.next != noClient {
		c.places[p.next].prev = p.prev
	} else {
		r.last = p.prev
	}
}

// remove takes w out of its client's line.
func (c *clients[T]) remove(w *Waiter[T]) {
	p := &c.places[w.place]
	if w.older != nil {
		w.older.newer = w.newer
	} else {
		p.first = w.newer
	}
	if w.newer != nil {
		w.newer.older = w.older
	} else {
		p.last = w.older
	}
	w.older, w.newer = nil, nil
	if p.first == nil {
		c.unlink(w.place)
	}
}

// find returns the waiter to serve: of the clients in turn the first that has one whom can may serve, its oldest or its
// newest; newest also turns the order of clients round.
func (c *clients[T]) find(can func(*Waiter[T]) bool, newest bool) *Waiter[T] {
	if c.current.first == noClient {
		c.current, c.coming = c.coming, round{noClient, noClient}
		c.number++
		for at := c.current.first; at != noClient; at = c.places[at].next {
			c.places[at].later = false
		}
	}
	for _, r := range [...]round{c.current, c.coming} {
		at := r.first
		if newest {
			at = r.last
		}
		for at != noClient {
			p := &c.places[at]
			w := p.first
			if newest {
				w = p.last
			}
			for w != nil {
				if can(w) {
					return w
				}
				if newest {
					w = w.older
				} else {
					w = w.newer
				}
			}
			if newest {
				at = p.prev
			} else {
				at = p.next
			}
		}
	}
	return nil
}

// served takes w out and ends its client's turn.
func (c *clients[T]) served(w *Waiter[T]) {
	at := w.place
	p := &c.places[at]
	p.round = c.number
	c.remove(w)
	if p.first != nil {
		c.unlink(at)
		p.later = true
		c.append(at)
	}
}
