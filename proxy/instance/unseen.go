package instance

import (
	"regexp"
	"sync/atomic"
	"time"

	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
)

// unseen is what is known of functions that leave something in their session and run where their names are not in the text: behind triggers,
// views, operators and the like. Any goroutine may call its methods.
type unseen struct {
	changes atomic.Uint64 // to functions, and to what runs them
	known   atomic.Uint64 // changes, and one, when it was read last; 0: never
	minute  atomic.Int64  // of the instance: when that was
	reading atomic.Int64  // since the instance was made: when somebody was told to; 0: nobody is at it
	may     atomic.Bool   // one may run unseen
	leaves  atomic.Bool   // there is one, however it runs
	opaque  atomic.Bool   // one that may run unseen sets what nobody knows the name of
}

const (
	unseenFor  = time.Minute      // how long it is believed at most when no change was seen
	unseenRead = 10 * time.Second // how long who reads it may take before another is told to
)

// changesWays finds the words without which a text changes nothing of what runs functions, and leaving those without which nothing but a function
// leaves anything.
var (
	changesWays = regexp.MustCompile(`(?i)\b(trigger|view|rule|policy|operator|cast|domain|index|default|check|generated|partition)\b`)
	leaving     = regexp.MustCompile(`(?i)set_config|advisory_(un)?lock`)
)

// changedBy is true for a text that may have functions run which leave something.
func (u *unseen) changedBy(text []byte) bool {
	return leaving.Match(text) || (u.leaves.Load() && changesWays.Match(text))
}

// stale is true if it has to be read before anything is known.
func (c *Catalog) stale() bool { return c.unseen.known.Load() != c.unseen.changes.Load()+1 }

// Unseen implements translate.Catalog.
func (c *Catalog) Unseen() bool {
	u := &c.unseen
	if u.known.Load() == 0 { // of a server that the side channel has not seen nothing can be known
		return c.in.Sees()
	}
	return u.may.Load() || c.stale()
}

// RunsUnseen implements translate.Catalog.
func (c *Catalog) RunsUnseen() bool { return c.unseen.may.Load() }

// Unread implements translate.Catalog.
func (c *Catalog) Unread() { c.unseen.reading.Store(0) }

// Leaves implements translate.Catalog.
func (c *Catalog) Leaves() bool { return c.stale() || c.unseen.leaves.Load() }

// ReadUnseen implements translate.Catalog.
func (c *Catalog) ReadUnseen() (read bool, changes uint64) {
	u := &c.unseen
	if !c.stale() && u.minute.Load() == c.in.minute.Load() || (u.known.Load() == 0 && !c.in.Sees()) {
		return false, 0
	}
	now := int64(c.in.now()) + 1
	began := u.reading.Load()
	if began != 0 && now-began < int64(unseenRead) {
		return false, 0
	}
	changes = u.changes.Load()
	return u.reading.CompareAndSwap(began, now), changes
}

// Ran implements translate.Catalog.
func (c *Catalog) Ran(ways []translate.Way, changes uint64) {
	u := &c.unseen
	may, opaque := false, false
	var first translate.Way
	for _, w := range ways {
		opaque = sql.CustomSettings([]byte(w.Body), func([]byte) {}) || opaque
		if w.By == "" && !sql.Knows(w.Function) {
			continue
		}
		if !may {
			first = w
		}
		may = true
	}
	u.leaves.Store(len(ways) > 0)
	u.opaque.Store(may && opaque)
	if was := u.may.Swap(may); may && !was {
		by := first.By
		if by == "" {
			by = "its name, which is that of a function which leaves nothing"
		}
		c.in.cfg().Log.Info("a function that leaves something in its session runs unseen: each transaction is asked what it has left",
			"upstream", c.in.Name(), "function", first.Function, "by", by)
	}
	u.minute.Store(c.in.minute.Load())
	u.known.Store(changes + 1)
	u.reading.Store(0)
}
