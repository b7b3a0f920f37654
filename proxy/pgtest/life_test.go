package pgtest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestShutdownAndRestartKeepPortAndData(t *testing.T) {
	c := New(t, Options{})
	port, url := c.Port(), c.URL("postgres")
	if err := c.Exec(t.Context(), "set synchronous_commit = on; create table t as select 42 as n"); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"fast", "immediate", "smart"} {
		if err := c.Restart(mode); err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if got := value(t, url, "select n from t"); got != "42" || c.Port() != port {
			t.Errorf("%s: n is %s on port %d, want 42 on %d", mode, got, c.Port(), port)
		}
	}
	wantError(t, c.StartAgain(), "runs already")
	wantError(t, c.Restart("gently"), "gently", "smart")
	if err := c.Shutdown("fast"); err != nil {
		t.Fatal(err)
	}
	if _, err := pgconn.Connect(t.Context(), url); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connecting to a server that is down: %v", err)
	}
	wantError(t, c.Shutdown("fast"), "down")
	if err := c.StartAgain(); err != nil {
		t.Fatal(err)
	}
	if got := value(t, url, "select n from t"); got != "42" {
		t.Errorf("n is %s", got)
	}
}

func TestKillCrashesEveryProcessAndStartAgainRecovers(t *testing.T) {
	c := New(t, Options{})
	conn, err := pgconn.Connect(t.Context(), c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	slept := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), "select pg_sleep(600)").ReadAll()
		slept <- err
	}()
	children, err := childrenOf(c.proc.pid())
	if err != nil || len(children) < 3 {
		t.Fatalf("children %v, %v", children, err)
	}
	if byPS, err := childrenByPS(c.proc.pid()); err != nil || len(byPS) < 3 {
		t.Errorf("children by ps %v, %v", byPS, err)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-slept; err == nil {
		t.Error("a query outlived the crash")
	}
	for _, pid := range append(children, int(conn.PID())) {
		if alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
	wantError(t, c.Kill(), "down")
	if err := c.StartAgain(); err != nil {
		t.Fatal(err)
	}
	if got := c.LogTail(1000); !strings.Contains(got, "was interrupted") {
		t.Errorf("the log shows no recovery:\n%s", got)
	}
}

func TestStopAfterKillReleasesSharedMemory(t *testing.T) {
	c := New(t, Options{Durable: true})
	pidFile, err := os.ReadFile(c.DataDir() + "/postmaster.pid")
	if err != nil {
		t.Fatal(err)
	}
	shmKey := strings.Fields(strings.Split(string(pidFile), "\n")[6])[0]
	pids, err := childrenOf(c.proc.pid())
	if err != nil {
		t.Fatal(err)
	}
	posix := shmOf(append(pids, c.proc.pid()))
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	segments, err := os.ReadFile("/proc/sysvipc/shm")
	linux := err == nil
	if linux {
		if !strings.Contains(string(segments), shmKey) {
			t.Fatalf("no segment %s after a crash:\n%s", shmKey, segments)
		}
		if len(posix) < 2 { // the table, and at least the statistics
			t.Fatalf("shared memory before the crash: %v", posix)
		}
	}
	for _, path := range posix {
		if missing(path) {
			t.Errorf("%s was gone before the test began", path)
		}
	}
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if segments, _ = os.ReadFile("/proc/sysvipc/shm"); strings.Contains(string(segments), shmKey) {
		t.Errorf("segment %s is left:\n%s", shmKey, segments)
	}
	for _, path := range posix {
		if !missing(path) {
			t.Errorf("%s is left", path)
		}
	}
}

func TestStopCutsASmartShutdownShort(t *testing.T) {
	c := New(t, Options{})
	conn, err := pgconn.Connect(t.Context(), c.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	waiting := make(chan error, 1)
	go func() { waiting <- c.Restart("smart") }()
	eventually(t, "the shutdown has begun", func() bool {
		return strings.Contains(c.LogTail(100), "received smart shutdown request")
	})
	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; err == nil {
		t.Error("Restart reports success on a cluster that was stopped")
	}
	if !missing(c.dir) {
		t.Errorf("%s is left", c.dir)
	}
}

func TestTakenPortIsAnErrorToStartAgainAndSkippedByStart(t *testing.T) {
	c := New(t, Options{})
	if err := c.Shutdown("immediate"); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, c.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if err := c.StartAgain(); !errors.Is(err, errPortTaken) {
		t.Fatalf("got %v", err)
	}
	taken, picks := c.Port(), 0
	c.turn.Lock()
	err = c.startOnFreePort(t.Context(), func() (int, error) {
		if picks++; picks < 3 {
			return taken, nil
		}
		return freePort()
	})
	c.turn.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if picks != 3 || c.Port() == taken {
		t.Errorf("port %d after %d picks", c.Port(), picks)
	}
	if got := value(t, c.URL("postgres"), "select 1"); got != "1" {
		t.Error(got)
	}
}
