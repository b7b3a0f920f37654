package proxy

import (
	"context"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/upstream"
)

// open logs in to a server for an instance's pool, as its key says. Errors are classified for the pool.
func (srv *Server) open(ctx context.Context, in *instance.Instance, s *pool.Server) (instance.Server, error) {
	start := time.Now()
	b, err := srv.logIn(ctx, in, s)
	srv.times.login.observe(time.Since(start))
	if err != nil {
		return nil, err
	}
	s.Key.Value.(*login).params.Store(b.params.Load())
	return b, nil
}

// logIn opens a socket and logs in.
func (srv *Server) logIn(ctx context.Context, in *instance.Instance, s *pool.Server) (*backend, error) {
	ctx, stop := context.WithTimeout(ctx, in.Door.Upstream.ConnectTimeout)
	defer stop()
	b := &backend{inst: in, server: s, session: translate.NewServer()}
	h := upstream.Handshake{User: s.Key.User, Password: in.Door.Password(s.Key.Database, s.Key.User)}
	h.Params = map[string]string{"user": s.Key.User, "database": s.Key.Database, "application_name": instance.ApplicationName}
	for _, o := range s.Key.Value.(*login).options {
		h.Params[o.Name] = o.Value
	}
	if err := in.Door.LogIn(ctx, &h); err != nil {
		return nil, upstream.Classify(err)
	}
	b.params.Store(in.Intern(instance.NewParams(h.Reported)))
	b.pid, b.secret, b.in = h.PID, h.Secret, early(h.Rest)
	if err := b.conn.Init(h.Conn, srv.cfg.WriteTimeout, &b.in, b.relay); err != nil {
		_ = h.Conn.Close()
		return nil, err
	}
	return b, nil
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
	b.inst.LogLost(b.pid, lent, cause)
}
