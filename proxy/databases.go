package proxy

import (
	"cmp"
	"slices"

	"pgguard/proxy/upstream"
)

// database is one that clients may ask for, or have asked for, by this name.
type database struct {
	name string

	// guarded by Server.mu
	clients int    // logged in
	past    Totals // of those that have left
}

// maxDatabases bounds the databases that are remembered though the configuration does not name them and nobody is in them. PostgreSQL servers with
// more are rare; what was counted of those forgotten is missing from the console's sums.
const maxDatabases = 1000

// joinedLocked counts a client that has logged in to a database.
func (srv *Server) joinedLocked(s *session) {
	name := s.route.database
	d := srv.databases[name]
	if d == nil {
		if len(srv.databases) >= maxDatabases {
			srv.forgetDatabasesLocked()
		}
		d = &database{name: name}
		srv.databases[name] = d
	}
	d.clients++
	s.route.at, s.id = d, srv.ids.Add(1)
}

// leftLocked ends the count that joinedLocked began, and keeps what the client has done.
func (srv *Server) leftLocked(s *session) {
	d := s.route.at
	d.clients--
	d.past.Add(s.did.totals())
}

func (srv *Server) forgetDatabasesLocked() {
	for name, d := range srv.databases {
		if _, named := srv.cfg.Databases[name]; !named && d.clients == 0 {
			delete(srv.databases, name)
		}
	}
}

// DatabaseInfo is a database as clients call it: one that the configuration names, or that somebody has logged in to.
type DatabaseInfo struct {
	Name     string
	Upstream upstream.Upstream // where it is
	Real     string            // what it is called there
	Mode     PoolMode
	Clients  int
	Totals   Totals
}

// Databases are all that are known, by name. What clients do meanwhile is counted or not.
func (srv *Server) Databases() []DatabaseInfo {
	srv.mu.Lock()
	sums := map[string]Totals{}
	clients := map[string]int{}
	for name := range srv.cfg.Databases {
		sums[name] = Totals{}
	}
	for name, d := range srv.databases {
		sums[name], clients[name] = d.past, d.clients
	}
	for s := range srv.entered {
		t := sums[s.route.database]
		t.Add(s.did.totals())
		sums[s.route.database] = t
	}
	srv.mu.Unlock()
	list := make([]DatabaseInfo, 0, len(sums))
	for name, t := range sums {
		d := DatabaseInfo{Name: name, Clients: clients[name], Totals: t}
		d.Upstream, d.Mode, d.Real, _ = srv.destination(name)
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b DatabaseInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// String is the mode's word in the configuration.
func (m PoolMode) String() string {
	return [...]string{"default", "transaction", "session", "statement"}[m]
}
