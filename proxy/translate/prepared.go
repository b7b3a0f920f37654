package translate

import (
	"bytes"
	"time"
	"weak"
)

// prepared is the set of the guard's statements that one server has, the least recently used first to go. It belongs to
// whoever has the server. It knows them by their names, which are never another's, and keeps no text: there may be hundreds on each server that
// nobody has any more, of up to a megabyte.
type prepared struct {
	entries map[string]*preparedEntry
	oldest  *preparedEntry
	newest  *preparedEntry
}

// preparedEntry is a server's copy of a statement.
type preparedEntry struct {
	name         string
	of           weak.Pointer[Statement] // nil: nobody has it any more, or it is not known
	older, newer *preparedEntry

	read  moment // when a client prepared it there; zero: only the guard did
	other bool   // it is another statement of the same name: the text has come to mean something else
}

// moment is when a text is read.
type moment struct {
	at   time.Time
	told uint32 // how often the server has told another environment
}

// find returns the server's copy of st, which is then the one used last, nil if it has none.
func (p *prepared) find(st *Statement) *preparedEntry {
	e := p.entries[st.Name]
	if e != nil {
		p.use(e)
	}
	return e
}

// has answers whether the server has st, which is then the one used last.
func (p *prepared) has(st *Statement) bool {
	e := p.find(st)
	return e != nil && !e.other
}

// add notes that the server has st, prepared by a client at that moment, or by the guard.
func (p *prepared) add(st *Statement, read moment) {
	e := p.entries[st.Name]
	if e == nil {
		e = &preparedEntry{name: st.Name, of: weak.Make(st)}
		p.enter(e)
	}
	e.read, e.other = read, false
}

func (p *prepared) enter(e *preparedEntry) {
	if p.entries == nil {
		p.entries = map[string]*preparedEntry{}
	}
	p.entries[e.name] = e
	p.link(e)
}

// spoil notes that what the server has by the name of st is another statement, or may be.
func (p *prepared) spoil(st *Statement) {
	p.add(st, moment{})
	p.entries[st.Name].other = true
}

// restore notes that the server may still have what it was to drop.
func (p *prepared) restore(e *preparedEntry) {
	if p.entries[e.name] == nil {
		p.enter(e)
	}
	e = p.entries[e.name]
	e.read, e.other = moment{}, true
}

// remove notes that the server does not have the statement of that name any more, and returns what it had.
func (p *prepared) remove(name string) *preparedEntry {
	e := p.entries[name]
	if e != nil {
		p.unlink(e)
		delete(p.entries, name)
	}
	return e
}

// lose notes that the server does not have a statement that an error names.
func (p *prepared) lose(message []byte) {
	for name := range p.entries {
		if bytes.Contains(message, []byte(`"`+name+`"`)) {
			p.remove(name)
		}
	}
}

// clear notes that the server has forgotten everything.
func (p *prepared) clear() { *p = prepared{} }

// held is true if a client's name means the statement.
func (e *preparedEntry) held() bool {
	st := e.of.Value()
	return st != nil && st.Held.Load() > 0
}

// use makes e the one used last.
func (p *prepared) use(e *preparedEntry) {
	if p.newest != e {
		p.unlink(e)
		p.link(e)
	}
}

func (p *prepared) link(e *preparedEntry) {
	e.older, e.newer = p.newest, nil
	if p.newest != nil {
		p.newest.newer = e
	} else {
		p.oldest = e
	}
	p.newest = e
}

func (p *prepared) unlink(e *preparedEntry) {
	if e.older != nil {
		e.older.newer = e.newer
	} else {
		p.oldest = e.newer
	}
	if e.newer != nil {
		e.newer.older = e.older
	} else {
		p.newest = e.older
	}
}
