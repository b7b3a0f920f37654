//go:build unix

package paper

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// within fails the test if f takes long.
func within(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits")
	}
}

func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadDoesNotWaitForWhoNeverWrites(t *testing.T) {
	path := pipe(t)
	within(t, func() {
		if text, err := Read(path, Small); err == nil || !strings.Contains(err.Error(), "nobody writes") {
			t.Errorf("got %q, %v", text, err)
		}
	})
	silent, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	within(t, func() {
		if text, err := read(path, Small, absence, 10*time.Millisecond); err == nil || !strings.Contains(err.Error(), "has not ended within") {
			t.Errorf("got %q, %v", text, err)
		}
	})
}

// TestReadTakesWhatComesLate: who writes to a pipe may come after who reads it.
func TestReadTakesWhatComesLate(t *testing.T) {
	path := pipe(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if got, err := read(path, Small, 20*time.Second, 20*time.Second); err != nil || string(got) != "late" {
			t.Errorf("got %q, %v", got, err)
		}
	}()
	w, err := os.OpenFile(path, os.O_WRONLY, 0) // waits for the reader
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.WriteString("late"); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	<-done
}

// TestReadTakesWhatComesByAPipe: pgguard check <(sed … pgguard.yaml).
func TestReadTakesWhatComesByAPipe(t *testing.T) {
	path := pipe(t)
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Repeat("x", 200_000)
	go func() {
		_, _ = w.WriteString(want)
		_ = w.Close()
	}()
	if got, err := Read(path, Small); err != nil || string(got) != want {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
}

func TestReadHasAnEnd(t *testing.T) {
	exact := filepath.Join(t.TempDir(), "exact")
	if err := os.WriteFile(exact, make([]byte, 100), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(exact, 100); err != nil || len(got) != 100 {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, path := range []string{exact, "/dev/zero"} {
		if _, err := Read(path, 99); !errors.As(err, new(TooLarge)) {
			t.Errorf("%s: %v", path, err)
		}
	}
	for path, want := range map[string]error{filepath.Join(exact, "x"): syscall.ENOTDIR, "absent": os.ErrNotExist, ".": syscall.EISDIR} {
		if _, err := Read(path, 99); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", path, err, want)
		}
	}
	if got, err := Read(os.DevNull, 99); err != nil || len(got) != 0 {
		t.Errorf("got %q, %v", got, err)
	}
}
