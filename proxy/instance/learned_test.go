package instance

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgguard/pool"
	"pgguard/pool/event"
	"pgguard/proxy/upstream"
)

// learner returns an instance that keeps what it learns in dir.
func learner(t *testing.T, dir string) *Instance {
	t.Helper()
	cfg := Config{Pool: pool.Default(), LearnedDir: dir, Log: slog.New(slog.DiscardHandler), Events: event.New(event.Size)}
	return New(cfg, upstream.Upstream{Host: "db.example.com", Port: 5432, User: "app"})
}

// A restart begins with half of what was learned; what is old, damaged or of another server counts for nothing.
func TestLearnedLimitSurvivesRestart(t *testing.T) {
	now := time.Now()
	first := learner(t, t.TempDir()).Pool.Limit()
	good := learnedFile{learnedVersion, "db.example.com:5432", now.Add(-time.Hour), 40, nil}
	for _, c := range []struct {
		name string
		text func(learnedFile) string
		want int
	}{
		{"as it was written", jsonOf, 20},
		{"of yesterday's yesterday", func(f learnedFile) string { f.At = now.Add(-48 * time.Hour); return jsonOf(f) }, first},
		{"of the future", func(f learnedFile) string { f.At = now.Add(time.Hour); return jsonOf(f) }, first},
		{"of another server", func(f learnedFile) string { f.Instance = "other:5432"; return jsonOf(f) }, first},
		{"of another version", func(f learnedFile) string { f.Version++; return jsonOf(f) }, first},
		{"negative", func(f learnedFile) string { f.Limit = -3; return jsonOf(f) }, first},
		{"cut off", func(f learnedFile) string { return jsonOf(f)[:20] }, first},
		{"empty", func(learnedFile) string { return "" }, first},
		{"huge", func(learnedFile) string { return strings.Repeat("x", 1<<20) }, first},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := learner(t, t.TempDir())
			if err := os.WriteFile(in.learnedPath(), []byte(c.text(good)), 0o600); err != nil {
				t.Fatal(err)
			}
			in.recall(now)
			if got := in.Pool.Limit(); got != c.want {
				t.Errorf("limit %d, want %d", got, c.want)
			}
		})
	}
}

func jsonOf(f learnedFile) string {
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A directory that cannot be written costs nothing but the knowledge, and where there is nothing to keep there is no file.
func TestNothingIsKeptWhereItCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(filepath.Join(file, "under", "a file"), []byte("x")); err == nil {
		t.Error("written under a file")
	}
	path := filepath.Join(t.TempDir(), "new", "learned.json")
	for _, text := range []string{"first", "second"} {
		if err := replaceFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("read %q, %v", b, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); len(left) != 1 {
		t.Errorf("%q lie about", left)
	}
	in := learner(t, t.TempDir())
	in.remember(time.Now())
	if _, err := os.Stat(in.learnedPath()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of nothing: %v", err)
	}
}

// That somebody asks for sequences' last values in a database is known after a restart.
func TestSequencesAreRememberedOverRestart(t *testing.T) {
	dir := t.TempDir()
	in := learner(t, dir)
	in.Catalog("plain")
	in.Catalog("shop").NoteCurrval()
	in.remember(time.Now())
	next := learner(t, dir)
	next.recall(time.Now())
	if next.Catalog("plain").Currval() || !next.Catalog("shop").Currval() {
		t.Error("want shop and no other")
	}
	if got, want := next.Pool.Limit(), learner(t, "").Pool.Limit(); got != want {
		t.Errorf("limit %d, want %d: none was learned", got, want)
	}
}

// TestWhoHasYieldedKeepsNothing: the file is another process's.
func TestWhoHasYieldedKeepsNothing(t *testing.T) {
	in := learner(t, t.TempDir())
	in.Catalog("shop").NoteCurrval()
	in.Yield()
	in.remember(time.Now())
	if _, err := os.Stat(in.learnedPath()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is written: %v", err)
	}
}
