package sim

import "pgguard/pool/queue"

// state is where a session is; it is in exactly one.
type state uint8

const (
	resting state = iota // between requests, or free
	waiting              // in a sidecar's queue
	flying               // a statement is on the network
	computing
	blocked // waits for a lock
	flushing
	reading
	thinking // idle in a transaction
	token    // waits for a run token inside a transaction: only a mutant does that
)

// session is a client with at most one request, or a job that the server does for nobody in particular.
type session struct {
	id, group, car int32
	place          int32 // in the cpu's heap
	gen            uint32
	state          state
	class          uint8
	step           uint8
	tries          uint8
	alt            bool
	login          bool // the sidecar's own: a server connection being opened
	stranger       bool // runs on the server without a guard
	slot, running  bool
	wasBlocked     bool
	abandoned      bool // nobody waits for the answer any more
	leaving        bool // the operator took it away
	fp             uint16
	lock           int32   // row held, or -1
	asked          float64 // when the client first wanted this request done
	queued         float64
	granted        float64
	since          float64 // when the statement was sent
	demand         float64
	waiter         queue.Waiter[*session]
	next           *session // in a lock's line
}

// row is a lock and those who wait for it, first come first served.
type row struct {
	holder      *session
	first, last *session
}

func (r *row) push(s *session) {
	s.next = nil
	if r.last != nil {
		r.last.next = s
	} else {
		r.first = s
	}
	r.last = s
}

func (r *row) shift() *session {
	s := r.first
	if s != nil {
		if r.first = s.next; r.first == nil {
			r.last = nil
		}
		s.next = nil
	}
	return s
}

func (r *row) remove(s *session) {
	var before *session
	for x := r.first; x != nil; before, x = x, x.next {
		if x != s {
			continue
		}
		if before == nil {
			r.first = x.next
		} else {
			before.next = x.next
		}
		if r.last == x {
			r.last = before
		}
		x.next = nil
		return
	}
}
