package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgguard/proxy/console"
)

// told is who supervises, and reads what it is told.
type told struct {
	t *testing.T
	c *net.UnixConn
}

// supervised has this process find a supervisor in its environment, who waits for so long until it takes it for dead.
func supervised(t *testing.T, watchdog time.Duration) *told {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(watchdog.Microseconds(), 10))
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	return &told{t, c}
}

// await reads until a message has want in it, and returns that.
func (b *told) await(want string) string {
	b.t.Helper()
	if err := b.c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		b.t.Fatal(err)
	}
	buf := make([]byte, 4<<10)
	for {
		n, err := b.c.Read(buf)
		if err != nil {
			b.t.Fatalf("%s is not told: %v", want, err)
		}
		if text := string(buf[:n]); strings.Contains(text, want) {
			return text
		}
	}
}

// TestSupervisorIsToldOfTheNextProcess: it supervises that from then on, and hears nothing more of this one; and the next finds it.
func TestSupervisorIsToldOfTheNextProcess(t *testing.T) {
	b := supervised(t, time.Minute)
	path := os.Getenv("NOTIFY_SOCKET")
	boss := newSupervisor(slog.New(slog.DiscardHandler))
	defer boss.close()
	if got := strings.Join(boss.environment(), " "); got != "NOTIFY_SOCKET="+path+" WATCHDOG_USEC=60000000" {
		t.Errorf("the next process is given %q", got)
	}
	boss.succeededBy(4711)
	if text := b.await("MAINPID"); text != "MAINPID=4711" {
		t.Errorf("it is told %q", text)
	}
	boss.stopping(time.Second)
	if err := b.c.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	if n, err := b.c.Read(buf); err == nil {
		t.Errorf("after that it is told %q", buf[:n])
	}
	var none *supervisor
	none.succeededBy(1)
	if got := none.environment(); got != nil {
		t.Errorf("with nobody there the next process is given %q", got)
	}
}

func TestSupervisorIsToldHowTheGuardIs(t *testing.T) {
	b := supervised(t, 20*time.Millisecond)
	boss := newSupervisor(slog.New(slog.DiscardHandler))
	defer boss.close()
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if v, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is left for programs that the guard starts", name, v)
		}
	}
	g := newFakeGuard()
	release := make(chan struct{})
	g.shutdown = func(context.Context) error { <-release; g.stopServing(); return nil }
	r := startAs(t, g, "http: off\nshutdown: {grace: 5m}", boss)
	if text := b.await("READY=1"); !strings.Contains(text, "STATUS=serving at 127.0.0.1:1") {
		t.Errorf("at the start it is told %q", text)
	}
	b.await("WATCHDOG=1")
	b.await("WATCHDOG=1")
	r.signals <- syscall.SIGTERM
	if text := b.await("STOPPING=1"); !strings.Contains(text, "EXTEND_TIMEOUT_USEC=310000000") {
		t.Errorf("at the end it is told %q", text)
	}
	b.await("WATCHDOG=1") // a drain is no reason to be taken for dead
	close(release)
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// TestSupervisorIsToldOfTheEndInPgBouncersPlace, which may take as long as the clients stay.
func TestSupervisorIsToldOfTheEndInPgBouncersPlace(t *testing.T) {
	ends := make(chan console.End, 1)
	for name, end := range map[string]func(r *running){
		"SIGTERM":                   func(r *running) { r.signals <- syscall.SIGTERM },
		"SIGINT":                    func(r *running) { r.signals <- os.Interrupt },
		"SHUTDOWN WAIT_FOR_CLIENTS": func(*running) { ends <- console.EndClients },
	} {
		b := supervised(t, 20*time.Millisecond)
		boss := newSupervisor(slog.New(slog.DiscardHandler))
		g := newFakeGuard()
		g.await = func(context.Context) error { return nil }
		r := startAs(t, g, "http: off\n", boss, func(s *service) { s.bouncer, s.ends = &bouncer{lines: newSpool(io.Discard)}, ends })
		b.await("READY=1")
		end(r)
		b.await("STOPPING=1")
		if err := r.wait(t); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		boss.close()
	}
}

// TestGuardThatHangsIsNotCalledAlive: a deadlock in the guard has its supervisor start another.
func TestGuardThatHangsIsNotCalledAlive(t *testing.T) {
	b := supervised(t, 10*time.Millisecond)
	boss := newSupervisor(slog.New(slog.DiscardHandler))
	defer boss.close()
	asked, release := make(chan struct{}, 100), make(chan struct{})
	stop := boss.watch(func() { asked <- struct{}{}; <-release })
	<-asked
	if err := b.c.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := b.c.Read(make([]byte, 100)); err == nil {
		t.Errorf("it is told something, %d bytes", n)
	}
	close(release)
	b.await("WATCHDOG=1")
	stop()
}

func TestReloadIsToldFromItsStartToItsEnd(t *testing.T) {
	b := supervised(t, 0)
	boss := newSupervisor(slog.New(slog.DiscardHandler))
	defer boss.close()
	if boss.every != 0 {
		t.Errorf("without a watchdog it is told every %s", boss.every)
	}
	stop := obeyHangups(hangups(), func(string) ([]string, error) { boss.reloading(); boss.reloaded(); return nil, nil })
	defer stop()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	text := b.await("RELOADING=1")
	_, since, _ := strings.Cut(text, "MONOTONIC_USEC=")
	if n, err := strconv.ParseInt(since, 10, 64); err != nil || n < 0 || (n == 0) != (monotonic() == 0) {
		t.Errorf("it is told %q", text)
	}
	b.await("READY=1")
}

func TestNobodyAsksWithoutASupervisor(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if boss := newSupervisor(slog.New(slog.DiscardHandler)); boss != nil {
		t.Errorf("there is one: %v", boss)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "absent"))
	boss := newSupervisor(slog.New(slog.DiscardHandler))
	boss.ready(nil)
	boss.stopping(0)
	boss.watch(nil)()
	boss.close()
}

func TestSocketsOfAnotherProcessAreNotTaken(t *testing.T) {
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()+1))
	t.Setenv("LISTEN_FDS", "1")
	t.Setenv("LISTEN_FDNAMES", "clients")
	if h, err := handedSockets(); h != nil || err != nil {
		t.Errorf("got %v, %v", h, err)
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if v, ok := os.LookupEnv(name); ok {
			t.Errorf("%s=%s is left for programs that the guard starts", name, v)
		}
	}
	t.Setenv("LISTEN_PID", strconv.Itoa(os.Getpid()))
	t.Setenv("LISTEN_FDS", "nonsense")
	if _, err := handedSockets(); err == nil {
		t.Error("nonsense is a number of sockets")
	}
}

// TestHangupWhileTheGuardStartsIsObeyedLater: who changes the configuration then must not end it, nor be forgotten.
func TestHangupWhileTheGuardStartsIsObeyedLater(t *testing.T) {
	e := &env{streams: streams{err: io.Discard}}
	early := e.serves()
	defer e.log.close()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 1)
	stop := obeyHangups(early, func(by string) ([]string, error) { asked <- by; return nil, nil })
	defer stop()
	select {
	case by := <-asked:
		if by != "SIGHUP" {
			t.Errorf("got %q", by)
		}
	case <-time.After(20 * time.Second):
		t.Error("the hangup is forgotten")
	}
}
