package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
	"pgguard/proxy/wire"
)

// heir is the process that takes this one's place, as this one sees it.
type heir struct {
	srv   *Server
	p     *sock.Passage
	deeds *sock.Deeds

	writing chan struct{} // holds one while a client is sent
	silent  atomic.Bool   // it has not answered in time, and nothing since

	mu    sync.Mutex
	kept  bool                   // guarded by mu: this process has taken the deed of newcomers
	taken bool                   // guarded by mu: the successor has, and says so
	ended bool                   // guarded by mu: it is being ended
	asked map[uint64]chan string // guarded by mu: arrivals that are not answered yet; nil: it has gone
	last  uint64                 // guarded by mu: the last ID
}

// newHeir returns one, and the file by which it opens the deeds.
func newHeir(srv *Server, p *sock.Passage) (*heir, *os.File, error) {
	deeds, lent, err := sock.NewDeeds()
	return &heir{srv: srv, p: p, deeds: deeds, writing: make(chan struct{}, 1), asked: map[uint64]chan string{}}, lent, err
}

// sweepEvery is how often it is looked who can be handed over. Who does something meanwhile goes with its next request.
const sweepEvery = 20 * time.Millisecond

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

// sweep tells what the successor must know, and has who is idle go, until the passage ends.
func (h *heir) sweep() {
	h.srv.introduce(h)
	held := h.tellServers(nil)
	h.srv.heir.Store(h) // from now on clients go
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for h.there() {
		for _, s := range h.srv.all() {
			if !h.silent.Load() && !s.stays.Load() && s.mayMove() {
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
		answer := h.forget(r.ID)
		h.silent.Store(false) // behind that: see give
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
	ending := h.srv.ctx.Err() != nil // this process is: the successor reads on, and serves who stands there
	for id, answer := range asked {
		if ending {
			answer <- ""
		} else {
			h.settle(answer, id, "it has gone")
		}
	}
	if h.srv.ctx.Err() == nil {
		h.srv.log.Warn("the process that has taken over does not answer any more; who is still here is served here to the end", "clients", h.srv.clients(), "error", err)
	}
}

// giveWithin is how long a client may wait for the successor to take it before it is served here all the same. A successor needs less than a millisecond, or, on a machine
// that has too much to do, some tens of them; clients wait for a second often.
const giveWithin = time.Second

// errUnanswered is why a client is not given now, and may be later.
var errUnanswered = errors.New("the new process does not answer")

// give sends a client. With nil it is taken, and must be left alone here; else it must be served here. It returns within giveWithin.
func (h *heir) give(a *arrival, socket net.Conn) error {
	bound := time.NewTimer(giveWithin)
	defer bound.Stop()
	select {
	case h.writing <- struct{}{}:
	case <-bound.C:
		return errUnanswered
	}
	answer, ok := h.ask(a)
	if !ok {
		<-h.writing
		return errors.New("it has gone, or takes no more")
	}
	h.srv.sessions.Go(func() { // ends when it is sent, or with the passage
		defer func() { <-h.writing }()
		if err := h.send(a, socket); err != nil {
			h.settle(h.forget(a.ID), a.ID, err.Error())
		}
	})
	var why string
	select {
	case why = <-answer: // comes when the passage ends, at the latest
	case <-bound.C:
		h.silent.Store(true) // before the arrival is forgotten: whatever comes after that ends the silence
		if h.forget(a.ID) != nil {
			if !h.deeds.Take(a.ID) {
				return nil // it has taken it, and has not come to say so
			}
			return errUnanswered
		}
		h.silent.Store(false)
		why = <-answer // which is there, or on its way
	}
	if why != "" {
		return errors.New(why)
	}
	return nil
}

// ask gives an arrival its number, and returns what its answer will come by; false: the successor has gone, or there is no deed left.
func (h *heir) ask(a *arrival) (answer chan string, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.asked == nil {
		return nil, false
	}
	if h.last+1 >= sock.MostDeeds {
		return nil, false // whose it is could not be told
	}
	answer = make(chan string, 1)
	h.last++
	a.ID = h.last
	h.asked[a.ID] = answer
	return answer, true
}

// forget returns what the answer to an arrival is awaited by; nil: it is not any more.
func (h *heir) forget(id uint64) chan string {
	h.mu.Lock()
	defer h.mu.Unlock()
	answer := h.asked[id]
	delete(h.asked, id)
	return answer
}

// settle answers, if that is awaited, for a successor that cannot: why it has not taken a client, or, if it had, that it has.
func (h *heir) settle(answer chan string, id uint64, why string) {
	if answer == nil {
		return
	}
	if !h.deeds.Take(id) {
		why = ""
	}
	answer <- why
}

// send writes an arrival. It may be as long about it as the successor: the socket is a copy, so that the client can be served, and closed, meanwhile.
func (h *heir) send(a *arrival, socket net.Conn) error {
	f, ok := socket.(interface{ File() (*os.File, error) })
	if !ok {
		return errors.New("it is no socket")
	}
	with, err := f.File()
	if err != nil {
		return err
	}
	defer func() { _ = with.Close() }()
	return passWith(h.p, passClient, a, with)
}

// errMoved ends a session whose client is with another process now.
var errMoved = errors.New("client was handed over")

// move hands the session over, if it can go. The error is errMoved then.
func (s *session) move(h *heir) error {
	s.wmu.Lock() // nothing is on its way to the client
	defer s.wmu.Unlock()
	if h.silent.Load() || s.stream.left > 0 || !s.mayMove() {
		return nil
	}
	a, ok := s.pack()
	if ok {
		err := h.give(a, sock.Socket(s.conn.Conn))
		switch {
		case err == nil:
			s.mute = true
			return errMoved
		case errors.Is(err, errUnanswered):
			return nil
		}
		s.srv.log.Debug("client stays", "client", remote(s.conn.Conn), "reason", err)
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
