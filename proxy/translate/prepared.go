package translate

import (
	"bytes"
	"time"
)

// prepared is the set of the guard's statements that one server has, the least recently used first to go. It belongs to
// whoever has the server.
type prepared struct {
	entries map[*Statement]*preparedEntry
	oldest  *preparedEntry
	newest  *preparedEntry
}

// preparedEntry is a server's copy of a statement.
type preparedEntry struct {
	st           *Statement
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
	e := p.entries[st]
	if e != nil && p.newest != e {
		p.unlink(e)
		p.link(e)
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
	if e := p.entries[st]; e != nil {
		e.read, e.other = read, false
		return
	}
	if p.entries == nil {
		p.entries = map[*Statement]*preparedEntry{}
	}
	e := &preparedEntry{st: st, read: read}
	p.entries[st] = e
	p.link(e)
}

// spoil notes that what the server has by the name of st is another statement, or may be.
func (p *prepared) spoil(st *Statement) {
	p.add(st, moment{})
	p.entries[st].other = true
}

// remove notes that the server does not have st any more.
func (p *prepared) remove(st *Statement) {
	if e := p.entries[st]; e != nil {
		p.unlink(e)
		delete(p.entries, st)
	}
}

// lose notes that the server does not have a statement that an error names.
func (p *prepared) lose(message []byte) {
	for st := range p.entries {
		if bytes.Contains(message, []byte(`"`+st.Name+`"`)) {
			p.remove(st)
		}
	}
}

// clear notes that the server has forgotten everything.
func (p *prepared) clear() { *p = prepared{} }

// last is the statement used longest ago.
func (p *prepared) last() *Statement { return p.oldest.st }

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
