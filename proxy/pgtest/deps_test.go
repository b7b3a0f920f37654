package pgtest

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const depsScript = "../../deploy/deps.sh"

// runDeps runs the script that installs what tests need, and returns its exit code and all it said.
func runDeps(t *testing.T, bin string, args ...string) (int, string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", append([]string{depsScript}, args...)...)
	cmd.Env = append(os.Environ(), binEnv+"="+bin)
	out, err := cmd.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

func TestDepsSaysNothingWhereAllIsThere(t *testing.T) {
	bin, err := FindBinaries("")
	if err != nil {
		t.Fatal(err)
	}
	if code, out := runDeps(t, bin); code != 0 || out != "" {
		t.Errorf("code %d, said %q", code, out)
	}
	if code, out := runDeps(t, ""); code != 0 || out != "" {
		t.Errorf("without %s: code %d, said %q", binEnv, code, out)
	}
}

func TestDepsRefusesWhatItCannotMend(t *testing.T) {
	if code, out := runDeps(t, t.TempDir()); code != 1 || !strings.Contains(out, binEnv) {
		t.Errorf("code %d, said %q", code, out)
	}
	if code, out := runDeps(t, "", "everything"); code != 2 || !strings.Contains(out, "usage") {
		t.Errorf("code %d, said %q", code, out)
	}
}

func TestDepsLooksWhereFindBinariesLooks(t *testing.T) {
	script, err := os.ReadFile(depsScript)
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range places {
		if !strings.Contains(string(script), " "+place+" ") && !strings.Contains(string(script), "\t"+place+" ") &&
			!strings.Contains(string(script), place+";") {
			t.Errorf("%s does not look in %s", depsScript, place)
		}
	}
}
