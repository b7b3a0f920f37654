package pool

import "time"

// capHold is how long a cap lowered by the server's own refusal stays before it rises again, and capStep how long each
// server more takes then. Sooner would ask again a server that has just said no; later wastes what others gave back.
const (
	capHold = 60 * time.Second
	capStep = 10 * time.Second
)

// Caps are limits measured from the server.
type Caps struct {
	Total     int            // servers in all; 0: unknown
	Users     map[string]int // by user; absent: no limit of its own
	Databases map[string]int // by database
}

// capState is the cap H as it holds now.
type capState struct {
	fixed   int // the operator's, 0: measured
	found   int // measured, 0: unknown
	now     int // what holds
	lowered time.Time
}

func (c *capState) set(fixed int) {
	c.fixed = fixed
	c.now = c.full()
}

// full is the cap while the server has not refused a connection.
func (c *capState) full() int {
	switch {
	case c.fixed > 0 && c.found > 0:
		return max(1, min(c.fixed, c.found))
	case c.fixed > 0:
		return c.fixed
	case c.found > 0:
		return c.found
	}
	return capUnknown
}

// lower notes that the server refused one connection more than open.
func (c *capState) lower(open int, now time.Time) {
	c.now, c.lowered = max(1, min(c.now, open)), now
}

// raise lets a lowered cap come back, one server at a time.
func (c *capState) raise(now time.Time) {
	if c.lowered.IsZero() {
		c.now = c.full()
		return
	}
	if now.Sub(c.lowered) < capHold {
		c.now = min(c.now, c.full())
		return
	}
	if c.now++; c.now >= c.full() {
		c.now, c.lowered = c.full(), time.Time{}
		return
	}
	c.lowered = now.Add(capStep - capHold)
}

// SetCaps tells the pool what the server allows it. A smaller cap takes effect as servers are released.
func (p *Pool) SetCaps(c Caps) {
	now := time.Now()
	p.mu.Lock()
	p.tallyLocked(now)
	p.caps = c
	p.cap.found = max(0, c.Total)
	if p.cap.lowered.IsZero() || p.cap.full() < p.cap.now {
		p.cap.now = p.cap.full()
	}
	p.grantAll(now)
}

// overLocked says whether there are more servers than the cap allows.
func (p *Pool) overLocked() bool { return len(p.servers)-p.count[Closing] > p.cap.now }

// allowedLocked says whether the server's limits for this user and database allow one more server of key k.
func (p *Pool) allowedLocked(k *Key) bool {
	user, hasUser := p.caps.Users[k.User]
	database, hasDatabase := p.caps.Databases[k.Database]
	if !hasUser && !hasDatabase {
		return true
	}
	for s := range p.servers {
		if s.Key.User == k.User {
			user--
		}
		if s.Key.Database == k.Database {
			database--
		}
	}
	return (!hasUser || user > 0) && (!hasDatabase || database > 0)
}

// Cap returns how many servers may exist now. Any goroutine may call it.
func (p *Pool) Cap() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cap.now
}
