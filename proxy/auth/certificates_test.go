package auth

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestCertificatesTellOfChangesOnly: the log says that new ones are in use where there are new ones, and not at each reload.
func TestCertificatesTellOfChangesOnly(t *testing.T) {
	by, err := NewAuthority("ours", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f := Files{Cert: filepath.Join(t.TempDir(), "server.crt"), Key: filepath.Join(t.TempDir(), "server.key")}
	renew := func() {
		t.Helper()
		p, err := by.Issue("guard", []string{"localhost"}, time.Now(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		for path, text := range map[string][]byte{f.Cert: p.Cert, f.Key: p.Key} {
			if err := os.WriteFile(path+".new", text, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}
	}
	renew()
	told := 0
	c, err := NewCertificates(f, func(err error) {
		if err != nil {
			t.Error(err)
		}
		told++
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{0, 1, 1} {
		if i == 1 {
			renew()
		}
		if err := c.Reload(); err != nil || told != want {
			t.Errorf("reload %d: told %d times, want %d; %v", i, told, want, err)
		}
	}
}
