package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"sync"
	"time"

	"pgguard/pool"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// heir is the process that takes this one's place, as this one sees it.
type heir struct {
	srv *Server
	p   *sock.Passage

	mu    sync.Mutex
	asked map[uint64]chan string // guarded by mu: arrivals that are not answered yet; nil: it has gone
	last  uint64                 // guarded by mu: the last ID
}

// sweepEvery is how often it is looked who can be handed over. Who does something meanwhile goes with its next request.
const sweepEvery = 20 * time.Millisecond

// HandOver has the process at the other end of p take this one's place: it gets the listeners, those of others, too, and starts. If it does not come to that before ctx ends,
// there is an error, and nothing has changed. Otherwise nobody comes in here any more, and clients go over as they become idle; AwaitHandedOver
// returns when none is left. HandOver owns p.
func (srv *Server) HandOver(ctx context.Context, p *sock.Passage, others ...net.Listener) error {
	srv.handing.Lock()
	defer srv.handing.Unlock()
	stop := context.AfterFunc(ctx, func() { _ = p.Close() })
	h := &heir{srv: srv, p: p, asked: map[uint64]chan string{}}
	err := h.meet(others)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = h.commit(others)
	}
	if err != nil {
		_ = p.Close()
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// meet gives the successor what it needs to start, and returns when it is ready.
func (h *heir) meet(others []net.Listener) error {
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
	if err := pass(h.p, passAll, standing{Serves: h.srv.Ready() == nil, Clients: h.srv.clients()}); err != nil {
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
	case srv.draining.Load():
		return "the running pgguard is ending"
	case srv.heir.Load() != nil:
		return "the running pgguard has handed over already"
	case srv.keepsWaiting():
		return errPaused.Error()
	}
	return ""
}

// errPaused is why nobody takes over now: who waits would be left with a process that no console reaches.
var errPaused = errors.New("a database is paused; RESUME it first")

// keepsWaiting is true while clients of any database are kept waiting.
func (srv *Server) keepsWaiting() bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	waits := srv.paused
	for _, d := range srv.databases {
		waits = waits || d.paused || d.moving > 0
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

// commit gives the successor the right to serve, and has this process stop to let anybody in.
func (h *heir) commit(others []net.Listener) error {
	srv := h.srv
	if srv.keepsWaiting() { // by now: a process takes its time to start
		return errPaused
	}
	if err := pass(h.p, passGo, commit{srv.keys.reserve()}); err != nil {
		return err
	}
	h.attend()
	srv.draining.Store(true)
	srv.mu.Lock()
	srv.shut = true
	listeners := srv.listeners
	srv.mu.Unlock()
	for _, l := range listeners {
		abandon(l.socket)
	}
	for _, l := range others {
		abandon(l)
	}
	srv.introduce(h)
	held := h.tellServers(nil)
	srv.heir.Store(h) // from now on clients go
	for _, in := range srv.allInstances() {
		in.Yield()
		in.Pool.Retire(time.Now(), "handed over", func(*pool.Server) bool { return true })
	}
	srv.log.Info("handed over; clients follow as they become idle", "clients", srv.clients())
	srv.work.Go(func() { h.sweep(held) }) // ends when the passage does
	return nil
}

// attend has what the successor says be heard, until the passage ends, which Close sees to: whoever is writing then may wait for a successor that does not read.
func (h *heir) attend() {
	context.AfterFunc(h.srv.ctx, func() { _ = h.p.Close() })
	h.srv.work.Go(func() { h.listen() })
}

// introduce tells what is known of users, before anybody of them comes.
func (srv *Server) introduce(h *heir) {
	for _, in := range srv.allInstances() {
		id := in.Door().Upstream.Identity()
		for user, known := range in.Door().Memory.All() {
			_ = pass(h.p, passUser, acquaintance{[]byte(id), []byte(user), known.Bare()}) // if it is gone, everything stays here
		}
	}
}

// AwaitHandedOver returns when nobody is left here: no client, and no process that has handed over to this one before. Or with ctx's error.
func (srv *Server) AwaitHandedOver(ctx context.Context) error {
	return srv.await(ctx, func() bool { return srv.left() && srv.ancestor.Load() == nil })
}

// tellServers tells how many servers there still are here, if that is not what was told last, and returns it.
func (h *heir) tellServers(told map[string]int) map[string]int {
	now := map[string]int{}
	for _, in := range h.srv.allInstances() {
		now[in.Door().Upstream.Identity()] = len(in.Pool.Views())
	}
	if !maps.Equal(now, told) {
		_ = pass(h.p, passServers, holding{now}) // if it is gone, that does not matter any more
	}
	return now
}

// sweep has who is idle go, until the passage ends. held is what was told of servers.
func (h *heir) sweep(held map[string]int) {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for h.there() {
		for _, s := range h.srv.all() {
			if !s.stays.Load() && s.mayMove() {
				s.conn.Interrupt()
			}
		}
		held = h.tellServers(held)
		select {
		case <-t.C:
		case <-h.srv.ctx.Done():
			return
		}
	}
}

// there is true until the passage has ended.
func (h *heir) there() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked != nil
}

// listen reads what the successor says. When it has gone, what it has not answered stays here.
func (h *heir) listen() {
	for {
		kind, body, err := receive(h.p)
		if err == nil {
			err = h.hear(kind, body)
		}
		if err != nil {
			h.end(err)
			return
		}
	}
}

func (h *heir) hear(kind byte, body []byte) error {
	switch kind {
	case passAnswer:
		r, err := hear[receipt](body)
		if err != nil {
			return err
		}
		h.mu.Lock()
		answer := h.asked[r.ID]
		delete(h.asked, r.ID)
		h.mu.Unlock()
		if answer != nil {
			answer <- r.Why
		}
	case passCancel:
		c, err := hear[lateCancel](body)
		if err != nil {
			return err
		}
		h.srv.cancelRequest(&wire.Startup{PID: c.PID, Secret: c.Secret})
	}
	return nil
}

// end answers for a successor that has gone.
func (h *heir) end(err error) {
	_ = h.p.Close()
	h.mu.Lock()
	asked := h.asked
	h.asked = nil
	h.mu.Unlock()
	why := "it has gone"
	if h.srv.ctx.Err() != nil {
		why = "" // this process has: the successor reads on, and serves who stands there
	}
	for _, answer := range asked {
		answer <- why
	}
	if h.srv.ctx.Err() == nil {
		h.srv.log.Warn("the process that has taken over does not answer any more; who is still here is served here to the end", "clients", h.srv.clients(), "error", err)
	}
}

// give sends a client, and returns why it is not taken; empty: it is, and must be left alone here.
func (h *heir) give(a *arrival, socket net.Conn) (why string) {
	answer := make(chan string, 1)
	h.mu.Lock()
	if h.asked == nil {
		h.mu.Unlock()
		return "it has gone"
	}
	h.last++
	a.ID = h.last
	h.asked[a.ID] = answer
	h.mu.Unlock()
	if err := passWith(h.p, passClient, a, socket); err != nil {
		h.mu.Lock()
		_, unanswered := h.asked[a.ID]
		delete(h.asked, a.ID)
		h.mu.Unlock()
		if unanswered {
			return err.Error()
		}
	}
	return <-answer // comes when the passage ends, at the latest
}

// errMoved ends a session whose client is with another process now.
var errMoved = errors.New("client was handed over")

// move hands the session over, if it can go. The error is errMoved then.
func (s *session) move(h *heir) error {
	s.wmu.Lock() // nothing is on its way to the client
	defer s.wmu.Unlock()
	if s.stream.left > 0 || !s.mayMove() {
		return nil
	}
	a, ok := s.pack()
	if ok {
		why := h.give(a, sock.Socket(s.conn.Conn))
		if why == "" {
			s.mute = true
			return errMoved
		}
		s.srv.log.Debug("client stays", "client", remote(s.conn.Conn), "reason", why)
	}
	s.stays.Store(true)
	return nil
}

// mayMove is true for a session that is between two transactions, keeps no server, and has nothing that only this process has.
func (s *session) mayMove() bool {
	if _, secured := s.conn.Conn.(*tls.Conn); secured || s.walsender != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state == free && s.link == nil && s.local == wire.Idle && !s.skip && s.lost == nil && s.denied == nil && s.close == nil &&
		s.request == nil && !s.asked
}

// pack is what the successor must know; false: it cannot be told. It is called by the session's goroutine.
func (s *session) pack() (a *arrival, ok bool) {
	l := s.route.key.Value.(*login)
	if l.turn != l.entry.Turn() {
		return nil, false // it has settings from its login that nobody gets now
	}
	a = &arrival{
		User: []byte(s.user), Database: []byte(s.route.database), Called: []byte(s.called.Value()), Class: s.srv.cfg().Pool.Classes[s.own].Name,
		Listener: s.listener, Options: pairsOf(s.route.terms.Began), Since: s.since, KeyPID: s.key.pid, KeySecret: s.key.secret,
	}
	for _, p := range s.params.Reported() {
		a.Params = append(a.Params, translate.Belonging{Name: []byte(p.Name), Value: []byte(p.Value)})
	}
	for _, b := range []*sock.Buffer{s.in, s.after} {
		if b != nil {
			a.Pending = append(a.Pending, b.Bytes()...)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a.Has, ok = s.client.Pack()
	return a, ok && len(a.Pending) <= maxPending
}

func pairsOf(list []translate.Pair) (out []translate.Belonging) {
	for _, p := range list {
		out = append(out, translate.Belonging{Name: []byte(p.Name), Value: []byte(p.Value)})
	}
	return out
}

// ancestor is the process whose place this one has taken, as this one sees it.
type ancestor struct {
	p *sock.Passage
}

// Inheritance is what a process that takes another's place has been given.
type Inheritance struct {
	// Handed are the listeners.
	Handed *sock.Handed

	p    *sock.Passage
	from standing
}

// Inherit asks the process at the other end of p for its listeners. Nothing changes there until TakeOver. The Inheritance owns p.
func Inherit(ctx context.Context, p *sock.Passage, version string) (*Inheritance, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.Close() })
	defer stop()
	in := &Inheritance{p: p}
	err := pass(p, passHello, newcomer{HandoverFormat, version, os.Getpid()})
	if err == nil {
		err = in.receive()
	}
	if err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("take over: %w", errors.Join(err, ctx.Err()))
	}
	return in, nil
}

// maxLent bounds the listeners that are taken.
const maxLent = 1000

// receive takes the listeners.
func (in *Inheritance) receive() (err error) {
	var files []*os.File
	var own []int
	defer func() {
		if in.Handed == nil {
			for _, f := range files {
				_ = f.Close()
			}
		}
	}()
	for {
		kind, body, with, err := in.p.Receive()
		if with != nil {
			files = append(files, with)
		}
		switch {
		case err != nil:
			return fmt.Errorf("the running pgguard has not answered: %w", err)
		case kind == passNo:
			n, err := hear[refused](body)
			return errors.Join(errors.New(n.Why), err)
		case kind == passListener && with != nil && len(files) <= maxLent:
			at, err := hear[place](body)
			if err != nil {
				return err
			}
			if at.Own {
				own = append(own, len(files)-1)
			}
		case kind == passAll:
			if in.from, err = hear[standing](body); err != nil {
				return err
			}
			if in.Handed, err = sock.NewHanded(files); err != nil {
				return err
			}
			for _, i := range own {
				in.Handed.Own(i)
			}
			return nil
		case kind == passListener:
			return errors.New("a listener came without its socket, or one too many")
		default:
			return errKind(kind, passListener)
		}
	}
}

// Close gives everything up; the other process goes on as before, unless TakeOver has succeeded.
func (in *Inheritance) Close() {
	in.Handed.Close()
	_ = in.p.Close()
}
