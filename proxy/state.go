package proxy

import (
	"errors"
	"runtime/debug"
)

// state is what a session is doing. It is in one, and move changes it.
type state uint8

const (
	free      state = iota // it has no server, and nothing is under way
	queued                 // its request waits for a server
	awaiting               // its request waits for a run token for the server that it keeps
	preparing              // what goes ahead of its request is under way, and must succeed before that is sent
	running                // a statement runs, or a batch is open
	idling                 // its transaction does nothing: it has a server and no run token
	parked                 // it keeps a server between two transactions, without a run token
	leaving                // its client goes
	states
)

// String is the state's word in events and tests.
func (st state) String() string {
	return [states]string{"free", "queued", "awaiting", "preparing", "running", "idling", "parked", "leaving"}[st]
}

// moves are the states that may follow each. The picture is in DESIGN.md.
var moves = [states][]state{
	free:      {queued, leaving},
	queued:    {free, preparing, running, leaving},
	awaiting:  {free, parked, preparing, running, leaving},
	preparing: {free, queued, parked, running, leaving},
	running:   {free, queued, preparing, idling, parked, leaving},
	idling:    {free, preparing, running, leaving},
	parked:    {free, awaiting, leaving},
	leaving:   {},
}

// may is true if to may follow st.
func (st state) may(to state) bool {
	for _, next := range moves[st] {
		if next == to {
			return true
		}
	}
	return false
}

// hasRequest is true while a request waits, for a server, a token or what goes ahead of it: the client's next is behind it.
func (st state) hasRequest() bool { return st == queued || st == awaiting || st == preparing }

// label is the state as it is counted. local is the transaction state that the client sees while it is free; quiet: the server owes
// nothing.
func (st state) label(local byte, quiet bool) string {
	switch st {
	case queued, awaiting:
		return "waiting"
	case preparing:
		return "active"
	case running:
		if quiet { // the end of a message is on its way
			return "idle_in_transaction"
		}
		return "active"
	case idling:
		return "idle_in_transaction"
	}
	if st == free && local != 'I' {
		return "idle_in_transaction"
	}
	return "idle"
}

// moveLocked brings the session from one state to another. It is the only way. A move that may not be is a bug, which ends the
// session, and no other.
func (s *session) moveLocked(to state) {
	if !s.state.may(to) {
		s.srv.count.panics.Add(1)
		s.srv.log.Error("session in a wrong state", "from", s.state.String(), "to", to.String(), "stack", string(debug.Stack()))
		s.close = errors.Join(s.close, errState)
	}
	s.state = to
	s.cond.Broadcast()
}

// errState ends a session that came from one state to another that may not follow.
var errState = errors.New("guard lost track of the session")
