package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"pgguard/proxy/wire"
)

// lastCall is the part of the grace time at which no client is accepted any more and the idle grace is over, whatever it is.
func lastCall(grace time.Duration) time.Duration { return min(5*time.Second, grace/3) }

// lastAct is the part of the grace time that is kept for ending what has not ended by itself: statements are cancelled in it,
// and servers logged out.
func lastAct(grace time.Duration) time.Duration { return min(3*time.Second, grace/20) }

// Shutdown drains, and has ended when Config.Grace, or ctx, has. Clients are served as before for Config.IdleGrace; from then on those
// between transactions are told to go, and the others when their transaction has ended. Shortly before the end of the grace time the rest
// is closed. New clients are accepted meanwhile only with AcceptWhileDraining; they have an idle grace of their own.
func (srv *Server) Shutdown(ctx context.Context) error { return srv.Drain(ctx, srv.cfg().IdleGrace) }

// Drain is Shutdown with another idle grace than the Config's.
func (srv *Server) Drain(ctx context.Context, idle time.Duration) error {
	began := time.Now()
	srv.beginEnd()
	if !srv.cfg().AcceptWhileDraining {
		_ = srv.closeToClients()
	}
	left := srv.cfg().Grace
	if d, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(d))
	}
	idle = max(0, min(idle, left-lastCall(left)))
	srv.log.Info("draining", "grace", left, "idle_grace", idle, "clients", srv.clients())
	end := time.NewTimer(left - lastAct(left))
	defer end.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		now := time.Now()
		if now.Sub(began) >= left-lastCall(left) {
			_ = srv.closeListeners()
		}
		if now.Sub(began) >= idle {
			srv.sendOff(now, idle)
		}
		if srv.left() {
			return srv.Close()
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), srv.close(lastAct(left)))
		case <-end.C:
			return srv.close(lastAct(left))
		case <-poll.C:
		}
	}
}

// AwaitClients has nobody come in any more, and returns when all clients have left by themselves, or with ctx's error.
func (srv *Server) AwaitClients(ctx context.Context) error {
	srv.beginEnd()
	_ = srv.closeToClients()
	return srv.await(ctx, srv.left)
}

// left is true if all clients have gone, and nobody is accepted any more: not those either who were a moment ago, and are not counted yet.
func (srv *Server) left() bool {
	if srv.clients() > 0 {
		return false
	}
	_ = srv.closeListeners()
	return srv.accepts.Load() == 0 && srv.clients() == 0
}

// clients is how many clients are connected, logging in or logged in.
func (srv *Server) clients() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.entered) + len(srv.lobby.guests)
}

// sendOff tells clients that have been here for idle to go: those that have nothing under way now, the others when their transaction ends.
// Who has not logged in by now, while nobody may enter any more, is closed.
func (srv *Server) sendOff(now time.Time, idle time.Duration) {
	srv.sendsOff.Store(true)
	for _, s := range srv.all() {
		if now.Sub(s.since) >= idle && !s.conn.Unread() && s.sendOff(srv.isPaused(s.route.at)) {
			s.conn.Interrupt()
			_ = s.conn.SetWriteDeadline(now.Add(lastWait))
		}
	}
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for nc := range srv.lobby.guests {
		if srv.shut || srv.closedToClients.Load() && nc.LocalAddr().Network() != "unix" { // there operators come
			_ = nc.SetDeadline(past)
		}
	}
}

// sendOff ends the session if it is between transactions, or waits for what is paused; false: it does not.
func (s *session) sendOff(paused bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	like := s.srv.cfg().LikePgBouncer
	if (paused || like) && s.state == queued { // it would wait until the end, and has begun nothing; PgBouncer lets nobody wait
		s.endLocked(errDrained)
		return true
	}
	if s.staysOn() {
		return false
	}
	if s.local != wire.Idle || (s.state != free && s.state != parked) || s.lost != nil || s.denied != nil {
		return false
	}
	s.endLocked(errDrained)
	return true
}

// staysOn is true for a client in session mode in PgBouncer's place, which is told to go no sooner than it leaves: it has its server until then. It is called with mu held.
func (s *session) staysOn() bool {
	return s.link != nil && s.route.mode == PoolModeSession && s.srv.cfg().LikePgBouncer
}

// drainedWords are the last to a client that is told to go.
func drainedWords() []byte {
	return (&Refusal{Reason: ReasonDraining, Message: "terminating connection due to administrator command"}).append(nil, true)
}

// linger closes a client's connection when the client has closed its side, or lastWait later: what is closed with something unread is reset,
// and a reset may overtake the last words.
func linger(nc net.Conn) {
	defer func() { _ = nc.Close() }()
	if c, ok := nc.(interface{ CloseWrite() error }); !ok || c.CloseWrite() != nil {
		return
	}
	_ = nc.SetReadDeadline(time.Now().Add(lastWait))
	_, _ = io.Copy(io.Discard, nc)
}

func (srv *Server) all() []*session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	out := make([]*session, 0, len(srv.entered))
	for s := range srv.entered {
		out = append(out, s)
	}
	return out
}

// closeToClients has no client come in any more. In PgBouncer's place operators still come by a unix socket, as there, until the last client has left.
func (srv *Server) closeToClients() error {
	if !srv.cfg().LikePgBouncer {
		return srv.closeListeners()
	}
	srv.closedToClients.Store(true)
	return srv.closeSome(func(l *listener) bool { return l.socket.Addr().Network() != "unix" })
}

func (srv *Server) closeListeners() error {
	srv.mu.Lock()
	srv.shut = true
	srv.mu.Unlock()
	return srv.closeSome(func(*listener) bool { return true })
}

// gone is true if another process serves who comes, or is about to: from here on this one does, if it does not yet.
func (srv *Server) gone() bool {
	h := srv.giving.Load()
	return h != nil && !h.keeps()
}

// closeSome closes the listeners of which is says so, and leaves sockets in their place on which another process listens.
func (srv *Server) closeSome(is func(*listener) bool) error {
	gone := srv.gone()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var errs []error
	for _, l := range srv.listeners {
		if !is(l) {
			continue
		}
		if gone {
			abandon(l.socket)
			continue
		}
		if err := l.socket.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close ends everything at once: clients are told that the guard goes, servers are logged out. It waits until all
// goroutines have ended.
func (srv *Server) Close() error { return srv.close(closeWait + time.Second) }

// cleanWithin is how long the statement of a client that has gone may take to stop.
func (srv *Server) cleanWithin() time.Duration {
	if srv.ctx.Err() != nil {
		return min(lastWait, srv.cfg().CancelTimeout)
	}
	return srv.cfg().CancelTimeout
}

// close is Close; it waits for servers no longer than servers.
func (srv *Server) close(servers time.Duration) error {
	srv.once.Do(func() {
		_ = srv.closeListeners()
		srv.stop()
		srv.mu.Lock()
		for nc := range srv.lobby.guests {
			_ = nc.SetDeadline(past)
		}
		srv.mu.Unlock()
		for _, s := range srv.all() {
			s.kick(errDrained)
		}
		srv.sendOperatorsOff()
		srv.work.Wait()
		for _, s := range srv.all() { // those that logged in meanwhile
			s.kick(errDrained)
		}
		srv.sendOperatorsOff()
		srv.sessions.Wait()
		ctx, stop := context.WithTimeout(context.Background(), servers)
		defer stop()
		for _, in := range srv.allInstances() {
			_ = in.Pool.Close(ctx)
		}
		close(srv.served)
	})
	<-srv.served
	return nil
}

// reasonOf is the word or sentence for why a client's connection ended.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "client closed the connection"
	case errors.Is(err, net.ErrClosed):
		return "client could not be written to"
	}
	return err.Error()
}
