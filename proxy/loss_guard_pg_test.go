//go:build pg

package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"pgguard/proxy/instance"
	"pgguard/proxy/pgtest"
	"pgguard/proxy/upstream"
)

// guard is a Server under test in front of an address.
type guard struct {
	*Server
	addr string
}

// newGuard starts a Server in front of upstream, a host:port; set may change its configuration. The test fails if a
// goroutine of it is left after its end.
func newGuard(t *testing.T, server string, set func(*Config)) *guard {
	t.Helper()
	return newGuardAfter(t, server, set, func(*Server) error { return nil })
}

// newGuardAfter is newGuard with something to be done between Listen and Serve.
func newGuardAfter(t *testing.T, server string, set func(*Config), before func(*Server) error) *guard {
	t.Helper()
	t.Setenv("PGGUARD_TEST_ALONE", "1") // which no parallel test may: goroutines of others would be taken for this guard's
	leaks := []goleak.Option{
		goleak.IgnoreCurrent(),
		// Of other guards of the same test: it is another one each second. Close waits for its own.
		goleak.IgnoreAnyFunction("pgguard/proxy/instance.hears.func2"),
		goleak.IgnoreAnyFunction("pgguard/proxy/pgtest.(*Cluster).launch.func2"), // a cluster started again
		goleak.IgnoreAnyFunction("pgguard/proxy/pgtest.(*Fake).accept.func1"),
		goleak.IgnoreAnyFunction("pgguard/proxy/pgtest.(*Tap).accept"),
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Pool.Classes[0].Interactive = false // who waits is not to be shed because the machine is slow
	cfg.Listen = []Listener{{Addr: "127.0.0.1:0"}}
	cfg.Upstream = upstream.Upstream{Host: host, User: "postgres", ConnectTimeout: 5 * time.Second}
	cfg.Upstream.Port, _ = strconv.Atoi(port)
	if os.Getenv("PGGUARD_TEST_LOG") != "" {
		cfg.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if set != nil {
		set(&cfg)
	}
	srv, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	if err := before(srv); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(context.Background()) }()
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { _ = srv.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(patience):
			dump(t, "Close hangs")
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := srv.count.panics.Load(); n > 0 {
			t.Errorf("%d sessions panicked", n)
		}
		if err := goleak.Find(leaks...); err != nil {
			t.Errorf("goroutines are left: %v", err)
		}
	})
	return &guard{srv, srv.Addrs()[0].String()}
}

// pool is the snapshot of the only instance.
func (g *guard) pool() instance.Stats {
	if st := g.Stats(); len(st.Pools) > 0 {
		return st.Pools[0]
	}
	return instance.Stats{}
}

// call logs a client in as user postgres.
func (g *guard) call(t *testing.T, params ...string) *caller {
	t.Helper()
	return mustCall(t, g.addr, "postgres", "postgres", params...)
}

// address is where a cluster listens.
func address(c *pgtest.Cluster) string { return net.JoinHostPort(c.Host(), strconv.Itoa(c.Port())) }

// direct logs in to the cluster itself.
func direct(t *testing.T, c *pgtest.Cluster) *caller {
	t.Helper()
	return mustCall(t, address(c), "postgres", "postgres")
}

// one runs a query that returns one value.
func (c *caller) one(t *testing.T, text string) string {
	t.Helper()
	a := c.want(t, c.query, text, "", c.status)
	if len(a.rows) != 1 {
		t.Fatalf("%s: %d rows, want 1", text, len(a.rows))
	}
	return a.rows[0]
}

// eventually fails the test, with every goroutine's stack, if ok stays false.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, patience, what, ok)
}

func within(t *testing.T, d time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			dump(t, "after %s: still not %s", d, what)
		}
	}
}

// dump fails the test with every goroutine's stack.
func dump(t *testing.T, format string, args ...any) {
	t.Helper()
	buf := make([]byte, 1<<20)
	t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), buf[:runtime.Stack(buf, true)])
}

// atRest waits until no client holds, wants or uses a server, and checks that the pool's books say so, too.
func (g *guard) atRest(t *testing.T) {
	t.Helper()
	var last instance.Stats
	deadline := time.Now().Add(patience)
	for {
		last = g.pool()
		waiting, slots := 0, 0
		for _, c := range last.Classes {
			waiting, slots = waiting+c.Waiting, slots+c.Slots
		}
		if last.Running == 0 && waiting == 0 && slots == 0 && last.Servers["active"] == 0 && last.Servers["closing"] == 0 &&
			last.Servers["opening"] == 0 {
			return
		}
		if time.Now().After(deadline) {
			dump(t, "the pool does not come to rest: %+v", last.Stats)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// seeded returns a source of chance whose seed is in the test's log.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("PGGUARD_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("PGGUARD_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 1))
}
