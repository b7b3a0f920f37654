package breaker

import "time"

// Thresholds of Dials. Fewer failures would take one lost packet for a dead server. A shorter time would refuse
// clients while a server restarts, which costs them nothing but time if they wait; a longer one would let them wait in
// vain, since the most patient interactive work gives up after about as long.
const (
	failuresToOpen = 3
	timeToOpen     = 6 * time.Second
)

// Change is what a report changed.
type Change uint8

// The changes.
const (
	None Change = iota
	Opened
	Closed
)

// String returns the word used in logs.
func (c Change) String() string { return [...]string{"none", "opened", "closed"}[c] }

// Dials decides from the outcomes of logins whether an instance can be reached: it opens after failures that follow
// each other for a while with no success between, and closes with the first success. The zero value is closed. It is
// not safe for concurrent use.
type Dials struct {
	failures int
	since    time.Time // of the first failure in the row
	open     bool
}

// Report notes the outcome of one login and returns what it changed.
func (d *Dials) Report(reached bool, now time.Time) Change {
	if reached {
		wasOpen := d.open
		*d = Dials{}
		if wasOpen {
			return Closed
		}
		return None
	}
	if d.failures == 0 {
		d.since = now
	}
	d.failures++
	if d.open || d.failures < failuresToOpen || now.Sub(d.since) < timeToOpen {
		return None
	}
	d.open = true
	return Opened
}

// Open is true while the instance cannot be reached.
func (d *Dials) Open() bool { return d.open }
