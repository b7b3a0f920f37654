package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// TestOtherSystemsAreToldTheirOwnNames: where there is no apt-get, what is missing is called as the system's own tool knows it.
func TestOtherSystemsAreToldTheirOwnNames(t *testing.T) {
	dir := t.TempDir()
	for _, tool := range []string{"sh", "sed", "dirname", "id", "uname", "postgres"} { // no compiler, no apt-get
		path, err := exec.LookPath(tool)
		if err != nil {
			path = "/bin/true"
		}
		if err := os.Symlink(path, filepath.Join(dir, tool)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/bin/true", filepath.Join(dir, "initdb")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "deps.sh")
	cmd.Env = []string{"PATH=" + dir}
	out, err := cmd.CombinedOutput()
	if err == nil {
		t.Errorf("it ends well: %s", out)
	}
	for _, line := range []string{`apt-get install gcc libc6-dev +\(Debian`, `brew install gcc +\(macOS`, `dnf install gcc glibc-devel +\(Fedora`} {
		if !regexp.MustCompile(`(?m)^  ` + line).Match(out) {
			t.Errorf("there is no line like %s in\n%s", line, out)
		}
	}
}
