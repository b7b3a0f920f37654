package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"
)

// lastCall is the part of the grace time that is kept for transactions to end after idle clients have been closed.
func lastCall(grace time.Duration) time.Duration { return min(5*time.Second, grace/3) }

// Shutdown drains: clients are served on until they leave. Towards the end of Config.Grace, or of ctx, those between
// transactions are closed; at the end the rest. New clients are accepted meanwhile only with AcceptWhileDraining.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.draining.Store(true)
	if !srv.cfg.AcceptWhileDraining {
		_ = srv.closeListeners()
	}
	left := srv.cfg.Grace
	if d, ok := ctx.Deadline(); ok {
		left = min(left, time.Until(d))
	}
	srv.log.Info("draining", "grace", left, "clients", srv.clients())
	end := time.NewTimer(left)
	defer end.Stop()
	last := time.NewTimer(left - lastCall(left))
	defer last.Stop()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	calling := false
	for srv.clients() > 0 {
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), srv.Close())
		case <-end.C:
			return srv.Close()
		case <-last.C:
			calling = true
			_ = srv.closeListeners()
		case <-poll.C:
		}
		if calling {
			srv.closeBetweenTransactions()
		}
	}
	return srv.Close()
}

// clients is how many clients are connected, logging in or logged in.
func (srv *Server) clients() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return len(srv.entered) + len(srv.entering)
}

// closeBetweenTransactions ends the sessions that have nothing under way.
func (srv *Server) closeBetweenTransactions() {
	for _, s := range srv.all() {
		s.mu.Lock()
		busy := s.local == 'T' || (s.state != free && s.state != parked)
		s.mu.Unlock()
		if !busy {
			s.kick(errDrained)
		}
	}
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

func (srv *Server) closeListeners() error {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	var errs []error
	for _, l := range srv.listeners {
		if err := l.socket.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close ends everything at once: clients are told that the guard goes, servers are logged out. It waits until all
// goroutines have ended.
func (srv *Server) Close() error {
	srv.once.Do(func() {
		_ = srv.closeListeners()
		srv.stop()
		srv.mu.Lock()
		for nc := range srv.entering {
			_ = nc.SetDeadline(time.Unix(1, 0))
		}
		srv.mu.Unlock()
		for _, s := range srv.all() {
			s.kick(errDrained)
		}
		srv.work.Wait()
		for _, s := range srv.all() { // those that logged in meanwhile
			s.kick(errDrained)
		}
		srv.sessions.Wait()
		ctx, stop := context.WithTimeout(context.Background(), closeWait+time.Second)
		defer stop()
		for _, in := range srv.instances {
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
