package proxy

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/upstream"
)

// Reload replaces what the Server is told, all of it or, with an error, nothing. What it is bound to stays: its addresses, the memory for statements, the log and the
// console, and the names of the classes, which must be the same. Clients who are in are not disturbed: what concerns a login holds for those to come, the rest for all,
// from their next transaction on.
//
// A database that is at another PostgreSQL now goes there with its clients, each when its transaction has ended. PAUSE before, and RESUME after, has no transaction be at the
// old one when the first is at the new one. Stragglers names those who have servers at the old one afterwards.
func (srv *Server) Reload(cfg Config) error {
	srv.reloading.Lock() // until it is over nothing changes, not even users or certificates
	defer srv.reloading.Unlock()
	before := srv.cfg()
	cfg.Listen, cfg.Handed, cfg.PreparedMemory = before.Listen, before.Handed, before.PreparedMemory
	cfg.Log, cfg.Console, cfg.LikePgBouncer, cfg.Logged, cfg.Spans = before.Log, before.Console, before.LikePgBouncer, before.Logged, before.Spans
	if err := sameClasses(before, &cfg); err != nil {
		return err
	}
	if faults := cfg.Validate(); len(faults) > 0 {
		return errors.Join(faults...)
	}
	known, err := srv.newUsers(before, &cfg)
	if err != nil {
		return err
	}
	certs, err := srv.newMantle(before, &cfg)
	if err != nil {
		return err
	}
	srv.users.Store(known)
	srv.mantle.Store(certs)
	if !reflect.DeepEqual(before.Password, cfg.Password) {
		srv.source.Store(cfg.Password.source())
	}
	srv.follow(&cfg)
	return nil
}

// sameClasses returns an error if the classes have other names than before, or another order.
func sameClasses(before, after *Config) error {
	same := len(before.Pool.Classes) == len(after.Pool.Classes)
	for i := range before.Pool.Classes {
		same = same && before.Pool.Classes[i].Name == after.Pool.Classes[i].Name
	}
	if !same {
		return errors.New("classes: their names and their order cannot change while the guard runs")
	}
	return nil
}

// newUsers are those that the configuration names now, with their files read.
func (srv *Server) newUsers(before, after *Config) (*users, error) {
	now := srv.users.Load()
	same := maps.EqualFunc(before.Auth.Users, after.Auth.Users, func(a, b User) bool { return a.PasswordFile == b.PasswordFile && a.Secret.Same(b.Secret) })
	if same && before.Auth.UsersFile == after.Auth.UsersFile {
		return now, nil
	}
	u := newUsers(after.Auth, srv.log)
	u.mock, u.slow = now.mock, now.slow // who guesses is as slow as before, and learns nothing by it
	return u, u.load()
}

// newMantle is TLS towards clients as it is to be, its files read anew; nil: nobody has come over it yet, and nobody is to.
func (srv *Server) newMantle(before, after *Config) (*mantle, error) {
	now := srv.mantle.Load()
	switch {
	case !after.NeedsTLS():
		return now, nil // for those who are about to shake hands
	case now == nil || before.TLS.Files != after.TLS.Files:
		return srv.readCertificates(after.TLS.Files)
	}
	return now, now.certs.Reload()
}

// follow has everything go by cfg from now on. It cannot fail. It is called with reloading held.
func (srv *Server) follow(cfg *Config) {
	before := srv.cfg()
	srv.mu.Lock()
	srv.conf.Store(cfg)
	srv.mu.Unlock()
	told, all := srv.instanceConfig(), cfg.instances()
	for _, in := range srv.allInstances() {
		now := in.Door().Upstream
		ups := all[now.Identity()]
		if len(ups) == 0 {
			ups = []upstream.Upstream{now} // until nobody is there any more
		} else if i := slices.IndexFunc(ups, func(u upstream.Upstream) bool { return u.SameLogin(now) }); i > 0 {
			ups[0], ups[i] = ups[i], ups[0]
		}
		in.Reload(told, ups[0], ups[1:])
		in.Pool.Bound(srv.boundsOf)
	}
	if cfg.Upstream.Host != "" {
		srv.instanceFor(cfg.Upstream)
	}
	for _, d := range srv.known("") {
		srv.overtake(d)
	}
	for _, in := range srv.allInstances() {
		if !srv.inUse(in) {
			in.Pool.Retire(time.Now(), retiredElsewhere, func(*pool.Server) bool { return true })
			continue
		}
		srv.regroup(in, before, cfg)
	}
	srv.leaves.Store(true)
}

// regroup retires the servers that nobody uses and that would stand beside those of whoever comes: in common with a name that has some of its own now, or the own ones of a name that
// has none any more. Those that somebody uses end with the last who does: see release.
func (srv *Server) regroup(in *instance.Instance, before, after *Config) {
	names := map[string][]string{} // by the database to which they lead
	note := func(name string) {
		if d, called, ok := after.destination(name); ok && d.isAt(in) {
			names[called] = append(names[called], name)
		}
	}
	for name := range after.Databases {
		note(name)
	}
	for _, d := range srv.known("") {
		note(d.name)
	}
	in.Pool.Retire(time.Now(), retiredRegrouped, func(s *pool.Server) bool {
		k := s.Key
		if !k.Shared || !k.Unused() {
			return k.Unused() && !after.isApart(k.Name, k.User)
		}
		return slices.ContainsFunc(names[k.Database], func(name string) bool { return after.isApart(name, k.User) && !before.isApart(name, k.User) })
	})
}

// endEmptied ends the instances that no database is at since a reload, once the clients who had servers there are done with them, and forgets the databases that lead nowhere
// since then, once nobody is in them.
func (srv *Server) endEmptied() {
	if !srv.leaves.CompareAndSwap(true, false) {
		return
	}
	if srv.forgetRemoved() {
		srv.leaves.Store(true)
	}
	for _, in := range srv.allInstances() {
		switch {
		case srv.inUse(in):
		case len(in.Pool.Views()) == 0:
			srv.end(in)
		default:
			in.Pool.Retire(time.Now(), retiredElsewhere, func(*pool.Server) bool { return true }) // of who was the last to leave
			srv.leaves.Store(true)
		}
	}
}

// forgetRemoved forgets the databases that the configuration leads to nowhere and nobody is in, paused or not. some: there are others, that somebody is still in.
func (srv *Server) forgetRemoved() (some bool) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for name, d := range srv.databases {
		switch {
		case srv.leadsTo(name):
		case d.isEmptyLocked():
			delete(srv.databases, name)
		default:
			some = true
		}
	}
	return some
}

// instances are the upstreams that name each PostgreSQL: the general one first, then those of databases by name.
func (c *Config) instances() map[string][]upstream.Upstream {
	all := map[string][]upstream.Upstream{}
	add := func(u upstream.Upstream) {
		if u.Host != "" {
			all[u.Identity()] = append(all[u.Identity()], u)
		}
	}
	add(c.Upstream)
	names := make([]string, 0, len(c.Databases))
	for name := range c.Databases {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		add(c.Databases[name].Upstream)
	}
	return all
}
