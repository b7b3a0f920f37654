package event

import "sync"

// Size is how many events a ring keeps if nobody chose: hours of a calm system and the whole of an incident, for about
// half a megabyte.
const Size = 1024

// Ring keeps the last events of a fixed number. Any goroutine may call its methods; none blocks for long, and Add
// allocates nothing.
type Ring struct {
	mu sync.Mutex

	// guarded by mu
	events []Event
	last   uint64 // the sequence number of the newest; 0: none yet
}

// New returns a ring of size events, at least one. All its memory is taken here.
func New(size int) *Ring { return &Ring{events: make([]Event, max(1, size))} }

// Add puts e in the place of the oldest event and returns the sequence number it was given.
func (r *Ring) Add(e Event) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	e.Seq = r.last
	r.events[(r.last-1)%uint64(len(r.events))] = e
	return r.last
}

// Since appends to dst the events after the sequence number seq, oldest first, and says how many of them are not there
// any more. Who reads on passes the number of the last event it has; 0 gives everything. The events are copies.
func (r *Ring) Since(seq uint64, dst []Event) (events []Event, missed uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq >= r.last {
		return dst, 0 // also a number from the life before a restart: its reader sees Last and begins again
	}
	if size := uint64(len(r.events)); r.last-seq > size {
		missed = r.last - size - seq
		seq = r.last - size
	}
	for ; seq < r.last; seq++ {
		dst = append(dst, r.events[seq%uint64(len(r.events))])
	}
	return dst, missed
}

// Last is the sequence number of the newest event; 0 if there is none.
func (r *Ring) Last() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}
