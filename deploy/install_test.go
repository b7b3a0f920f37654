package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInstalledFilesAreReadable for the service and for everybody, though root's umask hides what root makes; and what is there under /etc stays as it is.
func TestInstalledFilesAreReadable(t *testing.T) {
	bin, root := t.TempDir(), t.TempDir()
	for _, program := range []string{"pgguard", "pgguard-bench"} {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\necho \"$@\"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	install := func() {
		cmd := exec.Command("sh", "-c", "umask 077; exec sh install.sh "+bin+" /opt/pgguard")
		cmd.Env = append(os.Environ(), "DESTDIR="+root)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	install()
	n := 0
	err := filepath.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil || path == root {
			return err
		}
		want := os.FileMode(0o644)
		if info.IsDir() || filepath.Base(filepath.Dir(path)) == "bin" {
			want = 0o755
		}
		if n++; info.Mode().Perm() != want {
			t.Errorf("%s has %s, want %s", path, info.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil || n < 20 {
		t.Errorf("%d are there, %v", n, err)
	}
	if got := string(read(t, root+"/opt/pgguard/lib/systemd/system/pgguard.service")); !strings.Contains(got, "\nExecStart=/opt/pgguard/bin/pgguard serve ") {
		t.Errorf("the unit runs another program:\n%s", got)
	}
	if got := string(read(t, root+"/opt/pgguard/share/zsh/site-functions/_pgguard")); got != "completion zsh\n" {
		t.Errorf("zsh completes by %q", got)
	}
	mine := root + "/etc/pgguard/pgguard.yaml"
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	install()
	if got := string(read(t, mine)); got != "mine" {
		t.Errorf("%s is changed to %q", mine, got)
	}
}
