package admin

import (
	"bufio"
	"container/list"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"
)

// TestConnectionsThatDoNothingMakeRoom: however many connections are open, a page is served, and no more than MaxConns stay.
func TestConnectionsThatDoNothingMakeRoom(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := Server(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") }))
	ended := make(chan struct{})
	go func() { _ = server.Serve(l); close(ended) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	open := func(says string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, says)
		return c
	}
	for _, says := range []string{"", "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ", "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"} {
		var all []net.Conn
		for range 3 * MaxConns {
			all = append(all, open(says))
		}
		resp, err := http.ReadResponse(bufio.NewReader(open("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")), nil)
		if err != nil {
			t.Fatalf("%q: %v", says, err)
		}
		if body, err := io.ReadAll(resp.Body); string(body) != "served" || err != nil {
			t.Errorf("%q: got %q, %v", says, body, err)
		}
		_ = resp.Body.Close()
		gone := make(chan struct{}, len(all))
		for _, c := range all {
			go func() { // ends with c
				if _, err := io.Copy(io.Discard, c); !os.IsTimeout(err) {
					gone <- struct{}{}
				}
			}()
		}
		for n := range len(all) - MaxConns {
			select {
			case <-gone:
			case <-time.After(10 * time.Second):
				t.Fatalf("%q: of %d connections %d have been closed, and %d may stay", says, len(all), n, MaxConns)
			}
		}
		for _, c := range all {
			_ = c.Close()
		}
	}
}

// TestClosedConnectionTakesNobodysPlace: one that has made room, and reports what it had begun before, has no other closed for it, and is forgotten at its end.
func TestClosedConnectionTakesNobodysPlace(t *testing.T) {
	c := &conns{all: map[net.Conn]*list.Element{}}
	var all []net.Conn
	for range MaxConns + 1 {
		here, there := net.Pipe()
		defer func() { _ = there.Close() }()
		all = append(all, here)
		c.changed(here, http.StateNew)
	}
	for _, to := range []http.ConnState{http.StateActive, http.StateIdle} {
		c.changed(all[0], to)
	}
	for i, nc := range all {
		if err := nc.SetDeadline(time.Time{}); (err != nil) != (i == 0) {
			t.Errorf("connection %d: %v", i, err)
		}
	}
	for _, nc := range all {
		c.changed(nc, http.StateClosed)
	}
	if n := len(c.all) + c.quiet.Len() + c.busy.Len(); n != 0 {
		t.Errorf("%d are kept in mind", n)
	}
}
