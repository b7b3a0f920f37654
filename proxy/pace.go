package proxy

import (
	"sync/atomic"
	"time"
)

// pace lets logins of clients begin a few at a time where other clients stay, so that those who come and go leave the
// machine to them: 500 clients that connect, ask and leave for ever would take all of two cores.
type pace struct {
	on    atomic.Bool // somebody stays
	turns chan struct{}
}

// A login's turn ends after turnLength, whether it is done or not, and turnsPerCore for each processor are had at once:
// about 2,000 logins a second and core, several times what PostgreSQL can do, for a fifth of the processor. On a busy
// machine timers are late, which slows logins further.
const (
	turnLength   = time.Millisecond
	turnsPerCore = 2
)

// staying is for how long a client has been there who stays.
const staying = time.Second

// newPace is for a process that may use so many processors.
func newPace(cores int) pace { return pace{turns: make(chan struct{}, turnsPerCore*cores)} }

// enter waits for a turn, first come first served, and is false if done is closed before. Any goroutine may call it.
func (p *pace) enter(done <-chan struct{}) bool {
	if !p.on.Load() {
		return true
	}
	select {
	case p.turns <- struct{}{}:
		time.AfterFunc(turnLength, p.leave)
		return true
	case <-done:
		return false
	}
}

func (p *pace) leave() { <-p.turns }
