package pool

import "time"

// keptPart of the limit, one token at least, is kept for interactive work, which is over soon: beside reports that run for half a second each
// it would wait for as long. It is what low work has as its floor (floorPart): neither can keep the other from going on.
const keptPart = 10

// keptFor is for how long after interactive work tokens are kept for more of it. People read a page for some seconds before they ask for
// the next; much longer, and jobs would do without a token for the sake of nobody.
const keptFor = 10 * time.Second

// seenLocked notes that interactive work has been seen, if a class is for that.
func (p *Pool) seenLocked(class int) {
	if p.cfg.Classes[class].Interactive {
		p.interactive = p.account.at
	}
}

// keptLocked is how many run tokens jobs, which are the classes that are not interactive, must leave: none of a limit of one, which classes
// have by turns, and none where nobody has done interactive work lately.
func (p *Pool) keptLocked() int {
	l := p.limitLocked()
	if !p.mixed || p.free || l < 2 || !p.interactsLocked() {
		return 0
	}
	return max(1, l/keptPart)
}

// interactsLocked says whether interactive work runs, or has been seen lately.
func (p *Pool) interactsLocked() bool {
	if p.account.at.Sub(p.interactive) < keptFor {
		return true
	}
	for i, c := range p.cfg.Classes {
		if c.Interactive && p.ran[i] > 0 {
			return true
		}
	}
	return false
}

// freeLocked is how many run tokens are free.
func (p *Pool) freeLocked() int { return p.limitLocked() - p.tokensLocked() + p.refundLocked() }

// restLocked is how many of the free tokens jobs may have: what is kept is left untouched, or they have no more than the rest. kept: something is.
func (p *Pool) restLocked() (rest int, kept bool) {
	keep, free := p.keptLocked(), p.freeLocked()
	if keep == 0 {
		return free, false
	}
	jobs := 0
	for i, c := range p.cfg.Classes {
		if !c.Interactive {
			jobs += p.ran[i]
		}
	}
	return min(free, max(free-keep, p.limitLocked()-keep-jobs)), true
}

// keptFromLocked says whether a class may not have the tokens that are left.
func (p *Pool) keptFromLocked(class int) bool {
	if p.cfg.Classes[class].Interactive {
		return false
	}
	rest, kept := p.restLocked()
	return kept && rest <= 0
}

// heldUpLocked is how many jobs wait that nothing but what is kept holds up, and how many wait whom a bound of their own does, where a token is free.
func (p *Pool) heldUpLocked() (byKept, byOwn int) {
	if rest, kept := p.restLocked(); !kept || rest > 0 {
		return 0, p.queue.Ready(nil)
	}
	byOwn = p.queue.Ready(p.ready)
	for i, c := range p.cfg.Classes {
		if !c.Interactive {
			byKept += p.ready[i]
		}
	}
	return byKept, byOwn
}

// freeForLocked is how many tokens are free for those who wait for a server of a key.
func (p *Pool) freeForLocked(k *Key) int {
	rest, kept := p.restLocked()
	for class := range k.lines {
		if kept && k.lines[class].n > 0 && p.cfg.Classes[class].Interactive {
			return p.freeLocked()
		}
	}
	return rest
}
