package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"pgguard/pool"
	"pgguard/proxy/sock"
)

// Successor is a process that is to take this one's place.
type Successor struct {
	// Passage is the way to it.
	Passage *sock.Passage
	// Within is how long it may take until it serves.
	Within time.Duration
	// End ends it at once; nil: it is not this process's to end.
	End func()
}

// newcomersDeed is the deed of the right to serve who comes. This process takes it when it gives up waiting, the successor when it begins to serve; so it does not matter
// which of the two has less patience, and what is on its way then. Clients have those from 1 on.
const newcomersDeed = 0

// errLate is why a successor comes to nothing.
var errLate = errors.New("it has taken too long")

// HandOver has another process take this one's place: it gets the listeners, those of others, too, and starts. If it does not come to that in time, or ctx ends,
// there is an error, and nothing has changed. Otherwise nobody comes in here any more, and clients go over as they become idle; AwaitHandedOver
// returns when none is left. Up to its return clients are served here as always. HandOver owns the passage. It waits longer only for a process that has stopped, and cannot be
// ended, after it has taken the right to serve: until that goes on, or is gone.
func (srv *Server) HandOver(ctx context.Context, n Successor, others ...net.Listener) error {
	srv.handing.Lock()
	defer srv.handing.Unlock()
	h, lent, err := newHeir(srv, n.Passage)
	if err != nil {
		_ = n.Passage.Close()
		return fmt.Errorf("hand over: %w", err)
	}
	bound, stop := context.WithTimeoutCause(ctx, n.Within, errLate)
	defer stop()
	defer context.AfterFunc(ctx, func() { _, _ = h.keeps(), h.p.Close() })()
	defer context.AfterFunc(bound, func() { h.late(ctx, n.End) })()
	err = h.meet(others, lent)
	if err == nil {
		err = h.commit()
	}
	if err != nil {
		kept := h.keeps()
		_ = h.p.Close() // in this order: who finds the passage closed, and the deed free, takes it
		if !kept && ctx.Err() != nil {
			abandonAll(others) // it may serve, and this process ends: giving stays, for its own listeners
		} else {
			srv.giving.Store(nil)
		}
		h.deeds.Close()
		return errors.Join(err, context.Cause(bound))
	}
	h.letGo(others)
	return nil
}

// keeps is true once this process goes on serving who comes, whatever the successor does: if that has not begun to, it is so from now on.
func (h *heir) keeps() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.kept = h.kept || h.deeds.Take(newcomersDeed)
	return h.kept
}

// late ends a takeover that takes too long. A successor that may serve by now, and says nothing, is waited for, or ended if it can be.
func (h *heir) late(ctx context.Context, end func()) {
	if ctx.Err() != nil {
		return
	}
	if h.keeps() {
		_ = h.p.Close()
		return
	}
	h.mu.Lock()
	h.ended = end != nil && !h.taken
	ended, taken := h.ended, h.taken
	h.mu.Unlock()
	switch {
	case ended:
		end()
	case !taken:
		h.srv.log.Warn("the process that takes over has stopped on the way; clients are served here until it goes on, or is ended")
	}
}

// meet gives the successor what it needs to start, and returns when it is ready.
func (h *heir) meet(others []net.Listener, deeds *os.File) error {
	defer func() { _ = deeds.Close() }() // of which the successor has a copy
	kind, body, err := receive(h.p)
	if err != nil || kind != passHello {
		return fmt.Errorf("the new process has not said who it is: %w", errors.Join(err, errKind(kind, passHello)))
	}
	g, err := hear[newcomer](body)
	if err != nil {
		return err
	}
	if why := h.srv.objection(g); why != "" {
		return errors.Join(errors.New(why), pass(h.p, passNo, refused{why}))
	}
	h.srv.log.Info("another process takes over", "pid", g.PID, "version", g.Version)
	for _, l := range append(h.srv.sockets(), others...) {
		if err := h.lend(l); err != nil {
			return err
		}
	}
	if err := passWith(h.p, passAll, standing{Serves: h.srv.proves(), Clients: h.srv.clients()}, deeds); err != nil {
		return err
	}
	kind, _, err = receive(h.p)
	if err != nil || kind != passReady {
		return fmt.Errorf("the new process has not become ready: %w", errors.Join(err, errKind(kind, passReady)))
	}
	return nil
}

// errKind is the error of a message of another kind than want.
func errKind(kind, want byte) error {
	if kind == want {
		return nil
	}
	return fmt.Errorf("it says %q instead of %q", kind, want)
}

// objection is why a process cannot take over; empty: it can.
func (srv *Server) objection(g newcomer) string {
	switch {
	case g.Format != HandoverFormat:
		return fmt.Sprintf("the running pgguard hands over in format %d, version %s in format %d; restart it instead", HandoverFormat, g.Version, g.Format)
	case srv.heir.Load() != nil:
		return "the running pgguard has handed over already"
	}
	if err := srv.holdsBack(); err != nil {
		return err.Error()
	}
	return ""
}

// Why nobody takes over now: who waits would be left with a process that no console reaches.
var (
	errPaused    = errors.New("a database is paused; RESUME it first")
	errSuspended = errors.New("clients are suspended; RESUME first")
)

// anyPaused is true while any database is paused.
func (srv *Server) anyPaused() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.anyPausedLocked()
}

func (srv *Server) anyPausedLocked() bool {
	waits := srv.paused
	for _, d := range srv.databases {
		waits = waits || d.paused
	}
	return waits
}

// sockets are those that clients come to.
func (srv *Server) sockets() (list []net.Listener) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, l := range srv.listeners {
		list = append(list, l.socket)
	}
	return list
}

// lend sends a copy of a listener's socket.
func (h *heir) lend(l net.Listener) error {
	socket, own := socketOf(l)
	if socket == nil {
		return fmt.Errorf("%s cannot be handed over", l.Addr())
	}
	return passWith(h.p, passListener, place{l.Addr().Network(), l.Addr().String(), own}, socket)
}

// commit gives the successor the right to serve, and returns when it has begun to.
func (h *heir) commit() error {
	// In this order: who holds clients back marks that, and then looks for who is given the right.
	h.srv.giving.Store(h)
	if err := h.srv.holdsBack(); err != nil { // by now: a process takes its time to start
		return err
	}
	_ = pass(h.p, passGo, commit{h.srv.keys.reserve(), h.srv.disabledNames()}) // if it is gone, that is found next
	for {
		kind, _, err := receive(h.p)
		if err == nil && kind != passTaken && h.keeps() {
			err = errKind(kind, passTaken)
		}
		if err != nil {
			return fmt.Errorf("the new process has not begun to serve: %w", err)
		}
		if h.takes() {
			return nil
		}
	}
}

// takes notes that the successor serves; false: it is not to any more, and is being ended.
func (h *heir) takes() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.taken = !h.kept && !h.ended
	return h.taken
}

// holdsBack is why nobody may take over now; nil: somebody may.
func (srv *Server) holdsBack() error {
	switch {
	case srv.draining.Load():
		return errors.New("the running pgguard is ending")
	case srv.anyPaused():
		return errPaused
	case srv.Suspended():
		return errSuspended
	}
	return nil
}

// letGo has this process stop to let anybody in, and clients go.
func (h *heir) letGo(others []net.Listener) {
	srv := h.srv
	h.attend()
	srv.beginEnd()
	srv.mu.Lock()
	srv.shut = true
	listeners := srv.listeners
	srv.mu.Unlock()
	for _, l := range listeners {
		abandon(l.socket)
	}
	abandonAll(others)
	for _, in := range srv.allInstances() {
		in.Yield()
		in.Pool.Retire(time.Now(), "handed over", func(*pool.Server) bool { return true })
	}
	srv.log.Info("handed over; clients follow as they become idle", "clients", srv.clients())
	srv.work.Go(h.sweep) // ends when the passage does
}
