package pool

import "time"

// When a transaction that does nothing may be ended: slots have been exhausted for two seconds, and it has been idle for
// twenty times as long as nearly all are between two statements. Less than ten seconds would end what is only slow; more
// than two minutes no client can expect while others are refused. Who blocks three others does harm sooner, and where somebody would be
// refused nobody may be idle for that long.
const (
	reapPressed   = 2 * time.Second
	reapGaps      = 20
	reapMin       = 10 * time.Second
	reapMax       = 120 * time.Second
	reapBlocks    = 3
	reapBlocksFor = 5 * time.Second
)

// Who waits for a slot and will soon be refused is not to be refused for the sake of a transaction that does nothing: with a fifth of
// his longest wait left one is ended that has been idle for half of it. Less than a fifth would not leave time for the rollback, where
// many wait; more would end what goes on by itself. Who may wait for less than two seconds is not waited for: nothing that has been
// idle for less than one is ended for another.
const (
	reapLeft = 5
	reapHalf = 2
	reapWait = 2 * time.Second
)

// Reapable is the transaction to end, or why there is none.
type Reapable struct {
	Lease   // without a Server: none
	Class   int
	Idle    time.Duration // since its last statement ended
	Blocks  int           // sessions that wait for its locks
	Pressed time.Duration // for how long somebody has waited for a slot
	After   time.Duration // the idle time from which it may be ended
	Why     string        // "pressure", "blocks", "culprit"; of none: "no_pressure", "none_idle", "under_way"
	More    bool          // another should be ended at once, for another who waits
}

// Reap returns the transaction that should be ended so that others get its slot: of the least important class, and in it
// the one idle longest. blocks, which may be nil, says how many sessions wait for locks of a server's transaction. The
// caller must make sure that the client has not gone on meanwhile, and says SetReaped when it has ended one.
func (p *Pool) Reap(now time.Time, blocks map[*Server]int) Reapable {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchLocked(now)
	r := Reapable{Why: "no_pressure", After: min(max(reapGaps*p.gaps.usual.Value(), reapMin), reapMax)}
	if p.account.pressed.IsZero() {
		return r
	}
	late, soon := p.lateLocked(now)
	if late > 0 {
		r.After = min(r.After, soon)
	}
	if r.Pressed = now.Sub(p.account.pressed); r.Pressed < reapPressed && late == 0 {
		return r
	}
	r.Why = "none_idle"
	under := 0
	for s := range p.servers {
		if s.reaped {
			under++
		}
		if !s.idlesLocked() || !p.relievesLocked(s.class) {
			continue
		}
		idle, why, after := now.Sub(s.idle), "pressure", r.After
		if blocks[s] >= reapBlocks {
			why, after = "blocks", min(after, reapBlocksFor)
		}
		if idle <= after || r.Server != nil && (s.class < r.Class || s.class == r.Class && idle <= r.Idle) {
			continue
		}
		r.Lease, r.Class, r.Idle, r.Blocks, r.Why = s.leaseLocked(), s.class, idle, blocks[s], why
	}
	if r.Server != nil && late > 0 && under >= late {
		r.Lease, r.Why = Lease{}, "under_way"
	}
	r.More = late > under+1
	return r
}

// idlesLocked is true for a transaction that does nothing and may be ended for others.
func (s *Server) idlesLocked() bool {
	return s.state == Lent && !s.dead && !s.pinned && !s.reaped && !s.parked && !s.idle.IsZero()
}

// lateLocked is how many wait for a slot and will be refused soon, and after what idle time a transaction is ended for them.
func (p *Pool) lateLocked(now time.Time) (late int, soon time.Duration) {
	soon = reapMax
	for i := range p.cfg.Classes {
		wait := p.cfg.Classes[i].MaxWait
		if wait < reapWait || !p.lacksSlotLocked(i) {
			continue
		}
		if n := p.queue.Since(i, now.Add(wait/reapLeft-wait)); n > 0 {
			late, soon = late+n, min(soon, wait/reapHalf)
		}
	}
	return late, soon
}

// relievesLocked says whether somebody who waits for a slot would get that of a transaction of this class.
func (p *Pool) relievesLocked(class int) bool {
	return p.count[Lent] >= p.cap.now || p.lacksSlotLocked(class)
}

// SetReaped marks a lease as one whose transaction is being ended.
func (p *Pool) SetReaped(l Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.reaped = l.reaped || l.lastsLocked()
}

// Excuse has a transaction that does nothing be idle from now on only: its client would have gone on, and has been kept from that.
func (p *Pool) Excuse(l Lease, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.lastsLocked() && l.idlesLocked() {
		l.idle = now
	}
}

// SetPinned marks a lease as holding what its client cannot lose (locks, LISTEN, temporary tables): it is not reaped.
func (p *Pool) SetPinned(l Lease) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.pinned = l.pinned || l.lastsLocked()
}

// Park is Idle at the end of a transaction after which the client keeps its server. Until it goes on, the server is no
// transaction that does nothing: it is neither reaped nor counted against the allowance for those.
func (p *Pool) Park(l Lease, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	if s := l.Server; l.lastsLocked() {
		if p.idleLocked(s, now); s.running == 0 && !s.parked {
			s.parked, s.idle = true, time.Time{}
			p.parked++
			p.parkedBy[s.class]++
		}
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
