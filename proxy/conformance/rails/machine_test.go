//go:build rails

package rails

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// On a machine of two processors or more PostgreSQL has the first to itself, as it has a machine of its own elsewhere: else Ruby would be in its way, and
// nobody could say of what a slow page comes. The application and the guard, which runs beside it, have the second.
const (
	databases    = "0"
	applications = "1"
)

// apart is a command on the application's processor.
func apart(args ...string) []string {
	if runtime.NumCPU() < 2 {
		return args
	}
	return append([]string{"taskset", "-c", applications}, args...)
}

// pin puts PostgreSQL on its processor; what it starts from then on stays there.
func (w *world) pin() {
	w.t.Helper()
	if runtime.NumCPU() < 2 {
		return
	}
	b, err := os.ReadFile(filepath.Join(w.pg.DataDir(), "postmaster.pid"))
	if err != nil {
		w.t.Fatal(err)
	}
	postmaster, _, _ := strings.Cut(string(b), "\n")
	if out, err := exec.Command("taskset", "-cp", databases, postmaster).CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	children, err := exec.Command("ps", "-o", "pid=", "--ppid", postmaster).Output()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		_ = exec.Command("taskset", "-cp", databases, child).Run() // it may be gone by now
	}
}
