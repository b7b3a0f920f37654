package proxy

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/library"
	"pgguard/proxy/upstream"
)

// classify returns the index of a client's class: its listener's, the one it names itself, the first rule's that
// matches, else the first class.
func (srv *Server) classify(l *listener, h *hello) (int, error) {
	name := l.Class
	if name == "" {
		name = h.class
		if _, ok := srv.classes[name]; name != "" && !ok {
			return 0, &Refusal{Reason: ReasonProtocol, Message: "guard: guard.class names a class that does not exist"}
		}
	}
	if name == "" {
		for i := range srv.cfg.Rules {
			if srv.cfg.Rules[i].Tag == "" && srv.cfg.Rules[i].matches(l, h) {
				name = srv.cfg.Rules[i].Class
				break
			}
		}
	}
	return srv.classes[name], nil
}

func (r *Rule) matches(l *listener, h *hello) bool {
	return (r.Listener == "" || r.Listener == l.Addr) &&
		(r.Database == "" || r.Database == h.database) &&
		(r.User == "" || r.User == h.user) &&
		(r.ApplicationName == nil || r.ApplicationName.MatchString(h.applicationName))
}

// application is a number for the application that a client belongs to, as far as that can be told: where it comes from and
// how it calls itself. Those with the same number are served as one, in turn with the others of their class.
func (srv *Server) application(nc net.Conn, h *hello) uint64 {
	from := ""
	if host, _, err := net.SplitHostPort(nc.RemoteAddr().String()); err == nil {
		from = host
	}
	return library.Number(srv.library, [4]string{from, h.user, h.database, h.applicationName})
}

// routeFor finds the instance and the key of a client.
func (srv *Server) routeFor(h *hello) (*route, error) {
	up, mode, database := srv.cfg.Upstream, srv.cfg.Mode, h.database
	if d, ok := srv.cfg.Databases[h.database]; ok {
		up = d.Upstream
		if d.Mode != PoolModeDefault {
			mode = d.Mode
		}
		if up.Database != "" {
			database = up.Database
		}
	} else if up.Host == "" {
		return nil, &Refusal{Reason: ReasonRejected, Message: "guard: there is no such database"}
	}
	r := &route{inst: srv.instanceFor(up), mode: mode, database: h.database}
	r.defers = srv.cfg.DeferBegin && mode == PoolModeTransaction
	var name strings.Builder
	for _, o := range h.settings {
		fmt.Fprintf(&name, "%s\x00%s\x00", o.Name, o.Value)
	}
	r.key = r.inst.Pool.Key(database, h.user, name.String(), func(k *pool.Key) {
		k.Value = srv.newLogin(r.inst, database, h.user, h.settings)
	})
	l := r.key.Value.(*login)
	if r.terms = &l.terms[0]; mode == PoolModeSession {
		r.terms = &l.terms[1]
	}
	return r, nil
}

func (srv *Server) forget(r *route) { r.inst.Pool.Forget(r.key) }

// loginWait bounds how long a login waits for the first server of its kind: a little less than drivers wait for a
// connection, so that they are told rather than left to time out.
const loginWait = 5 * time.Second

// remembered returns what a client of this route is told of its server's settings. If no server of its key has ever
// been opened, one is: it also proves that the user and the database exist.
func (srv *Server) remembered(s *session) (*instance.Params, error) {
	known := s.route.key.Value.(*login)
	if p := known.params.Load(); p != nil {
		return p, nil
	}
	if err := s.route.inst.Refusing(); err != nil {
		return nil, refusalForLogin(err)
	}
	w := loginWaiter{done: make(chan error, 1), pool: s.route.inst.Pool}
	request := pool.Waiter{Key: s.route.key, Class: s.class, Urgent: true, Login: true, Grantee: &w}
	s.route.inst.Pool.Get(&request, time.Now())
	timeout := time.NewTimer(min(srv.cfg.LoginTimeout, loginWait))
	defer timeout.Stop()
	var err error
	select {
	case err = <-w.done:
	case <-timeout.C:
		if err = s.route.inst.Pool.GiveUp(&request, time.Now()); err == nil {
			err = <-w.done
		}
	}
	if p := known.params.Load(); p != nil {
		return p, nil
	}
	return nil, refusalForLogin(err)
}

// refusalForLogin turns a failure to open the first server into the answer to a login. The server's own words go on as
// they are; ours name neither database nor user nor host, because drivers guess from such names what went wrong.
func refusalForLogin(err error) error {
	var se *upstream.Error
	var pressure *pool.RefusedError
	switch {
	case errors.As(err, &se) && instance.Answered(err):
		return se
	case errors.As(err, &pressure) && pressure.Err == nil && pressure.Lack != pool.LackLogin:
		return refusalForPressure(pressure)
	}
	return &Refusal{Reason: ReasonUnreachable, Message: "guard: database is not accepting connections"}
}

// loginWaiter is granted a server only to know that there is one.
type loginWaiter struct {
	pool *pool.Pool
	done chan error
}

// Granted implements pool.Grantee.
func (w *loginWaiter) Granted(s *pool.Server, now time.Time, _ time.Duration) {
	w.pool.Release(s, now)
	w.done <- nil
}

// Refused implements pool.Grantee.
func (w *loginWaiter) Refused(err error) { w.done <- err }
