package proxy

import (
	"cmp"
	"sync/atomic"
	"time"

	"pgguard/pool"
	"pgguard/pool/sorting"
	"pgguard/proxy/instance"
	"pgguard/proxy/upstream"
)

// database is one that clients may ask for, or have asked for, by this name.
type database struct {
	name string
	site atomic.Pointer[site] // where it is now

	// guarded by Server.mu
	uses     int    // routes that lead to it
	known    bool   // somebody has logged in to it
	clients  int    // logged in
	past     Totals // of those that have left
	paused   bool   // by its name
	disabled bool   // nobody may log in
}

// site is where a database is, and what its clients come through there.
type site struct {
	inst *instance.Instance
	gate pool.Gate // in the pool of inst
}

// inst is where the database is.
func (d *database) inst() *instance.Instance { return d.site.Load().inst }

// maxDatabases bounds the databases that are remembered though the configuration does not name them and nobody is in them. PostgreSQL servers with
// more are rare; what was counted of those forgotten is missing from the console's sums.
const maxDatabases = 1000

// databaseFor returns what is kept of a database, and counts a use of it, until unused. One that is new while all are paused is shut before anybody
// can come through.
func (srv *Server) databaseFor(name string, in *instance.Instance) *database {
	for {
		srv.mu.Lock()
		d, paused := srv.databases[name], srv.paused
		if d != nil {
			d.uses++
			srv.mu.Unlock()
			return d
		}
		srv.mu.Unlock()
		d = &database{name: name}
		h := &site{inst: in}
		d.site.Store(h)
		if paused {
			in.Pool.Shut(&h.gate, time.Now())
		}
		if srv.keep(d, paused) {
			if _, named := srv.cfg().Databases[name]; !named && srv.cfg().LikePgBouncer {
				srv.log.Info("registered new auto-database", "database", name)
			}
			srv.overtake(d)
			if !srv.leadsTo(name) { // a reload has just taken it away
				srv.leaves.Store(true)
			}
			return d
		}
		in.Pool.Open(&h.gate, time.Now())
	}
}

// overtake has a database be where it is to be by now, with its clients: who waits, and who comes, goes there, and who has a server is done with it first. It is called for those that
// are kept when the configuration changes, and for a new one, which who changed that did not see.
func (srv *Server) overtake(d *database) {
	away := func() (*instance.Instance, bool) {
		at, _, ok := srv.destination(d.name)
		if !ok || at.isAt(d.inst()) {
			return nil, false
		}
		return srv.instanceFor(at.Upstream), true
	}
	if _, is := away(); !is {
		return
	}
	srv.settling.Lock()
	old := d.inst()
	if in, is := away(); is {
		d.rehouse(in, time.Now())
	}
	srv.settling.Unlock()
	srv.settle(d)
	old.Pool.Retire(time.Now(), retiredElsewhere, func(s *pool.Server) bool { return srv.isLent(d, s.Conn) })
}

// retiredElsewhere is why a server is retired whose database has left its PostgreSQL.
const retiredElsewhere = "the database is elsewhere now"

// isLent is true for a server that a client of this database has, wherever it is. It may be called with the pool locked.
func (srv *Server) isLent(d *database, c pool.Conn) bool {
	b, ok := c.(*backend)
	if !ok || b == nil {
		return false
	}
	l := b.link.Load()
	return l != nil && l.s != nil && l.s.route.at == d
}

// rehouse has a database be at another instance, where its gate is shut, and sends away who waits at the old one. It is called with Server.settling held.
func (d *database) rehouse(in *instance.Instance, now time.Time) {
	old, fresh := d.site.Load(), &site{inst: in}
	in.Pool.Shut(&fresh.gate, now)
	old.inst.Pool.Shut(&old.gate, now) // who waits in its queue, too, is sent away
	d.site.Store(fresh)
	old.inst.Pool.Remove(&old.gate, errElsewhere, now)
}

// keep notes a new database and a use of it; false: somebody else has, or they are paused or resumed meanwhile.
func (srv *Server) keep(d *database, paused bool) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.databases[d.name] != nil || srv.paused != paused {
		return false
	}
	if len(srv.databases) >= maxDatabases {
		srv.forgetDatabasesLocked()
	}
	d.uses++
	srv.databases[d.name] = d
	return true
}

func (srv *Server) forgetDatabasesLocked() {
	for name, d := range srv.databases {
		if _, named := srv.cfg().Databases[name]; !named && d.isEmptyLocked() && !d.paused && !d.disabled {
			delete(srv.databases, name)
		}
	}
}

// isEmptyLocked is true for a database that nobody is in or about to enter.
func (d *database) isEmptyLocked() bool { return d.uses == 0 && d.clients == 0 }

// unused ends a use of a database.
func (srv *Server) unused(d *database) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	d.uses--
}

// joinedLocked counts a client that has logged in.
func (srv *Server) joinedLocked(s *session) {
	d := s.route.at
	d.known = true
	d.clients++
	s.id = srv.ids.Add(1)
}

// leftLocked ends the count that joinedLocked began, and keeps what the client has done.
func (srv *Server) leftLocked(s *session) {
	d := s.route.at
	d.clients--
	srv.heads.add(s.head, -1)
	did := s.did.totals()
	d.past.Add(did)
	srv.past.Add(did)
}

// totals is what all clients have done since the start.
func (srv *Server) totals() Totals {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	t := srv.past
	for s := range srv.entered {
		t.Add(s.did.totals())
	}
	return t
}

// DatabaseInfo is a database as clients call it: one that the configuration names, or that somebody has logged in to.
type DatabaseInfo struct {
	Name     string
	Upstream upstream.Upstream // where it is
	Real     string            // what it is called there
	As       string            // who logs in to servers, whoever the clients are; empty: who they are
	Mode     PoolMode
	Clients  int
	// MostClients is how many there may be; 0: as many as there may be of all.
	MostClients int
	// PerLogin and MostServers are how many servers a user, and all, may have there, where the configuration says so; 0: as many as its PostgreSQL allows.
	PerLogin, MostServers int
	// Ready is how many servers are kept ready of each user, Reserve by how many each may have more.
	Ready, Reserve int
	// Lifetime is how old its servers may be, where that is not as it is for others; 0: it is.
	Lifetime time.Duration
	Paused   bool // by its name: see Server.Pause
	Disabled bool
	Totals   Totals
}

// Databases are all that are known, by name. What clients do meanwhile is counted or not.
func (srv *Server) Databases() []DatabaseInfo {
	srv.mu.Lock()
	all := map[string]*DatabaseInfo{}
	for name := range srv.cfg().Databases {
		if name != AnyDatabase {
			all[name] = &DatabaseInfo{Name: name}
		}
	}
	for name, d := range srv.databases {
		if d.known || d.paused || d.disabled || all[name] != nil {
			all[name] = &DatabaseInfo{Name: name, Clients: d.clients, Paused: d.paused, Disabled: d.disabled, Totals: d.past}
		}
	}
	for s := range srv.entered {
		all[s.route.database].Totals.Add(s.did.totals())
	}
	srv.mu.Unlock()
	list := make([]DatabaseInfo, 0, len(all))
	for name, d := range all {
		at, real, _ := srv.destination(name)
		d.Upstream, d.Mode, d.Real, d.As, d.MostClients = at.Upstream, at.Mode, real, at.User, cmp.Or(at.MaxClients, srv.cfg().ClientsPerDatabase)
		d.Lifetime, d.Ready, d.Reserve = at.Lifetime, srv.cfg().readyOf(name), srv.cfg().reserveOf(name)
		most := srv.cfg().mostOf(name, "")
		d.PerLogin, d.MostServers = most.Login, most.Database
		list = append(list, *d)
	}
	sorting.By(list, func(a, b DatabaseInfo) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// String is the mode's word in the configuration.
func (m PoolMode) String() string {
	return [...]string{"default", "transaction", "session", "statement"}[m]
}
