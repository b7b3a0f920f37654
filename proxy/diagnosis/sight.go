package diagnosis

import "time"

// Sight is what one look showed of one PostgreSQL and of the guard before it. The zero value of a field says that nothing is known of
// it. Names in it are text of strangers: they are made fit to be shown where a Verdict is made of them.
type Sight struct {
	At       time.Time
	Database string        // host:port
	Observe  bool          // limit, shedding, reaping and breaker only report
	Age      time.Duration // since the guard started

	Reached bool   // it has been reached since the guard started
	Up      bool   // it can serve, as far as is known
	Breaker string // closed, open, half-open, ramp
	Error   string // why the last login failed
	Blind   string // why pgguard's own login failed, by which it looks at the database; empty: it did not
	Refused bool   // Error is PostgreSQL's own: it knows no such user, password or database

	Cap, Limit, Allowance int // H, L and what transactions between two statements have beyond it
	Lent, Idle            int // servers
	Running               int // statements
	InGap                 int // transactions that count as running in a short gap between two
	Classes               []Class
	Crowds                []Crowd
	Prints                []Print

	Sampled    bool // the side channel has looked within the last seconds; what follows is what it saw
	Waits      Waits
	Foreign    int   // statements of anybody but guards
	Stranger   Party // who has most of them
	Peers      int   // statements of other guards
	Holder     *Holder
	Convoys    []Convoy
	RoundTrip  time.Duration // of a question that costs the server nothing
	Most       int           // connections that the server allows
	Others     int           // of those, held by neither this guard nor others
	OtherParty Party         // who has most of them

	Guard   Guard
	Machine Machine
}

// Class is one class of work.
type Class struct {
	Name                         string
	Waiting                      int
	Oldest                       time.Duration     // how long the first in line has waited
	Overloaded                   bool              // its line stands
	Finished, Refused, WouldWait uint64            // since the guard started: exchanges, statements refused under pressure, and what observe mode let through
	By                           map[string]uint64 // refused since the guard started, by every reason; it is not changed any more
	Granted                      uint64            // requests that were granted or refused, since the guard started
	WaitSeconds                  float64           // that they waited
}

// Crowd is the clients of one application_name.
type Crowd struct {
	Application string
	Clients     int
	Active      int // run a statement
	Waiting     int
	Idling      int // in a transaction that does nothing, with a server
	Unread      int // do not read what they asked for
	Oldest      time.Duration
	Client      string // address of the one that has idled for longest, or else does not read
	PID         uint32 // of its server
	Class       string
	Print       uint64 // of what it ran last
	Named
}

// Named is how a statement is told from others by a person.
type Named struct {
	Called string // its command, first table and tags
	Query  string // its text without literals; empty where texts are not shown
}

// Print is one kind of statement, by its fingerprint.
type Print struct {
	Fingerprint uint64
	Named
	Calls    uint64  // that have ended since the guard started
	Seconds  float64 // that they took
	Underway float64 // seconds that those that run now have run so far
}

// Waits counts our running statements by what they were at.
type Waits struct {
	CPU    int `json:"cpu"` // nothing: they work
	Lock   int `json:"lock"`
	LWLock int `json:"lwlock"` // the server's own locks
	IO     int `json:"io"`
	Client int `json:"client"`
	Other  int `json:"other"`
}

// Total is how many were seen.
func (w Waits) Total() int { return w.CPU + w.Lock + w.LWLock + w.IO + w.Client + w.Other }

// Party is who has most of something.
type Party struct {
	Application, Client string
	Count               int
	PID                 int32
}

// Holder is a session at the end of the line for which others wait, for locks.
type Holder struct {
	PID         int32 // 0: it is a prepared transaction, which has no session
	Application string
	Client      string
	Class       string // empty: it is not a client of this guard
	Idle        bool   // its transaction does nothing
	Held        time.Duration
	Named
	Blocks  int     // how many wait for it, in the end
	Through *Holder // who stands in between, for whom most of them wait directly; nil: nobody
}

// Convoy is a kind of statement most of which wait for one lock, and of which the guard lets only a few run.
type Convoy struct {
	Fingerprint uint64
	Named
	Bound           int
	Running, Locked int
}

// Guard is how the guard itself fares.
type Guard struct {
	Lag       time.Duration // how late its timers were
	Cores     float64       // that it may use
	Used      float64       // of those, in the last second
	Throttled bool          // the kernel held it up, because it had used what it may
}

// Machine is the one on which both PostgreSQL and the guard run; the zero value: they do not, or it cannot be seen.
type Machine struct {
	Cores    float64
	Idle     float64 // cores
	Database float64 // used by PostgreSQL
	Guard    float64
	Process  string // which uses most but for these two
	PID      int
	Used     float64 // by it
}
