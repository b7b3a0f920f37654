//go:build pg

package proxy

import (
	"context"
	"errors"
	"testing"
)

// TestMisspeltDatabaseIsNone: where one upstream is for all names, an order about a database is an error until somebody has used it; one that the configuration names is there from the
// start. What an operator has misspelt does not look done.
func TestMisspeltDatabaseIsNone(t *testing.T) {
	ctx := context.Background()
	g := newGuard(t, address(shared), func(cfg *Config) {
		up := cfg.Upstream
		up.Database = "postgres"
		cfg.Databases = map[string]Database{"named": {Upstream: up}, AnyDatabase: {}}
	})
	orders := []struct {
		what string
		do   func(name string) error
	}{
		{"PAUSE", func(name string) error { return g.Pause(ctx, name) }},
		{"RESUME", g.Resume},
		{"DISABLE", func(name string) error { return g.Disable(name, true) }},
		{"ENABLE", func(name string) error { return g.Disable(name, false) }},
		{"RECONNECT", func(name string) error { _, err := g.Reconnect(name); return err }},
		{"WAIT_CLOSE", func(name string) error { return g.AwaitRetired(ctx, name) }},
		{"KILL", g.Kill},
	}
	for _, name := range []string{"postgers", AnyDatabase} {
		for _, o := range orders {
			if err := o.do(name); !errors.Is(err, ErrNoDatabase) {
				t.Errorf("%s %s: %v", o.what, name, err)
			}
		}
	}
	_ = g.call(t).Close()
	eventually(t, "nobody there", func() bool { return g.clients() == 0 })
	for _, name := range []string{"postgres", "named"} {
		for _, o := range orders {
			if err := o.do(name); err != nil {
				t.Errorf("%s %s: %v", o.what, name, err)
			}
		}
	}
}

// TestKillReturnsWhenItsClientsHaveGone: who looks then sees none of them.
func TestKillReturnsWhenItsClientsHaveGone(t *testing.T) {
	g := newGuard(t, address(shared), nil)
	for range 20 {
		for range 10 {
			g.call(t)
		}
		eventually(t, "everybody in", func() bool { return len(g.all()) == 10 })
		if err := g.Kill(""); err != nil {
			t.Fatal(err)
		}
		if n := len(g.all()); n != 0 {
			t.Fatalf("%d clients are there", n)
		}
		if err := g.Resume("postgres"); err != nil {
			t.Fatal(err)
		}
	}
}
