package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"testing"

	"pgguard/proxy/auth"
	"pgguard/proxy/sock"
)

// passage returns both ends of one.
func passage(t *testing.T) (old, young *sock.Passage) {
	t.Helper()
	old, f, err := sock.Pair()
	if err != nil {
		t.Fatal(err)
	}
	if young, err = sock.FilePassage(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = old.Close(); _ = young.Close() })
	return old, young
}

// TestListenersAreTakenOnTrustByNobody: what comes in the place of a listener's socket ends the takeover, and not the process.
func TestListenersAreTakenOnTrustByNobody(t *testing.T) {
	for what, say := range map[string]func(p *sock.Passage) error{
		"a listener without a socket": func(p *sock.Passage) error { return pass(p, passListener, place{Network: "tcp", Addr: "127.0.0.1:1"}) },
		"a client before its time":    func(p *sock.Passage) error { return pass(p, passClient, arrival{}) },
		"a refusal without words":     func(p *sock.Passage) error { return p.Send(passNo, nil, nil) },
	} {
		old, young := passage(t)
		if err := errors.Join(say(old), old.Conn().CloseWrite()); err != nil {
			t.Fatal(err)
		}
		if in, err := Inherit(context.Background(), young, "test"); err == nil {
			t.Errorf("%s is taken: %+v", what, in)
		}
	}
}

// TestClosingLeavesWhoIsOnTheWayToTheSuccessor: it takes whom it finds in the passage, though nobody hears its answer; here nothing may be run or said for such a client.
func TestClosingLeavesWhoIsOnTheWayToTheSuccessor(t *testing.T) {
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.User = "127.0.0.1", "app"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	old, young := passage(t)
	h := &heir{srv: srv, p: old, asked: map[uint64]chan string{}}
	h.attend()
	why := make(chan string, 1)
	go func() { why <- h.give(&arrival{}, client) }()
	if _, _, with, err := young.Receive(); err != nil || with.Close() != nil {
		t.Fatal(err)
	}
	srv.stop()
	if got := <-why; got != "" {
		t.Errorf("the client is served here, too: %s", got)
	}
	srv.work.Wait()
}

// TestNobodyTakesOverWhatWasPausedMeanwhile: a successor may need half a minute until it is ready.
func TestNobodyTakesOverWhatWasPausedMeanwhile(t *testing.T) {
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.User = "127.0.0.1", "app"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.stop()
	old, young := passage(t)
	gone := make(chan error, 1)
	go func() { gone <- srv.HandOver(context.Background(), old) }()
	if _, err := Inherit(context.Background(), young, "test"); err != nil {
		t.Fatal(err)
	}
	if err := srv.Pause(context.Background(), ""); err != nil {
		t.Fatal(err)
	}
	if err := pass(young, passReady, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if err := <-gone; !errors.Is(err, errPaused) || srv.draining.Load() {
		t.Errorf("got %v", err)
	}
}

// TestSuccessorMeetsUsersBeforeAnybodyComes: it has opened no instance but the general one when it is told of users and servers, and clients who come from the
// process before do not prove anew who they are.
func TestSuccessorMeetsUsersBeforeAnybodyComes(t *testing.T) {
	cfg := Default()
	cfg.Upstream.Host, cfg.Upstream.Port, cfg.Upstream.User = "127.0.0.1", 1, "app"
	cfg.Pool.MaxServers = 4
	shop := cfg.Upstream
	shop.Port = 2
	cfg.Databases = map[string]Database{"shop": {Upstream: shop}}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv.stop()
	for _, id := range []string{shop.Identity(), "elsewhere"} {
		body, err := json.Marshal(acquaintance{[]byte(id), []byte("ann"), auth.Bare{Password: "secret"}})
		if err != nil {
			t.Fatal(err)
		}
		srv.meetUser(body)
	}
	srv.setAway(holding{map[string]int{shop.Identity(): 3, "elsewhere": 3}})
	if n := len(srv.allInstances()); n != 1 {
		t.Errorf("%d instances are open, want 1", n)
	}
	in := srv.instanceFor(shop)
	if in.Door().Memory.Of("ann").Nothing() {
		t.Error("nothing is known of a user")
	}
	if c := in.Pool.Cap(); c != 1 {
		t.Errorf("there is room for %d servers, want 1", c)
	}
}
