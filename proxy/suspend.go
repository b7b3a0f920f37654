package proxy

import (
	"context"
	"slices"
)

// Suspend has no client begin anything any more, in a transaction or not: what comes from now on waits, also the first request of who comes in. What waits for a server or a
// run token already is still served. It returns when nothing of it is left: transactions stay open, and servers with who has them. Replication goes on. It stays so until
// Lift with its number, or Resume(""), or until the guard begins to end. With an error it is not so, or not any more: ctx's, ErrNotPaused if somebody has ended it
// meanwhile, ErrShutDown if the guard ends, or another process serves who comes. One that is about to does not come to it.
func (srv *Server) Suspend(ctx context.Context) (number uint64, err error) {
	number, err = srv.markSuspended()
	if err != nil {
		return 0, err
	}
	if srv.gone() { // behind the mark: see commit
		srv.Lift(number)
		return 0, ErrShutDown
	}
	err = srv.await(ctx, func() bool {
		return srv.suspended.Load() != number || !slices.ContainsFunc(srv.all(), (*session).isBusy)
	})
	switch {
	case err != nil:
		srv.Lift(number)
		return 0, err
	case srv.suspended.Load() == number:
		return number, nil
	case srv.draining.Load():
		return 0, ErrShutDown
	}
	return 0, ErrNotPaused
}

// markSuspended notes that the guard is suspended, if nothing is in the way of it, and returns the number of that.
func (srv *Server) markSuspended() (number uint64, err error) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	switch {
	case srv.paused || srv.Suspended():
		return 0, ErrPaused
	case srv.anyPausedLocked():
		return 0, ErrSomePaused
	case srv.draining.Load():
		return 0, ErrShutDown
	}
	srv.suspends++
	srv.suspended.Store(srv.suspends)
	return srv.suspends, nil
}

// Suspended is true from Suspend until that is ended.
func (srv *Server) Suspended() bool { return srv.suspended.Load() != 0 }

// Lift ends the Suspend of this number, and no other: who has waited goes on. False: it has ended already.
func (srv *Server) Lift(number uint64) bool {
	if number == 0 || !srv.suspended.CompareAndSwap(number, 0) {
		return false
	}
	for _, s := range srv.all() {
		s.mu.Lock()
		s.cond.Broadcast()
		s.mu.Unlock()
	}
	return true
}

// beginEnd notes that the guard begins to end. Nobody suspends it from then on, and whoever has does not any more.
func (srv *Server) beginEnd() {
	srv.mu.Lock()
	srv.draining.Store(true)
	srv.mu.Unlock()
	srv.Lift(srv.suspended.Load())
}

// isBusy is true while the session has a request that waits or runs.
func (s *session) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.restsLocked() && s.state != leaving && s.walsender == nil
}

// restsLocked is true for a session whose next message would begin something.
func (s *session) restsLocked() bool {
	return s.state == free || s.state == parked || s.state == idling
}

// isSuspended is true while Suspend keeps the session from beginning what its client has sent.
func (s *session) isSuspended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.suspendedLocked()
}

// suspendedLocked is isSuspended, with mu held.
func (s *session) suspendedLocked() bool { return s.heldUp.Load() && s.restsLocked() }
