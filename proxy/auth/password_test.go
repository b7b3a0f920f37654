package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The vector was computed with PostgreSQL's own rule by hand: md5(md5(password || user) || salt), with md5sum.
func TestMD5KnownVector(t *testing.T) {
	if got, want := MD5("postgres", "secret", [4]byte{1, 2, 3, 4}), "md5bb41a296aab6baccb36ff243a562abff"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPassfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pass")
	text := "# comment\n" +
		"db.example:5432:shop:app:first\n" +
		"db.example:*:*:app:any\n" +
		"localhost:5432:*:app:socket\n" +
		`esc:5432:a\:b:app:with\:colon` + "\n" +
		`esc:5432:c:app:b\\s\l\\ : behind` + "\r\n" +
		"esc:5432:#:app: blanks \n" +
		"*:*:*:other:last\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ host, port, database, user, want string }{
		{"db.example", "5432", "shop", "app", "first"},
		{"db.example", "5433", "shop", "app", "any"},
		{"db.example", "5432", "stock", "app", "any"},
		{"/var/run/postgresql", "5432", "shop", "app", "socket"},
		{"esc", "5432", "a:b", "app", "with:colon"},
		{"esc", "5432", "c", "app", `b\sl\ `},
		{"esc", "5432", "#", "app", " blanks "},
		{"/somewhere", "5432", "shop", "app", ""},
		{"elsewhere", "1", "x", "other", "last"},
		{"elsewhere", "5432", "shop", "app", ""},
	}
	for _, tt := range tests {
		if got := FromPassfile(path, tt.host, tt.port, tt.database, tt.user); got != tt.want {
			t.Errorf("%s:%s:%s:%s: got %q, want %q", tt.host, tt.port, tt.database, tt.user, got, tt.want)
		}
	}
	t.Setenv("PGPASSFILE", path)
	if got := FromPassfile("", "x", "1", "x", "other"); got != "last" {
		t.Errorf("PGPASSFILE: got %q", got)
	}
	t.Setenv("PGPASSFILE", "")
	home := t.TempDir()
	t.Setenv("HOME", home)
	if got := FromPassfile("", "x", "1", "x", "other"); got != "" {
		t.Errorf("no file at all: got %q", got)
	}
	if err := os.WriteFile(filepath.Join(home, ".pgpass"), []byte("*:*:*:other:home\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := FromPassfile("", "x", "1", "x", "other"); got != "home" {
		t.Errorf("~/.pgpass: got %q", got)
	}
}

func TestPassfileThatOthersReadIsIgnored(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pass")
	for _, mode := range []os.FileMode{0o644, 0o640, 0o604} {
		if err := os.WriteFile(path, []byte("*:*:*:*:secret\n"), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if got := FromPassfile(path, "h", "1", "d", "u"); got != "" {
			t.Errorf("mode %o: got a password", mode)
		}
		if err := PassfileFault(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := PassfileFault(path + ".none"); err != nil {
		t.Errorf("no file: %v", err)
	}
	if got := FromPassfile(t.TempDir(), "h", "1", "d", "u"); got != "" {
		t.Error("a directory gave a password")
	}
}
