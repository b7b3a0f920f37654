package sock

import (
	"net"
	"os"
	"path/filepath"
	"testing"
)

// bound listens and returns the socket as a file, as a supervisor would hand it over.
func bound(t *testing.T, network, addr string) (*os.File, net.Addr) {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	return f, l.Addr()
}

// TestHandedSocketIsTakenByItsAddressAlone: a socket that more machines can reach than the configuration says is not taken in its place.
func TestHandedSocketIsTakenByItsAddressAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".s.PGSQL.6432")
	loop, at := bound(t, "tcp", "127.0.0.1:0")
	all, every := bound(t, "tcp", ":0")
	file, _ := bound(t, "unix", path)
	h, err := NewHanded([]*os.File{loop, all, file})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	_, loopPort, _ := net.SplitHostPort(at.String())
	_, allPort, _ := net.SplitHostPort(every.String())
	for _, c := range []struct {
		network, addr string
		want          bool
	}{
		{"tcp", "0.0.0.0:" + loopPort, false},
		{"tcp", ":" + loopPort, false},
		{"tcp", "[::1]:" + loopPort, false},
		{"tcp", "127.0.0.1:" + allPort, false},
		{"tcp", "[::1]:" + allPort, false},
		{"tcp", "nonsense", false},
		{"unix", path + "0", false},
		{"unix", at.String(), false},
		{"tcp", "127.0.0.1:" + loopPort, true},
		{"tcp", "localhost:" + loopPort, true},
		{"tcp", "0.0.0.0:" + allPort, true},
		{"tcp", "[::]:" + allPort, true},
		{"unix", path, true},
	} {
		if c.want && c.network == "unix" && len(h.Left()) != 1 {
			t.Errorf("before the last is taken, left are %v", h.Left())
		}
		l, err := h.Take(c.network, c.addr)
		if err != nil || (l != nil) != c.want {
			t.Errorf("%s %s: got %v, %v; want one: %t", c.network, c.addr, l, err, c.want)
		}
		if l != nil {
			_ = l.Close()
		}
	}
	if len(h.Left()) > 0 {
		t.Errorf("left are %v", h.Left())
	}
}

// TestHandedSocketOutlivesItsListener: connections wait in it while nobody accepts them, and a unix socket stays in its place.
func TestHandedSocketOutlivesItsListener(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	file, _ := bound(t, "unix", path)
	h, err := NewHanded([]*os.File{file})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for range 2 {
		l, err := h.Take("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
}

func TestHandedFileThatIsNoSocketIsAnError(t *testing.T) {
	f, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if h, err := NewHanded([]*os.File{f}); err == nil {
		t.Errorf("got %v", h.Left())
	}
	var none *Handed
	if l, err := none.Take("tcp", "127.0.0.1:1"); l != nil || err != nil || len(none.Left()) > 0 {
		t.Errorf("none has %v, %v", l, err)
	}
	none.Close()
}
