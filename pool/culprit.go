package pool

import "time"

// One transaction that does nothing and holds up most of those that wait for locks is ended, whether or not slots are short: what waits
// behind it takes the tokens of others. It has been idle for as long as one that blocks others must be under pressure. One in ten
// seconds: what its end changes is to be seen before another is ended.
const culpritEvery = 10 * time.Second

// Culprit returns the transaction of a server that was found to hold up most of those that wait, blocks of them, if it may be ended now. The
// caller says SetReaped when it has ended it.
func (p *Pool) Culprit(s *Server, blocks int, now time.Time) Reapable {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := Reapable{Why: "none_idle", After: reapBlocksFor, Blocks: blocks}
	if !s.idlesLocked() || now.Sub(s.idle) <= reapBlocksFor {
		return r
	}
	if now.Sub(p.culprit) < culpritEvery {
		r.Why = "under_way"
		return r
	}
	p.culprit = now
	r.Lease, r.Class, r.Idle, r.Why = s.leaseLocked(), s.class, now.Sub(s.idle), "culprit"
	return r
}
