package auth

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// TestUserList reads what PgBouncer reads.
func TestUserList(t *testing.T) {
	text := "; a comment with \"quotes\"\n" +
		"\n" +
		"\"app\" \"hunter2\"\n" +
		"  \t\"quo\"\"ted\"\t\"with \"\" and ;\"   \"ignored\" more\n" +
		"\"digest\" \"" + digest("digest", "x") + "\"\n" +
		"\"scram\" \"" + scramText("y", []byte("salt"), 4096) + "\"\r\n" +
		";\"gone\" \"z\"\n" +
		"\"twice\" \"first\"\n\"twice\" \"last\"\n" +
		"\"nobody\" \"\"\n" +
		"\"glued\"\"name\"\"\" \"x\"\n" +
		"\"\u00fc\" \"no line end\""
	users, err := ParseUsers([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{
		"app": "hunter2", `quo"ted`: `with " and ;`, "digest": "x", "scram": "y", "twice": "last", `glued"name"`: "x", "\u00fc": "no line end",
	} {
		if !users[name].Passes(name, password) {
			t.Errorf("%s: the password does not pass", name)
		}
	}
	if s, ok := users["nobody"]; !ok || s.Known() {
		t.Error("who has no password has one")
	}
	if len(users) != 8 {
		t.Errorf("%d users", len(users))
	}
}

func TestUserListFaultsNameTheLineAndNoSecret(t *testing.T) {
	for text, want := range map[string]string{
		"app hunter2":                                      "line 1",
		"\"a\" \"b\"\n\n\"app\"":                           "line 3",
		"\"a\" \"b\"\n\"app\" hunter2":                     "line 2",
		"\"app\" \"hunter2":                                "line 1",
		"\"app\" \"hunter2\n\"":                            "line 1",
		"\"\" \"hunter2\"":                                 "the name is empty",
		"\"" + strings.Repeat("x", 128) + "\" \"hunter2\"": "the name is longer",
		"\"a\" \"" + strings.Repeat("hunter2", 300) + "\"": "the secret is longer",
		";\n\"a\" \"SCRAM-SHA-256$hunter2\"":               "line 2: a secret that begins with SCRAM-SHA-256$",
		"\"a\" \"b\x00\"":                                  "line 1",
		"\xef\xbb\xbf\"app\" \"hunter2\"":                  "line 1",
	} {
		_, err := ParseUsers([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%.40q: got %v, want %s", text, err, want)
		}
	}
}

// TestUsersFileIsReadAgain: when it was written, when a link points to another, and not when what it says is broken.
func TestUsersFileIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, age time.Duration) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "users")
	f := NewUsersFile(path)
	passes := func(password string) bool {
		s, _ := f.Find("app")
		return s.Passes("app", password)
	}
	if err := f.Load(); err == nil {
		t.Error("a file that is not there is read")
	}
	write("1", `"app" "first"`, time.Hour)
	if err := os.Symlink(filepath.Join(dir, "1"), path); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(); err != nil || !passes("first") {
		t.Fatalf("first: %v", err)
	}
	write("1", `"app" "secnd"`, time.Minute) // as long as the first
	if err := f.Load(); err != nil || !passes("secnd") {
		t.Errorf("written: %v", err)
	}
	write("2", `"app" "third"`, time.Minute)
	if err := os.Symlink(filepath.Join(dir, "2"), path+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(); err != nil || !passes("third") {
		t.Errorf("another link: %v", err)
	}
	write("2", `"app" "broken`, time.Second)
	if err := f.Load(); err == nil || !passes("third") || strings.Contains(err.Error(), "broken") {
		t.Errorf("broken: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(); err == nil || !passes("third") {
		t.Errorf("removed: %v", err)
	}
	write("2", `"app" "fourth"`, 0)
	if err := os.Symlink(filepath.Join(dir, "2"), path); err != nil {
		t.Fatal(err)
	}
	if err := f.Load(); err != nil || !passes("fourth") || !f.Sample().IsPlain() {
		t.Errorf("mended: %v", err)
	}
	if err := NewUsersFile(dir).Load(); err == nil {
		t.Error("a directory is read")
	}
}

// TestPasswordFile: all of it but the line end is the password.
func TestPasswordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	write := func(text string, age time.Duration) {
		at := time.Now().Add(-age)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	p := NewPasswordFile(path)
	for text, want := range map[string]string{"hunter2\n": "hunter2", "hunter2\r\n": "hunter2", " spaces \n": " spaces "} {
		write(text, time.Duration(len(text))*time.Minute)
		if err := p.Load(); err != nil {
			t.Fatal(err)
		}
		if s, _ := p.Find(""); !s.Passes("app", want) {
			t.Errorf("%q does not pass", want)
		}
	}
	write("\n", 0)
	if err := p.Load(); err == nil {
		t.Error("an empty password is read")
	}
}

// FuzzUsers: whatever a file holds, it is a list or a fault, and what it says is read back as it was written.
func FuzzUsers(f *testing.F) {
	f.Add([]byte("; x\n\"app\" \"hunter2\"\n\"a\"\"b\" \"md5\" \"x\"\n"))
	f.Add([]byte("\"s\" \"" + scramText("y", []byte("salt"), 1) + "\""))
	f.Add([]byte("\"a\" \"b"))
	f.Fuzz(func(t *testing.T, text []byte) {
		users, err := ParseUsers(text)
		if err != nil {
			return
		}
		var out strings.Builder
		for name, s := range users {
			if name == "" || len(name) > maxUserName {
				t.Fatalf("name %q", name)
			}
			if s.IsPlain() {
				out.WriteString(`"` + strings.ReplaceAll(name, `"`, `""`) + `" "` + strings.ReplaceAll(s.p().text, `"`, `""`) + "\"\n")
			}
		}
		again, err := ParseUsers([]byte(out.String()))
		if err != nil {
			t.Fatal(err)
		}
		for name, s := range again {
			if !s.Equal(users[name]) {
				t.Fatalf("%q is read back as another", name)
			}
		}
	})
}
