package deploy

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPackagesKnowWhichVersionIsLater: numbers in ascending order, none with a - in it, which rpm does not allow.
func TestPackagesKnowWhichVersionIsLater(t *testing.T) {
	for _, c := range []struct{ version, epoch, want string }{
		{"fe12ab3", "1764515000", "0.0.0~20251130150320.fe12ab3"},
		{"0a12ab3-dirty", "1764515001", "0.0.0~20251130150321.0a12ab3+dirty"},
		{"v0.2.0-rc1", "", "0.2.0~rc1"},
		{"v0.2.0-rc1-3-gab12cd3", "", "0.2.0~rc1+3.gab12cd3"},
		{"v0.2.0", "", "0.2.0"},
		{"v0.2.0-5-gab12cd3", "", "0.2.0+5.gab12cd3"},
		{"v0.2.0-12-g01", "", "0.2.0+12.g01"},
		{"v0.2.1-dirty", "", "0.2.1+dirty"},
	} {
		cmd := exec.Command("sh", "number.sh", c.version)
		cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH="+c.epoch)
		out, err := cmd.CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != c.want {
			t.Errorf("%s: got %q, want %q; %v", c.version, got, c.want, err)
		}
	}
}
