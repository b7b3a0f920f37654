package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"pgguard/pool/event"
	"pgguard/proxy"
	"pgguard/proxy/config"
	"pgguard/proxy/pgtest"
)

// fakeGuard does what the test tells it and notes what it is asked.
type fakeGuard struct {
	listenErr  error
	listenErrs []error // of the first calls
	readyErr   error
	shutdown   func(ctx context.Context) error // nil: ends at once
	await      func(ctx context.Context) error // nil: ends with ctx

	end    sync.Once
	ended  chan struct{}
	served chan struct{}

	mu    sync.Mutex
	calls []string // guarded by mu
}

func newFakeGuard() *fakeGuard {
	return &fakeGuard{ended: make(chan struct{}), served: make(chan struct{})}
}

func (g *fakeGuard) note(call string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, call)
}

func (g *fakeGuard) Reload(proxy.Config) error { return nil }

// AwaitClients waits for clients who never leave, unless the test says how it ends.
func (g *fakeGuard) AwaitClients(ctx context.Context) error {
	g.note("await clients")
	if g.await != nil {
		return g.await(ctx)
	}
	<-ctx.Done()
	return ctx.Err()
}

func (g *fakeGuard) TakeOver(context.Context, *proxy.Inheritance) error {
	g.note("take over")
	return nil
}

func (g *fakeGuard) HandOver(context.Context, proxy.Successor, ...net.Listener) error {
	g.note("hand over")
	return errors.New("nobody is there")
}

func (g *fakeGuard) AwaitHandedOver(ctx context.Context) error { return g.AwaitClients(ctx) }

func (g *fakeGuard) Events(uint64) ([]event.Event, uint64) { return nil, 0 }

func (g *fakeGuard) Listen() error {
	g.note("listen")
	if len(g.listenErrs) > 0 {
		err := g.listenErrs[0]
		g.listenErrs = g.listenErrs[1:]
		return err
	}
	return g.listenErr
}

func (g *fakeGuard) Serve(ctx context.Context) error {
	close(g.served)
	<-g.ended
	return nil
}

func (g *fakeGuard) Shutdown(ctx context.Context) error {
	g.note("shutdown")
	if g.shutdown != nil {
		return g.shutdown(ctx)
	}
	g.stopServing()
	return nil
}

func (g *fakeGuard) Drain(ctx context.Context, idle time.Duration) error {
	g.note("drain with " + idle.String())
	return g.Shutdown(ctx)
}

func (g *fakeGuard) stopServing() { g.end.Do(func() { close(g.ended) }) }

func (g *fakeGuard) Close() error { g.note("close"); g.stopServing(); return nil }
func (g *fakeGuard) Addrs() []net.Addr {
	return []net.Addr{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}}
}
func (g *fakeGuard) Ready() error          { return cmp.Or(g.readyErr, errors.New("no login has worked")) }
func (g *fakeGuard) Stats() proxy.Stats    { return proxy.Stats{} }
func (g *fakeGuard) Sights() []proxy.Sight { return nil }

func (g *fakeGuard) Advise(string, string, time.Duration) {}
func (g *fakeGuard) Note(event.Event)                     {}

func (g *fakeGuard) Pause(context.Context, string) error               { g.note("pause"); return nil }
func (g *fakeGuard) Resume(string) error                               { g.note("resume"); return nil }
func (g *fakeGuard) Paused() bool                                      { return false }
func (g *fakeGuard) Signal(context.Context, string, int32, bool) error { g.note("signal"); return nil }
func (g *fakeGuard) Tell(event.Event)                                  {}
func (g *fakeGuard) Stragglers() []proxy.Straggler                     { return nil }

// running is a service under test.
type running struct {
	signals chan os.Signal
	result  chan error
	cancel  context.CancelFunc
	log     *bytes.Buffer // read after result
}

func start(t *testing.T, g guard, file string, set ...func(*service)) *running {
	t.Helper()
	return startAs(t, g, file, nil, set...)
}

// startAs is start for a supervisor who asks.
func startAs(t *testing.T, g guard, file string, boss *supervisor, set ...func(*service)) *running {
	t.Helper()
	f, err := config.Parse("test", []byte("upstream: postgres://app:hunter2@db/app\n"+file))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	r := &running{signals: make(chan os.Signal, 2), result: make(chan error, 1), cancel: cancel, log: &bytes.Buffer{}}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	pages, err := pageCertificates(f, log)
	if err != nil {
		t.Fatal(err)
	}
	again := &live{}
	again.begin(&reading{file: f}, io.Discard)
	s := service{file: f, live: again, guard: g, pages: pages, boss: boss, signals: r.signals, log: log}
	for _, f := range set {
		f(&s)
	}
	go func() { r.result <- s.run(ctx) }()
	return r
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.result:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("serve did not end")
		return nil
	}
}

func TestFirstSignalDrains(t *testing.T) {
	g := newFakeGuard()
	r := start(t, g, "http: off")
	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if got := strings.Join(g.calls, " "); got != "listen shutdown close" {
		t.Errorf("the guard was asked to %s", got)
	}
	log := r.log.String()
	for _, want := range []string{"127.0.0.1:1", "postgres://app:***@db:5432/app", "mode=enforce", "version=", "signal=terminated"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, "hunter2") {
		t.Errorf("the log shows the password:\n%s", log)
	}
}

func TestEndOfContextDrains(t *testing.T) {
	g := newFakeGuard()
	r := start(t, g, "http: off")
	r.cancel()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// TestSecondSignalEndsAtOnce: but not within a second of the first, which is then the same signal, sent twice.
func TestSecondSignalEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newFakeGuard()
		g.shutdown = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		r := start(t, g, "http: off\nshutdown: {grace: 1h}")
		r.signals <- os.Interrupt
		synctest.Wait()
		for range 9 {
			<-time.After(100 * time.Millisecond)
			r.signals <- os.Interrupt
			synctest.Wait()
		}
		select {
		case err := <-r.result:
			t.Fatalf("the same signal within a second ended it: %v", err)
		default:
		}
		<-time.After(200 * time.Millisecond)
		r.signals <- os.Interrupt
		if err := r.wait(t); err == nil || !strings.Contains(err.Error(), "second signal") {
			t.Errorf("got %v", err)
		}
		if got := strings.Join(g.calls, " "); got != "listen shutdown close" {
			t.Errorf("the guard was asked to %s", got)
		}
		if got := strings.Count(r.log.String(), "the same signal again"); got != 9 {
			t.Errorf("the log says %d times that the signal came again, want 9", got)
		}
	})
}

// TestGuardWaitsForItsPredecessor: pages and clients' addresses that a guard which drains still has are taken over once it has ended, and clients
// do not wait for the pages.
func TestGuardWaitsForItsPredecessor(t *testing.T) {
	addr, err := pgtest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	old := newFakeGuard()
	release := make(chan struct{})
	old.readyErr = errors.New("draining")
	old.shutdown = func(ctx context.Context) error { <-release; old.stopServing(); return nil }
	before := start(t, old, "http: "+addr)
	<-old.served
	before.signals <- syscall.SIGTERM

	next := newFakeGuard()
	for range 3 {
		next.listenErrs = append(next.listenErrs, fmt.Errorf("listen 127.0.0.1:6432: %w", syscall.EADDRINUSE))
	}
	after := start(t, next, "http: "+addr)
	<-next.served // although its pages have no address yet
	close(release)
	if err := before.wait(t); err != nil {
		t.Error(err)
	}
	body := ""
	for deadline := time.Now().Add(10 * time.Second); body != "503 no login has worked"; {
		if time.Now().After(deadline) {
			t.Fatalf("its pages are not served after the end of its predecessor: %s", body)
		}
		if got, err := fetch(t.Context(), "http://"+addr+"/readyz"); err == nil {
			body = got.code + " " + strings.TrimSpace(got.body)
		}
	}
	after.signals <- syscall.SIGTERM
	if err := after.wait(t); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"the address is in use; trying again", "a guard that drains still has the address of the pages", "pages are served"} {
		if n := strings.Count(after.log.String(), want); n != 1 {
			t.Errorf("the log says %d times %q:\n%s", n, want, after.log)
		}
	}
}

func TestGraceBoundsTheDrain(t *testing.T) {
	g := newFakeGuard()
	g.shutdown = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	r := start(t, g, "http: off\nshutdown: {grace: 1ms}")
	r.signals <- syscall.SIGTERM
	if err := r.wait(t); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "drain within 1ms") {
		t.Errorf("got %v", err)
	}
}

func TestListenErrorEndsServe(t *testing.T) {
	g := newFakeGuard()
	g.listenErr = errors.New("listen on 127.0.0.1:6432: address in use")
	r := start(t, g, "http: off")
	if err := r.wait(t); !errors.Is(err, g.listenErr) {
		t.Errorf("got %v", err)
	}
}

func TestPagesAreServedUntilTheDrainIsOver(t *testing.T) {
	addr, err := pgtest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	g := newFakeGuard()
	release := make(chan struct{})
	g.shutdown = func(ctx context.Context) error { <-release; g.stopServing(); return nil }
	r := start(t, g, "http: "+addr)
	<-g.served
	r.signals <- syscall.SIGTERM
	for path, want := range map[string]int{"/livez": 200, "/readyz": 503, "/metrics": 200, "/api/v1/state": 200, "/": 200, "/debug/pprof/": 404} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != want {
			t.Errorf("%s: got %d %s, want %d", path, resp.StatusCode, body, want)
		}
	}
	close(release)
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("pages are still served after the end")
	}
}
