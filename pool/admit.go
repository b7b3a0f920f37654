package pool

import (
	"math"
	"time"
)

// Who may begin (DESIGN.md, "Who may begin"): a transaction begins while fewer statements run than the limit L allows, those
// that only wait for a lock not counted, and a slot is free that is not kept for others: while slots are scarce, low work has at most
// L of them and half of the allowance I for transactions that do nothing.

// refundFor is how long a count of blocked statements holds. It comes once a second: three times that forgives two that
// are lost, and longer would admit work in place of statements that run again.
const refundFor = 3 * time.Second

// refund is how many running statements are known to wait for a lock of another session: they cost the server nothing.
type refund struct {
	blocked int
	until   time.Time
}

// SetBlocked tells how many of the running statements wait for a lock of another session. It holds for three seconds. How
// many run tokens they give back is said by the law.
func (p *Pool) SetBlocked(n int, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.refund = refund{max(0, n), now.Add(refundFor)}
	p.conflictLocked(n)
	p.grantAll(now)
}

// blockedLocked is how many running statements are taken to be blocked.
func (p *Pool) blockedLocked() int {
	if !p.account.at.Before(p.refund.until) {
		return 0
	}
	return min(p.refund.blocked, p.running)
}

// refundLocked is how many run tokens the blocked statements give back.
func (p *Pool) refundLocked() int { return min(p.running, p.limit.Refund(p.blockedLocked())) }

// NoCeiling is the ceiling that holds nobody up.
const NoCeiling = -1

// SetCeiling sets a bound above which the limit has no effect, as while a database that was down comes back. 0 lets nobody
// begin but who is urgent and has no need of a token; NoCeiling takes the bound away.
func (p *Pool) SetCeiling(n int, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.ceiling = n
	p.grantAll(now)
}

// limitLocked is L as it holds now.
func (p *Pool) limitLocked() int {
	l := p.limit.Current()
	if p.ceiling >= 0 {
		l = min(l, p.ceiling)
	}
	return l
}

func (p *Pool) tokenLocked() bool {
	if p.free {
		return true
	}
	l := p.limitLocked()
	n := p.tokensLocked()
	return n < l || p.refund.blocked > 0 && n-p.refundLocked() < l
}

// growingLocked says whether servers are missing, not run tokens: there are none, they are being opened to begin with, clients
// keep them for themselves or sit idle in transactions, or the database comes back by a ramp. To wait is no overload then:
// the database has little to do, and who waits gets what is given back.
func (p *Pool) growingLocked() bool {
	open := p.count[Idle] + p.count[Lent]
	return open == 0 || p.ceiling != NoCeiling || p.account.slotless || (p.count[Opening] > 0 && p.count[Idle] == 0 && open < p.limit.Current())
}

// allowanceLocked is I: slots beyond L for transactions between two statements. It grows with the time that the
// application ordinarily spends there, and is at least as much as L.
func (p *Pool) allowanceLocked() int {
	l := float64(p.limit.Current())
	i := max(l, 1.5*(p.hold.ratio()-1)*l)
	return max(0, min(p.cap.now-p.limit.Current(), int(math.Ceil(i))))
}

// inTransactionLocked is how many slots are lent for a transaction. Servers that clients keep between two are not among
// them: what they begin next waits for a token like everybody's.
func (p *Pool) inTransactionLocked() int { return p.count[Lent] - p.parked }

// scarceParts of scarceOf of the cap are in use when slots are scarce. Sooner, work would wait beside servers that nobody uses;
// later, too few would be left for those who come when a stall has begun.
const (
	scarceParts = 3
	scarceOf    = 4
)

// scarceLocked says whether slots are scarce: three quarters of the cap are lent.
func (p *Pool) scarceLocked() bool { return scarceOf*p.count[Lent] >= scarceParts*p.cap.now }

// slotLocked says whether the allowance leaves a slot for a class. While slots are not scarce it does. When they are, low work gets
// at most half of it where there is interactive work, so that what is left is the other's.
func (p *Pool) slotLocked(class int) bool {
	if p.free || !p.mixed || p.cfg.Classes[class].Interactive || !p.scarceLocked() {
		return true
	}
	return p.lent[class]-p.parkedBy[class] < p.limit.Current()+(p.allowanceLocked()+1)/2
}

// shareLocked is how many slots a class may have at most.
func (p *Pool) shareLocked(class int) int {
	share := p.cfg.Classes[class].MaxShare
	if share >= 1 {
		return math.MaxInt
	}
	return max(1, int(math.Ceil(share*float64(p.cap.now))))
}

// roomLocked says whether a class may take one more slot: its share of the cap keeps the rest for the others, and so does the
// allowance while slots are scarce.
func (p *Pool) roomLocked(class int) bool {
	return p.lent[class] < p.shareLocked(class) && p.slotLocked(class)
}

// floorPart of the limit is what a class that is not interactive may always have running: it goes on, however slowly, under
// any load of interactive work.
const floorPart = 10

// owedLocked says whether a class is below its floor and therefore goes first: one statement, or a tenth of the limit. Not
// so while interactive work waits and none of it runs: with one token they take turns by weight, with two each has one.
func (p *Pool) owedLocked(class int) bool {
	l := p.limitLocked()
	if !p.mixed || p.cfg.Classes[class].Interactive || p.ran[class] >= max(1, l/floorPart) {
		return false
	}
	for i, c := range p.cfg.Classes {
		if c.Interactive && p.ran[i] > 0 {
			return true
		}
	}
	for i, c := range p.cfg.Classes {
		if c.Interactive && p.queue.Waiting(i) > 0 {
			return false
		}
	}
	return true
}
