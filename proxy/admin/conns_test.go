package admin

import (
	"bufio"
	"fmt"
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
		for i, c := range all[:MaxConns] { // others may be there still
			if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
				t.Fatalf("%q: connection %d is still there: %v", says, i, fmt.Errorf("read: %w", err))
			}
		}
	}
}
