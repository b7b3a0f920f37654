package instance

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/proxy/sql"
)

// Catalog is what is known of one database of an instance beside what its servers say by themselves. Any goroutine may
// call its methods.
type Catalog struct {
	// schema counts changes to what statements mean or return. Who prepares a text under another count gets another
	// statement.
	schema atomic.Uint64

	// shape counts those of them that may change the columns of a result: a statement that was described before may
	// return others now.
	shape atomic.Uint64

	// bodies counts changes to functions.
	bodies atomic.Uint64

	// Currval is true once a client has asked for the value that its session took from a sequence last. Until then an
	// INSERT, which takes one by a default, is not worth a pin.
	Currval atomic.Bool

	mu sync.Mutex

	// guarded by mu
	customs []string // names of custom settings that some text sets; PostgreSQL does not list them
	known   map[string]bool
	opaque  bool      // a function sets a setting whose name nobody can read
	looked  uint64    // bodies, when the functions were read last
	at      time.Time // when that was
}

// Age says since which changes of the database a statement is what it is. A client that prepares a text after one gets a new
// statement; those who have prepared it before go on with the old, and PostgreSQL tells them when its result has changed.
type Age struct {
	Schema uint64 // changes to what names mean
	Shape  uint64 // changes to the columns of what there is
}

// Age is that of a statement prepared now.
func (c *Catalog) Age() Age { return Age{c.schema.Load(), c.shape.Load()} }

// Renew has who prepares a text from now on get another statement. It returns the new count of such changes.
func (c *Catalog) Renew() uint64 { return c.schema.Add(1) }

// FunctionsAge counts changes to functions.
func (c *Catalog) FunctionsAge() uint64 { return c.bodies.Load() }

// Changed notes a change to what statements mean; text, if it is known, made it.
// It returns whether columns may have changed.
func (c *Catalog) Changed(text []byte) (shape bool) {
	c.schema.Add(1)
	lower := bytes.ToLower(text)
	if text == nil || !bytes.Contains(lower, []byte("temp")) {
		for _, word := range []string{"alter", "drop", "replace", "create table", "create view", "create materialized"} {
			if text == nil || bytes.Contains(lower, []byte(word)) {
				c.shape.Add(1)
				shape = true
				break
			}
		}
	}
	for _, word := range []string{"function", "procedure", "extension", "schema", "do"} {
		if text == nil || bytes.Contains(lower, []byte(word)) {
			c.bodies.Add(1)
			break
		}
	}
	return shape
}

// Committed notes the end of a transaction that has changed something.
func (c *Catalog) Committed(shape bool) {
	c.schema.Add(1)
	if shape {
		c.shape.Add(1)
	}
}

// maxCustoms bounds the names of custom settings that are asked for; with more, who may set one is pinned.
const maxCustoms = 256

// functionsFor is how long what functions set is believed when no change of the schema was seen.
const functionsFor = 10 * time.Second

func newCatalog() *Catalog {
	c := &Catalog{known: map[string]bool{}}
	c.schema.Store(1)
	c.bodies.Store(1)
	return c
}

// Learn reads the names of the custom settings that a text may set. opaque: it may set others, too.
func (c *Catalog) Learn(text []byte) (opaque bool) {
	if !bytes.Contains(text, []byte{'.'}) && !bytes.Contains(bytes.ToLower(text), []byte("set_config")) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return sql.CustomSettings(text, func(name []byte) {
		if !c.known[string(name)] && len(c.customs) < maxCustoms {
			c.known[string(name)] = true
			c.customs = append(c.customs, string(name))
		}
	}) || len(c.customs) >= maxCustoms
}

// Customs returns the custom settings known, and whether the bodies of functions should be read for more.
func (c *Catalog) Customs(now time.Time) (customs []string, stale bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.customs, c.looked != c.bodies.Load() || now.Sub(c.at) > functionsFor
}

// LearnFunctions learns from the bodies of all functions that may set something, read under that count of changes, and
// answers whether there are names that were not known before.
func (c *Catalog) LearnFunctions(bodies [][]byte, schema uint64, now time.Time) (news bool) {
	before := c.count()
	opaque := false
	for _, body := range bodies {
		opaque = c.Learn(body) || opaque
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opaque, c.looked, c.at = opaque, schema, now
	return len(c.customs) > before
}

func (c *Catalog) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.customs)
}

// FunctionsOpaque is true if a function may set what nobody knows the name of.
func (c *Catalog) FunctionsOpaque() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opaque
}
