package translate

import "bytes"

// prepared is the set of the guard's statements that one server has, the least recently used first to go. It belongs to
// whoever has the server.
type prepared struct {
	entries map[*Statement]*preparedEntry
	oldest  *preparedEntry
	newest  *preparedEntry
}

type preparedEntry struct {
	st           *Statement
	older, newer *preparedEntry
}

// has answers whether the server has st, which is then the one used last.
func (p *prepared) has(st *Statement) bool {
	e := p.entries[st]
	if e != nil && p.newest != e {
		p.unlink(e)
		p.link(e)
	}
	return e != nil
}

// add notes that the server has st.
func (p *prepared) add(st *Statement) {
	if p.entries[st] != nil {
		return
	}
	if p.entries == nil {
		p.entries = map[*Statement]*preparedEntry{}
	}
	e := &preparedEntry{st: st}
	p.entries[st] = e
	p.link(e)
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
