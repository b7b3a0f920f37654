package pool

import "time"

// IdleFor is for how long the server has been idle, 0 if it is not. It may be called by what is given to Retire, and by nobody else.
func (s *Server) IdleFor(now time.Time) time.Duration {
	if s.state != Idle {
		return 0
	}
	return max(0, now.Sub(s.since))
}

// Retire takes servers out of use for good, for the reason why: of those that match, who is idle is closed, who is lent is closed when
// its lease ends, and who is being opened is closed when its login has ended. None of them is lent again; who waits is served by others. It
// returns how many matched. match is called with the pool's lock held, may not call the pool, and sees the Conn of a server that is
// being opened as nil.
func (p *Pool) Retire(now time.Time, why string, match func(*Server) bool) int {
	var idle []*Server
	n := 0
	p.mu.Lock()
	p.tallyLocked(now)
	for s := range p.servers {
		if s.state == Closing || s.retired != "" || !match(s) {
			continue
		}
		n++
		s.retired = why
		if s.state == Idle {
			idle = append(idle, s)
		}
	}
	for _, s := range idle {
		p.moveLocked(s, Closing, now)
	}
	p.grantAll(now)
	for _, s := range idle {
		s.Conn.Close(why)
	}
	return n
}
