//go:build pg

package proxy

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"pgguard/proxy/wire"
)

// logged is a log that can be read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer // guarded by mu
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// all is what has been logged.
func (l *logged) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lines are those with this message.
func (l *logged) lines(t *testing.T, msg string) (list []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.buf.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatal(err)
		}
		if fields["msg"] == msg {
			list = append(list, fields)
		}
	}
	return list
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// loggedGuard is a guard with a log.
func loggedGuard(t *testing.T, set func(*Config)) (*guard, *logged) {
	t.Helper()
	l := new(logged)
	return newGuard(t, address(shared), func(cfg *Config) {
		cfg.Log = slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
		set(cfg)
	}), l
}

// TestSlowQueryIsLoggedByFingerprint: whatever way it comes, by what it is and whose, and nothing of its text but its table and tags.
func TestSlowQueryIsLoggedByFingerprint(t *testing.T) {
	g, log := loggedGuard(t, func(cfg *Config) { cfg.SlowQuery = 40 * time.Millisecond })
	c := g.call(t, "application_name", "slowpoke")
	slow := func(n string) string {
		return "select pg_sleep(0.05), 'hush" + n + "' from keyed /*controller='orders'*/"
	}
	c.want(t, c.query, slow("1"), "", 'I')
	c.want(t, c.extended, slow("2"), "", 'I')
	if a, err := c.named(parseNamed("st", slow("3"))); err != nil || a.code() != "" {
		t.Fatal(err, a)
	}
	if a, err := c.named(runNamed("st")); err != nil || a.code() != "" {
		t.Fatal(err, a)
	}
	c.want(t, c.query, "begin", "", 'T')
	c.want(t, c.query, slow("4"), "", 'T')
	c.want(t, c.query, "commit", "", 'I')
	c.want(t, c.query, "select pg_sleep(0.05), 'hush5', nothing from keyed", "42703", 'I') // quick
	eventually(t, "logged", func() bool { return len(log.lines(t, "slow query")) >= 4 })
	lines := log.lines(t, "slow query")
	for i, line := range lines[:4] {
		if line["statement"] != "select keyed, controller=orders" || line["application_name"] != "slowpoke" || line["user"] != "postgres" ||
			line["fingerprint"] != lines[0]["fingerprint"] || line["in_transaction"] != (i == 3) || line["seconds"].(float64) < 0.04 {
			t.Errorf("%d: %v", i, line)
		}
	}
	if len(lines[0]["fingerprint"].(string)) != 16 || strings.Contains(log.String(), "hush") || strings.Contains(log.String(), "pg_sleep") {
		t.Errorf("the log is\n%s", log)
	}
}

// TestManySlowQueriesAreCounted: more than so many lines are not written, and the next says how many were not.
func TestManySlowQueriesAreCounted(t *testing.T) {
	g, log := loggedGuard(t, func(cfg *Config) { cfg.SlowQuery = 1 })
	c := g.call(t)
	for range rationSize + 5 {
		c.want(t, c.query, "select 1 from keyed", "", 'I')
	}
	if n := len(log.lines(t, "slow query")); n < rationSize || n >= rationSize+5 {
		t.Errorf("%d lines", n)
	}
}

func TestNoSlowQueryIsLoggedUnlessAsked(t *testing.T) {
	g, log := loggedGuard(t, func(*Config) {})
	c := g.call(t)
	c.want(t, c.query, "select pg_sleep(0.05) from keyed", "", 'I')
	if lines := log.lines(t, "slow query"); len(lines) > 0 {
		t.Errorf("got %v", lines)
	}
}

// TestRefusalsAreLoggedWithTheirNumber: a line for a reason, however many there are.
func TestRefusalsAreLoggedWithTheirNumber(t *testing.T) {
	g, log := loggedGuard(t, func(cfg *Config) { cfg.MaxClients = 1 })
	c := g.call(t)
	const refused = 2 * rationSize
	for range refused {
		if d, err := call(g.addr, "postgres", "postgres"); err == nil {
			t.Fatal("one more is let in")
		} else if d != nil {
			_ = d.Close()
		}
	}
	c.want(t, c.query, "select 1", "", 'I')
	eventually(t, "logged", func() bool { return len(log.lines(t, "refused")) > 0 })
	if lines := log.lines(t, "refused"); len(lines) != 1 || lines[0]["reason"] != string(ReasonClients) || lines[0]["times"].(float64) < 1 {
		t.Errorf("got %v", lines)
	}
	if n := len(log.lines(t, "client not admitted")); n < 1 || n > rationSize+rationSize {
		t.Errorf("%d lines about clients who were not admitted", n)
	}
	_ = c.send(wire.AppendEmpty(nil, wire.Terminate))
}

// TestRation: so many lines in so long, and none is lost from the count.
func TestRation(t *testing.T) {
	var r ration
	now := time.Unix(1000, 0)
	for i := range rationSize {
		if tell, untold := r.allow(now); !tell || untold != 0 {
			t.Fatalf("line %d: %t, %d", i, tell, untold)
		}
	}
	for range 7 {
		if tell, _ := r.allow(now.Add(rationEvery - 1)); tell {
			t.Fatal("one more is told")
		}
	}
	if tell, untold := r.allow(now.Add(rationEvery)); !tell || untold != 7 {
		t.Errorf("got %t, %d; want 7 that were not told", tell, untold)
	}
}
