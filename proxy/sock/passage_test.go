//go:build unix

package sock

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
)

// passages are the two ends of one.
func passages(t *testing.T) (ours, theirs *Passage) {
	t.Helper()
	ours, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if theirs, err = FilePassage(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close(); _ = theirs.Close() })
	return ours, theirs
}

// TestPassageCarriesSockets: each message arrives whole with its own socket, which works when its sender has closed it.
func TestPassageCarriesSockets(t *testing.T) {
	ours, theirs := passages(t)
	socket, peer := sockets(t)
	big := bytes.Repeat([]byte("x"), 1<<20)
	sent := make(chan error, 1)
	go func() {
		sent <- errors.Join(
			ours.Send('a', nil, nil), ours.Send('b', big, nil), ours.Send('c', []byte("with"), socket), socket.Close(), ours.Send('d', nil, nil))
	}()
	for _, want := range []struct {
		kind byte
		size int
		with bool
	}{{'a', 0, false}, {'b', len(big), false}, {'c', 4, true}, {'d', 0, false}} {
		kind, body, with, err := theirs.Receive()
		if err != nil || kind != want.kind || len(body) != want.size || (with != nil) != want.with {
			t.Fatalf("got %q, %d bytes, %v, %v; want %+v", kind, len(body), with, err, want)
		}
		if with == nil {
			continue
		}
		nc, err := net.FileConn(with)
		if err != nil {
			t.Fatal(err)
		}
		_ = with.Close()
		if _, err := nc.Write([]byte("hi")); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 2)
		if _, err := io.ReadFull(peer, got); err != nil || string(got) != "hi" {
			t.Errorf("through the socket came %q, %v", got, err)
		}
		_ = nc.Close()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	_ = ours.Close()
	if _, _, _, err := theirs.Receive(); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

// TestPassageBelievesNoLength: what is too long is not sent, and what says that it is, or ends before its end, is an error at once.
func TestPassageBelievesNoLength(t *testing.T) {
	for name, raw := range map[string][]byte{
		"too long": {'x', 0xff, 0xff, 0xff, 0xff},
		"cut":      {'x', 0, 0, 0, 9, 1, 2},
		"head cut": {'x', 0, 0},
	} {
		ours, theirs := passages(t)
		if _, err := ours.Conn().Write(raw); err != nil {
			t.Fatal(err)
		}
		_ = ours.Conn().CloseWrite()
		if _, _, _, err := theirs.Receive(); err == nil {
			t.Errorf("%s: it is believed", name)
		}
	}
	ours, _ := passages(t)
	if err := ours.Send('x', make([]byte, MaxPassage+1), nil); !errors.Is(err, ErrTooLong) {
		t.Errorf("sent: %v", err)
	}
}
