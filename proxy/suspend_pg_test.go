//go:build pg

package proxy

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"
)

// TestSuspend: nothing that comes from then on runs, in a transaction or not, and SUSPEND ends when what came before has run; transactions stay open, clients may come and go, and nobody has lost
// anything when they go on.
func TestSuspend(t *testing.T) {
	g := crowded(t, time.Minute, 10) // one statement at a time: some wait when it begins
	in, out, batch, leaves := g.call(t), g.call(t), g.call(t), g.call(t)
	in.want(t, in.query, "begin", "", 'T')
	in.want(t, in.query, "create temp table suspended as select 1 as n", "", 'T')
	send := func(c *caller, b []byte) {
		t.Helper()
		if err := c.send(b); err != nil {
			t.Fatal(err)
		}
	}
	hears := func(c *caller, want string, status byte) {
		t.Helper()
		if a, err := c.answer(); err != nil || len(a.rows) != 1 || a.rows[0] != want || a.status != status {
			t.Fatalf("got %v %s, want %s %c", err, a, want, status)
		}
	}
	release := g.hold(t)
	send(out, simple("select 'waited'"))
	eventually(t, "a client waiting", func() bool { return g.Stats().Clients["waiting"] == 1 })
	suspended := make(chan error, 1)
	go func() {
		_, err := g.Suspend(context.Background())
		suspended <- err
	}()
	eventually(t, "the guard suspended", g.Suspended)
	if _, err := g.Suspend(context.Background()); !errors.Is(err, ErrPaused) {
		t.Errorf("twice: %v", err)
	}
	if err := g.Pause(context.Background(), ""); !errors.Is(err, ErrPaused) {
		t.Errorf("PAUSE: %v", err)
	}
	select {
	case err := <-suspended:
		t.Fatalf("it has ended beside a statement that runs: %v", err)
	case <-time.After(5 * settleEvery):
	}
	release()
	if err := <-suspended; err != nil {
		t.Fatal(err)
	}
	hears(out, "waited", 'I')
	send(in, simple("select n as held_up from suspended"))
	send(out, simple("select 2 as held_up"))
	send(batch, slices.Concat(parse("", "select 3 as held_up"), bound("", ""), execute("", 0), msgSync))
	send(leaves, simple("select pg_sleep(60) as held_up"))
	late := g.call(t)
	send(late, simple("select 4 as held_up"))
	heldUp := func() (n int) {
		for _, s := range g.all() {
			if s.heldUp.Load() {
				n++
			}
		}
		return n
	}
	eventually(t, "everybody held up", func() bool { return heldUp() == 5 })
	admin := direct(t, shared)
	ran := func() string { // it has the last of each server also when that has ended
		return admin.one(t, "select count(*) from pg_stat_activity where query like '%as held_up%' and pid <> pg_backend_pid()")
	}
	if n := ran(); n != "0" {
		t.Errorf("%s statements run, or have", n)
	}
	_ = leaves.Close()
	eventually(t, "who has left gone", func() bool { return heldUp() == 4 })
	if err := g.Resume(""); err != nil {
		t.Fatal(err)
	}
	hears(out, "2", 'I')
	hears(batch, "3", 'I')
	hears(late, "4", 'I')
	hears(in, "1", 'T')
	if n := ran(); n == "0" {
		t.Error("statements that have run are not seen")
	}
	in.want(t, in.query, "commit", "", 'I')
	if err := g.Resume(""); !errors.Is(err, ErrNotPaused) {
		t.Errorf("RESUME of what goes on: %v", err)
	}
}

// TestSuspendThatIsEndedIsNotDone: who waits for it is told who has been quicker, and nothing is left of it.
func TestSuspendThatIsEndedIsNotDone(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(g *guard, leave func())
		want error
	}{
		"RESUME":          {func(g *guard, _ func()) { _ = g.Resume("") }, ErrNotPaused},
		"the guard's end": {func(g *guard, _ func()) { g.beginEnd() }, ErrShutDown},
		"its operator":    {func(_ *guard, leave func()) { leave() }, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGuard(t, address(shared), nil)
			defer g.hold(t)()
			ctx, leave := context.WithCancel(context.Background())
			defer leave()
			suspended := make(chan error, 1)
			go func() {
				_, err := g.Suspend(ctx)
				suspended <- err
			}()
			eventually(t, "the guard suspended", g.Suspended)
			end.by(g, leave)
			if err := <-suspended; !errors.Is(err, end.want) {
				t.Errorf("it says %v, want %v", err, end.want)
			}
			c := g.call(t)
			c.want(t, c.query, "select 1", "", 'I')
		})
	}
}

// TestPauseThatComesToNothingHoldsNobody: one that finds another process about to serve takes back what whoever logged in just then has done by its mark.
func TestPauseThatComesToNothingHoldsNobody(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	const name = "postgres" // that of all cannot be marked twice
	c := g.call(t)
	old, young := passage(t)
	gone := make(chan error, 1)
	go func() { gone <- g.HandOver(context.Background(), Successor{Passage: old, Within: time.Minute}) }()
	defer offered(t, young, true).Close()
	if err := g.markPaused(name, true); err != nil {
		t.Fatal(err)
	}
	for _, d := range g.known("") {
		g.settle(d)
	}
	if err := g.Pause(context.Background(), name); !errors.Is(err, ErrShutDown) {
		t.Errorf("PAUSE: %v", err)
	}
	c.want(t, c.query, "select 1", "", 'I')
	if err := young.Close(); err != nil {
		t.Fatal(err)
	}
	<-gone
}

// TestPauseThatIsEndedIsNotDone: who waits for it is told that it was resumed, and no server is retired any more on its account.
func TestPauseThatIsEndedIsNotDone(t *testing.T) {
	for _, name := range []string{"", "postgres"} {
		g := newGuard(t, address(shared), nil)
		c := g.call(t)
		c.want(t, c.query, "begin", "", 'T')
		c.want(t, c.query, "select 1", "", 'T')
		paused := make(chan error, 1)
		go func() { paused <- g.Pause(context.Background(), name) }()
		eventually(t, "the database paused", g.anyPaused)
		if err := g.Resume(name); err != nil {
			t.Fatal(err)
		}
		c.want(t, c.query, "commit", "", 'I')
		if err := <-paused; !errors.Is(err, ErrNotPaused) {
			t.Errorf("PAUSE %s says %v", name, err)
		}
		if err := g.Pause(context.Background(), name); err != nil {
			t.Errorf("PAUSE %s, to its end: %v", name, err)
		}
	}
}

// TestSuspendedGuardEnds: who is held up is served first.
func TestSuspendedGuardEnds(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	c := g.call(t)
	c.want(t, c.query, "begin", "", 'T')
	c.want(t, c.query, "select 1", "", 'T')
	if _, err := g.Suspend(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := c.send(simple("commit")); err != nil {
		t.Fatal(err)
	}
	done := g.shutdown(t, context.Background())
	if a, err := c.answer(); err != nil || a.status != 'I' {
		t.Errorf("COMMIT: %v %s", err, a)
	}
	<-done
}

// TestSuspendUnderLoad: it comes and goes under clients who notice nothing but that they wait.
func TestSuspendUnderLoad(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	admin := direct(t, shared)
	admin.want(t, admin.query, "create table if not exists kept (n int)", "", 'I')
	stop, acknowledged := g.startLoad(t, 20)
	for range 20 {
		if _, err := g.Suspend(context.Background()); err != nil {
			t.Fatal(err)
		}
		before := acknowledged.Load()
		for _, s := range g.all() {
			if s.isBusy() {
				t.Error("a statement runs, though all are suspended")
			}
		}
		if n := acknowledged.Load() - before; n > 20 { // whose answers were on their way
			t.Errorf("%d statements were answered meanwhile", n)
		}
		if err := g.Resume(""); err != nil {
			t.Fatal(err)
		}
		eventually(t, "clients going on", func() bool { return acknowledged.Load() > before })
	}
	stop()
}
