package instance

import (
	"sync/atomic"

	"pgguard/pool/limit"
)

// Prints gives fingerprints of statements small numbers, by which the law keeps what it learns of each: from 1 on, the same
// for as long as the process lives. Those beyond what fits share 0, which says nothing. Any goroutine may use it; none
// waits for another.
type Prints struct {
	slots [limit.Fingerprints]atomic.Uint64 // the fingerprint that has this number; 0 is not given
	seen  [limit.Fingerprints]atomic.Uint64 // the last that was looked for here in vain
	taken atomic.Int64
}

// printWays is how many numbers a fingerprint may get. With four, nine in ten of the numbers are given before a fingerprint
// gets none.
const printWays = 4

// Index returns the number of a fingerprint. Once half of the numbers are given, it gets one only when it comes twice
// running at its place, so that statements which never come again do not take what is left.
func (p *Prints) Index(fingerprint uint64) uint16 {
	if fingerprint == 0 {
		return 0
	}
	fingerprint |= 1
	for way := range uint64(printWays) {
		i := (fingerprint>>1 + way) % limit.Fingerprints
		switch have := p.slots[i].Load(); {
		case i == 0:
		case have == fingerprint:
			return uint16(i)
		case have == 0:
			if p.taken.Load() > limit.Fingerprints/2 && p.seen[i].Swap(fingerprint) != fingerprint {
				return 0
			}
			if p.slots[i].CompareAndSwap(0, fingerprint) {
				p.taken.Add(1)
				return uint16(i)
			}
			if p.slots[i].Load() == fingerprint {
				return uint16(i)
			}
		}
	}
	return 0
}
