package pool

import "time"

// When a transaction that does nothing may be ended: slots have been exhausted for two seconds, and it has been idle for
// twenty times as long as nearly all are between two statements. Less than ten seconds would end what is only slow; more
// than two minutes no client can expect while others are refused. Who blocks three others does harm sooner.
const (
	reapPressed   = 2 * time.Second
	reapGaps      = 20
	reapMin       = 10 * time.Second
	reapMax       = 120 * time.Second
	reapBlocks    = 3
	reapBlocksFor = 5 * time.Second
)

// Reapable is the transaction to end, or why there is none.
type Reapable struct {
	Server  *Server // nil: none
	Class   int
	Idle    time.Duration // since its last statement ended
	Blocks  int           // sessions that wait for its locks
	Pressed time.Duration // for how long somebody has waited for a slot
	After   time.Duration // the idle time from which it may be ended
	Why     string        // "pressure", "blocks"; of none: "no_pressure", "none_idle"
}

// Reap returns the transaction that should be ended so that others get its slot: of the least important class, and in it
// the one idle longest. blocks, which may be nil, says how many sessions wait for locks of a server's transaction. The
// caller must make sure that the client has not gone on meanwhile.
func (p *Pool) Reap(now time.Time, blocks map[*Server]int) Reapable {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchLocked(now)
	r := Reapable{Why: "no_pressure", After: min(max(reapGaps*p.gap.Value(), reapMin), reapMax)}
	if p.account.pressed.IsZero() {
		return r
	}
	if r.Pressed = now.Sub(p.account.pressed); r.Pressed < reapPressed {
		return r
	}
	r.Why = "none_idle"
	for s := range p.servers {
		if s.state != Lent || s.dead || s.pinned || s.parked || s.idle.IsZero() {
			continue
		}
		idle, why, after := now.Sub(s.idle), "pressure", r.After
		if blocks[s] >= reapBlocks {
			why, after = "blocks", reapBlocksFor
		}
		if idle <= after || r.Server != nil && (s.class < r.Class || s.class == r.Class && idle <= r.Idle) {
			continue
		}
		r.Server, r.Class, r.Idle, r.Blocks, r.Why = s, s.class, idle, blocks[s], why
	}
	return r
}

// SetPinned marks a lent server as holding what its client cannot lose (locks, LISTEN, temporary tables): it is not reaped.
// The mark goes with the lease.
func (p *Pool) SetPinned(s *Server, pinned bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.pinned = pinned && s.state == Lent
}

// Park is Idle at the end of a transaction after which the client keeps its server. Until it goes on, the server is no
// transaction that does nothing: it is neither reaped nor counted against the allowance for those.
func (p *Pool) Park(s *Server, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.idleLocked(s, now)
	if s.state == Lent && s.running == 0 && !s.parked {
		s.parked, s.idle = true, time.Time{}
		p.parked++
		p.parkedBy[s.class]++
	}
	p.grantAll(now)
}

func (p *Pool) unparkLocked(s *Server) {
	if s.parked {
		s.parked = false
		p.parked--
		p.parkedBy[s.class]--
	}
}

// idleLocked takes one run token back.
func (p *Pool) idleLocked(s *Server, now time.Time) {
	if s.running == 0 {
		return
	}
	p.haltLocked(s, 1)
	if s.running == 0 {
		s.idle = now
	}
}
