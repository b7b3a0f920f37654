package bench

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReportIsOnePageOfAllFiles: with the charts that plot draws.
func TestReportIsOnePageOfAllFiles(t *testing.T) {
	out := filepath.Join(t.TempDir(), "report.html")
	args := []string{"report", "results/2026-11-27/overload.json", "results/2026-11-27/story.json", "results/2026-11-26/sweep.json", "--out", out}
	var told, failed bytes.Buffer
	if code := Main(t.Context(), args, &told, &failed); code != exitFine {
		t.Fatalf("%d: %s", code, failed.String())
	}
	page, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for want, times := range map[string]int{"<h2>": 3, "<figure><svg": 4} {
		if n := strings.Count(string(page), want); n != times {
			t.Errorf("%s is there %d times, want %d", want, n, times)
		}
	}
	if code := Main(t.Context(), []string{"report", "absent.json", "--out", out}, &told, &failed); code != exitFailed {
		t.Errorf("a file that is not there: %d", code)
	}
}
