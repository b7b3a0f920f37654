package translate

import (
	"bytes"
	"slices"
	"strconv"

	"pgguard/proxy/sql"
)

// shelf is a Library that gives names in the order in which they are asked for.
type shelf struct {
	all  map[book]*Statement
	seen map[book]bool
	last int
	full bool // it takes no more
	own  int  // bytes that clients hold by name and nobody shares
}

// book is what makes shared statements differ.
type book struct {
	body  string
	under Parsing
	at    Age
}

func newShelf() *shelf { return &shelf{all: map[book]*Statement{}, seen: map[book]bool{}} }

func (s *shelf) name() string {
	s.last++
	return StatementPrefix + strconv.Itoa(s.last)
}

func (s *shelf) Named(body []byte, under Parsing, at Age) *Statement {
	k := book{string(body), under, at}
	if st := s.all[k]; st != nil {
		return st
	}
	st := NewStatement(body, under)
	switch {
	case s.full:
		return nil
	case !st.Shareable():
		return s.Private(body, at)
	}
	st.Name, st.Age, st.Shared = s.name(), at, true
	s.all[k] = st
	return st
}

func (s *shelf) Unnamed(body []byte, under Parsing, at Age) *Statement {
	k := book{string(body), under, at}
	if st := s.all[k]; st != nil {
		return st
	}
	st := NewStatement(body, under)
	if !s.seen[k] || !st.Shareable() || s.full {
		s.seen[k] = true
		return st
	}
	return s.Named(body, under, at)
}

func (s *shelf) Private(body []byte, at Age) *Statement {
	st := NewStatement(body, PlainParsing)
	st.Name, st.Age = s.name(), at
	return st
}

func (s *shelf) HasRoom([]byte) bool { return !s.full }

func (s *shelf) Count(st *Statement, held bool) {
	if held {
		s.own += len(st.Body)
	} else {
		s.own -= len(st.Body)
	}
}

func (s *shelf) Look(text []byte) (sql.Result, uint64) { return sql.Scan(text), 0 }

// card is a Catalog that does what it is told.
type card struct {
	age      Age
	currval  bool
	customs  []string
	stale    bool
	bodies   uint64
	opaque   bool
	unseen   bool     // something leaves something and is not in the text
	unread   bool     // whether that is so is to be read
	changed  []string // what was told to change, and committed
	harmless bool     // no function leaves anything in its session
}

func (c *card) Age() Age { return c.age }

func (c *card) Renew() Age {
	c.age++
	return c.age
}

func (c *card) Changed(text []byte) (functions bool) {
	c.age++
	c.changed = append(c.changed, "changed")
	return bytes.Contains(text, []byte("function"))
}

func (c *card) Written(functions bool) {
	c.age++
	c.stale = c.stale || functions
	c.changed = append(c.changed, "written")
}

func (c *card) Committed(functions bool) {
	c.age++
	c.unread = c.unread || functions && c.unseen
	c.changed = append(c.changed, "committed")
}

func (c *card) Stirred()      {}
func (c *card) Currval() bool { return c.currval }
func (c *card) NoteCurrval()  { c.currval = true }

func (c *card) Opaque(bool) bool { return c.opaque }
func (c *card) Unseen() bool     { return c.unseen }
func (c *card) RunsUnseen() bool { return c.unseen }
func (c *card) Unread()          {}
func (c *card) Leaves() bool     { return !c.harmless }

func (c *card) ReadUnseen() (read bool, changes uint64) {
	read, c.unread = c.unread, false
	return read, c.bodies
}

func (c *card) Ran(ways []Way, changes uint64) {
	c.unseen = slices.ContainsFunc(ways, func(w Way) bool { return w.By != "" })
}

func (c *card) Learn(text []byte) (opaque bool) {
	return sql.CustomSettings(text, func(name []byte) {
		if !slices.Contains(c.customs, string(name)) {
			c.customs = append(c.customs, string(name))
		}
	})
}

func (c *card) Customs() (names []string, stale bool, bodies uint64) {
	return c.customs, c.stale, c.bodies
}

func (c *card) Functions(bodies [][]byte, changes uint64) {
	for _, b := range bodies {
		c.opaque = c.Learn(b) || c.opaque
	}
	c.stale = false
}

// seats is a Room for as many clients that keep their servers. Like the real one it counts also those that it refuses.
type seats struct{ room, taken int }

func (s *seats) Pin(more Pins, first bool) bool {
	if !first {
		return true
	}
	s.taken++
	return s.taken <= s.room
}

func (s *seats) Unpin() { s.taken-- }
