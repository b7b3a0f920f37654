//go:build pg

package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/proxy/pgtest"
)

// activated starts this program's serve with a socket that is bound already, as systemd does, and returns when it says that it is ready.
func activated(t *testing.T, socket *os.File, addr, upstream string) *exec.Cmd {
	t.Helper()
	b := supervised(t, 0)
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" serve --listen "$1" --http off --log-level warn`, os.Args[0], addr)
	cmd.Env = append(os.Environ(), asPgguard+"=1", "PGGUARD_UPSTREAM="+upstream, "XDG_CACHE_HOME="+t.TempDir())
	cmd.ExtraFiles = []*os.File{socket} // file descriptor 3
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // if the test has not ended it
	b.await("READY=1")
	return cmd
}

// TestRestartWithSocketActivationRefusesNobody: clients that come while one guard ends and until another has started wait in the socket, which
// systemd keeps, and are served.
func TestRestartWithSocketActivationRefusesNobody(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = socket.Close() }()
	addr := l.Addr().String()
	cmd := activated(t, socket, addr, c.URL("postgres"))

	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	var came atomic.Int64
	var over atomic.Bool
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for !over.Load() {
				if err := visit(ctx, addr); err != nil {
					over.Store(true)
					t.Error(err)
				}
				came.Add(1)
			}
		})
	}
	more := func() { // until so many more have been served that all of them came after now
		for want := came.Load() + 16; came.Load() < want && !over.Load(); {
			time.Sleep(time.Millisecond)
		}
	}
	for range 3 {
		more()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("the guard ends with %v", err)
		}
		cmd = activated(t, socket, addr, c.URL("postgres"))
	}
	more()
	over.Store(true)
	clients.Wait()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// visit is one client that comes, asks and leaves.
func visit(ctx context.Context, addr string) error {
	url := "postgres://postgres@" + addr + "/postgres?sslmode=disable"
	if filepath.IsAbs(addr) { // the directory of a socket
		url = "host=" + addr + " user=postgres dbname=postgres port=" + socketPort(addr)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	var n int
	err = conn.QueryRow(ctx, "select 42").Scan(&n)
	_ = conn.Close(ctx)
	return err
}

// socketPort is the port in the name of the socket in a directory.
func socketPort(dir string) string {
	found, err := filepath.Glob(dir + "/.s.PGSQL.*")
	if err != nil || len(found) != 1 {
		return "1"
	}
	return strings.TrimPrefix(filepath.Ext(found[0]), ".")
}
