package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/auth"
	"pgguard/proxy/sock"
	"pgguard/proxy/translate"
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

// giving is a Server that has handed over, with a client to give, and what its successor has.
func giving(t *testing.T) (h *heir, client net.Conn, young *sock.Passage, deeds *sock.Deeds) {
	t.Helper()
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
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	old, young := passage(t)
	h, lent, err := newHeir(srv, old)
	if err != nil {
		t.Fatal(err)
	}
	if deeds, err = sock.OpenDeeds(lent); err != nil {
		t.Fatal(err)
	}
	h.attend()
	t.Cleanup(func() {
		_ = client.Close()
		srv.stop()
		srv.work.Wait()
		srv.sessions.Wait()
		h.deeds.Close()
		deeds.Close()
	})
	return h, client, young, deeds
}

// sent is the arrival that the successor finds, without its socket.
func sent(t *testing.T, young *sock.Passage) (a arrival) {
	t.Helper()
	_, body, with, err := young.Receive()
	if err == nil {
		a, err = hear[arrival](body)
	}
	if err != nil || with.Close() != nil {
		t.Fatal(err)
	}
	return a
}

// TestClosingLeavesWhoIsOnTheWayToTheSuccessor: it takes whom it finds in the passage, though nobody hears its answer; here nothing may be run or said for such a client.
func TestClosingLeavesWhoIsOnTheWayToTheSuccessor(t *testing.T) {
	h, client, young, deeds := giving(t)
	why := make(chan error, 1)
	go func() { why <- h.give(&arrival{}, client) }()
	a := sent(t, young)
	h.srv.stop()
	if err := <-why; err != nil {
		t.Errorf("the client is served here, too: %v", err)
	}
	if !deeds.Take(a.ID) {
		t.Error("the successor may not serve it")
	}
}

// TestClientIsServedByOneWhateverItsSuccessorDoes: one that stops before it takes a client does not keep it waiting for longer than is promised, and finds later that it is served; one
// that has taken it has it, though it stops, or dies, before it says so.
func TestClientIsServedByOneWhateverItsSuccessorDoes(t *testing.T) {
	for name, c := range map[string]struct{ reads, takes, dies, here bool }{
		"stops before it reads":   {here: true},
		"stops before it takes":   {reads: true, here: true},
		"stops when it has taken": {reads: true, takes: true},
		"dies before it takes":    {reads: true, dies: true, here: true},
		"dies when it has taken":  {reads: true, takes: true, dies: true},
		"dies before it reads":    {dies: true, here: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, client, young, deeds := giving(t)
			began := time.Now()
			why := make(chan error, 1)
			var sends arrival
			go func() { why <- h.give(&sends, client) }()
			if c.reads {
				if a := sent(t, young); c.takes && !deeds.Take(a.ID) {
					t.Fatal("it cannot be taken")
				}
			}
			if c.dies {
				_ = young.Close()
			}
			err := <-why
			if took := time.Since(began); took > giveWithin+time.Second {
				t.Errorf("the client waits for %s", took)
			}
			if here := err != nil; here != c.here {
				t.Errorf("served here: %t, want %t (%v)", here, c.here, err)
			}
			if there := c.takes || sends.ID != 0 && deeds.Take(sends.ID); there == c.here { // 0: it was gone before there was anything to take
				t.Errorf("served there: %t", there)
			}
		})
	}
}

// TestNobodyWaitsForASuccessorThatHasStopped: many are given at the same time, more than the passage holds; each is served here in time, nobody else waits at all, and when the
// successor goes on they are given again.
func TestNobodyWaitsForASuccessorThatHasStopped(t *testing.T) {
	h, client, young, deeds := giving(t)
	big := &translate.Belonging{Value: make([]byte, 1<<18)}
	began := time.Now()
	why := make(chan error, 20)
	for range 20 {
		go func() { why <- h.give(&arrival{Options: []translate.Belonging{*big}}, client) }()
	}
	for range 20 {
		if err := <-why; !errors.Is(err, errUnanswered) {
			t.Errorf("got %v", err)
		}
	}
	if took := time.Since(began); took > giveWithin+time.Second || !h.silent.Load() {
		t.Errorf("they wait for %s, silent %t", took, h.silent.Load())
	}
	a := sent(t, young)
	if deeds.Take(a.ID) {
		t.Error("the successor serves who is served here")
	}
	if err := pass(young, passAnswer, receipt{ID: a.ID, Why: "it is served there"}); err != nil {
		t.Fatal(err)
	}
	go func() { why <- h.give(&arrival{}, client) }()
	a = sent(t, young)
	if !deeds.Take(a.ID) || pass(young, passAnswer, receipt{ID: a.ID}) != nil {
		t.Error("it cannot be taken")
	}
	if err := <-why; err != nil || h.silent.Load() {
		t.Errorf("it is not given again: %v", err)
	}
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
	go func() { gone <- srv.HandOver(context.Background(), Successor{Passage: old, Within: time.Minute}) }()
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

// offered is a successor to whom the right to serve has been offered; takes: and who has taken it, but has not said so.
func offered(t *testing.T, young *sock.Passage, takes bool) *Inheritance {
	t.Helper()
	in, err := Inherit(context.Background(), young, "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := pass(young, passReady, struct{}{}); err != nil {
		t.Fatal(err)
	}
	if kind, _, err := receive(young); err != nil || kind != passGo {
		t.Fatal(kind, err)
	}
	if takes && !in.deeds.Take(newcomersDeed) {
		t.Fatal("it cannot be taken")
	}
	return in
}

// TestEndingLeavesTheSocketToWhoServes: a process that ends while another is about to take its place removes the unix socket only if that does not serve there; and then it cannot begin to.
// So it is whether it ends as it is told to (SIGTERM), or at once (SIGQUIT), with which the takeover comes to nothing first.
func TestEndingLeavesTheSocketToWhoServes(t *testing.T) {
	for name, c := range map[string]struct{ taken, atOnce bool }{
		"the successor has begun":          {true, false},
		"the successor has begun, at once": {true, true},
		"it has not":                       {false, false},
		"it has not, at once":              {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := Default()
			cfg.Listen = []Listener{{Addr: "unix:" + dir}}
			cfg.Upstream.Host, cfg.Upstream.User = "127.0.0.1", "app"
			srv, err := New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := srv.Listen(); err != nil {
				t.Fatal(err)
			}
			old, young := passage(t)
			ctx, end := context.WithCancel(context.Background())
			defer end()
			gone := make(chan error, 1)
			go func() { gone <- srv.HandOver(ctx, Successor{Passage: old, Within: time.Minute}) }()
			in := offered(t, young, c.taken)
			defer in.Close()
			if c.atOnce {
				end()
				if err := <-gone; err == nil {
					t.Error("what has ended before passTaken is handed over")
				}
			}
			if err := srv.Shutdown(context.Background()); err != nil { // before passTaken
				t.Fatal(err)
			}
			_, missing := os.Stat(SocketPath(dir, "6432"))
			if there := missing == nil; there != c.taken {
				t.Errorf("the socket is there: %t", there)
			}
			if !c.taken && in.deeds.Take(newcomersDeed) {
				t.Error("the successor can begin to serve where there is no socket")
			}
			if c.atOnce {
				return
			}
			if c.taken {
				err = pass(young, passTaken, struct{}{})
			} else {
				err = young.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := <-gone; (err == nil) != c.taken {
				t.Errorf("handing over ends with %v", err)
			}
		})
	}
}

// TestWhoHasNoDeedStays: there are so many of them, and a client without one is served where it is.
func TestWhoHasNoDeedStays(t *testing.T) {
	h, client, _, _ := giving(t)
	h.last = sock.MostDeeds - 1
	if err := h.give(&arrival{}, client); err == nil || errors.Is(err, errUnanswered) {
		t.Errorf("it is given: %v", err)
	}
	a := arrival{ID: sock.MostDeeds, User: []byte("a"), Database: []byte("b"), KeyPID: 1, KeySecret: make([]byte, 4)}
	if a.check() == nil {
		t.Error("one without a deed is understood")
	}
	if a.ID--; a.check() != nil {
		t.Error("the last with a deed is not")
	}
}

// TestTakeoverThatFailsKeepsNoDeeds: neither when what comes with them is not understood, nor when it is given up.
func TestTakeoverThatFailsKeepsNoDeeds(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // what is mapped is not told elsewhere
	}
	mapped := func() int {
		text, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "/pgguard-")
	}
	before := mapped()
	for _, body := range []string{"nonsense", "{}"} {
		old, young := passage(t)
		deeds, lent, err := sock.NewDeeds()
		if err != nil {
			t.Fatal(err)
		}
		deeds.Close()
		if err := errors.Join(old.Send(passAll, []byte(body), lent), lent.Close()); err != nil {
			t.Fatal(err)
		}
		in, err := Inherit(context.Background(), young, "test")
		if (err == nil) != (body == "{}") {
			t.Errorf("%s: %v", body, err)
		}
		if in != nil {
			in.Close()
		}
		if n := mapped(); n != before {
			t.Errorf("%s: %d deeds are mapped, want %d", body, n, before)
		}
	}
}
