package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// wallClock finds what loses the reading of the monotonic clock that a time.Time has: what is measured from it changes when the machine's clock is
// set. time.Unix(1, 0), a deadline that is over, measures nothing.
var wallClock = regexp.MustCompile(`\.Unix(Nano|Milli|Micro)?\(\)|time\.Unix(Milli|Micro)?\((?:[^1]|1[^,])|\.(UTC|Local|Truncate|AddDate|MarshalJSON)\(|\.Round\(0\)|\.In\(time`)

// cutsFile is a line that shortens a file, which is no matter of time.
var cutsFile = regexp.MustCompile(`\b(f|file)\.Truncate\(`)

// byWallClock may use it all the same.
var byWallClock = map[string]string{
	"proxy/auth/certificates.go": "from when to when a certificate is valid is a matter of the calendar",
	"proxy/upstream/tls.go":      "from when to when a certificate is valid is a matter of the calendar",
	"proxy/dashboard/board.go":   "a page shows times of day",
	"proxy/dashboard/point.go":   "a page shows times of day",
	"proxy/otlp/span.go":         "a trace is put together from what several machines say",

	"proxy/console/moment.go": "when something was is shown as people write it",

	"pool/run.go": "the nanosecond at which a server's life ends is a number by chance",
}

// TestNobodyMeasuresByTheWallClock: the machine's clock may jump; nothing in the guard waits longer, ends sooner or counts less than nothing then.
func TestNobodyMeasuresByTheWallClock(t *testing.T) {
	used := map[string]bool{}
	for _, dir := range []string{"pool", "breaker", "proxy"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, _ := filepath.Rel(filepath.Join("..", ".."), path)
			if d.IsDir() && (name == "proxy/pgtest" || name == "proxy/conformance") {
				return fs.SkipDir
			}
			if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return nil
			}
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for i, line := range strings.Split(string(text), "\n") {
				if !wallClock.MatchString(cutsFile.ReplaceAllString(line, "")) {
					continue
				}
				used[name] = true
				if byWallClock[name] == "" {
					t.Errorf("%s:%d goes by the wall clock: %s", name, i+1, strings.TrimSpace(line))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range byWallClock {
		if !used[name] {
			t.Errorf("%s is excepted, and does not go by the wall clock", name)
		}
	}
	for _, line := range []string{"in.sentAway.Store(now.UnixNano())", "now.Sub(time.Unix(0, at))", "t = t.Round(0)", "at.UTC()"} {
		if !wallClock.MatchString(line) {
			t.Errorf("%s is not found", line)
		}
	}
}
