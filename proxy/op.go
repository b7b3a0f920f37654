package proxy

import "pgguard/proxy/wire"

// op is what one message changes in the statements that there are, kept until the server has confirmed it.
type op struct {
	st      *statement // the server has it after this
	closes  *statement // the server has it no more
	unsure  bool       // it may not have had it before
	name    string     // the client's name that means something else after this; "": none
	was     *statement // what name meant before
	unnamed bool       // the client's unnamed statement is another after this: is
	is      *statement
	server  bool   // the server's unnamed statement is another after this
	rescue  bool   // a simple query follows that the server skips if this fails
	drops   bool   // and drops what name meant, if it succeeds
	told    bool   // said is known
	said    string // the name that the client gave
	owns    bool   // what the server remembers of sequences is the client's after this
}

// former is a name that meant a statement when messages were sent that are not answered yet.
type former struct {
	st   *statement
	name string
}

// maxFormer bounds what a client that is never without an answer to wait for can make the guard remember.
const maxFormer = 64

// setName makes name mean st, or nothing if st is nil. It is called with mu held.
func (s *session) setName(name string, st *statement) {
	if s.retry.request != nil {
		s.retry.renamed = append(s.retry.renamed, former{s.names[name], name})
	}
	if old := s.names[name]; old != nil {
		old.names.Add(-1)
	}
	if st == nil {
		if old := s.names[name]; old != nil && s.ex.outstanding() && len(s.former) < maxFormer {
			s.former = append(s.former, former{old, name})
		}
		delete(s.names, name)
		return
	}
	if s.names == nil {
		s.names = map[string]*statement{}
	}
	s.names[name] = st
	if st.names.Add(1) > 1 && !s.twins {
		for other, same := range s.names {
			s.twins = s.twins || (same == st && other != name)
		}
	}
}

// dropFailed takes back that a name means nothing any more, because the DEALLOCATE that dropped it has failed, and returns
// what rids the server of the statement that stood in for it. It is called with mu held.
func (s *session) dropFailed() (rid []byte) {
	d := s.dropping
	s.dropping = former{}
	if s.names[d.name] == nil {
		s.setName(d.name, d.st)
	}
	if s.ex.partial {
		return nil // there is no room for a message
	}
	rid = wire.AppendText(nil, wire.Close, "S"+d.name)
	if s.ex.unsynced {
		s.ex.extendedOp(markOurClose, op{})
		return rid
	}
	s.ex.add(markHidden)
	return wire.AppendEmpty(rid, wire.Sync)
}

// dropNames forgets all of the client's statements. It is called with mu held.
func (s *session) dropNames() {
	for _, st := range s.names {
		st.names.Add(-1)
	}
	s.names, s.twins = nil, false
}

// undoLocked takes back what ops changed, because the server has not done it. forgets: the first is that of a Parse which
// has failed and forgotten the unnamed statement before it did.
func (s *session) undoLocked(b *backend, ops []op, forgets bool) {
	for i := len(ops) - 1; i >= 0; i-- {
		o := &ops[i]
		if o.st != nil && !s.ex.concerns(o.st) {
			b.prepared.remove(o.st)
		}
		if o.closes != nil && !s.ex.concerns(o.closes) {
			if b.prepared.add(o.closes); o.unsure {
				b.prepared.doubt(o.closes)
			}
		}
		if o.name != "" {
			s.setName(o.name, o.was)
		}
		if o.owns {
			s.owns = false
		}
		if o.unnamed || o.server {
			b.unnamed = nil
		}
		if o.unnamed {
			s.lingers = false
			if forgets && i == 0 {
				s.unnamed = nil
			}
		}
	}
}
