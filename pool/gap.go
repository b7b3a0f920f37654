package pool

import (
	"time"

	"pgguard/pool/quantile"
)

// A gap is the time between two statements of a transaction. Where transactions hold each other up, one keeps its run token in a short gap:
// who took its place would be one more that has begun and not ended, with its locks, and the transaction's next statement takes a
// token without waiting. So as many transactions of brisk clients are open as statements may run, and as many more as wait for locks and
// are refunded; not all that there are.
//
// Short is a gap of up to gapTimes as long as statements take, waits for locks counted: so, unless statements take next to no time,
// at least one token of gapTimes+1 is with one that runs, whatever clients do. A gap of gapMost is not short any more, however slow statements
// are; below gapLeast it is the machine that pauses.
const (
	gapTimes = 5
	gapLeast = time.Millisecond
	gapMost  = 20 * time.Millisecond
)

// Transactions hold each other up once a look of the side channel finds that conflictPart of conflictOf of the statements that run wait for
// locks, and conflictLeast at least. With fewer open there are fewer conflicts: it is over when calmLooks looks running, one a second, find less
// than one in calmOf of those with a token. Looks while nothing runs say nothing; what a look says holds for as long as its refund.
const (
	conflictPart  = 2
	conflictOf    = 5
	conflictLeast = 4
	calmLooks     = 5
	calmOf        = 20
)

// How long statements take is learned once a second from at least gapSeen of them, as a moving average over about four seconds.
const (
	gapSeen = 50
	gapPart = 4
)

// gaps are those of the transactions that are open.
type gaps struct {
	usual quantile.Estimate // the 99th percentile of them
	short time.Duration     // up to which one is short; 0: not known yet

	conflicts bool // transactions hold each other up
	calm      int  // looks running that have found hardly anybody who waits for a lock

	line[*Server] // in a short one, the longest first

	took  float64     // seconds that statements take
	ended int         // statements, since it was learned last
	run   float64     // run-seconds, as of then
	timer *time.Timer // of Run; nil: it does not run
	timed bool        // it is set
}

// tokensLocked is how many run tokens are in use: by statements that run, and by transactions in a short gap.
func (p *Pool) tokensLocked() int { return p.running + p.gaps.n }

// conflictLocked is told by each look that so many of the statements that run wait for locks.
func (p *Pool) conflictLocked(blocked int) {
	g := &p.gaps
	tokens := p.tokensLocked()
	if tokens == 0 {
		return
	}
	if calmOf*blocked >= tokens {
		g.calm = 0
	} else {
		g.calm++
	}
	switch {
	case blocked >= conflictLeast && conflictOf*blocked >= conflictPart*p.running:
		g.conflicts = true
	case g.calm >= calmLooks:
		g.conflicts = false
	}
}

// beginGapLocked lets a server that has given its token back, in the middle of a transaction, keep one for a short gap.
func (p *Pool) beginGapLocked(s *Server) {
	g := &p.gaps
	seen := p.account.at.Before(p.refund.until)
	if g.short == 0 || p.free || !g.conflicts || !seen || s.running > 0 || s.gap {
		return
	}
	s.gap = true
	g.push(&s.spot, s)
	p.ran[s.class]++
}

// endGapLocked takes back what beginGapLocked has given, if anything.
func (p *Pool) endGapLocked(s *Server) {
	if !s.gap {
		return
	}
	s.gap = false
	p.gaps.remove(&s.spot)
	p.ran[s.class]--
}

// endGapsLocked ends the gaps that are not short any more.
func (p *Pool) endGapsLocked(now time.Time) {
	g := &p.gaps
	for g.first != nil && now.Sub(g.first.of.idle) >= g.short {
		p.endGapLocked(g.first.of)
	}
}

// timeBy sets the timer of Run.
func (p *Pool) timeBy(t *time.Timer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gaps.timer = t
}

// timeGapLocked has Run look again when the longest of the short gaps is over, if somebody waits: nothing else may happen until then.
func (p *Pool) timeGapLocked(now time.Time) {
	g := &p.gaps
	if g.first == nil || g.timed || g.timer == nil || p.queue.Len() == 0 {
		return
	}
	g.timed = true
	g.timer.Reset(g.first.of.idle.Add(g.short).Sub(now))
}

// gapOver is called by Run when its timer has run out.
func (p *Pool) gapOver() {
	p.mu.Lock()
	now := time.Now()
	p.gaps.timed = false
	p.tallyLocked(now)
	p.grantAll(now)
}

// learnGapLocked learns how long statements take.
func (p *Pool) learnGapLocked() {
	g := &p.gaps
	if g.ended < gapSeen {
		return
	}
	took := (p.account.run - g.run) / float64(g.ended)
	if g.short == 0 {
		g.took = took
	}
	g.took += (took - g.took) / gapPart
	g.run, g.ended = p.account.run, 0
	g.short = min(max(time.Duration(gapTimes*g.took*float64(time.Second)), gapLeast), gapMost)
}
