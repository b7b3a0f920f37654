package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/upstream"
)

// TakeOver takes the place of the process that in is from, between Listen and Serve: once clients can be served, if they could be there. On an error that process goes on
// as before. Later its clients come one by one, as they become idle.
func (srv *Server) TakeOver(ctx context.Context, in *Inheritance) error {
	if srv.cfg().Upstream.Host != "" {
		srv.instanceFor(srv.cfg().Upstream)
	}
	if in.from.Serves {
		if err := srv.await(ctx, func() bool { return srv.Ready() == nil }); err != nil {
			return fmt.Errorf("take over: clients can be served there, but not here: %w", errors.Join(srv.Ready(), err))
		}
	}
	c, err := in.comeIn(ctx)
	if err != nil {
		return fmt.Errorf("take over: %w", errors.Join(err, ctx.Err()))
	}
	in.Handed.Claim()
	srv.keys.begin(c.NextKey)
	srv.inheritDisabled(c.Disabled)
	a := &ancestor{in.p, in.deeds}
	in.p, in.deeds = nil, nil
	srv.ancestor.Store(a)
	_ = pass(a.p, passTaken, struct{}{}) // to one that has gone: this process serves all the same
	srv.log.Info("taken over", "clients", in.from.Clients)
	srv.work.Go(func() { srv.receiveFrom(a) }) // ends when the passage does, which Close sees to
	context.AfterFunc(srv.ctx, func() { _ = a.p.Close() })
	return nil
}

// comeIn gets the right to serve who comes: when the running process says that it may be taken, or has died with it.
func (in *Inheritance) comeIn(ctx context.Context) (c commit, err error) {
	stop := context.AfterFunc(ctx, func() { _ = in.p.Close() })
	defer stop()
	err = pass(in.p, passReady, struct{}{})
	var kind byte
	var body []byte
	if err == nil {
		kind, body, err = receive(in.p)
	}
	if err == nil {
		if err = errKind(kind, passGo); err == nil {
			c, err = hear[commit](body)
		}
		if err != nil {
			return c, err
		}
	}
	if !stop() { // the passage is closed, by which the other sees that nobody serves here
		return c, errors.New("the running pgguard has not given way in time")
	}
	if !in.deeds.Take(newcomersDeed) {
		return c, errors.Join(errors.New("the running pgguard does not give way"), err)
	}
	return c, nil
}

// receiveFrom takes what the ancestor hands over, until it has gone.
func (srv *Server) receiveFrom(a *ancestor) {
	came := 0
	for {
		kind, body, with, err := a.p.Receive()
		if err != nil {
			break
		}
		switch kind {
		case passClient:
			if srv.welcomeArrival(a, body, with) {
				came++
			}
			continue // with is its socket
		case passUser:
			srv.meetUser(body)
		case passServers:
			if held, err := hear[holding](body); err == nil {
				srv.setAway(held)
			}
		}
		if with != nil {
			_ = with.Close()
		}
	}
	_ = a.p.Close()
	a.deeds.Close()
	srv.setAway(holding{})
	srv.ancestor.Store(nil)
	srv.log.Info("the process before has ended", "clients_taken", came)
}

// setAway has the pools leave room for the ancestor's servers.
func (srv *Server) setAway(held holding) {
	for id := range held.Servers {
		srv.instanceOf(id)
	}
	for _, in := range srv.allInstances() {
		in.Pool.SetAway(max(0, held.Servers[in.Door().Upstream.Identity()]))
	}
}

// meetUser learns what the ancestor knows of a user.
func (srv *Server) meetUser(body []byte) {
	u, err := hear[acquaintance](body)
	if err != nil {
		return
	}
	known, err := u.Known.Known()
	if err != nil {
		return
	}
	if in := srv.instanceOf(string(u.Instance)); in != nil && in.Door().Memory.Of(string(u.User)).Nothing() {
		in.Door().Memory.Learn(string(u.User), known)
	}
}

// instanceOf is the instance of an identity, which the ancestor has open: opened here, too, if the Config names it; nil: it does not.
func (srv *Server) instanceOf(id string) *instance.Instance {
	srv.mu.Lock()
	in := srv.instances[id]
	srv.mu.Unlock()
	if ups := srv.cfg().instances()[id]; in == nil && len(ups) > 0 {
		in = srv.instanceFor(ups[0])
	}
	return in
}

// welcomeArrival answers the arrival of a client, and serves it if it can.
func (srv *Server) welcomeArrival(a *ancestor, body []byte, with *os.File) bool {
	m, err := hear[arrival](body)
	var s *session
	if err == nil {
		s, err = srv.adopt(a, &m, with)
	} else if with != nil {
		_ = with.Close()
	}
	r := receipt{ID: m.ID}
	if err != nil {
		r.Why = err.Error()
	}
	_ = pass(a.p, passAnswer, r) // to one that has gone: its clients are here
	if s == nil {
		return false
	}
	srv.sessions.Add(1)
	go srv.runSession(s)
	return true
}

// adopt makes a session of an arrival. It owns with.
func (srv *Server) adopt(a *ancestor, m *arrival, with *os.File) (s *session, err error) {
	if with == nil {
		return nil, errors.New("a client came without its socket")
	}
	nc, err := net.FileConn(with)
	_ = with.Close()
	if err != nil {
		return nil, err
	}
	s = &session{srv: srv, identity: identity{user: string(m.User), listener: m.Listener}}
	if err = m.check(); err == nil {
		err = s.arrive(m, nc)
	}
	if err == nil {
		srv.enters(s)
		if !a.deeds.Take(m.ID) { // the last, so that who cannot be served here is served there
			err = errors.New("the process before serves it")
		}
	}
	if err != nil {
		srv.dismiss(s)
		if s.route != nil {
			srv.forget(s.route)
		}
		if s.key.pid != 0 {
			srv.keys.remove(s.key)
		}
		_ = nc.Close() // which is open there
		return nil, err
	}
	return s, nil
}

// arrive makes s what it was with the ancestor, over nc.
func (s *session) arrive(m *arrival, nc net.Conn) (err error) {
	srv := s.srv
	if srv.ctx.Err() != nil || srv.admit(s, string(m.Database)) != nil {
		return errors.New("there is no room for it")
	}
	h := &hello{user: s.user, database: string(m.Database), applicationName: string(m.Called)}
	for _, o := range m.Options {
		h.settings = append(h.settings, translate.Pair{Name: string(o.Name), Value: string(o.Value)})
	}
	s.own = srv.classOfArrival(m, h)
	s.class, s.rules = s.own, srv.tagRules(srv.listenerAt(m.Listener), h)
	s.waiter.Client = srv.application(nc, h)
	if s.route, err = srv.routeFor(h, true); err != nil {
		return err
	}
	var told []upstream.Setting
	for _, p := range m.Params {
		told = append(told, upstream.Setting{Name: string(p.Name), Value: string(p.Value)})
	}
	s.params = s.route.inst.Intern(instance.NewParams(told))
	has, err := translate.NewArrived(s.route.terms, &m.Has)
	if err != nil {
		return err
	}
	if s.key, err = srv.keys.keep(s, cancelKey{m.KeyPID, m.KeySecret}); err != nil {
		return err
	}
	if err := s.conn.Init(nc, srv.cfg().WriteTimeout, &s.in, s.consume); err != nil {
		return err
	}
	s.init(h.applicationName)
	s.client, s.since = has, m.Since
	if len(m.Pending) > 0 {
		s.in = sock.Borrow()
		s.in.Grow(len(m.Pending))
		s.in.W += copy(s.in.Data[s.in.W:], m.Pending)
	}
	return nil
}

// listenerAt is the listener at an address of the configuration, or one that no rule is about.
func (srv *Server) listenerAt(addr string) *listener {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, l := range srv.listeners {
		if l.Addr == addr {
			return l
		}
	}
	return &listener{}
}

// classOfArrival is the class that the client had, if there is one of that name, else the one that it would have now.
func (srv *Server) classOfArrival(m *arrival, h *hello) int {
	if i, ok := srv.classes[m.Class]; ok {
		return i
	}
	class, _ := srv.classify(srv.listenerAt(m.Listener), h) // it names none
	return class
}
