package instance

import (
	"sync/atomic"

	"pgguard/pool/limit"
	"pgguard/proxy/sql"
)

// Prints gives fingerprints of statements small numbers, by which the law keeps what it learns of each: from 1 on, the same
// for as long as the process lives. Those beyond what fits share 0, which says nothing. Any goroutine may use it; none
// waits for another.
type Prints struct {
	slots [limit.Fingerprints]atomic.Uint64 // the fingerprint that has this number; 0 is not given
	seen  [limit.Fingerprints]atomic.Uint64 // the last that was looked for here in vain
	taken atomic.Int64
	names [limit.Fingerprints]atomic.Pointer[Named] // what it is called, by who has read its text
}

// Named is how a statement is told from others by a person. It is fit to be shown.
type Named struct {
	Called string // its command, first table and tags; "" if it has neither table nor tags, or nobody has read its text yet
	Query  string // its text without literals; "" if texts are not shown
}

// nameOf is how the statement of a text is told from others.
func nameOf(text []byte, query bool) (n Named) {
	n.Called = sql.Called(text)
	if query {
		n.Query = sql.Normal(text)
	}
	return n
}

// Of returns the fingerprint that has a number, and what it is called.
func (p *Prints) Of(index uint16) (fingerprint uint64, name Named) {
	if n := p.names[index].Load(); n != nil {
		name = *n
	}
	return p.slots[index].Load(), name
}

// Call notes what the statement of a text is called, if it has a number and no name yet, and its text without literals if query is true.
func (p *Prints) Call(text []byte, query bool) {
	index := p.find(sql.Fingerprint(text))
	if index == 0 || p.names[index].Load() != nil {
		return
	}
	name := nameOf(text, query)
	p.names[index].Store(&name)
}

// Named is true once the statement has a name, if only an empty one.
func (p *Prints) Named(index uint16) bool { return p.names[index].Load() != nil }

// find returns the number of a fingerprint that has one already; 0: it has none.
func (p *Prints) find(fingerprint uint64) uint16 {
	fingerprint |= 1
	for way := range uint64(printWays) {
		if i := (fingerprint>>1 + way) % limit.Fingerprints; i != 0 && p.slots[i].Load() == fingerprint {
			return uint16(i)
		}
	}
	return 0
}

// textWhole is the length of a text below which PostgreSQL, with an ordinary track_activity_query_size, shows all of it, and not only its start.
const textWhole = 1000

// ran returns the number of the statement whose text a server was seen at; 0: it has none. now is the number of what the server runs by now,
// which is another where it was at the statement for a moment only: that tells for texts of which there is only the start.
func (p *Prints) ran(text []byte, now uint16) uint16 {
	if len(text) == 0 || len(text) >= textWhole {
		return now
	}
	return p.find(sql.Fingerprint(text))
}

// printWays is how many numbers a fingerprint may get. With four, nine in ten of the numbers are given before a fingerprint
// gets none.
const printWays = 4

// Index returns the number of a fingerprint. Once half of the numbers are given, it gets one only when it comes twice
// running at its place, so that statements which never come again do not take what is left.
func (p *Prints) Index(fingerprint uint64) uint16 {
	if fingerprint == 0 {
		return 0
	}
	fingerprint |= 1
	for way := range uint64(printWays) {
		i := (fingerprint>>1 + way) % limit.Fingerprints
		switch have := p.slots[i].Load(); {
		case i == 0:
		case have == fingerprint:
			return uint16(i)
		case have == 0:
			if p.taken.Load() > limit.Fingerprints/2 && p.seen[i].Swap(fingerprint) != fingerprint {
				return 0
			}
			if p.slots[i].CompareAndSwap(0, fingerprint) {
				p.taken.Add(1)
				return uint16(i)
			}
			if p.slots[i].Load() == fingerprint {
				return uint16(i)
			}
		}
	}
	return 0
}
