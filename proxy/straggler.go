package proxy

import (
	"cmp"
	"slices"

	"pgguard/pool/sorting"
)

// Straggler is a database some of whose clients still have servers at a PostgreSQL where it is not any more: they are in a transaction, pinned or in session mode.
type Straggler struct {
	Database string
	At       string   // where they are, as its instance is called
	Clients  []uint64 // their IDs, in order
}

// Stragglers are those of all databases, by name. It takes each session's lock for a moment.
func (srv *Server) Stragglers() (list []Straggler) {
	for _, s := range srv.all() {
		at := s.straysAt()
		if at == "" {
			continue
		}
		i := slices.IndexFunc(list, func(g Straggler) bool { return g.Database == s.route.database && g.At == at })
		if i < 0 {
			i = len(list)
			list = append(list, Straggler{Database: s.route.database, At: at})
		}
		list[i].Clients = append(list[i].Clients, s.id)
	}
	for i := range list {
		slices.Sort(list[i].Clients)
	}
	sorting.By(list, func(a, b Straggler) int { return cmp.Or(cmp.Compare(a.Database, b.Database), cmp.Compare(a.At, b.At)) })
	return list
}

// straysAt is where a client has a server that its database has left; empty: it has none, or the database is there.
func (s *session) straysAt() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || !s.route.strayed() {
		return ""
	}
	return s.route.inst.Name()
}
