package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/wire"
)

// applicationName is what a server's session is called in pg_stat_activity: it serves many clients.
const applicationName = "pgguard"

// serverError is an ErrorResponse of the server.
type serverError struct {
	code, message string
	body          []byte
}

func (e *serverError) Error() string { return fmt.Sprintf("%s (SQLSTATE %s)", e.message, e.code) }

// demoted is the whole message with severity ERROR.
func (e *serverError) demoted() []byte {
	raw, err := wire.AppendDemoted(nil, e.body, "")
	if err != nil {
		return nil
	}
	return raw
}

// parseServerError reads the body of an ErrorResponse, which is copied.
func parseServerError(body []byte) *serverError {
	body = append([]byte(nil), body...)
	f, err := wire.ParseError(body)
	if err != nil {
		return &serverError{code: "08P01", message: "malformed error message"}
	}
	return &serverError{string(f.Code), string(f.Message), body}
}

// logIn opens a socket and logs in as the key says. Errors are classified for the pool.
func (in *instance) logIn(ctx context.Context, s *pool.Server) (*backend, error) {
	ctx, stop := context.WithTimeout(ctx, in.up.ConnectTimeout)
	defer stop()
	b := &backend{inst: in, server: s, settings: plain, unnamed: noStatement}
	b.params.Store(in.intern(&params{}))
	h := handshake{user: s.Key.User, password: in.password(s.Key)}
	h.params = map[string]string{"user": s.Key.User, "database": s.Key.Database, "application_name": applicationName}
	for _, o := range s.Key.Value.(*login).options {
		h.params[o.name] = o.value
	}
	h.heard = func(typ byte, body []byte) {
		if typ == wire.ParameterStatus {
			b.note(body)
		}
	}
	if err := in.shake(ctx, &h); err != nil {
		return nil, classify(err)
	}
	b.pid, b.secret, b.in = h.pid, h.secret, h.rest()
	if err := b.conn.Init(h.nc, in.srv.cfg.WriteTimeout, &b.in, b.relay); err != nil {
		_ = h.nc.Close()
		return nil, err
	}
	return b, nil
}

// shake opens a socket and logs in over it, in the newest version of the protocol that the server takes. PostgreSQL
// answers a version that it does not know with the one it does; what only looks like it may refuse, or just close, and is
// then asked for 3.0. On success h.nc is the caller's.
func (in *instance) shake(ctx context.Context, h *handshake) error {
	version := in.protocol.Load()
	known := version != 0
	if !known {
		version = wire.Version32
	}
	err := in.attempt(ctx, h, version)
	if version != wire.Version30 && h.refused(err, known) {
		version = wire.Version30
		err = in.attempt(ctx, h, version)
	}
	if h.accepted {
		in.protocol.Store(version)
	}
	return err
}

// attempt is one try of shake.
func (in *instance) attempt(ctx context.Context, h *handshake, version uint32) error {
	nc, err := in.connect(ctx)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	deadline, _ := ctx.Deadline()
	_ = nc.SetDeadline(deadline)
	halt := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err = h.run(nc, version)
	if !halt() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = nc.Close()
		return err
	}
	_ = nc.SetDeadline(time.Time{})
	return nil
}

// password finds the password for a key: the one an upstream gives for its user, else the password file's.
func (in *instance) password(k *pool.Key) string {
	in.mu.Lock()
	secret := in.secrets[k.User]
	in.mu.Unlock()
	if secret != "" {
		return secret
	}
	return auth.FromPassfile(in.up.Passfile, in.up.Host, strconv.Itoa(in.up.Port), k.Database, k.User)
}

// classify tells the pool what a failed login means.
func classify(err error) error {
	var se *serverError
	if errors.Is(err, auth.ErrNoPassword) {
		return &pool.RejectedError{Err: err}
	}
	if !errors.As(err, &se) {
		return err
	}
	switch {
	case se.code == "53300":
		return &pool.TooManyError{Err: err}
	case strings.HasPrefix(se.code, "28"), strings.HasPrefix(se.code, "3D"), strings.HasPrefix(se.code, "22"),
		strings.HasPrefix(se.code, "42"), strings.HasPrefix(se.code, "0A"), se.code == "55000", se.code == "55P02":
		return &pool.RejectedError{Err: err}
	}
	return err
}
