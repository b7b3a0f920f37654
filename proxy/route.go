package proxy

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"pgguard/pool"
	"pgguard/pool/sorting"
	"pgguard/proxy/instance"
	"pgguard/proxy/library"
	"pgguard/proxy/translate"
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
		rules := srv.cfg().Rules
		for i := range rules {
			if rules[i].Tag == "" && rules[i].matches(l, h) {
				name = rules[i].Class
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

// destination is where a database of this name is, with everything that holds for it, and what it is called there; false: nowhere.
func (srv *Server) destination(name string) (d Database, called string, ok bool) {
	return srv.cfg().destination(name)
}

// entryOf is the configuration's own entry for a database that clients call so, else that of any, which the console does not have.
func (c *Config) entryOf(name string) Database {
	if d, ok := c.Databases[name]; ok || IsConsole(name) {
		return d
	}
	return c.Databases[AnyDatabase]
}

// destination is where a database of this name is, with everything that holds for it, and what it is called there; false: nowhere.
func (c *Config) destination(name string) (d Database, called string, ok bool) {
	d, ok = c.Databases[name]
	entry := name
	if !ok || name == AnyDatabase {
		entry = AnyDatabase
		d = c.Databases[entry]
		d.Upstream = c.Upstream
		ok = d.Upstream.Host != ""
	}
	if entry == name && name != AnyDatabase {
		called = d.Upstream.Database
	}
	if d.Mode == PoolModeDefault {
		d.Mode = c.Mode
	}
	return d, cmp.Or(called, name), ok
}

// mostOf is how many servers a user may have in a database that clients call so.
func (c *Config) mostOf(name, user string) pool.Most {
	d, u := c.entryOf(name), c.Users[user]
	most := pool.Most{
		Login:    cmp.Or(u.PerLogin, d.PerLogin, c.PerLogin),
		Database: cmp.Or(d.MaxServers, c.PerDatabase),
		User:     cmp.Or(u.MaxServers, c.PerUser),
	}
	if c.ReserveAfter > 0 {
		most.Reserve, most.After = own(u.Reserve, c.reserveOf(name)), c.ReserveAfter
	}
	return most
}

// reserveOf is by how many servers a user may have more in a database that clients call so.
func (c *Config) reserveOf(name string) int { return own(c.entryOf(name).Reserve, c.Reserve) }

// isApart is true if a user's servers in a database that clients call so are not those of another name, too: something holds for them alone.
func (c *Config) isApart(name, user string) bool {
	most := c.mostOf(name, user)
	return most.Login != 0 || most.Database != 0 || c.entryOf(name).Lifetime != 0 || c.readyOf(name) != 0
}

// boundsOf are how many servers there may be of a key, and how old they may be.
func (srv *Server) boundsOf(k *pool.Key) (pool.Most, time.Duration) {
	cfg := srv.cfg()
	most := cfg.mostOf(k.Name, k.User)
	if k.Shared {
		return pool.Most{User: most.User}, 0
	}
	return most, cfg.entryOf(k.Name).Lifetime
}

// keyOf is that of clients who call a database so, and log in to servers as l says. It is used once more.
func (srv *Server) keyOf(l *login, name string) *pool.Key {
	var text strings.Builder
	for _, o := range l.options {
		fmt.Fprintf(&text, "%s\x00%s\x00", o.Name, o.Value)
	}
	fmt.Fprintf(&text, "\x00%d", l.turn)
	apart := srv.cfg().isApart(name, l.entry.User)
	if apart {
		fmt.Fprintf(&text, "\x00%s", name)
	}
	return l.inst.Pool.Key(l.entry.Database, l.entry.User, text.String(), func(k *pool.Key) {
		k.Value, k.Name, k.Shared = l, name, !apart
		k.Most, k.Lifetime = srv.boundsOf(k) // anew: a reload sees the key, or is seen by it
	})
}

// with returns the settings that a client's servers have: its own, and those of its database that it does not choose.
func (d *Database) with(own []translate.Pair) []translate.Pair {
	if len(d.Settings) == 0 {
		return own
	}
	all := slices.Clone(own)
	for name, value := range d.Settings {
		if !slices.ContainsFunc(own, func(o translate.Pair) bool { return strings.EqualFold(o.Name, name) }) {
			all = append(all, translate.Pair{Name: strings.ToLower(name), Value: value})
		}
	}
	sorting.By(all, func(a, b translate.Pair) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// routeFor finds the instance and the key of a client. If it is to be settled, what clients have changed up to now, and a login gets by it, is waited for.
func (srv *Server) routeFor(h *hello, settled bool) (*route, error) {
	cfg := srv.cfg()
	d, database, ok := cfg.destination(h.database)
	if !ok {
		return nil, srv.noSuchDatabase(h.database)
	}
	r := &route{mode: d.Mode, database: h.database, cfg: cfg}
	r.at = srv.databaseFor(h.database, srv.instanceFor(d.Upstream))
	r.site = r.at.site.Load()
	r.inst = r.site.inst
	r.defers = cfg.DeferBegin && r.mode == PoolModeTransaction
	user := cmp.Or(d.User, h.user)
	h.settings = d.with(h.settings)
	if settled {
		r.inst.Settled()
	}
	entry := r.inst.Entry(database, user)
	r.key = srv.keyOf(srv.newLogin(r.inst, entry, entry.Turn(), h.settings), h.database)
	r.terms = srv.termsIn(r.key.Value.(*login), r.mode)
	return r, nil
}

// rekey has a route be by the key that is right now: a reload may have servers of its name be apart, or shared.
func (s *session) rekey(now *Config) {
	l, in, was := s.route.key.Value.(*login), s.route.inst, s.route.key
	k := s.srv.keyOf(l, s.route.database)
	s.mu.Lock()
	s.route.cfg, s.route.key, s.waiter.Key = now, k, k
	s.mu.Unlock()
	s.srv.release(in, was, s.route.database)
}

// forget ends a client's use of its route. Servers that no client to come may have go with the last who may.
func (srv *Server) forget(r *route) {
	srv.unused(r.at)
	srv.release(r.inst, r.key, r.database)
}

// retiredRegrouped is why servers are retired that nobody has by the name by which they were had.
const retiredRegrouped = "its database has other servers since a reload"

// release ends the use of a key by a client that calls its database so.
func (srv *Server) release(in *instance.Instance, k *pool.Key, name string) {
	if !in.Pool.Forget(k) {
		return
	}
	why := ""
	switch l := k.Value.(*login); {
	case l.turn != l.entry.Turn():
		why = "role or database is not what it was"
	case k.Shared == srv.cfg().isApart(name, k.User): // whoever comes by this name has another key
		why = retiredRegrouped
	}
	if why != "" {
		in.Pool.Retire(time.Now(), why, func(s *pool.Server) bool { return s.Key == k })
	}
}

// loginWait bounds how long a login waits for the first server of its kind: a little less than drivers wait for a
// connection, so that they are told rather than left to time out.
const loginWait = 5 * time.Second

// staleWait bounds how long a login waits to be told what its server reports now; then it is told what was known last.
const staleWait = time.Second

// remembered returns what a client of this route is told of its server's settings. If no server of its key has ever
// been opened, one is: it also proves that the user and the database exist. If they may be others by now, one is asked.
func (srv *Server) remembered(s *session) (*instance.Params, error) {
	l := s.route.key.Value.(*login)
	paused, err := srv.comesTo(s.route.at)
	if err != nil {
		return nil, err
	}
	if !paused {
		if err := srv.knock(s.route, l); err != nil {
			return nil, err
		}
	}
	if p := l.known(); p != nil {
		return p, nil
	}
	stale := l.told.Load()
	if err := s.route.inst.Refusing(); err != nil && stale == nil {
		return nil, refusalForLogin(err)
	} else if err != nil {
		return stale.params, nil
	}
	wait := min(srv.cfg().LoginTimeout, loginWait)
	switch {
	case stale != nil:
		wait = min(wait, staleWait)
	case paused:
		wait = srv.cfg().LoginTimeout
	}
	err = srv.awaitLogin(s, l, wait)
	if errors.Is(err, errElsewhere) {
		was := *s.route
		if err := s.reroute(); err != nil {
			return nil, err
		}
		srv.forget(&was)
		return srv.remembered(s)
	}
	if t := l.told.Load(); t != nil && !isRejected(err) {
		return t.params, nil
	}
	return nil, refusalForLogin(err)
}

// awaitLogin waits until a server of the key has reported its settings, or cannot be had.
func (srv *Server) awaitLogin(s *session, l *login, wait time.Duration) error {
	w := loginWaiter{done: make(chan error, 1), inst: s.route.inst, login: l, timeout: srv.cfg().CancelTimeout}
	request := pool.Waiter{Key: s.route.key, Class: s.class, Urgent: true, Login: true, Grantee: &w, Gate: &s.route.site.gate}
	s.route.inst.Pool.Get(&request, time.Now())
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case err := <-w.done:
		return err
	case <-timeout.C:
		if err := s.route.inst.Pool.GiveUp(&request, time.Now()); err != nil {
			return err
		}
		return <-w.done
	}
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
	return unreachable(err)
}

// loginWaiter is granted a server only to know that there is one, and what it reports.
type loginWaiter struct {
	inst    *instance.Instance
	login   *login
	timeout time.Duration
	done    chan error
}

// Granted implements pool.Grantee.
func (w *loginWaiter) Granted(granted pool.Lease, now time.Time, _ time.Duration) {
	if w.login.known() != nil { // it has just been opened, or another login has asked
		w.inst.Pool.Release(granted, now)
		w.done <- nil
		return
	}
	go func() { w.done <- w.login.refresh(granted, w.timeout) }()
}

// Refused implements pool.Grantee.
func (w *loginWaiter) Refused(err error) { w.done <- err }
