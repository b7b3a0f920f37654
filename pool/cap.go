package pool

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// capHold is how long a cap lowered by the server's own refusal stays before it rises again: by one at first, then by twice as many with
// each login that succeeds at it, or each second. If a rise is refused it is doubled, up to capHoldLast: a refused login costs the server
// a process, and what others gave back should not be wasted for long.
const (
	capHold     = time.Second
	capHoldLast = 5 * time.Second
)

// Caps are limits measured from the server.
type Caps struct {
	Total     int            // servers in all; 0: unknown
	Users     map[string]int // by user; absent: no limit of its own
	Databases map[string]int // by database
	// Exempt are the users for whom the limit of a database does not count.
	Exempt map[string]bool
}

// capState is the cap H as it holds now.
type capState struct {
	fixed   int           // the operator's, 0: measured
	found   int           // measured, 0: unknown
	away    int           // that another process has of them, whose place this one takes
	now     int           // what holds
	lowered time.Time     // when the server refused a connection last; zero: the cap has come back since
	risen   time.Time     // when it had come back last
	hold    time.Duration // from lowered until it rises
	step    int           // by which it rises next
}

func (c *capState) set(fixed int) {
	c.fixed = fixed
	c.settle()
}

// settle has the cap be what it can, unless the server has refused a connection and it comes back by and by.
func (c *capState) settle() {
	if c.lowered.IsZero() || c.full() < c.now {
		c.now = c.full()
	}
}

// full is the cap while the server has not refused a connection.
func (c *capState) full() int {
	switch {
	case c.fixed > 0 && c.found > 0:
		return max(1, min(c.fixed, c.found)-c.away)
	case c.fixed > 0:
		return max(1, c.fixed-c.away)
	case c.found > 0:
		return max(1, c.found-c.away)
	}
	return capUnknown
}

// lower notes that the server refused a connection while there were open others: one that the cap counted on is not to be had. If
// that was the answer to a rise, the next one is tried later.
func (c *capState) lower(open int, now time.Time) {
	switch {
	case c.lowered.IsZero() && now.Sub(c.risen) > capHoldLast:
		c.hold = capHold
	case c.lowered.IsZero() || c.step > 1:
		c.hold = min(2*c.hold, capHoldLast)
	}
	c.now, c.lowered, c.step = max(1, open, c.now-1), now, 1
}

// raise lets a lowered cap come back. It is called once a second, and when a login has succeeded at the cap.
func (c *capState) raise(now time.Time) {
	switch {
	case c.lowered.IsZero():
		c.now = c.full()
	case now.Sub(c.lowered) < c.hold:
		c.now = min(c.now, c.full())
	default:
		c.now += c.step
		c.step *= 2
		if c.now >= c.full() {
			c.now, c.lowered, c.risen, c.step = c.full(), time.Time{}, now, 1
		}
	}
}

// SetCaps tells the pool what the server allows it. A smaller cap takes effect as servers are released.
func (p *Pool) SetCaps(c Caps) {
	now := time.Now()
	p.mu.Lock()
	p.tallyLocked(now)
	p.caps = c
	p.cap.found = max(0, c.Total)
	p.cap.settle()
	p.grantAll(now)
}

// SetAway tells the pool how many of the servers that it may have another process has now, whose place this one takes. One is left to it anyhow.
func (p *Pool) SetAway(n int) {
	now := time.Now()
	p.mu.Lock()
	p.tallyLocked(now)
	p.cap.away = n
	p.cap.settle()
	p.grantAll(now)
}

// overLocked says whether there are more servers than the cap allows.
func (p *Pool) overLocked() bool { return len(p.servers)-p.count[Closing] > p.cap.now }

// allowedLocked says whether the limits for this user and database, the server's and the operator's, allow one more server of key k. If the
// pool has none that the server counts, only the server knows.
func (p *Pool) allowedLocked(k *Key) bool { return p.spareLimitsLocked(k).lets(false, false, false) }

// spares are how many servers more the limits allow: of a user, of a database at the server, of one by its name, of a user in that.
type spares struct{ user, database, name, login int }

// lets says whether one server more may be opened, or could be if one were closed that is of the same user, database or name.
func (s spares) lets(user, database, name bool) bool {
	return (s.user > 0 || user) && (s.database > 0 || database) && (s.name > 0 || name) && (s.login > 0 || user && name)
}

// spareLimitsLocked says how many servers more the limits allow for k.
func (p *Pool) spareLimitsLocked(k *Key) spares {
	ofUser, ofDatabase := k.Most.User, 0
	if n, ok := p.caps.Users[k.User]; ok {
		ofUser = least(ofUser, max(n, 1))
	}
	if n, ok := p.caps.Databases[k.Database]; ok && !p.caps.Exempt[k.User] {
		ofDatabase = max(n, 1)
	}
	s := spares{spare(ofUser), spare(ofDatabase), spare(k.Most.Database), spare(k.Most.Login)}
	if ofUser == 0 && ofDatabase == 0 && k.Most == (Most{}) {
		return s
	}
	reserve := false
	for _, other := range p.list {
		user, name := other.User == k.User, k.countsWith(other)
		if user {
			s.user -= other.open
		}
		if other.Database == k.Database {
			s.database -= other.open
		}
		if name {
			s.name -= other.open
		}
		if user && name {
			s.login -= other.open
			reserve = reserve || k.Most.Reserve > 0 && p.waitsLocked(other, k.Most.After)
		}
	}
	if reserve && k.Most.Login > 0 {
		s.login += k.Most.Reserve
	}
	return s
}

// countsWith is true for a key whose servers are counted for the same database as k's, by the name that clients use.
func (k *Key) countsWith(other *Key) bool {
	return k == other || !k.Shared && !other.Shared && k.name() == other.name()
}

// waitsLocked says whether somebody has waited for a server of key k for so long.
func (p *Pool) waitsLocked(k *Key, long time.Duration) bool {
	n, since := p.waitingLocked(k)
	return n > 0 && p.account.at.Sub(since) >= long
}

// name is that of k's database.
func (k *Key) name() string { return cmp.Or(k.Name, k.Database) }

// least is the lower of two limits, of which 0 is none; b is one.
func least(a, b int) int {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// spare is a limit, of which 0 is none.
func spare(most int) int {
	if most == 0 {
		return math.MaxInt
	}
	return most
}

// limitedLocked says whether there may be less servers of a user or a database than the cap allows.
func (p *Pool) limitedLocked() bool { return p.bounded || len(p.caps.Users)+len(p.caps.Databases) > 0 }

// Limited says whether somebody waits for a server that the limit of a user or a database, as the server told it last, may not allow. Any goroutine may
// call it.
func (p *Pool) Limited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.caps.Users)+len(p.caps.Databases) == 0 {
		return false
	}
	return slices.ContainsFunc(p.list, func(k *Key) bool {
		n, _ := p.waitingLocked(k)
		return n > 0 && !p.allowedLocked(k)
	})
}

// Keepable returns how many servers clients may keep between their transactions: half of all that there may be now, those that another process has too,
// since its clients come here with what they keep; but one is left for who keeps none. Any goroutine may call it.
func (p *Pool) Keepable() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(1, min((p.cap.now+p.cap.away)/2, p.cap.now-1))
}

// Cap returns how many servers may exist now. Any goroutine may call it.
func (p *Pool) Cap() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cap.now
}
