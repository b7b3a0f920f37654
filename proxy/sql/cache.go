package sql

import (
	"bytes"
	"hash/maphash"
	"sync/atomic"
)

const (
	// cacheWays is the number of places a text may have. With four of them a cache as large as what is used keeps nearly
	// all of it.
	cacheWays = 4

	// cacheText is the longest text a Cache keeps. It bounds the memory; longer ones are scanned each time.
	cacheText = 4 << 10

	// printText is the longest text whose fingerprint is made each time it is not known: that of a KiB takes 2 µs.
	printText = 1 << 10
)

// Cache remembers what Scan said of texts that come again. Any goroutine may use it; none waits for another. It keeps a
// copy of at most the number of texts given to NewCache, of up to 4 KiB each, and takes one in only when it comes for the
// second time within a short while, so that texts that never come again cost no memory.
type Cache struct {
	seed maphash.Seed
	mask uint64
	sets []cacheSet
}

// cacheSet has the texts whose hashes end alike.
type cacheSet struct {
	ways [cacheWays]atomic.Pointer[cached]
	seen atomic.Uint64 // the hash of the last text that was not there
}

// cached is a text and what Scan says of it. Only used changes.
type cached struct {
	hash   uint64
	text   []byte
	result Result
	print  uint64
	used   atomic.Bool // since it last was in the way of another text
}

// NewCache returns a Cache for up to size texts, rounded up to a power of two.
func NewCache(size int) *Cache {
	sets := 1
	for sets*cacheWays < size {
		sets *= 2
	}
	return &Cache{seed: maphash.MakeSeed(), mask: uint64(sets - 1), sets: make([]cacheSet, sets)}
}

// Scan returns what the function Scan returns. It keeps no reference to text, and does not allocate for a text it knows.
func (c *Cache) Scan(text []byte) Result {
	result, _ := c.Look(text)
	return result
}

// Look is Scan, and returns the text's fingerprint, too; 0 if that is not known and the text is longer than is worth it.
func (c *Cache) Look(text []byte) (Result, uint64) {
	if len(text) > cacheText {
		return Scan(text), 0
	}
	hash := maphash.Bytes(c.seed, text)
	set := &c.sets[hash&c.mask]
	for i := range set.ways {
		if e := set.ways[i].Load(); e != nil && e.hash == hash && bytes.Equal(e.text, text) {
			if !e.used.Load() {
				e.used.Store(true)
			}
			return e.result, e.print
		}
	}
	result, print := Scan(text), uint64(0)
	again := set.seen.Swap(hash) == hash
	if again || len(text) <= printText {
		print = Fingerprint(text)
	}
	if again {
		set.put(&cached{hash: hash, text: bytes.Clone(text), result: result, print: print})
	}
	return result, print
}

// put takes e in: in a free place, or in that of a text which did not come since the last time one was looked for.
func (s *cacheSet) put(e *cached) {
	victim := int(e.hash>>32) % cacheWays
	for i := range s.ways {
		way := (victim + i) % cacheWays
		old := s.ways[way].Load()
		if old == nil || !old.used.Swap(false) {
			victim = way
			break
		}
	}
	s.ways[victim].Store(e)
}
