package deploy

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestSayingIsAtOnceAndAsTheCommand: who waits is told what for, and the command's end is what it was.
func TestSayingIsAtOnceAndAsTheCommand(t *testing.T) {
	out, err := exec.Command("sh", "say.sh", "compiling", "sh", "-c", "echo done; exit 3").Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("it ends with %v", err)
	}
	if got := string(out); !strings.HasPrefix(got, "compiling ...\n") || !strings.Contains(got, "done\n") || !strings.Contains(got, "compiling failed") {
		t.Errorf("it says %q", got)
	}
	if out, err := exec.Command("sh", "say.sh", "x", "true").CombinedOutput(); err != nil || string(out) != "x ...\n" {
		t.Errorf("%v: %s", err, out)
	}
}
