package proxy

import (
	"fmt"
	"testing"
	"time"

	"pgguard/proxy/upstream"
)

// TestNothingIsKeptReadyByWhoEnds: once it closes, not even the instance of a database that is to have servers ready is opened.
func TestNothingIsKeptReadyByWhoEnds(t *testing.T) {
	for _, ends := range []bool{false, true} {
		cfg := Default()
		cfg.Databases = map[string]Database{"own": {Upstream: upstream.Upstream{Host: "127.0.0.1", Port: 1, User: "guard"}, User: "app", Ready: new(1)}}
		srv, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if ends {
			if err := srv.Close(); err != nil {
				t.Fatal(err)
			}
		}
		srv.keepReady(time.Now())
		if n := len(srv.allInstances()); (n == 0) != ends {
			t.Errorf("%d instances are open; it has ended: %t", n, ends)
		}
		_ = srv.Close()
	}
}

// TestOneRouteStandsForWhoIsNotThere: as long as the configuration is what it was, and another under the next.
func TestOneRouteStandsForWhoIsNotThere(t *testing.T) {
	cfg := Default()
	cfg.Databases = map[string]Database{"own": {Upstream: upstream.Upstream{Host: "127.0.0.1", Port: 1, User: "guard"}, User: "app", Ready: new(1)}}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = srv.Close() }()
	stands := func() *route {
		srv.keepReady(time.Now())
		r := srv.standby.routes["own"]
		if r == nil || r.at.uses != 1 {
			t.Fatalf("%+v stands for the database", r)
		}
		return r
	}
	first := stands()
	if stands() != first {
		t.Error("the second look has made another route")
	}
	if err := srv.Reload(cfg); err != nil {
		t.Fatal(err)
	}
	if stands() == first {
		t.Error("a reload has left the route")
	}
}

// TestInstancesComeWhileOthersClose: one may be opened by whoever looks one up then.
func TestInstancesComeWhileOthersClose(t *testing.T) {
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.User = "127.0.0.1", "app"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv.instanceFor(cfg.Upstream)
	began, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i, open := 0, true; open && i < 10_000; i++ {
			srv.instanceFor(upstream.Upstream{Host: fmt.Sprintf("127.1.%d.%d", i/256, i%256), Port: 1, User: "app"})
			select {
			case <-srv.served:
				open = false
			default:
			}
			if i == 10 {
				close(began)
			}
		}
	}()
	<-began
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	<-done
}
