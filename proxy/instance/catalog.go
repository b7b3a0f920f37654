package instance

import (
	"bytes"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
)

// Catalog is what is known of one database of an instance beside what its servers say by themselves. Any goroutine may
// call its methods.
type Catalog struct {
	// schema counts changes to what statements mean or return. Who prepares a text under another count gets another
	// statement.
	schema atomic.Uint64

	// bodies counts changes to functions.
	bodies atomic.Uint64

	// currval is true once a client has asked for the value that its session took from a sequence last. Until then an
	// INSERT, which takes one by a default, is not worth a pin.
	currval atomic.Bool

	unseen unseen

	in *Instance

	mu sync.Mutex

	// guarded by mu
	customs []string // names of custom settings that some text sets; PostgreSQL does not list them
	known   map[string]bool
	opaque  bool      // a function sets a setting whose name nobody can read
	looked  uint64    // bodies, when the functions were read last
	at      time.Time // when that was
}

// Age implements translate.Catalog.
func (c *Catalog) Age() translate.Age {
	return translate.Age(c.schema.Load())
}

// Renew implements translate.Catalog.
func (c *Catalog) Renew() translate.Age {
	return translate.Age(c.schema.Add(1))
}

// Currval implements translate.Catalog.
func (c *Catalog) Currval() bool { return c.currval.Load() }

// NoteCurrval implements translate.Catalog.
func (c *Catalog) NoteCurrval() { c.currval.Store(true) }

// Changed implements translate.Catalog.
func (c *Catalog) Changed(text []byte) (functions bool) {
	c.schema.Add(1)
	if bytes.Contains(bytes.ToLower(text), []byte("database")) {
		c.in.Clear()
	}
	if text == nil || changesFunctions.Match(text) {
		c.bodies.Add(1)
		functions = true
	}
	if functions = functions || c.unseen.changedBy(text); functions {
		c.unseen.changes.Add(1)
	}
	return functions
}

// changesFunctions finds the words without which a text changes no function. To read all of them costs the server as much as a hundred
// short statements.
var changesFunctions = regexp.MustCompile(`(?i)\b(function|procedure|routine|aggregate|extension|schema|do)\b`)

// Written implements translate.Catalog.
func (c *Catalog) Written(functions bool) {
	c.schema.Add(1)
	if functions {
		c.bodies.Add(1)
		c.unseen.changes.Add(1)
	}
}

// Committed implements translate.Catalog.
func (c *Catalog) Committed(functions bool) {
	c.schema.Add(1)
	if functions { // who has read them meanwhile has not seen it
		c.unseen.changes.Add(1)
	}
}

// Stirred implements translate.Catalog.
func (c *Catalog) Stirred() { c.in.Stirred() }

// maxCustoms bounds the names of custom settings that are asked for; with more, who may set one is pinned.
const maxCustoms = 256

// functionsFor is how long what functions set is believed when no change of the schema was seen.
const functionsFor = 10 * time.Second

var _ translate.Catalog = (*Catalog)(nil)

func newCatalog(in *Instance) *Catalog {
	c := &Catalog{known: map[string]bool{}, in: in}
	c.schema.Store(1)
	c.bodies.Store(1)
	return c
}

// Learn implements translate.Catalog.
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

// Customs implements translate.Catalog.
func (c *Catalog) Customs() (names []string, stale bool, bodies uint64) {
	bodies = c.bodies.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.customs, c.looked != bodies || time.Since(c.at) > functionsFor, bodies
}

// Functions implements translate.Catalog.
func (c *Catalog) Functions(bodies [][]byte, changes uint64) {
	opaque := false
	for _, body := range bodies {
		opaque = c.Learn(body) || opaque
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opaque, c.looked, c.at = opaque, changes, time.Now()
}

// Opaque implements translate.Catalog.
func (c *Catalog) Opaque(unseen bool) bool {
	if unseen {
		return c.unseen.opaque.Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opaque
}
