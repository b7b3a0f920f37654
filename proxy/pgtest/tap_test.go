package pgtest

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// echo is a server that sends back what it gets, until the test ends.
func echo(t *testing.T, network, addr string) string {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				defer func() { _ = conn.Close() }()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		work.Wait()
	})
	return l.Addr().String()
}

func dial(t *testing.T, p *Tap) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// firstRead connects and reads; a reset may come before connect has returned.
func firstRead(network, addr string) error {
	conn, err := net.Dial(network, addr)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_, err = conn.Read(make([]byte, 1))
	return err
}

// say writes one byte and demands it back.
func say(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	hear(t, conn)
}

func hear(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

// silent demands that nothing arrives for a while.
func silent(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("read %d bytes, %v, on a stalled connection", n, err)
	}
}

func TestTapForwardsAndCounts(t *testing.T) {
	for network, addr := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(openDir(t), "s")} {
		p := NewTap(t, echo(t, network, addr))
		a, b := dial(t, p), dial(t, p)
		say(t, a)
		say(t, b)
		if p.Count() != 2 || p.Accepted() != 2 {
			t.Errorf("count %d, accepted %d", p.Count(), p.Accepted())
		}
		// An orderly end of one direction reaches the target, whose answer still comes back.
		if _, err := a.Write([]byte("last words")); err != nil {
			t.Fatal(err)
		}
		if err := a.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(a); string(got) != "last words" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		eventually(t, "one connection is left", func() bool { return p.Count() == 1 })
		say(t, b)
	}
}

func TestTapCutResetsWhatIsOpen(t *testing.T) {
	p := NewTap(t, echo(t, "tcp", "127.0.0.1:0"))
	a := dial(t, p)
	say(t, a)
	p.Cut()
	if p.Count() != 0 {
		t.Errorf("count %d", p.Count())
	}
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after Cut: %v", err)
	}
	say(t, dial(t, p))
}

func TestTapStallKeepsConnectionsAndBytes(t *testing.T) {
	p := NewTap(t, echo(t, "tcp", "127.0.0.1:0"))
	a := dial(t, p)
	say(t, a)
	p.Stall(true)
	p.Stall(true)
	late := dial(t, p)
	for _, conn := range []net.Conn{a, late} {
		if _, err := conn.Write([]byte{'x'}); err != nil {
			t.Fatal(err)
		}
		silent(t, conn)
	}
	p.Stall(false)
	p.Stall(false)
	hear(t, a)
	hear(t, late)

	p.Stall(true)
	p.Cut() // a stalled connection can be cut
	if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after Cut: %v", err)
	}
}

func TestTapRefuse(t *testing.T) {
	p := NewTap(t, echo(t, "tcp", "127.0.0.1:0"))
	a := dial(t, p)
	say(t, a)
	p.Refuse(true)
	p.Refuse(true)
	if _, err := net.Dial("tcp", p.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("while refusing: %v", err)
	}
	say(t, a)
	p.Refuse(false)
	p.Refuse(false)
	say(t, dial(t, p))
}

func TestTapResetsClientsOfATargetThatIsDown(t *testing.T) {
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	p := NewTap(t, net.JoinHostPort(host, strconv.Itoa(port)))
	if err := firstRead("tcp", p.Addr()); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v", err)
	}
	eventually(t, "nothing is open", func() bool { return p.Count() == 0 })
}

func TestTapStopEndsStalledConnections(t *testing.T) {
	target := echo(t, "tcp", "127.0.0.1:0")
	var a net.Conn
	record(t, func(r *recorder) {
		p := NewTap(r, target)
		a = dial(t, p)
		say(t, a)
		p.Stall(true)
	})
	if _, err := a.Read(make([]byte, 1)); err == nil {
		t.Error("a connection outlived its tap")
	}
}
