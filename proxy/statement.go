package proxy

import (
	"bytes"
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"
	"unique"

	"pgguard/proxy/instance"
	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// statement is one text with its parameter types, as a Parse gives them. A shared one has a name, the same on every
// server; one without a name was seen once and is prepared as the server's unnamed statement. Statements do not change
// but for their counts.
type statement struct {
	name  string // on servers; "": none
	body  string // text \0 count, types: a Parse after its name
	under parsing
	age   instance.Age
	scan  sql.Result // of the text
	print uint64     // its fingerprint

	hash  uint64
	next  atomic.Pointer[statement] // in its bucket
	names atomic.Int32              // how many clients' names mean it; while there is one it is not forgotten
	used  atomic.Bool               // since the clock's hand passed
}

// parsing is what decides how the server reads a text: the settings that can change the meaning of a statement from
// Parse on. Statements are shared only between sessions that agree in it, because the time zone, for one, is in the
// constants of a statement that was prepared under it.
type parsing = unique.Handle[string]

// statementPrefix begins the names of the guard's statements on servers.
const statementPrefix = "__pgguard_"

// statementCost is what a statement costs beside its text: the struct, its name, and its place in the table.
const statementCost = 208

// buckets is the size of the table's index. It does not grow: chains do, and 64 MiB hold about 200,000 statements.
const buckets = 1 << 15

// statements is the table of all shared statements of a Server. Finding one takes no lock. Any goroutine may call its
// methods.
type statements struct {
	seed  maphash.Seed
	limit int64 // bytes
	heads [buckets]atomic.Pointer[statement]
	seen  [buckets]atomic.Uint32 // of texts seen once as unnamed statements: a part of their hash

	used  atomic.Int64 // bytes, exact: the sum of cost over the table
	count atomic.Int64

	mu   sync.Mutex
	all  []*statement // guarded by mu; the clock
	hand int          // guarded by mu
	last uint64       // guarded by mu; number of the last name
}

func newStatements(limit int64) *statements {
	return &statements{seed: maphash.MakeSeed(), limit: limit}
}

// hash is of what makes statements differ but for their age, so that a text is known again after a change.
func (t *statements) hash(body []byte, under parsing) uint64 {
	h := maphash.Bytes(t.seed, body)
	if under != plainParsing {
		h ^= maphash.Comparable(t.seed, under)
	}
	return h
}

// find returns the shared statement with this body, or nil.
func (t *statements) find(hash uint64, body []byte, under parsing, at instance.Age) *statement {
	for st := t.heads[hash%buckets].Load(); st != nil; st = st.next.Load() {
		if st.hash == hash && st.age == at && st.body == string(body) && st.under == under {
			if !st.used.Load() {
				st.used.Store(true)
			}
			return st
		}
	}
	return nil
}

// named returns the shared statement for a named Parse with this body, or nil if the table is full of statements that
// clients hold by name. The body is copied.
func (t *statements) named(body []byte, under parsing, at instance.Age) *statement {
	hash := t.hash(body, under)
	if st := t.find(hash, body, under, at); st != nil {
		return st
	}
	st := single(body, under)
	if !shareable(st.scan) {
		return t.private(body, at)
	}
	return t.add(st, hash, at)
}

// unnamed returns the statement for an unnamed Parse with this body: a shared one if it has been seen before, so that
// texts which never come again stay out of the table.
func (t *statements) unnamed(body []byte, under parsing, at instance.Age) *statement {
	hash := t.hash(body, under)
	if st := t.find(hash, body, under, at); st != nil {
		return st
	}
	mark := uint32(hash>>32) | 1
	if seen := &t.seen[hash%buckets]; seen.Load() != mark {
		seen.Store(mark)
		return single(body, under)
	}
	st := single(body, under)
	if shareable(st.scan) {
		if shared := t.add(st, hash, at); shared != nil {
			return shared
		}
	}
	return st
}

// shareable is true for a statement whose result the server describes alike for every session. FETCH, EXECUTE and CALL
// depend on what a name means in the session at the time of their Parse.
func shareable(r sql.Result) bool {
	switch r.First {
	case sql.Select, sql.Insert, sql.Update, sql.Delete, sql.Merge, sql.Values, sql.Table, sql.With, sql.Show,
		sql.Begin, sql.Commit, sql.Rollback:
		return r.Statements == 1
	}
	return false
}

// single returns a statement that is not shared.
func single(body []byte, under parsing) *statement {
	st := &statement{body: string(body), under: under, scan: scanBody(body)}
	st.print = sql.Fingerprint(st.text())
	return st
}

// private returns a statement with a name of its own that nobody else will be given.
func (t *statements) private(body []byte, at instance.Age) *statement {
	st := single(body, plainParsing)
	st.age = at
	t.mu.Lock()
	defer t.mu.Unlock()
	t.giveName(st)
	return st
}

// giveName gives st a name that no other statement has had. It is called with mu held.
func (t *statements) giveName(st *statement) {
	t.last++
	st.name = statementPrefix + strconv.FormatUint(t.last, 36)
}

func scanBody(body []byte) sql.Result {
	text, _, ok := wire.CString(body)
	if !ok {
		text = body
	}
	return sql.Scan(text)
}

func (st *statement) cost() int64 { return int64(statementCost + len(st.body)) }

// text is the statement's SQL.
func (st *statement) text() []byte {
	text, _, _ := bytes.Cut([]byte(st.body), []byte{0})
	return text
}

// add enters st, which nobody else has seen, forgetting others as needed, and returns it, or its equal that is there
// already; nil and st unchanged if there is no room.
func (t *statements) add(st *statement, hash uint64, at instance.Age) *statement {
	t.mu.Lock()
	defer t.mu.Unlock()
	if known := t.find(hash, []byte(st.body), st.under, at); known != nil {
		return known
	}
	if !t.makeRoom(st.cost()) {
		return nil
	}
	st.hash, st.age = hash, at
	t.giveName(st)
	st.used.Store(true)
	head := &t.heads[hash%buckets]
	st.next.Store(head.Load())
	head.Store(st)
	t.all = append(t.all, st)
	t.used.Add(st.cost())
	t.count.Add(1)
	return st
}

// maxSweep bounds how many statements one addition looks at for something to forget.
const maxSweep = 256

// makeRoom forgets statements that no client holds by name and nobody has used since the hand passed last, until cost
// more bytes fit. It is called with mu held.
func (t *statements) makeRoom(cost int64) bool {
	for range maxSweep {
		if t.used.Load()+cost <= t.limit {
			return true
		}
		if len(t.all) == 0 {
			return false
		}
		t.hand %= len(t.all)
		st := t.all[t.hand]
		if st.names.Load() > 0 || st.used.Swap(false) {
			t.hand++
			continue
		}
		t.forget(st)
		last := len(t.all) - 1
		t.all[t.hand] = t.all[last]
		t.all[last] = nil
		t.all = t.all[:last]
	}
	return t.used.Load()+cost <= t.limit
}

// forget takes st out of the index. Who still holds it may go on using it. It is called with mu held.
func (t *statements) forget(st *statement) {
	at := &t.heads[st.hash%buckets]
	for at.Load() != st {
		at = &at.Load().next
	}
	at.Store(st.next.Load())
	t.used.Add(-st.cost())
	t.count.Add(-1)
}
