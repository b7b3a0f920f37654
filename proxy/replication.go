package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"pgguard/proxy/instance"
	"pgguard/proxy/sock"
	"pgguard/proxy/upstream"
	"pgguard/proxy/wire"
)

// A replication client gets a server connection of its own, and every byte after the login is passed on unread, in both
// directions, until one side ends. It takes nothing from the pool: PostgreSQL counts walsenders against max_wal_senders,
// not max_connections, and what they run is not a statement of the application's. It counts as a client that runs a
// statement: against max_clients, in the statistics, and in a drain, which leaves it alone until the grace time is over.
//
// Nothing bounds how long such a client may not read. PostgreSQL bounds it where it matters, with wal_sender_timeout, and a
// base backup may be written to something slow. When the guard ends it, it hears nothing: the stream may be within a
// message. Every replication client takes a lost connection as a reason to connect again.

// logReplicationIn opens the server connection of a replication client, whose start-up parameters it gets, and tells the
// client what the server told the guard. Cancel requests of the client go to that server.
func (srv *Server) logReplicationIn(s *session, nc net.Conn, h *hello) (run func(*session), err error) {
	in := s.route.inst
	told := h.appendAccepted(nil)
	up := upstream.Handshake{User: s.route.key.User, Password: srv.passwordOf(in, s.route.database, s.route.key.User), Heard: func(body []byte) {
		told = wire.AppendMessage(told, wire.NoticeResponse, body)
	}}
	up.Params = map[string]string{"user": s.route.key.User, "database": s.route.key.Database, "replication": h.replication}
	if h.applicationName != "" {
		up.Params["application_name"] = h.applicationName
	}
	for _, o := range h.settings {
		up.Params[o.Name] = o.Value
	}
	if err := srv.shakeReplication(in, &up); err != nil {
		srv.forget(s.route)
		return nil, err
	}
	for _, r := range up.Reported {
		told = wire.AppendText(told, wire.ParameterStatus, r.Name, r.Value)
	}
	s.init(h.applicationName)
	s.key = srv.keys.add(s, h.keySize())
	s.walsender = &walsender{in, up.At, up.PID, up.Secret, "physical"}
	if h.namesDatabase {
		s.walsender.kind = "logical"
	}
	s.mu.Lock()
	s.state = running // to the end
	s.mu.Unlock()
	told = wire.AppendKey(told, s.key.pid, s.key.secret)
	told = wire.AppendReady(told, wire.Idle)
	srv.enters(s)
	if _, err := nc.Write(append(told, up.Rest...)); err != nil {
		srv.keys.remove(s.key)
		_ = up.Conn.Close()
		srv.forget(s.route)
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	s.conn.Conn = nc
	return func(s *session) { srv.runReplication(s, up.Conn) }, nil
}

// walsender is the server of a replication client, which is in no pool.
type walsender struct {
	inst   *instance.Instance
	at     upstream.At
	pid    uint32
	secret []byte
	kind   string // "physical" or "logical"
}

// cancel sends one cancel request.
func (w *walsender) cancel() error { return w.inst.Door().Cancel(w.at, w.pid, w.secret) }

// shakeReplication logs in to the server. What the server says against it is for the client.
func (srv *Server) shakeReplication(in *instance.Instance, h *upstream.Handshake) error {
	if err := in.Refusing(); err != nil {
		return refusalForLogin(err)
	}
	ctx, stop := context.WithTimeout(srv.ctx, srv.cfg().LoginTimeout)
	defer stop()
	err := in.Door().LogIn(ctx, h)
	in.Tried(upstream.Classify(err), time.Now())
	if err == nil {
		return nil
	}
	in.LogFailed("server login for replication failed", h.User, err, time.Now())
	var se *upstream.Error
	if errors.As(err, &se) {
		return se
	}
	return refusalForLogin(err)
}

// runReplication serves a replication client until it or its server ends, and is its goroutine.
func (srv *Server) runReplication(s *session, server net.Conn) {
	defer srv.sessions.Done()
	srv.mu.Lock()
	srv.leaveLobbyLocked(sock.Socket(s.conn.Conn))
	srv.entered[s] = struct{}{}
	srv.joinedLocked(s)
	srv.enteredLocked(s)
	srv.mu.Unlock()
	s.endsAlready()
	err := srv.passThrough(s, server)
	srv.keys.remove(s.key)
	_ = server.Close()
	_ = s.conn.Conn.Close()
	srv.log.Info("client gone", "client", remote(s.conn.Conn), "database", s.route.database, "user", s.route.key.User,
		"class", srv.cfg().Pool.Classes[s.class].Name, "seconds", int(time.Since(s.since).Seconds()), "replication", true,
		"reason", reasonOf(err))
	srv.forget(s.route)
	srv.mu.Lock()
	srv.leftLocked(s)
	delete(srv.entered, s)
	srv.mu.Unlock()
}

// errServerLeft is why most replication clients end that do not end by themselves.
var errServerLeft = errors.New("server closed the connection")

// passThrough copies both ways until one side ends or the Server closes, and returns why.
func (srv *Server) passThrough(s *session, server net.Conn) error {
	client := s.conn.Conn
	fromClient, fromServer := make(chan error, 1), make(chan error, 1)
	go func() { fromClient <- copyCounted(server, client, &s.did.received) }() // ends with either connection
	go func() { fromServer <- copyCounted(client, server, &s.did.sent) }()     // ends with either connection
	select {
	case err := <-fromClient:
		_ = server.Close()
		<-fromServer
		if sock.Interrupted(err) {
			return errDrained
		}
		return err
	case <-fromServer:
		letRead(client)
		_ = server.Close()
		<-fromClient
		_, _ = io.Copy(io.Discard, client)
		return errServerLeft
	case <-srv.ctx.Done():
		_ = client.Close()
		_ = server.Close()
		<-fromClient
		<-fromServer
		return errDrained
	}
}

// letRead ends what is sent to a client and gives it a moment to read the last of it: a socket that is closed with bytes
// unread is reset, and the client would lose the server's last words.
func letRead(client net.Conn) {
	_ = client.SetDeadline(time.Now().Add(lastWait))
	if c, ok := client.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
}

// countEvery is after how many bytes a copy is counted.
const countEvery = 1 << 20

// copyCounted copies from src to dst until either ends. On Linux the bytes stay in the kernel.
func copyCounted(dst, src net.Conn, count *atomic.Uint64) error {
	for {
		n, err := io.CopyN(dst, src, countEvery)
		count.Add(uint64(n))
		if err != nil {
			return err
		}
	}
}
