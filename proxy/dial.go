package proxy

import (
	"context"

	"pgguard/pool"
	"pgguard/proxy/sock"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// applicationName is what a server's session is called in pg_stat_activity: it serves many clients.
const applicationName = "pgguard"

// logIn opens a socket and logs in as the key says. Errors are classified for the pool.
func (in *instance) logIn(ctx context.Context, s *pool.Server) (*backend, error) {
	ctx, stop := context.WithTimeout(ctx, in.door.Upstream.ConnectTimeout)
	defer stop()
	b := &backend{inst: in, server: s, settings: plain, unnamed: noStatement}
	b.params.Store(in.intern(&params{}))
	h := upstream.Handshake{User: s.Key.User, Password: in.door.Password(s.Key.Database, s.Key.User)}
	h.Params = map[string]string{"user": s.Key.User, "database": s.Key.Database, "application_name": applicationName}
	for _, o := range s.Key.Value.(*login).options {
		h.Params[o.name] = o.value
	}
	h.Heard = func(typ byte, body []byte) {
		if typ == wire.ParameterStatus {
			b.note(body)
		}
	}
	if err := in.door.LogIn(ctx, &h); err != nil {
		return nil, upstream.Classify(err)
	}
	b.pid, b.secret, b.in = h.PID, h.Secret, early(h.Rest)
	if err := b.conn.Init(h.Conn, in.srv.cfg.WriteTimeout, &b.in, b.relay); err != nil {
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
	b.W += copy(b.Data[b.W:], rest)
	return b
}
