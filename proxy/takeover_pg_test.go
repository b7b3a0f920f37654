//go:build pg

package proxy

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgguard/proxy/sock"
	"pgguard/proxy/wire"
)

// succeed starts a guard that takes the place of g.
func succeed(t *testing.T, g *guard, set func(*Config)) *guard {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	old, young := passage(t)
	gone := make(chan error, 1)
	go func() { gone <- g.HandOver(ctx, Successor{Passage: old, Within: patience}) }()
	in, err := Inherit(ctx, young, "test")
	if err != nil {
		t.Fatal(err)
	}
	heir := newGuardAfter(t, address(shared), func(cfg *Config) {
		cfg.Handed, cfg.Listen = in.Handed, []Listener{{Addr: g.addr}}
		if set != nil {
			set(cfg)
		}
	}, func(srv *Server) error { return srv.TakeOver(ctx, in) })
	if err := <-gone; err != nil {
		t.Fatal(err)
	}
	in.Handed.Close()
	return heir
}

// has waits until so many clients are with g.
func (g *guard) has(t *testing.T, n int) {
	t.Helper()
	eventually(t, "with as many clients as expected", func() bool { return g.clients() == n })
}

// named runs messages and a Sync.
func (c *caller) named(messages ...[]byte) (answer, error) {
	var out []byte
	for _, m := range messages {
		out = append(out, m...)
	}
	if err := c.send(wire.AppendEmpty(out, wire.Sync)); err != nil {
		return answer{}, err
	}
	return c.answer()
}

func parseNamed(name, text string) []byte {
	return appendMessage(nil, wire.Parse, name+"\x00"+text+"\x00\x00\x00")
}

func runNamed(name string) []byte {
	out := appendMessage(nil, wire.Bind, "\x00"+name+"\x00\x00\x00\x00\x00\x00\x00")
	return appendMessage(out, wire.Execute, "\x00\x00\x00\x00\x00")
}

// TestTakeOver: who is idle goes on with the next guard with all that its session had; who is in a transaction, or keeps its server, finishes
// before; and cancel requests find each.
func TestTakeOver(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	idle, busy, pinned, asleep := g.call(t, "application_name", "mover", "options", "-c geqo_threshold=7"), g.call(t), g.call(t), g.call(t)
	idle.want(t, idle.query, "set work_mem to '7MB'", "", 'I')
	idle.want(t, idle.query, "set my.custom to 'über'", "", 'I')
	idle.want(t, idle.query, "prepare bysql as select 'by SQL'", "", 'I')
	if a, err := idle.named(parseNamed("st", "select current_setting('work_mem')"), runNamed("st")); err != nil || a.code() != "" {
		t.Fatal(err, a)
	}
	busy.want(t, busy.query, "begin", "", 'T')
	busy.want(t, busy.query, "select 1", "", 'T')
	pinned.want(t, pinned.query, "select pg_advisory_lock(4711)", "", 'I')
	_ = asleep.send(simple("select pg_sleep(61)"))
	awaitRunning(t, direct(t, shared), "pg_sleep(61)")

	heir := succeed(t, g, nil)
	heir.has(t, 1)
	g.has(t, 3)
	if err := asleep.cancel(); err != nil {
		t.Fatal(err)
	}
	if a, err := asleep.answer(); err != nil || a.code() != "57014" {
		t.Errorf("canceled through the next guard: %v %s", err, a)
	}
	for text, want := range map[string]string{
		"show work_mem": "7MB", "select current_setting('my.custom')": "über", "execute bysql": "by SQL", "show geqo_threshold": "7", "show application_name": "mover",
	} {
		if got := idle.one(t, text); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if a, err := idle.named(runNamed("st")); err != nil || strings.Join(a.rows, "") != "7MB" {
		t.Errorf("its prepared statement: %v %s", err, a)
	}
	_ = idle.send(simple("select pg_sleep(62)"))
	awaitRunning(t, direct(t, shared), "pg_sleep(62)")
	_ = idle.cancel()
	if a, err := idle.answer(); err != nil || a.code() != "57014" {
		t.Errorf("canceled: %v %s", err, a)
	}
	busy.want(t, busy.query, "select 2", "", 'T')
	busy.want(t, busy.query, "commit", "", 'I')
	pinned.want(t, pinned.query, "select pg_advisory_unlock(4711)", "", 'I')
	late := heir.call(t)
	late.want(t, late.query, "select 1", "", 'I')
	heir.has(t, 5)
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := g.AwaitHandedOver(ctx); err != nil {
		t.Error(err)
	}
	for _, c := range []*caller{idle, busy, pinned, asleep} {
		c.want(t, c.query, "select 3", "", 'I')
	}
	if n := heir.Stats().Clients["idle"]; n != 5 {
		t.Errorf("%d clients are idle with the next guard, want 5", n)
	}
}

// TestTakeOverKeepsWhoIsDisabled: nobody comes in to a database that an operator has disabled because the guard is upgraded, and who is in goes over.
func TestTakeOverKeepsWhoIsDisabled(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	in := g.call(t)
	if err := g.Disable("postgres", true); err != nil {
		t.Fatal(err)
	}
	heir := succeed(t, succeed(t, g, nil), nil) // twice in a row
	heir.has(t, 1)
	in.want(t, in.query, "select 1", "", 'I')
	if c, err := call(heir.addr, "postgres", "postgres"); err == nil {
		_ = c.Close()
		t.Error("a client comes in to a disabled database")
	}
	if err := g.Disable("postgres", true); !errors.Is(err, ErrShutDown) {
		t.Errorf("who disables it where nobody comes any more is told %v", err)
	}
	if err := heir.Disable("postgres", false); err != nil {
		t.Fatal(err)
	}
	late := heir.call(t)
	late.want(t, late.query, "select 2", "", 'I')
}

// TestTakeOverKeepsTheCap: what the process before still has is not there for the next.
func TestTakeOverKeepsTheCap(t *testing.T) {
	set := func(cfg *Config) { cfg.Pool.MaxServers = 4 }
	g := newGuard(t, address(shared), set)
	var holds []*caller
	for range 3 {
		c := g.call(t)
		c.want(t, c.query, "begin", "", 'T')
		c.want(t, c.query, "select 1", "", 'T')
		holds = append(holds, c)
	}
	heir := succeed(t, g, set)
	eventually(t, "left one server", func() bool { return heir.pool().Cap == 1 })
	for range 3 {
		c := heir.call(t)
		c.want(t, c.query, "select 1", "", 'I')
	}
	if n := len(g.instanceFor(g.cfg().Upstream).Pool.Views()) + len(heir.instanceFor(g.cfg().Upstream).Pool.Views()); n > 4 {
		t.Errorf("both have %d servers, want 4 at most", n)
	}
	for _, c := range holds {
		c.want(t, c.query, "commit", "", 'I')
	}
	eventually(t, "with all servers", func() bool { return heir.pool().Cap == 4 })
}

// TestTakeOverOfPipelinedRequests: what a client has sent before it goes over, whole messages or a part of one, is answered, once and in order.
func TestTakeOverOfPipelinedRequests(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	c := g.call(t)
	half := simple("select 'the second half'")
	if err := c.send(append(simple("select pg_sleep(0.3)"), append(simple("select 2"), half[:9]...)...)); err != nil {
		t.Fatal(err)
	}
	awaitRunning(t, direct(t, shared), "pg_sleep(0.3)")
	heir := succeed(t, g, nil)
	heir.has(t, 1)
	if err := c.send(half[9:]); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"", "2", "the second half"} {
		if a, err := c.answer(); err != nil || strings.Join(a.rows, "") != want {
			t.Fatalf("%v %s, want %q", err, a, want)
		}
	}
}

// TestTakeOverWhereTheGuardItselfIsNotLetIn: clients are served there, and the next process cannot find that out before it has any.
func TestTakeOverWhereTheGuardItselfIsNotLetIn(t *testing.T) {
	refused := func(cfg *Config) { cfg.Upstream.User = "nobody_here" }
	g := newGuard(t, address(shared), refused)
	client := g.call(t)
	client.does(t, "select 1")
	if err := g.Ready(); err != nil {
		t.Fatalf("not ready: %v", err)
	}
	succeed(t, g, refused).has(t, 1)
	client.does(t, "select 2")
}

// TestFailedTakeOverChangesNothing: whatever a process does that comes to nothing, the guard serves as before, and can be taken over by another.
func TestFailedTakeOverChangesNothing(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	c := g.call(t)
	hello := newcomer{HandoverFormat, "test", 1}
	for name, act := range map[string]func(p *sock.Passage) error{
		"says nothing":    func(*sock.Passage) error { return nil },
		"speaks no words": func(p *sock.Passage) error { return p.Send(passHello, []byte("hello"), nil) },
		"speaks another format": func(p *sock.Passage) error {
			return pass(p, passHello, newcomer{HandoverFormat + 1, "test", 1})
		},
		"does not begin with its name": func(p *sock.Passage) error { return pass(p, passReady, struct{}{}) },
		"dies before it is ready":      func(p *sock.Passage) error { return pass(p, passHello, hello) },
		"sends garbage":                func(p *sock.Passage) error { _, err := p.Conn().Write([]byte{1, 255, 255, 255, 255, 0}); return err },
		"says something else": func(p *sock.Passage) error {
			return errors.Join(pass(p, passHello, hello), pass(p, passUser, struct{}{}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			old, young := passage(t)
			if err := act(young); err != nil {
				t.Fatal(err)
			}
			_ = young.Conn().CloseWrite()
			if err := g.HandOver(context.Background(), Successor{Passage: old, Within: patience}); err == nil {
				t.Fatal("it has taken over")
			}
			c.want(t, c.query, "select 1", "", 'I')
			fresh := g.call(t)
			fresh.want(t, fresh.query, "select 1", "", 'I')
			_ = fresh.Close()
		})
	}
	t.Run("does not become ready in time", func(t *testing.T) {
		old, young := passage(t)
		if err := pass(young, passHello, hello); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer stop()
		if err := g.HandOver(ctx, Successor{Passage: old, Within: patience}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
	eventually(t, "left by all but one", func() bool { return g.clients() == 1 })
	succeed(t, g, nil).has(t, 1)
	c.want(t, c.query, "select 1", "", 'I')
}

// TestNobodyTakesOverWhilePaused: who waits would stay with a process that no console reaches.
func TestNobodyTakesOverWhilePaused(t *testing.T) {
	g := newGuard(t, address(shared), func(cfg *Config) { cfg.Databases = map[string]Database{"template1": {Upstream: cfg.Upstream}} })
	if err := g.Pause(context.Background(), "template1"); err != nil {
		t.Fatal(err)
	}
	old, young := passage(t)
	if err := pass(young, passHello, newcomer{HandoverFormat, "test", 1}); err != nil {
		t.Fatal(err)
	}
	if err := g.HandOver(context.Background(), Successor{Passage: old, Within: patience}); err == nil || !strings.Contains(err.Error(), "RESUME") {
		t.Errorf("got %v", err)
	}
	if err := g.Resume("template1"); err != nil {
		t.Fatal(err)
	}
}

// TestTakeOverNeedsADatabase: a process that cannot serve anybody does not take the place of one that can.
func TestTakeOverNeedsADatabase(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	c := g.call(t)
	eventually(t, "ready", func() bool { return g.Ready() == nil })
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	old, young := passage(t)
	gone := make(chan error, 1)
	go func() { gone <- g.HandOver(ctx, Successor{Passage: old, Within: patience}) }()
	in, err := Inherit(ctx, young, "test")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Handed, cfg.Listen, cfg.Upstream.Host, cfg.Upstream.Port = in.Handed, []Listener{{Addr: g.addr}}, "127.0.0.1", 1
	cfg.Upstream.User = "postgres"
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := srv.TakeOver(ctx, in); err == nil {
		t.Error("it takes over")
	}
	in.Close()
	go func() { _ = srv.Serve(context.Background()) }()
	_ = srv.Close()
	if err := <-gone; err == nil {
		t.Error("it is taken over")
	}
	c.want(t, c.query, "select 1", "", 'I')
	fresh := g.call(t)
	fresh.want(t, fresh.query, "select 1", "", 'I')
}

// TestClientStaysWhoseSuccessorDies: a process that has taken over and then dies with clients on their way has not taken them.
func TestClientStaysWhoseSuccessorDies(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	c := g.call(t)
	old, young := passage(t)
	gone := make(chan error, 1)
	go func() { gone <- g.HandOver(context.Background(), Successor{Passage: old, Within: patience}) }()
	in, err := Inherit(context.Background(), young, "test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.comeIn(context.Background()); err != nil || pass(young, passTaken, struct{}{}) != nil {
		t.Fatal(err)
	}
	for {
		kind, _, with, err := young.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if kind == passClient {
			_ = with.Close()
			break
		}
	}
	_ = young.Close()
	if err := <-gone; err != nil {
		t.Fatal(err)
	}
	c.want(t, c.query, "select 1", "", 'I')
}
