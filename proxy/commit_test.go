package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"pgguard/proxy/sock"
)

// bare is a Server without a database, which takes clients at addr; handed are sockets for it.
func bare(t *testing.T, addr string, handed *sock.Handed) *Server {
	t.Helper()
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.Port, cfg.Upstream.User = "127.0.0.1", 1, "app"
	cfg.Listen, cfg.Handed = []Listener{{Addr: addr}}, handed
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

// serves begins to serve.
func (srv *Server) serves(t *testing.T) {
	if srv.instanceFor(srv.cfg().Upstream); srv.Ready() == nil {
		t.Fatal("it is ready without a database")
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(context.Background()) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
}

// greets is nil if somebody serves at addr.
func greets(addr string) error {
	nc, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer func() { _ = nc.Close() }()
	_ = nc.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := nc.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil { // is there TLS?
		return err
	}
	_, err = io.ReadFull(nc, make([]byte, 1))
	return err
}

// obstacle is what becomes of one message on its way between the processes.
type obstacle struct {
	kind byte
	dies bool          // the successor ends: the message does not arrive, and none after it
	free chan struct{} // it arrives when this is closed; nil: at once
	met  chan struct{} // closed when it is on its way
}

// between carries messages from one end to the other, until either ends.
func (o *obstacle) between(from, to *sock.Passage) {
	defer func() { _, _ = from.Close(), to.Close() }()
	for {
		kind, body, with, err := from.Receive()
		if err != nil {
			return
		}
		if kind == o.kind {
			close(o.met)
			if o.dies {
				return
			}
			if o.free != nil {
				<-o.free
			}
		}
		if with == nil {
			err = to.Send(kind, body, nil)
		} else {
			err = errors.Join(to.Send(kind, body, with), with.Close())
		}
		if err != nil {
			return
		}
	}
}

// TestOneServesWhateverTheSuccessorDoes: it dies, stops, or is slow, at every message of a takeover, and each side's patience ends first; somebody serves all the
// time, and in the end one of the two does.
func TestOneServesWhateverTheSuccessorDoes(t *testing.T) {
	const short, long = 100 * time.Millisecond, 200 * time.Millisecond
	for _, kind := range []byte{passHello, passListener, passAll, passReady, passGo, passTaken} {
		for _, fault := range []string{"dies", "stops", "slow"} {
			for _, within := range [][2]time.Duration{{short, long}, {long, short}} {
				t.Run(fmt.Sprintf("%c %s %s", kind, fault, within[0]), func(t *testing.T) {
					t.Parallel()
					o := &obstacle{kind: kind, dies: fault == "dies", met: make(chan struct{})}
					if fault == "stops" {
						o.free = make(chan struct{})
					}
					one(t, o, within[0], within[1])
				})
			}
		}
	}
}

// one has a process taken over with an obstacle on the way; old and young are how patient they are.
func one(t *testing.T, o *obstacle, oldWithin, youngWithin time.Duration) {
	if o.free == nil && !o.dies {
		oldWithin, youngWithin = time.Minute, time.Minute
	}
	old := bare(t, "127.0.0.1:0", nil)
	old.serves(t)
	addr := old.Addrs()[0].String()
	a, b := passage(t)
	c, d := passage(t)
	go o.between(b, c)
	go o.between(c, b)
	gone := make(chan error, 1)
	go func() { gone <- old.HandOver(context.Background(), Successor{Passage: a, Within: oldWithin}) }()
	took := make(chan error, 1)
	go func() { took <- takes(t, d, addr, youngWithin, o.dies) }()
	select {
	case <-o.met:
	case err := <-gone: // on a slow machine patience ends before
		gone <- err
	}
	var left, came error
	if o.free != nil {
		for end := time.Now().Add(oldWithin + youngWithin); time.Now().Before(end); { // longer than either is patient
			if err := greets(addr); err != nil {
				t.Errorf("while it stops nobody serves: %v", err)
			}
		}
		close(o.free)
	}
	left, came = <-gone, <-took
	if (left == nil) != (came == nil) {
		t.Errorf("the old one: %v; the new one: %v", left, came)
	}
	if o.dies && left == nil {
		t.Errorf("the old one has let go for one that has died: %v", came)
	}
	if o.free == nil && !o.dies && left != nil {
		t.Errorf("a slow one does not take over: %v", left)
	}
	if left != nil && old.draining.Load() {
		t.Error("the old one ends")
	}
	if err := greets(addr); err != nil {
		t.Errorf("nobody serves: %v", err)
	}
}

// takes is a successor; mortal: it ends with what it is told then.
func takes(t *testing.T, p *sock.Passage, addr string, within time.Duration, mortal bool) error {
	ctx, stop := context.WithTimeout(context.Background(), within)
	defer stop()
	in, err := Inherit(ctx, p, "test")
	if err != nil {
		return err
	}
	srv := bare(t, addr, in.Handed)
	if err = srv.TakeOver(ctx, in); err == nil && mortal {
		err = errors.New("it has died")
	}
	if err != nil {
		_ = srv.closeListeners()
		in.Close()
		return err
	}
	in.Handed.Close()
	srv.serves(t)
	return nil
}

// TestStoppedSuccessorIsEnded: one that has taken the right to serve, and stops before it does, is ended if it can be; then the old process serves on, and another may come.
func TestStoppedSuccessorIsEnded(t *testing.T) {
	old := bare(t, "127.0.0.1:0", nil)
	old.serves(t)
	a, b := passage(t)
	gone, ended := make(chan error, 1), make(chan struct{})
	go func() {
		gone <- old.HandOver(context.Background(), Successor{Passage: a, Within: 100 * time.Millisecond, End: func() { close(ended) }})
	}()
	in, err := Inherit(context.Background(), b, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.comeIn(context.Background()); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := errors.Join(pass(b, passTaken, struct{}{}), greets(old.Addrs()[0].String())); err != nil { // it has been too quick for its end
		t.Error(err)
	}
	in.Close()
	if err := <-gone; err == nil || old.draining.Load() {
		t.Errorf("the old process lets go of what was ended: %v", err)
	}
	a, b = passage(t)
	go func() { gone <- old.HandOver(context.Background(), Successor{Passage: a, Within: time.Minute}) }()
	if err := errors.Join(takes(t, b, old.Addrs()[0].String(), time.Minute, false), <-gone); err != nil {
		t.Errorf("the next: %v", err)
	}
}

// TestSuccessorOfADeadProcessServes: a process that dies once another has come to take its place is succeeded all the same.
func TestSuccessorOfADeadProcessServes(t *testing.T) {
	for name, goes := range map[string]bool{"before it gives way": false, "having given way": true} {
		t.Run(name, func(t *testing.T) {
			old := bare(t, "127.0.0.1:0", nil)
			old.serves(t)
			addr := old.Addrs()[0].String()
			a, b := passage(t)
			h, lent, err := newHeir(old, a)
			if err != nil {
				t.Fatal(err)
			}
			defer h.deeds.Close()
			took := make(chan error, 1)
			go func() { took <- takes(t, b, addr, time.Minute, false) }()
			if err := h.meet(nil, lent); err != nil {
				t.Fatal(err)
			}
			if goes {
				if err := pass(a, passGo, commit{}); err != nil {
					t.Fatal(err)
				}
			}
			_ = a.Close()
			_ = old.closeListeners()
			if err := errors.Join(<-took, greets(addr)); err != nil {
				t.Errorf("nobody serves: %v", err)
			}
		})
	}
}
