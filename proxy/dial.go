package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/jackc/pgproto3/v2"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// open logs in to a server for an instance's pool, as its key says. Errors are classified for the pool.
func (srv *Server) open(ctx context.Context, in *instance.Instance, s *pool.Server) (instance.Server, error) {
	start, era := time.Now(), in.Era()
	if s.Reserve && srv.cfg().LikePgBouncer {
		srv.log.Warn("taking connection from reserve_pool", "database", s.Key.Name, "user", s.Key.User)
	}
	b, err := srv.logIn(ctx, in, s)
	srv.times.login.observe(time.Since(start))
	l := s.Key.Value.(*login)
	l.refused.Store(isRejected(err))
	if err != nil {
		return nil, err
	}
	s.Trait = pool.Trait(b.session.Trait())
	l.tell(b.params.Load(), era)
	return b, nil
}

// logIn opens a socket and logs in. If its user or database is not any more what it was when the key's clients logged in, the server is
// given what they were given.
func (srv *Server) logIn(ctx context.Context, in *instance.Instance, s *pool.Server) (*backend, error) {
	l := s.Key.Value.(*login)
	for {
		as := l.upheld.Load()
		b, origin, err := srv.attempt(ctx, in, s, as)
		if err != nil || origin == "" || (as != nil && origin == as.origin) || l.is(origin) {
			return b, err
		}
		in.Met(l.entry, l.turn, origin)
		as = &upheld{origin, in.Keeps(*l.origin.Load(), origin)}
		l.upheld.Store(as)
		if len(as.settings) == 0 {
			return b, nil
		}
		_ = b.conn.Conn.Close()
	}
}

// is answers whether servers of the key start with this origin; its first has settled that.
func (l *login) is(origin string) bool {
	if past, ok := l.entry.Past(l.turn); ok {
		l.origin.CompareAndSwap(nil, &past)
	}
	if l.origin.CompareAndSwap(nil, &origin) {
		l.inst.Met(l.entry, l.turn, origin)
		return true
	}
	return *l.origin.Load() == origin
}

// upheld are the settings that a server must be given to be like the first of its key, if who logs in gets that origin.
type upheld struct {
	origin   string
	settings []translate.Pair
}

// attempt logs in once, with what is kept beside the key's own settings.
func (srv *Server) attempt(ctx context.Context, in *instance.Instance, s *pool.Server, as *upheld) (b *backend, origin string, err error) {
	b = &backend{inst: in, server: s, id: srv.ids.Add(1), session: translate.NewServer()}
	h := upstream.Handshake{User: s.Key.User, Password: srv.passwordOf(in, srv.nameOf(in, s.Key), s.Key.User), Question: instance.OriginQuestion}
	h.Params = map[string]string{"user": s.Key.User, "database": s.Key.Database, "application_name": instance.ApplicationName}
	if as != nil {
		for _, o := range as.settings {
			h.Params[o.Name] = o.Value
		}
	}
	for _, o := range s.Key.Value.(*login).options {
		h.Params[o.Name] = o.Value
	}
	if err := in.Door().LogIn(ctx, &h); err != nil {
		return nil, "", upstream.Classify(srv.inTheirWords(err, s.Key.User))
	}
	b.params.Store(in.Intern(instance.NewParams(h.Reported)))
	srv.tellServer(s, h.Conn)
	b.at, b.pid, b.secret, b.in, b.freed = h.At, h.PID, h.Secret, early(h.Rest), time.Now()
	if err := b.conn.Init(h.Conn, srv.cfg().WriteTimeout, &b.in, b.relay); err != nil {
		_ = h.Conn.Close()
		return nil, "", err
	}
	return b, h.Answer, nil
}

// nameOf is what clients call the database of a key: what who made it did, unless that is elsewhere by now, and others have its servers.
func (srv *Server) nameOf(in *instance.Instance, k *pool.Key) string {
	leads := func(name string) bool {
		d, real, ok := srv.destination(name)
		return ok && real == k.Database && d.isAt(in)
	}
	if !leads(k.Name) {
		for _, name := range slices.Sorted(maps.Keys(srv.cfg().Databases)) {
			if leads(name) {
				return name
			}
		}
	}
	return k.Name
}

// isAt is true for a database that is at an instance.
func (d *Database) isAt(in *instance.Instance) bool {
	return d.Upstream.Identity() == in.Door().Upstream.Identity()
}

// passwordOf is the password with which a user logs in for a database that clients call so: that of its own line; else what is known of the user, for which it is empty; else
// that of another upstream that names the instance and the user.
func (srv *Server) passwordOf(in *instance.Instance, database, user string) string {
	if d, _, ok := srv.destination(database); ok && d.Upstream.User == user && d.Upstream.Password != "" && d.isAt(in) {
		return d.Upstream.Password
	}
	if d := srv.knownUser(user); !d.Nothing() {
		return ""
	}
	if _, listed := srv.users.Load().find(user); listed && srv.cfg().LikePgBouncer {
		return "" // PgBouncer looks nowhere else
	}
	return in.Door().Password(user)
}

// inTheirWords is why a login failed; in PgBouncer's words, in its place, where the auth_file has no more than a SCRAM secret of the user.
func (srv *Server) inTheirWords(err error, user string) error {
	secret, listed := srv.users.Load().find(user)
	if !srv.cfg().LikePgBouncer || !errors.Is(err, auth.ErrNoPassword) || !listed || !secret.Known() {
		return err
	}
	return upstream.ParseError(encode(nil, &pgproto3.ErrorResponse{
		Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "28P01", Message: "wrong password type",
	})[wire.HeaderSize:])
}

// tellServer logs a login to a server, in PgBouncer's place.
func (srv *Server) tellServer(s *pool.Server, nc net.Conn) {
	if srv.cfg().LikePgBouncer {
		srv.log.Info(fmt.Sprintf("new connection to server (from %s)", nc.LocalAddr()), "server", nc.RemoteAddr().String(), "database", cmp.Or(s.Key.Name, s.Key.Database), "user", s.Key.User)
	}
}

// early is a buffer with what a server said at once after its login; nil: nothing.
func early(rest []byte) *sock.Buffer {
	if len(rest) == 0 {
		return nil
	}
	b := sock.Borrow()
	b.Grow(len(rest))
	b.W += copy(b.Data[b.W:], rest)
	return b
}

// logEnd logs why the connection ended, if the guard did not end it.
func (b *backend) logEnd(cause error, lent bool) {
	if b.why.Load() != nil {
		return
	}
	if b.fatal != nil {
		cause = upstream.ParseError(b.fatal)
	}
	if !lent && b.lastCode() == codeIdleTimeout {
		b.inst.LogRested(b.pid)
		return
	}
	b.inst.LogLost(b.pid, lent, cause)
}
