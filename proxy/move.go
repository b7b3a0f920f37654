package proxy

import (
	"errors"

	"pgguard/proxy/instance"
	"pgguard/proxy/translate"
)

// errElsewhere is why a request cannot wait where it does: its database has moved.
var errElsewhere = errors.New("the database has moved")

// strayed is true once the route's database is elsewhere.
func (r *route) strayed() bool { return r.site != r.at.site.Load() }

// inUse is true for an instance that a database is at, or would be if somebody asked for it. One that the configuration leads to nowhere any more is there for who is in it.
func (srv *Server) inUse(in *instance.Instance) bool {
	if srv.isNamed(in) {
		return true
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, d := range srv.databases {
		if d.inst() == in && (d.uses > 0 || srv.leadsTo(d.name)) {
			return true
		}
	}
	return false
}

// leadsTo is true for a database that the configuration leads to somewhere.
func (srv *Server) leadsTo(name string) bool {
	_, _, ok := srv.destination(name)
	return ok
}

// isNamed is true for an instance that the configuration names.
func (srv *Server) isNamed(in *instance.Instance) bool {
	id := in.Door().Upstream.Identity()
	if d, _, ok := srv.destination(AnyDatabase); ok && d.Upstream.Identity() == id {
		return true
	}
	for name := range srv.cfg().Databases {
		if d, _, ok := srv.destination(name); ok && d.Upstream.Identity() == id {
			return true
		}
	}
	return false
}

// end ends an instance.
func (srv *Server) end(in *instance.Instance) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if stop := srv.endings[in]; stop != nil && srv.ctx.Err() == nil {
		delete(srv.instances, in.Door().Upstream.Identity())
		delete(srv.endings, in)
		srv.work.Go(func() { // ends when its servers have, of which replication clients may have some
			stop()
			_ = in.Pool.Close(srv.ctx)
		})
	}
}

// instance is where the session's database is, as far as it knows.
func (s *session) instance() *instance.Instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.route.inst
}

// rehome has a session whose request was sent away find its database again, and deal with the request as if it had just come.
func (s *session) rehome() error {
	s.mu.Lock()
	s.denied = nil
	r := s.request
	s.request = nil
	s.moveLocked(free)
	back := r.buf
	back.R, r.buf = r.at, nil
	s.mu.Unlock()
	putRequest(r)
	s.conn.Resume()
	s.putBack(back)
	was := *s.route
	if err := s.reroute(); err != nil {
		return err
	}
	s.srv.forget(&was)
	return nil
}

// reroute has the session's route be the one of who logs in now.
func (s *session) reroute() error {
	h := &hello{user: s.user, database: s.route.database, settings: append([]translate.Pair(nil), s.route.terms.Began...)}
	r, err := s.srv.routeFor(h, true)
	if err != nil {
		return err
	}
	for _, user := range []string{s.user, r.key.User} { // who has proved himself, and whom his database logs in as
		introduce(user, s.route.inst, r.inst)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route.inst, s.route.site, s.route.key, s.route.terms, s.route.cfg = r.inst, r.site, r.key, r.terms, r.cfg // what others read without mu stays
	s.client.Settle(r.terms)
	s.waiter.Key, s.waiter.Gate = r.key, &r.site.gate
	return nil
}

// introduce has an instance know of a user of another what it does not know yet: a client who comes from there does not prove anew who it is.
func introduce(user string, from, to *instance.Instance) {
	there, here := from.Door().Memory, to.Door().Memory
	if known := there.Of(user); here.Of(user).Nothing() {
		here.Learn(user, known)
	}
}
