package proxy

import "time"

// pace lets logins of clients begin a few at a time, so that those who come and go leave the machine to those who stay:
// 500 clients that connect, ask and leave for ever would take all of two cores, and everybody else waited behind them.
type pace struct{ turns chan struct{} }

// A login's turn ends after turnLength, whether it is done or not, and turnsPerCore for each processor are had at once:
// about 2,000 logins a second and core, several times what PostgreSQL can do, for a fifth of the processor. On a busy
// machine timers are late, which slows logins further.
const (
	turnLength   = time.Millisecond
	turnsPerCore = 2
)

// newPace is for a process that may use so many processors.
func newPace(cores int) pace { return pace{make(chan struct{}, turnsPerCore*cores)} }

// enter waits for a turn, first come first served, and is false if done is closed before. Any goroutine may call it.
func (p pace) enter(done <-chan struct{}) bool {
	select {
	case p.turns <- struct{}{}:
		time.AfterFunc(turnLength, p.leave)
		return true
	case <-done:
		return false
	}
}

func (p pace) leave() { <-p.turns }
