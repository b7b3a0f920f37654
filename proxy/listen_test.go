package proxy

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// socketIn is where a guard listens in dir, for the port 6432.
func socketIn(dir string) string { return filepath.Join(dir, ".s.PGSQL.6432") }

// deadSocket leaves a socket at path that nobody listens on.
func deadSocket(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func listening(t *testing.T, dir string) net.Listener {
	t.Helper()
	l, err := bind("unix:"+dir, "6432")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func answers(path string) bool {
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// TestWhatIsNotADeadSocketStays: nothing but a socket that nobody listens on is removed from the way of one.
func TestWhatIsNotADeadSocketStays(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"file":            func(path string) error { return os.WriteFile(path, []byte("precious"), 0o600) },
		"empty file":      func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"directory":       func(path string) error { return os.Mkdir(path, 0o700) },
		"link to a file":  func(path string) error { return os.Symlink("/etc/passwd", path) },
		"link to nothing": func(path string) error { return os.Symlink("nowhere", path) },
		"pipe":            func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"socket that answers": func(path string) error {
			l, err := net.Listen("unix", path)
			t.Cleanup(func() { _ = l.Close() })
			return err
		},
		"socket that is busy": func(path string) error { return busySocket(t, path) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := put(socketIn(dir)); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(socketIn(dir))
			if err != nil {
				t.Fatal(err)
			}
			if l, err := bind("unix:"+dir, "6432"); err == nil {
				_ = l.Close()
				t.Fatal("it was taken")
			}
			after, err := os.Lstat(socketIn(dir))
			if err != nil || !os.SameFile(before, after) || before.Size() != after.Size() {
				t.Errorf("it is not what it was: %v", err)
			}
		})
	}
}

// busySocket is a socket whose listener has as many connections waiting as it takes.
func busySocket(t *testing.T, path string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		return err
	}
	for range 1000 {
		c, err := net.Dial("unix", path)
		if err != nil {
			return nil
		}
		t.Cleanup(func() { _ = c.Close() })
	}
	return errors.New("it takes them all")
}

// TestDeadSocketIsReplacedByOne: of many guards that start at once where one was killed, one listens, and its socket stays.
func TestDeadSocketIsReplacedByOne(t *testing.T) {
	for range 30 {
		dir := t.TempDir()
		deadSocket(t, socketIn(dir))
		var mu sync.Mutex
		var won []net.Listener
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if l, err := bind("unix:"+dir, "6432"); err == nil {
					mu.Lock()
					won = append(won, l)
					mu.Unlock()
				} else if !strings.Contains(err.Error(), "answers") {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 || !answers(socketIn(dir)) {
			t.Fatalf("%d listen, the socket answers: %t", len(won), answers(socketIn(dir)))
		}
		if err := won[0].Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(socketIn(dir)); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("it is left behind: %v", err)
		}
	}
}

// TestAnothersSocketOutlivesTheGuard: a guard that ends does not remove the socket of its successor, however often it is closed.
func TestAnothersSocketOutlivesTheGuard(t *testing.T) {
	dir := t.TempDir()
	first := listening(t, dir)
	if err := os.Remove(socketIn(dir)); err != nil {
		t.Fatal(err)
	}
	listening(t, dir)
	for range 2 {
		_ = first.Close()
		if !answers(socketIn(dir)) {
			t.Fatal("the successor's socket is gone")
		}
	}
}

// TestSocketHasItsModeAndGroup: whatever the process's umask is; and where they cannot be given, nothing is listened on.
func TestSocketHasItsModeAndGroup(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, ".s.PGSQL.7000")
	for _, l := range []Listener{
		{Addr: "unix:" + dir, Mode: 0o777}, {Addr: "unix:" + dir, Mode: 0o600}, {Addr: "unix:" + dir, Mode: 0o770, Group: strconv.Itoa(os.Getgid())},
	} {
		nl, err := bind(l.Addr, "7000")
		if err == nil {
			err = l.grant(nl)
		}
		if err != nil {
			t.Fatal(err)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != l.Mode {
			t.Errorf("got %v, %v, want %v", info.Mode(), err, l.Mode)
		}
		_ = nl.Close()
	}
	l := Listener{Addr: "unix:" + dir, Mode: 0o770, Group: "no group has this name"}
	nl, err := bind(l.Addr, "7000")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.grant(nl); err == nil {
		t.Error("a group that there is not is taken")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is there all the same: %v", err)
	}
}
