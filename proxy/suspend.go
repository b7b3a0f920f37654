package proxy

import "context"

// Suspend has no statement of any client begin any more, in a transaction or not, and returns when none runs: transactions stay open, and servers with who has them. Clients
// may come in, and wait with their first request. It stays so until Resume(""), also after an error, which is ctx's; and until the guard begins to end. Replication goes on.
func (srv *Server) Suspend(ctx context.Context) error {
	switch {
	case srv.Paused():
		return ErrPaused
	case srv.anyPaused():
		return ErrSomePaused
	case srv.draining.Load():
		return ErrShutDown
	case !srv.suspended.CompareAndSwap(false, true):
		return ErrPaused
	}
	return srv.await(ctx, func() bool {
		for _, s := range srv.all() {
			if srv.suspended.Load() && s.isBusy() {
				return false
			}
		}
		return true
	})
}

// Suspended is true between Suspend and Resume.
func (srv *Server) Suspended() bool { return srv.suspended.Load() }

// lift ends Suspend: who has waited goes on. False: there is nothing to end.
func (srv *Server) lift() bool {
	if !srv.suspended.CompareAndSwap(true, false) {
		return false
	}
	for _, s := range srv.all() {
		s.mu.Lock()
		s.cond.Broadcast()
		s.mu.Unlock()
	}
	return true
}

// isBusy is true while the session has a request that waits or runs.
func (s *session) isBusy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.restsLocked() && s.state != leaving && s.walsender == nil
}

// restsLocked is true for a session whose next bytes would begin something.
func (s *session) restsLocked() bool {
	return s.stream.left == 0 && (s.state == free || s.state == parked || s.state == idling)
}
