package translate

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// Belongings are what a client's session has, in a form that another process can be given: it goes on as if nothing had been. They are
// bytes where a client may have sent what is not UTF-8.
type Belongings struct {
	Settings   []Belonging // what it has set, application_name included
	Plain      []byte      // its application_name at its login
	PlainNamed bool        // it had one
	Told       []byte      // what it was told of its application_name
	Statements []BelongingStatement
	Unnamed    *BelongingStatement // nil: none
	Stock      []BelongingStock
	Hides      bool // some statements are older than its first temporary object
	Hidden     bool
}

// Belonging is one setting.
type Belonging struct{ Name, Value []byte }

// BelongingStatement is one that the client has prepared.
type BelongingStatement struct {
	Name    []byte // the client's
	Body    []byte // text \0 count, types
	Under   []byte // the settings under which it was read
	Named   bool   // it had a name on servers
	Shared  bool
	Old     bool   // its text is to be read again
	Types   []byte // of its parameters, as a server has said; nil: not known
	Columns uint64 // made short; 0: not known
}

// BelongingStock is one that the client has prepared by SQL.
type BelongingStock struct {
	Name, Source, Text []byte
	Types              []uint32
}

// Pack returns what the client has; false: it cannot be told.
func (c *Client) Pack() (b Belongings, ok bool) {
	if c.settings == (Settings{}) || c.unnamed != nil && c.unnamed.Body == "" {
		return b, false // unknown; a text that was too long to be kept
	}
	for _, p := range c.settings.pairs() {
		b.Settings = append(b.Settings, Belonging{[]byte(p.Name), []byte(p.Value)})
	}
	name, named := c.plain.Get(settingName)
	b.Plain, b.PlainNamed, b.Told = []byte(name), named, []byte(c.told)
	for _, n := range c.names {
		b.Statements = append(b.Statements, c.packStatement(n.text, n.st))
	}
	if c.unnamed != nil {
		st := c.packStatement("", c.unnamed)
		b.Unnamed = &st
	}
	for _, st := range c.stock {
		b.Stock = append(b.Stock, BelongingStock{[]byte(st.name), []byte(st.source), []byte(st.text), slices.Clone(st.types)})
	}
	b.Hides, b.Hidden = c.hides != 0, c.hidden
	return b, true
}

func (c *Client) packStatement(name string, st *Statement) BelongingStatement {
	out := BelongingStatement{
		Name: []byte(name), Body: []byte(st.Body), Under: []byte(st.Under.Value()), Named: st.Name != "", Shared: st.Shared,
		Old: st.Age < c.hides, Columns: st.columns.Load(),
	}
	if t := st.types.Load(); t != nil {
		out.Types = slices.Clone(*t)
	}
	return out
}

// errBelongings is why a session cannot go on with what it is said to have.
var errBelongings = errors.New("what the client has is not understood")

// NewArrived returns a client that has come from another process with what it had there. It is to be used only if there is no error.
func NewArrived(t *Terms, b *Belongings) (Client, error) {
	c := NewClient(t)
	if err := b.check(); err != nil {
		return c, err
	}
	var pairs []Pair
	for _, p := range b.Settings {
		pairs = append(pairs, Pair{string(p.Name), string(p.Value)})
		if strings.Contains(string(p.Name), ".") {
			c.Catalog.Learn([]byte("set " + string(p.Name) + " to ''"))
		}
	}
	if b.PlainNamed {
		c.plain = Plain.Called(string(b.Plain))
	}
	c.told = string(b.Told)
	c.Set(NewSettings(pairs))
	for _, st := range b.Stock {
		c.stock = append(c.stock, &stocked{string(st.Name), string(st.Source), string(st.Text), st.Types})
		c.Catalog.Learn(st.Source)
	}
	for _, old := range []bool{true, false} { // in the order in which they were prepared
		if b.Hides && !old {
			c.hides = c.Catalog.Renew()
		}
		for i := range b.Statements {
			if st := &b.Statements[i]; st.Old == old {
				c.setName(string(st.Name), c.arrived(st))
			}
		}
		if st := b.Unnamed; st != nil && st.Old == old {
			c.unnamed = c.arrived(st)
		}
	}
	c.hidden = b.Hidden
	return c, nil
}

// arrived is a statement of the client's in the library of this process.
func (c *Client) arrived(b *BelongingStatement) *Statement {
	under, at := parsingOf(string(b.Under)), c.Catalog.Age()
	var st *Statement
	switch {
	case !b.Named:
		st = NewStatement(b.Body, under)
	case b.Shared:
		st = c.Library.Named(b.Body, under, at)
	}
	if st != nil && !b.agrees(st) { // somebody else knows it as it is since a change
		st = nil
	}
	if st == nil {
		st = c.Library.Private(b.Body, at)
		b.agrees(st)
	}
	c.Catalog.Learn(st.Text())
	return st
}

// agrees has a statement know what is known of this one, and answers whether it knew nothing else.
func (b *BelongingStatement) agrees(st *Statement) bool {
	if b.Columns == 0 {
		return true
	}
	return st.learn(b.Types, b.Columns)
}

// parsingOf is the Parsing of settings that are all of them such as decide how a text is read.
func parsingOf(all string) Parsing {
	var pairs []Pair
	for rest := all; rest != ""; {
		var p Pair
		p.Name, rest, _ = strings.Cut(rest, "\x00")
		p.Value, rest, _ = strings.Cut(rest, "\x00")
		pairs = append(pairs, p)
	}
	return NewSettings(pairs).Parsing()
}

// check refuses what no session can have.
func (b *Belongings) check() error {
	if len(b.Stock) > maxStock {
		return errBelongings
	}
	for _, p := range b.Settings {
		if len(p.Name) == 0 || holdsNUL(p.Name) || holdsNUL(p.Value) || !utf8.Valid(p.Name) {
			return errBelongings
		}
	}
	statements := b.Statements
	if b.Unnamed != nil {
		statements = append(slices.Clone(statements), *b.Unnamed)
	}
	for i := range statements {
		st := &statements[i]
		if holdsNUL(st.Name) || !endsAsParse(st.Body) || len(st.Types) > 0 && typesOf(st.Types) == nil {
			return errBelongings
		}
	}
	for _, st := range b.Stock {
		if len(st.Name) == 0 || holdsNUL(st.Name) || holdsNUL(st.Source) || holdsNUL(st.Text) || len(st.Types) > 1<<16-1 {
			return errBelongings
		}
	}
	return nil
}

func holdsNUL(p []byte) bool { return slices.Contains(p, 0) }

// endsAsParse is true for the body of a Parse after its name: a text, the number of types, and those.
func endsAsParse(body []byte) bool {
	_, types, ok := bytes.Cut(body, []byte{0})
	return ok && typesOf(types) != nil
}
