//go:build pg

package proxy

import (
	"context"
	"testing"
	"time"
)

// TestKillEndsWhoHasJustLoggedIn: a client that has been told that it may ask is in, however little later it is that KILL comes.
func TestKillEndsWhoHasJustLoggedIn(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	first := g.call(t)
	first.want(t, first.query, "select 1", "", 'I')
	for range 300 {
		c, err := call(g.addr, "postgres", "postgres")
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Kill("postgres"); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
		if a, err := c.answer(); err == nil && a.code() == "" {
			t.Fatalf("it is told %s", a)
		} else if err, is := err.(interface{ Timeout() bool }); is && err.Timeout() {
			t.Fatal("it is still there")
		}
		_ = c.Close()
		if err := g.Resume("postgres"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := g.Pause(ctx, "postgres"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "left by all", func() bool { return g.clients() == 0 })
	if err := g.Resume("postgres"); err != nil {
		t.Fatal(err)
	}
}
