package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy/instance"
	"pgguard/proxy/translate"
	"pgguard/proxy/upstream"
)

// relocations are databases that are not where the Config says, by name; under AnyDatabase all that it does not name. nil: none.
type relocations map[string]upstream.Upstream

func (m *relocations) to(name string) (up upstream.Upstream, is bool) {
	if m != nil {
		up, is = (*m)[name]
	}
	return up, is
}

// errElsewhere is why a request cannot wait where it does: its database has moved.
var errElsewhere = errors.New("the database has moved")

// strayed is true once the route's database is elsewhere.
func (r *route) strayed() bool { return r.site != r.at.site.Load() }

// Move brings a database that the Config names, or with AnyDatabase all that it does not name, to another PostgreSQL, under live clients: it waits until that
// one can be reached, pauses (see Pause), sends who waits, and who comes, to the new one, and resumes, unless an operator had paused before. Sessions keep
// what they have set and prepared. paused is for how long clients were kept waiting. On an error, ctx's if that ended before transactions did, everything
// is where it was. What the Config says of passwords, settings and sizes stays.
func (srv *Server) Move(ctx context.Context, name string, to upstream.Upstream) (paused time.Duration, err error) {
	srv.moving.Lock()
	defer srv.moving.Unlock()
	from, _, ok := srv.destination(name)
	switch {
	case !ok:
		return 0, ErrNoDatabase
	case from.Upstream.Identity() == to.Identity():
		return 0, errors.New("it is there already")
	}
	if _, named := srv.cfg().Databases[name]; !named {
		name = AnyDatabase
	}
	in := srv.expect(to)
	defer srv.expected.Store(nil)
	if err := srv.await(ctx, func() bool { return in.Ready() == nil }); err != nil {
		err = fmt.Errorf("%s cannot be reached: %w", in.Name(), errors.Join(in.Ready(), err))
		srv.retireUnused()
		return 0, err
	}
	began := time.Now()
	all := map[*database]bool{}
	srv.gather(name, all)
	defer func() {
		srv.scatter(all)
		paused = time.Since(began)
		srv.retireUnused()
	}()
	first := true
	err = srv.await(ctx, func() bool {
		n := 0
		srv.gather(name, all)
		for d := range all {
			srv.settle(d)
			n += srv.empty(d, "moved", first)
		}
		first = false
		return n == 0
	})
	if err == nil {
		srv.swap(name, to, in, all)
		srv.Tell(event.Event{Cause: "moved", Subject: name, From: from.Upstream.Address(), To: to.Address()})
	}
	return 0, err
}

// expect opens the instance that databases are to move to. Until they do, whether clients can be served does not depend on it.
func (srv *Server) expect(to upstream.Upstream) *instance.Instance {
	id := to.Identity()
	srv.expected.Store(&id)
	return srv.instanceFor(to)
}

// under are the databases that a move of this name is about.
func (srv *Server) under(name string) (list []*database) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, d := range srv.databases {
		_, named := srv.cfg().Databases[d.name]
		if d.name == name || name == AnyDatabase && !named {
			list = append(list, d)
		}
	}
	return list
}

// gather pauses the databases of a move that came since it did last, beside who else may have; scatter ends that.
func (srv *Server) gather(name string, all map[*database]bool) {
	for _, d := range srv.under(name) {
		if !all[d] {
			srv.mark(d, 1)
			all[d] = true
		}
	}
}

func (srv *Server) scatter(all map[*database]bool) {
	for d := range all {
		srv.mark(d, -1)
		srv.settle(d)
	}
}

// mark counts who keeps the clients of a database waiting.
func (srv *Server) mark(d *database, n int) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	d.moving += n
}

// swap has the databases be at another instance, where their gates are shut as they were.
func (srv *Server) swap(name string, to upstream.Upstream, in *instance.Instance, all map[*database]bool) {
	was := srv.moved.Load()
	is := relocations{}
	if was != nil {
		is = maps.Clone(*was)
	}
	is[name] = to
	srv.moved.Store(&is)
	srv.gather(name, all) // who comes from now on sees where they are
	srv.settling.Lock()
	defer srv.settling.Unlock()
	now := time.Now()
	for d := range all {
		old := d.site.Load()
		for user, known := range old.inst.Door().Memory.All() {
			if in.Door().Memory.Of(user).Nothing() {
				in.Door().Memory.Learn(user, known)
			}
		}
		d.rehouse(in, now)
	}
}

// inUse is true for an instance that a database is at, or would be if somebody asked for it.
func (srv *Server) inUse(in *instance.Instance) bool {
	id := in.Door().Upstream.Identity()
	if d, _, ok := srv.destination(AnyDatabase); ok && d.Upstream.Identity() == id {
		return true
	}
	for name := range srv.cfg().Databases {
		if d, _, ok := srv.destination(name); ok && d.Upstream.Identity() == id {
			return true
		}
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, d := range srv.databases {
		if d.inst() == in {
			return true
		}
	}
	return false
}

// retireUnused ends the instances that no database is at any more.
func (srv *Server) retireUnused() {
	for _, in := range srv.allInstances() {
		if !srv.inUse(in) {
			srv.end(in)
		}
	}
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
	r, err := s.srv.routeFor(h)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.route.inst, s.route.site, s.route.key, s.route.terms = r.inst, r.site, r.key, r.terms // what others read without mu stays
	s.client.Settle(r.terms)
	s.waiter.Key, s.waiter.Gate = r.key, &r.site.gate
	return nil
}
