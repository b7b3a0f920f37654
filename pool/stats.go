package pool

import (
	"time"

	"pgguard/pool/queue"
)

// Stats is one consistent snapshot of a pool: every server is in exactly one state.
type Stats struct {
	Servers map[string]int // by state: "opening", "idle", "active", "closing"
	Cap     int            // H: servers never exceed it
	Limit   int            // L, or the ceiling if that is lower
	Blocked int            // statements running that are known to wait for a lock
	InGap   int            // transactions that keep a run token in a short gap between two statements
	Parked  int            // servers that clients keep between transactions
	// Allowance is I, the slots beyond L for transactions between two statements, and Hold is h, the slot-seconds that go
	// with each run-second, from which it comes.
	Allowance int
	Hold      float64
	Running   int    // statements running
	Changes   uint64 // how often the limit was changed
	Classes   []ClassStats
	Logins    map[string]uint64 // server logins by result: "ok", "failed", "refused" (53300)
	// Would counts, in observe mode, what would have been refused, by reason and then class.
	Would map[string]map[string]uint64
	// Down is why the last login failed; nil after one that worked.
	Down error
}

// ClassStats is one class of work.
type ClassStats struct {
	Name    string
	Waiting int
	Oldest  time.Duration // how long the first in line has waited
	Slots   int           // servers held
	Wait    Buckets       // time from request to grant or refusal
	Pace    queue.Pace    // how it waits
}

// Stats returns a snapshot.
func (p *Pool) Stats() Stats {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	st := Stats{
		Servers: map[string]int{}, Cap: p.cap.now, Limit: p.limitLocked(), Running: p.running, Changes: p.changes,
		Blocked: p.blockedLocked(), InGap: p.gaps.n, Parked: p.parked, Allowance: p.allowanceLocked(), Hold: p.hold.ratio(),
		Logins: map[string]uint64{"ok": 0, "failed": 0, "refused": 0}, Would: map[string]map[string]uint64{}, Down: p.backoff.err,
	}
	for state := range states {
		st.Servers[state.String()] = p.count[state]
	}
	for i, c := range p.cfg.Classes {
		cs := ClassStats{Name: c.Name, Waiting: p.queue.Waiting(i), Slots: p.lent[i], Pace: p.queue.Pace(i), Wait: BucketsOf(p.wait[i].counts, p.wait[i].sum)}
		if since, ok := p.queue.Oldest(i); ok {
			cs.Oldest = now.Sub(since)
		}
		st.Classes = append(st.Classes, cs)
	}
	for k, n := range p.logins {
		st.Logins[k] = n
	}
	for reason, by := range p.would {
		st.Would[reason] = map[string]uint64{}
		for i, n := range by {
			st.Would[reason][p.cfg.Classes[i].Name] = n
		}
	}
	return st
}

// Live is how many servers are lent or idle.
func (p *Pool) Live() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count[Idle] + p.count[Lent]
}

// Each calls f for every server that is idle or lent, with the pool locked: f must not block or call the pool.
func (p *Pool) Each(f func(Conn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.servers {
		if s.state == Idle || s.state == Lent {
			f(s.Conn)
		}
	}
}
