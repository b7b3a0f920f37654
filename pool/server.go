package pool

import (
	"context"
	"time"
	"unique"

	"pgguard/pool/limit"
	"pgguard/pool/queue"
)

// Conn is a server connection as the pool sees it.
type Conn interface {
	// Run serves the connection until it ends. The pool calls it once; it may be lent before and while it runs.
	Run()
	// Close asks the connection to end, which Run then does. It never blocks and may be called at any time.
	Close(why string)
}

// Dialer opens a server connection for s.Key. The context ends when the pool closes, never with a client.
type Dialer func(ctx context.Context, s *Server) (Conn, error)

// Key names servers that are equal to any client: same database, same user, same settings at login. Keys are made by
// Pool.Key and compared by pointer.
type Key struct {
	Database, User, Settings string
	// Value belongs to the pool's owner.
	Value any
	// Most is how many servers there may be, and Name what the database is called that it is about; empty: by its Database. Both are set when the
	// key is made.
	Most Most
	Name string
	// Lifetime, if not 0, is in the place of the Config's. It is set with them.
	Lifetime time.Duration
	// Shared is true if databases of several names may have its servers, which are then counted for none of them. It is set with them.
	Shared bool

	// guarded by Pool.mu
	refs     int
	idle     []*Server // oldest first; lent from the end
	opening  int
	open     int             // servers in every state
	ready    int             // how many there are to be at least of its pair; 0: none
	lines    []line[*Waiter] // who waits, by class
	rejected error           // the server's own answer to the last login, while it is remembered
	full     error           // its answer that the user or the database has as many connections as it may have; nil after a success
	retry    time.Time
	failures int
	left     time.Time // when a server of it ended last
	passed   uint64    // the search in which it was passed by
}

// Most is what an operator allows beside the cap: how many servers a user has in one database, a database and a user in all. 0: as many as
// PostgreSQL allows. Databases are those that have one Name. Replication connections, which are not the pool's, do not count.
type Most struct {
	Login, Database, User int
	// Reserve is by how much there may be more than Login while somebody has waited for After.
	Reserve int
	After   time.Duration
}

// Unused is true if nobody uses the key. It is for functions that Pool.Retire calls.
func (k *Key) Unused() bool { return k.refs == 0 }

// State is where a server is; it is in exactly one.
type State uint8

// The states of a server.
const (
	Opening State = iota
	Idle
	Lent
	Closing
	states
)

// String returns the state's label in metrics.
func (s State) String() string { return [...]string{"opening", "idle", "active", "closing"}[s] }

// Lease is what is granted: a server, until Release or Discard, the first of which counts. It names that lease for good: whatever is done
// with one that has ended does nothing, though the server may have been lent to another since.
type Lease struct {
	*Server
	number uint64
}

// lastsLocked is true until the lease has ended.
func (l Lease) lastsLocked() bool { return l.Server.state == Lent && l.Server.lease == l.number }

// leaseLocked is the lease that a server is under.
func (s *Server) leaseLocked() Lease { return Lease{s, s.lease} }

// Server is the pool's record of one server connection.
type Server struct {
	Key  *Key
	Conn Conn // set before the first grant

	began time.Time // when its login began; never changes
	// Reserve is true if it is beyond Most.Login. It never changes.
	Reserve bool

	// guarded by Pool.mu
	state    State
	class    int           // of the lease
	running  int           // run tokens held: 1 while a statement runs
	dead     bool          // the connection ended while lent
	since    time.Time     // when it came into its state
	expires  time.Time     // end of its lifetime; zero: never
	opened   time.Time     // end of its login
	idle     time.Time     // when its last statement ended; zero: one runs, none has run, or no transaction is open
	lease    uint64        // how often it has been lent
	reaped   bool          // its transaction is being ended
	parked   bool          // kept by its client between transactions
	pinned   bool          // not to be reaped
	retired  string        // why it is not lent again; "": it may be
	print    uint16        // of the statement that runs; 0: none or not known
	slow     bool          // it was slow when it began
	beside   int           // statements that ran when it began, itself included
	kind     uint16        // of the first statement of the lease
	declined bool          // nothing was done with the lease
	patience time.Duration // of that client; 0: it has not said
	gap      bool          // it keeps a run token in a short gap of its transaction
	asked    time.Time     // when the client asked for what has not been answered yet, since it was granted; zero: it has been

	spot spot[*Server] // among those in a short gap; guarded by Pool.mu

	// Trait is what the server has been made fit for by who had it last. It belongs to whom the server is lent.
	Trait Trait

	// Sample is what the law is told of the statement whose end is reported next, by Idle, Park or Release: Elapsed, Kind
	// and Blocked; the pool knows the rest. The zero value tells it nothing. It belongs to whom the server is lent.
	Sample limit.Sample
}

// Opened is when its login began. Any goroutine may call it.
func (s *Server) Opened() time.Time { return s.began }

// Grantee is who waits in the pool. One of its methods is called, once for each Get or Again, by any goroutine,
// possibly before Get returns; never while a lock of the pool is held.
type Grantee interface {
	// Granted hands over a server with a slot and a run token, or after Again only the token. waited is the time
	// between the request and the grant, now the time of the grant.
	Granted(l Lease, now time.Time, waited time.Duration)
	// Refused says that nothing was or will be granted: *RefusedError, ErrClosed or a *RejectedError.
	Refused(err error)
}

// Trait tells apart what servers of one key have been made fit for: a waiter is given the one that is fit for it already, if
// it is idle, and any other if not.
type Trait struct {
	Settings, Name unique.Handle[string]
	Stock          any // comparable
}

// Waiter is one request; its owner keeps and reuses it, one request at a time.
type Waiter struct {
	Key     *Key
	Class   int
	Urgent  bool // set-up and clean-up: goes first and is not refused for pressure
	Login   bool // wants a server only to learn what a login needs: takes no run token
	Grantee Grantee
	// Client tells clients apart, which are served in turn within a class; those with the same number are one.
	Client uint64
	// Trait is what the server should be fit for.
	Trait Trait
	// Print is the fingerprint of the statement, below MaxPrints; 0: not known.
	Print uint16
	// Patience is how long the client waits for an answer by what it has said itself, its statement_timeout; 0: it has not.
	Patience time.Duration

	// Gate is what it comes through; nil: it comes freely.
	Gate *Gate

	spot spot[*Waiter] // in its key's line, or its gate's; guarded by Pool.mu
	held bool          // it is in its gate's; guarded by Pool.mu

	own   Lease                 // kept since the last transaction; of the owner, who sets it by Get or Again
	place queue.Waiter[*Waiter] // guarded by Pool.mu
}
