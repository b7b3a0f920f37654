// Package library keeps the texts of prepared statements once for all clients, and what is known of those of simple queries.
package library

import (
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"

	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
)

// entryCost is what an entry costs beside its text: the struct, its name, and its place in the table.
const entryCost = 208

// buckets is the size of the table's index. It does not grow: chains do, and 64 MiB hold about 200,000 statements.
const buckets = 1 << 15

// knownTexts is how many texts of simple queries are remembered, each of at most 4 KiB.
const knownTexts = 1024

// entry is one statement of the table.
type entry struct {
	translate.Statement
	shelf uint32
	hash  uint64
	next  atomic.Pointer[entry] // in its bucket
	used  atomic.Bool           // since the clock's hand passed
}

// Library is the table of the statements of all clients. Finding one takes no lock. Any goroutine may call its
// methods.
type Library struct {
	texts *sql.Cache // of simple queries
	seed  maphash.Seed
	limit int64 // bytes
	heads [buckets]atomic.Pointer[entry]
	seen  [buckets]atomic.Uint32 // of texts seen once as unnamed statements: a part of their hash

	used  atomic.Int64 // bytes, exact: the sum of cost over the table, and over what clients hold by name beside it
	count atomic.Int64

	shelves atomic.Uint32

	mu   sync.Mutex
	all  []*entry // guarded by mu; the clock
	hand int      // guarded by mu
	last uint64   // guarded by mu; number of the last name
}

// New returns a library that keeps prepared statements in as many bytes.
func New(limit int64) *Library {
	return &Library{texts: sql.NewCache(knownTexts), seed: maphash.MakeSeed(), limit: limit}
}

// Look implements translate.Library.
func (t *Library) Look(text []byte) (sql.Result, uint64) { return t.texts.Look(text) }

// Stats are how many prepared statements are kept, and in how many bytes.
func (t *Library) Stats() (count, bytes int64) { return t.count.Load(), t.used.Load() }

// Number is a number for a value that is the same for equal ones as long as the library lives.
func Number[T comparable](t *Library, v T) uint64 { return maphash.Comparable(t.seed, v) }

// Shelf is the part of a library for clients whose servers are alike: what one of them has said of a text holds for the others. Any
// goroutine may call its methods.
type Shelf struct {
	*Library
	number uint32
}

// Shelf returns a new one.
func (t *Library) Shelf() *Shelf { return &Shelf{t, t.shelves.Add(1)} }

// hash is of what makes statements differ but for their age, so that a text is known again after a change.
func (t *Shelf) hash(body []byte, under translate.Parsing) uint64 {
	h := maphash.Bytes(t.seed, body) ^ uint64(t.number)*0x9e3779b97f4a7c15
	if under != translate.PlainParsing {
		h ^= maphash.Comparable(t.seed, under)
	}
	return h
}

// find returns the shared statement with this body, or nil.
func (t *Shelf) find(hash uint64, body []byte, under translate.Parsing, at translate.Age) *translate.Statement {
	for e := t.heads[hash%buckets].Load(); e != nil; e = e.next.Load() {
		if e.hash == hash && e.Age == at && e.shelf == t.number && e.Body == string(body) && e.Under == under {
			if !e.used.Load() {
				e.used.Store(true)
			}
			return &e.Statement
		}
	}
	return nil
}

// Named implements translate.Library. There is no room if the table is full of statements that clients hold by name.
func (t *Shelf) Named(body []byte, under translate.Parsing, at translate.Age) *translate.Statement {
	hash := t.hash(body, under)
	if st := t.find(hash, body, under, at); st != nil {
		return st
	}
	e := newEntry(body, under)
	if !e.Shareable() {
		if !t.HasRoom(body) {
			return nil
		}
		return t.Private(body, at)
	}
	return t.add(e, hash, at)
}

// Unnamed implements translate.Library: a shared one if the text has been seen before, so that texts which never come again stay out
// of the table.
func (t *Shelf) Unnamed(body []byte, under translate.Parsing, at translate.Age) *translate.Statement {
	hash := t.hash(body, under)
	if st := t.find(hash, body, under, at); st != nil {
		return st
	}
	mark := uint32(hash>>32) | 1
	if seen := &t.seen[hash%buckets]; seen.Load() != mark {
		seen.Store(mark)
		return translate.NewStatement(body, under)
	}
	e := newEntry(body, under)
	if e.Shareable() {
		if shared := t.add(e, hash, at); shared != nil {
			return shared
		}
	}
	return &e.Statement
}

// Private implements translate.Library.
func (t *Library) Private(body []byte, at translate.Age) *translate.Statement {
	st := translate.NewStatement(body, translate.PlainParsing)
	st.Age = at
	t.mu.Lock()
	defer t.mu.Unlock()
	st.Name = t.nextName()
	return st
}

// HasRoom implements translate.Library.
func (t *Library) HasRoom(body []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.makeRoom(int64(entryCost + len(body)))
}

// Count implements translate.Library.
func (t *Library) Count(st *translate.Statement, held bool) {
	cost, one := int64(entryCost+len(st.Body)), int64(1)
	if !held {
		cost, one = -cost, -1
	}
	t.used.Add(cost)
	t.count.Add(one)
}

func newEntry(body []byte, under translate.Parsing) *entry {
	e := new(entry)
	e.Read(body, under)
	return e
}

// nextName returns a name that no other statement has had. It is called with mu held.
func (t *Library) nextName() string {
	t.last++
	return translate.StatementPrefix + strconv.FormatUint(t.last, 36)
}

func (e *entry) cost() int64 { return int64(entryCost + len(e.Body)) }

// add enters e, which nobody else has seen, forgetting others as needed, and returns its statement, or its equal that is there
// already; nil and e unchanged if there is no room.
func (t *Shelf) add(e *entry, hash uint64, at translate.Age) *translate.Statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.find(hash, []byte(e.Body), e.Under, at); known != nil {
		return known
	}
	if !t.makeRoom(e.cost()) {
		return nil
	}
	e.hash, e.Age, e.Shared, e.shelf = hash, at, true, t.number
	e.Name = t.nextName()
	e.used.Store(true)
	head := &t.heads[hash%buckets]
	e.next.Store(head.Load())
	head.Store(e)
	t.all = append(t.all, e)
	t.used.Add(e.cost())
	t.count.Add(1)
	return &e.Statement
}

// maxSweep bounds how many statements one addition looks at for something to forget.
const maxSweep = 256

// makeRoom forgets shared statements that no client holds by name and nobody has used since the hand passed last, until cost
// more bytes fit. It is called with mu held.
func (t *Library) makeRoom(cost int64) bool {
	for range maxSweep {
		if t.used.Load()+cost <= t.limit {
			return true
		}
		if len(t.all) == 0 {
			return false
		}
		t.hand %= len(t.all)
		e := t.all[t.hand]
		if e.Held.Load() > 0 || e.used.Swap(false) {
			t.hand++
			continue
		}
		t.forget(e)
		last := len(t.all) - 1
		t.all[t.hand] = t.all[last]
		t.all[last] = nil
		t.all = t.all[:last]
	}
	return t.used.Load()+cost <= t.limit
}

// forget takes e out of the index. Who still holds its statement may go on using it. It is called with mu held.
func (t *Library) forget(e *entry) {
	at := &t.heads[e.hash%buckets]
	for at.Load() != e {
		at = &at.Load().next
	}
	at.Store(e.next.Load())
	t.used.Add(-e.cost())
	t.count.Add(-1)
}

var _ translate.Library = (*Shelf)(nil)
