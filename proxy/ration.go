package proxy

import (
	"sync"
	"time"
)

// rationEvery and rationSize bound log lines of one kind: so many in so long.
const (
	rationEvery = 10 * time.Second
	rationSize  = 20
)

// ration says which of many lines are logged. The zero value is for use. Any goroutine may use it.
type ration struct {
	mu sync.Mutex

	// guarded by mu
	since  time.Time
	told   int // since then
	untold int // since the last line
}

// allow is true for a line that may be logged, with how many before it were not.
func (r *ration) allow(now time.Time) (tell bool, untold int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= rationEvery {
		r.since, r.told = now, 0
	}
	if r.told >= rationSize {
		r.untold++
		return false, 0
	}
	untold = r.untold
	r.told++
	r.untold = 0
	return true, untold
}
