//go:build pg

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgguard/proxy/pgtest"
)

// TestCheckTriesTheLookupOfUsers: check --connect says whether auth.query works, and what is lacking.
func TestCheckTriesTheLookupOfUsers(t *testing.T) {
	c := pgtest.New(t, pgtest.Options{})
	if err := c.Exec(context.Background(), "create role app login"); err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{"postgres": "auth.query: users are looked up", "app": "auth.query: auto needs a superuser, or the function pgguard.user_lookup"} {
		file := filepath.Join(t.TempDir(), "pgguard.yaml")
		text := fmt.Sprintf("upstream: postgres://%s@%s:%d/postgres?sslmode=disable\nauth: {query: auto}\n", user, c.Host(), c.Port())
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, told bytes.Buffer
		code := run(t.Context(), []string{"check", "--connect", file}, streams{strings.NewReader(""), &out, &told})
		if !strings.Contains(told.String(), want) || (code == exitOK) != (user == "postgres") {
			t.Errorf("%s: exit code %d, told %s", user, code, told.String())
		}
	}
}
