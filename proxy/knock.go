package proxy

import (
	"context"
	"errors"
	"time"

	"pgguard/pool"
	"pgguard/proxy/instance"
	"pgguard/proxy/upstream"
)

// knocked is what PostgreSQL said when it was asked whether it lets somebody in.
type knocked struct {
	err *upstream.Error // nil: it does
	at  time.Time
	era uint64 // of the instance, when it was asked
}

// knockEvery is for how long PostgreSQL's answer is believed: applications that are refused try again at once, and each login costs the
// server a process.
const knockEvery = time.Second

// knock asks PostgreSQL whether it lets the clients of a route in, if there is a doubt: its catalogues say that it may not, it has refused the
// last login, or has read its configuration anew, pg_hba.conf with it. Who may not log in any more is told so at login, in PostgreSQL's words, and at
// once, although servers of before may be idle, or all there may be in use. The error is for the client; nil: it may log in, or nobody knows.
func (srv *Server) knock(r *route, l *login) error {
	if !l.entry.Barred() && !l.refused.Load() && !l.outdated() || r.inst.Refusing() != nil {
		return nil
	}
	select {
	case l.knocks <- struct{}{}: // one asks, the others take its answer
	case <-srv.ctx.Done():
		return nil
	}
	defer func() { <-l.knocks }()
	k, era := l.knocked.Load(), r.inst.Era()
	if k == nil || k.era != era || time.Since(k.at) >= knockEvery {
		k = srv.knockAtDoor(r, l, era)
		l.knocked.Store(k)
	}
	if k.err != nil {
		return k.err
	}
	return nil
}

// knockAtDoor logs in, and leaves at once.
func (srv *Server) knockAtDoor(r *route, l *login, era uint64) *knocked {
	done, ok := r.inst.Knock(srv.ctx, staleWait)
	if !ok {
		return &knocked{at: time.Now(), era: era}
	}
	defer done()
	ctx, stop := context.WithTimeout(srv.ctx, loginWait)
	defer stop()
	h := upstream.Handshake{User: r.key.User, Password: srv.passwordOf(r.inst, r.database, r.key.User)}
	h.Params = map[string]string{"user": r.key.User, "database": r.key.Database, "application_name": instance.ApplicationName}
	for _, o := range l.options {
		h.Params[o.Name] = o.Value
	}
	err := upstream.Classify(r.inst.Door().LogIn(ctx, &h))
	if err == nil {
		_ = h.Conn.Close()
	}
	now := time.Now()
	r.inst.Tried(err, now)
	k := &knocked{at: now, era: era}
	if !isRejected(err) {
		if err == nil {
			l.refused.Store(false)
			r.inst.Pool.Pardon(r.key)
		}
		return k
	}
	l.refused.Store(true)
	r.inst.LogFailed("server login failed", r.key.User, err, now)
	if !errors.As(err, &k.err) {
		panic("proxy: a login was rejected without words")
	}
	return k
}

// isRejected is true if PostgreSQL refuses the role or the database, whoever asks.
func isRejected(err error) bool {
	var rejected *pool.RejectedError
	return errors.As(err, &rejected)
}
