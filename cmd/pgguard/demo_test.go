package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDemoIsPlayedByTheHarness: with this program as the guard, and what it was told.
func TestDemoIsPlayedByTheHarness(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/bin:/usr/bin")
	var out, log bytes.Buffer
	play := func() int {
		return run(context.Background(), []string{"demo", "--stay", "--results", "there"}, streams{in: strings.NewReader(""), out: &out, err: &log})
	}
	if got := play(); got != exitFailed || !strings.Contains(log.String(), "make build makes both") {
		t.Errorf("without a harness: %d, %s", got, log.String())
	}
	script := "#!/bin/sh\necho \"$*\"\nexit 3\n"
	if err := os.WriteFile(filepath.Join(dir, "pgguard-bench"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if got := play(); got != exitFailed || !strings.Contains(log.String(), "exit status 3") {
		t.Errorf("a harness that fails: %d, %s", got, log.String())
	}
	if want := "demo --guard " + self + " --results there --stay\n"; out.String() != want {
		t.Errorf("it was told %q, want %q", out.String(), want)
	}
}
