package pool

import "time"

// pair is a user and a database by its name: what keys of different settings have in common.
type pair struct{ user, name string }

func (k *Key) pair() pair { return pair{k.User, k.name()} }

// Ready has there be at least so many servers of each user in the databases of these names, while somebody uses a key of his: idle ones are kept however long
// nobody uses them, and those that are missing are opened ahead of need, of the key that is used most
// among those that are let in. It is called every half second or so, and what it says holds until it is called again.
//
// It serves nobody who waits, so it gives way to all who do: nothing is opened while anybody waits, while the database is away or comes back, beyond the cap or a
// limit of the user or database, or in the place of another server; and never by more than half of the logins that may be under way.
func (p *Pool) Ready(least map[string]int, now time.Time) {
	p.mu.Lock()
	p.tallyLocked(now)
	p.readies = false
	most := map[pair]*Key{}
	for _, k := range p.list {
		k.ready = 0
		if k.refs > 0 && !k.Shared {
			k.ready = least[k.name()]
		}
		if k.ready == 0 {
			continue
		}
		p.readies = true
		if b := most[k.pair()]; b == nil || k.isLikelier(b) {
			most[k.pair()] = k
		}
	}
	if p.readies {
		open := p.openByPairLocked()
		for a, k := range most {
			for n := open[a]; n < k.ready && p.mayPrepareLocked(k, now); n++ {
				p.openLocked(k, now)
			}
		}
	}
	p.grantAll(now)
}

// isLikelier is true if a server of key k, rather than of b, can be had and is used by somebody. Where the last login was rejected, others come first even when
// it may be tried again; where none is let in, one is tried, and not each in turn.
func (k *Key) isLikelier(b *Key) bool {
	if out := k.rejected != nil; out != (b.rejected != nil) {
		return !out
	}
	return k.refs > b.refs
}

// mayPrepareLocked says whether a server of key k may be opened that nobody waits for.
func (p *Pool) mayPrepareLocked(k *Key, now time.Time) bool {
	quiet := !p.closed && p.queue.Len() == 0 && p.ceiling == NoCeiling && !now.Before(p.backoff.retry) && !now.Before(k.retry)
	return quiet && 2*p.count[Opening] < p.cfg.Dials && len(p.servers) < p.cap.now && p.allowedLocked(k)
}

// openByPairLocked is how many servers there are of each pair, whatever their state.
func (p *Pool) openByPairLocked() map[pair]int {
	open := map[pair]int{}
	for _, k := range p.list {
		if !k.Shared {
			open[k.pair()] += k.open
		}
	}
	return open
}

// standbyLocked says whether an idle server of key k is one of those that are kept ready, where so many are open of each pair.
func (p *Pool) standbyLocked(k *Key, open map[pair]int) bool {
	return k.ready > 0 && open[k.pair()] <= k.ready
}
