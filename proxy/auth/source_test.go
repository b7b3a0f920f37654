package auth

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// script writes a program that appends a line to a file each time it runs.
func script(t *testing.T, body string) (path, runs string) {
	t.Helper()
	dir := t.TempDir()
	path, runs = filepath.Join(dir, "program"), filepath.Join(dir, "runs")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho >> "+runs+"\n"+body), 0o700); err != nil {
		t.Fatal(err)
	}
	return path, runs
}

func count(t *testing.T, runs string) int {
	t.Helper()
	text, err := os.ReadFile(runs)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

func TestCommandIsRunOnceForAWhile(t *testing.T) {
	path, runs := script(t, `printf 'tok"en $1\r\nmore\n'`)
	s := NewSource("", []string{path, "one"}, time.Hour)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if p, _, err := s.Password(t.Context()); err != nil || p != `tok"en $1` {
				t.Errorf("%q %v", p, err)
			}
		})
	}
	all.Wait()
	if n := count(t, runs); n != 1 {
		t.Errorf("it was run %d times", n)
	}
	s.Forget("another")
	if _, fresh, _ := s.Password(t.Context()); fresh || count(t, runs) != 1 {
		t.Error("forgotten for a password that it did not give")
	}
	s.Forget(`tok"en $1`)
	if _, fresh, err := s.Password(t.Context()); !fresh || err != nil || count(t, runs) != 2 {
		t.Errorf("not run again for one that was refused: %t %v", fresh, err)
	}
}

// TestSlowCommandServesWhoAsksNext: a program that takes longer than one login may wait is run to its end, once, and what it says is used.
func TestSlowCommandServesWhoAsksNext(t *testing.T) {
	dir := t.TempDir()
	path, runs := script(t, "while [ ! -e "+dir+"/go ]; do sleep 0.01; done; echo token")
	s := NewSource("", []string{path}, time.Hour)
	for range 2 {
		ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
		_, _, err := s.Password(ctx)
		stop()
		if err == nil || !strings.Contains(err.Error(), "has not ended yet") {
			t.Errorf("in a millisecond: %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, _, err := s.Password(t.Context()); p != "token" || err != nil || count(t, runs) != 1 {
		t.Errorf("%q %v, run %d times", p, err, count(t, runs))
	}
}

func TestCommandFailsInWords(t *testing.T) {
	fails, _ := script(t, "echo secret; echo no token today >&2; exit 3")
	empty, _ := script(t, "true")
	floods, _ := script(t, "yes secret | head -c 1000000; exit 1")
	hangs, _ := script(t, "echo secret; exec sleep 60")
	for what, c := range map[string]struct{ path, want string }{
		"fails": {fails, "exit status 3: \"no token today\""}, "empty": {empty, "no password in it"}, "floods": {floods, "exit status 1"},
		"hangs": {hangs, "deadline exceeded"}, "missing": {"/nowhere", "no such file"},
	} {
		s := NewSource("", []string{c.path}, time.Hour)
		s.wait = 200 * time.Millisecond
		_, _, err := s.Password(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFileIsReadEachTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	s := NewSource(path, nil, time.Hour)
	if _, _, err := s.Password(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("no file: %v", err)
	}
	for _, want := range []string{"one", "two"} {
		if err := os.WriteFile(path, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, fresh, err := s.Password(t.Context()); p != want || !fresh || err != nil {
			t.Errorf("%q %t %v", p, fresh, err)
		}
	}
}
