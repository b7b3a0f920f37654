package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgguard/proxy/config"
	"pgguard/proxy/config/pgbouncer"
)

// startBouncer is start for a guard in PgBouncer's place.
func startBouncer(t *testing.T, g guard) *running {
	t.Helper()
	return start(t, g, "http: off\n", func(s *service) { s.bouncer = &bouncer{lines: newSpool(io.Discard)} })
}

// TestWhoHasHandedOverLeavesThePidfile: the next process is about to write its number there, and must not lose it to the end of this one.
func TestWhoHasHandedOverLeavesThePidfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	b := &bouncer{process: pgbouncer.Process{PIDFile: path}}
	if err := b.pid(false); err != nil {
		t.Fatal(err)
	}
	s := &service{guard: newFakeGuard(), file: config.Default(), bouncer: b, log: slog.New(slog.DiscardHandler)}
	s.guard.(*fakeGuard).await = func(context.Context) error { return nil }
	if err := s.handedOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.close()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

// TestSignalsEndAsPgBouncerDoes: SIGTERM waits for clients to leave, SIGINT for their transactions, a second signal and SIGQUIT for nothing, and
// none of it is a failure.
func TestSignalsEndAsPgBouncerDoes(t *testing.T) {
	for name, c := range map[string]struct {
		signals []os.Signal
		want    []string
		hangs   bool
	}{
		"TERM":      {[]os.Signal{syscall.SIGTERM}, []string{"listen", "await clients", "close"}, false},
		"INT":       {[]os.Signal{os.Interrupt}, []string{"listen", "drain with 0s", "shutdown", "close"}, false},
		"QUIT":      {[]os.Signal{syscall.SIGQUIT}, []string{"listen", "close"}, false},
		"TERM, INT": {[]os.Signal{syscall.SIGTERM, os.Interrupt}, []string{"listen", "await clients", "close"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := newFakeGuard()
			began := make(chan struct{})
			g.await = func(context.Context) error { return nil }
			if c.hangs {
				g.await = func(ctx context.Context) error { close(began); <-ctx.Done(); return ctx.Err() }
			}
			r := startBouncer(t, g)
			<-g.served
			r.signals <- c.signals[0]
			if c.hangs {
				<-began
				r.signals <- c.signals[1]
			}
			if err := r.wait(t); err != nil {
				t.Errorf("got %v", err)
			}
			g.mu.Lock()
			defer g.mu.Unlock()
			if !slices.Equal(g.calls, c.want) {
				t.Errorf("got %q, want %q", g.calls, c.want)
			}
		})
	}
}

// TestCommandLineOfPgBouncer: what it takes is taken, in any order.
func TestCommandLineOfPgBouncer(t *testing.T) {
	for given, want := range map[string]string{
		"/usr/bin/pgguard check x":             "check x",
		"pgbouncer x.ini":                      "serve --pgbouncer=x.ini",
		"/usr/sbin/pgbouncer -d -q x.ini -v":   "serve -d -q -v --pgbouncer=x.ini",
		"pgbouncer -u nobody x.ini":            "serve --user=nobody --pgbouncer=x.ini",
		"pgbouncer --user nobody --quiet a.b":  "serve --user=nobody --quiet --pgbouncer=a.b",
		"pgbouncer --user=nobody -vv x.ini -R": "serve --user=nobody -vv -R --pgbouncer=x.ini",
		"pgbouncer --version":                  "version --pgbouncer",
		"pgbouncer -h":                         "serve --help",
		"pgbouncer -q":                         "error: no configuration file is named",
		"pgbouncer -u":                         "error: no configuration file is named",
		"pgbouncer a b":                        "error: two configuration files are named, a and b",
	} {
		got, err := arguments(strings.Fields(given))
		said := strings.Join(got, " ")
		if err != nil {
			said = "error: " + err.Error()
		}
		if said != want {
			t.Errorf("%s: got %q, want %q", given, said, want)
		}
	}
}
