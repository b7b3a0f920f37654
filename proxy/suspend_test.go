package proxy

import (
	"context"
	"errors"
	"testing"
	"time"
)

// unserved is a Server that listens nowhere, and whose database nobody asks for.
func unserved(t *testing.T) *Server {
	t.Helper()
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.User = "127.0.0.1", "app"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	return srv
}

// suspend suspends, and forgets by which number that is ended.
func suspend(srv *Server) error {
	_, err := srv.Suspend(context.Background())
	return err
}

// TestLiftEndsNoOther: the number of a suspension that has ended does nothing to the next.
func TestLiftEndsNoOther(t *testing.T) {
	srv := unserved(t)
	first, err := srv.Suspend(context.Background())
	if err = errors.Join(err, srv.Resume(""), suspend(srv)); err != nil {
		t.Fatal(err)
	}
	if srv.Lift(first) || srv.Lift(0) || !srv.Suspended() {
		t.Error("another's suspension has been ended")
	}
}

// TestNobodyIsHeldBackAndHandedOver: an order in the moment in which another process takes over ends the takeover, or comes too late.
func TestNobodyIsHeldBackAndHandedOver(t *testing.T) {
	for name, order := range map[string]func(*Server) error{
		"SUSPEND": suspend,
		"PAUSE":   func(srv *Server) error { return srv.Pause(context.Background(), "") },
		"KILL":    func(srv *Server) error { return srv.Kill("app") },
	} {
		for _, taken := range []bool{false, true} {
			srv := unserved(t)
			srv.databaseFor("app", srv.instanceFor(srv.cfg().Upstream))
			old, young := passage(t)
			gone := make(chan error, 1)
			go func() { gone <- srv.HandOver(context.Background(), Successor{Passage: old, Within: time.Minute}) }()
			in := offered(t, young, taken)
			defer in.Close()
			want := error(nil)
			if taken {
				want = ErrShutDown
			}
			if err := order(srv); !errors.Is(err, want) {
				t.Errorf("%s, taken %t: %v, want %v", name, taken, err, want)
			}
			if held := srv.Suspended() || srv.anyPaused(); held == taken {
				t.Errorf("%s, taken %t: clients are held back: %t", name, taken, held)
			}
			if !taken && in.deeds.Take(newcomersDeed) {
				t.Errorf("%s: the successor can begin to serve", name)
			}
			said := young.Close
			if taken {
				said = func() error { return pass(young, passTaken, struct{}{}) }
			}
			if err := said(); err != nil {
				t.Fatal(err)
			}
			if err := <-gone; (err == nil) != taken {
				t.Errorf("%s, taken %t: handing over ends with %v", name, taken, err)
			}
		}
	}
}
