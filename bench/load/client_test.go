package load

import (
	"fmt"
	"testing"
	"time"

	"pgguard/proxy/pgtest"
)

// TestClientTellsItsOwnDeadlineFromTheServersClose runs the life of a client against a real server: an ERROR keeps the
// connection, its own deadline and the server's FATAL each cost it, and are counted apart.
func TestClientTellsItsOwnDeadlineFromTheServersClose(t *testing.T) {
	pg := pgtest.New(t, pgtest.Options{})
	cfg, err := ParseURL(pg.URL("postgres"), "life")
	if err != nil {
		t.Fatal(err)
	}
	var count Connections
	c := NewClient(cfg, &count)
	defer c.Close()
	soon := func(d time.Duration) time.Time { return time.Now().Add(d) }

	if rows, err := c.Exec(t.Context(), "SELECT generate_series(1, 3)", soon(10*time.Second)); err != nil || rows != 3 {
		t.Fatalf("%d rows, %v", rows, err)
	}
	_, err = c.Exec(t.Context(), "BEGIN; SELECT 1/0", soon(10*time.Second))
	if Label(err) != "22012" || !c.Connected() || !c.InTransaction() {
		t.Errorf("after an ERROR: %v, connected %v, in transaction %v", err, c.Connected(), c.InTransaction())
	}
	if _, err = c.Exec(t.Context(), "ROLLBACK", soon(10*time.Second)); err != nil || c.InTransaction() {
		t.Errorf("rollback: %v, in transaction %v", err, c.InTransaction())
	}
	_, err = c.Exec(t.Context(), "SELECT pg_sleep(30)", soon(100*time.Millisecond))
	if Label(err) != Timeout || c.Connected() || count.OwnDeadline.Load() != 1 {
		t.Errorf("after the deadline: %v, connected %v, own %d", err, c.Connected(), count.OwnDeadline.Load())
	}
	_, err = c.Exec(t.Context(), "SELECT pg_terminate_backend(pg_backend_pid())", soon(10*time.Second))
	if Label(err) != "57P01" || c.Connected() || count.ByServer.Load() != 1 {
		t.Errorf("after FATAL: %v, connected %v, by server %d", err, c.Connected(), count.ByServer.Load())
	}
	if n := count.Attempts.Load(); n != 2 {
		t.Errorf("%d logins, want 2", n)
	}

	w, err := Watch(t.Context(), pg.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := c.Connect(t.Context(), soon(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	// The statement abandoned above runs on in its backend, beside the new connection.
	for end := soon(10 * time.Second); w.Max(start, time.Now()) != 2; {
		if time.Now().After(end) {
			t.Fatalf("%d server connections seen, want 2", w.Max(start, time.Now()))
		}
		Sleep(t.Context(), 10*time.Millisecond)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestClientsTakeHostsInTurn: with whatever a host's own fallbacks are.
func TestClientsTakeHostsInTurn(t *testing.T) {
	for url, want := range map[string][]string{
		"postgres://u@a:1/d?sslmode=disable":     {"a:1 false 0", "a:1 false 0"},
		"postgres://u@a:1/d?sslmode=prefer":      {"a:1 true 1", "a:1 true 1"},
		"postgres://u@a:1,b:2/d?sslmode=disable": {"a:1 false 0", "b:2 false 0", "a:1 false 0"},
		"postgres://u@a:1,a:2/d?sslmode=prefer":  {"a:1 true 1", "a:2 true 1", "a:1 true 1"},
	} {
		cfg, err := ParseURL(url, "")
		if err != nil {
			t.Fatal(err)
		}
		var count Connections
		for i, want := range want {
			c := NewClient(cfg, &count).cfg
			if got := fmt.Sprintf("%s:%d %v %d", c.Host, c.Port, c.TLSConfig != nil, len(c.Fallbacks)); got != want {
				t.Errorf("%s: client %d goes to %s, want %s", url, i, got, want)
			}
		}
	}
}
