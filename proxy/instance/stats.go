package instance

import (
	"fmt"
	"time"

	"pgguard/breaker"
	"pgguard/pool"
)

// Stats is a snapshot of an instance and its pool.
type Stats struct {
	Name string // host:port of the instance
	pool.Stats
	// BreakerOpen is true while statements are refused because the instance cannot be reached.
	BreakerOpen bool
	// Breaker is the breaker's state: "closed", "open", "half-open", "ramp".
	Breaker string
	// BreakerTrips counts changes to open.
	BreakerTrips uint64
	// BreakerMoves counts changes by the state that the breaker came to.
	BreakerMoves map[string]uint64
	// Most is how many connections the server allows; 0: not known yet.
	Most int
	// Lag is how late the guard's own decisions came at most within the last second.
	Lag time.Duration
	// Reached is true once the server's limits have been read, or a server has been logged in to.
	Reached bool
	// Blind is why the side channel could not be opened when that was tried last, nil if it could: clients may be served all the same.
	Blind error
	// Said is why a login failed last, the pool's or the guard's own; nil: none has.
	Said error
	// Up is true if the last login or a lent server says that the instance can serve.
	Up bool
}

// Stats returns a snapshot.
func (in *Instance) Stats() Stats {
	st := Stats{Name: in.Name(), Stats: in.Pool.Stats(), Most: int(in.most.Load()), Lag: time.Duration(in.lag.Load()), Reached: in.reached(), BreakerOpen: in.open.Load(), BreakerTrips: in.moves[breaker.StateOpen].Load(),
		Breaker: breaker.State(in.state.Load()).String(), BreakerMoves: map[string]uint64{}}
	in.mu.Lock()
	st.Said, st.Blind = in.said, in.blind
	in.mu.Unlock()
	st.Logins["failed"] += in.tried.failed.Load()
	st.Logins["refused"] += in.tried.refused.Load()
	for i := range in.moves {
		st.BreakerMoves[breaker.State(i).String()] = in.moves[i].Load()
	}
	st.Up = !st.BreakerOpen && (st.Down == nil || st.Servers["idle"]+st.Servers["active"] > 0) && st.Reached
	return st
}

// reached is true for a PostgreSQL that has let the guard, or a client, in.
func (in *Instance) reached() bool { return in.everUp.Load() || in.everIn.Load() }

// Barred is true for a PostgreSQL that has never let the guard itself in, and refuses that.
func (in *Instance) Barred() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.blind != nil && !in.everUp.Load()
}

// Ready returns nil if a client can be served now, else why not, with what the last login that failed was told. It costs the
// database nothing.
func (in *Instance) Ready() error {
	in.mu.Lock()
	said := in.said
	in.mu.Unlock()
	why := ""
	switch st := in.Pool.Stats(); {
	case in.open.Load():
		why = "circuit open, the database cannot be reached"
	case !in.reached():
		why = "not reached yet"
	case st.Down != nil && st.Servers["idle"]+st.Servers["active"] == 0:
		return fmt.Errorf("%s: %w", in.Name(), st.Down)
	default:
		return nil
	}
	if said == nil {
		return fmt.Errorf("%s: %s", in.Name(), why)
	}
	return fmt.Errorf("%s: %s: %w", in.Name(), why, said)
}
