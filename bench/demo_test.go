package bench

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgguard/bench/load"
	"pgguard/proxy/pgtest"
)

// builtGuard is the program as it is.
func builtGuard(t *testing.T) string {
	t.Helper()
	guard := filepath.Join(t.TempDir(), "pgguard")
	if out, err := exec.Command("go", "build", "-o", guard, "pgguard/cmd/pgguard").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return guard
}

func mustFree(t *testing.T) string {
	t.Helper()
	addr, err := pgtest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// TestGuardOfTheDemoServes starts the guard as the demo does and asks a real PostgreSQL something through it, whatever stands in the environment.
func TestGuardOfTheDemoServes(t *testing.T) {
	t.Setenv("PGGUARD_LOG_LEVEL", "nonsense")
	t.Setenv("PGGUARD_HTTP", "off")
	pg := pgtest.New(t, pgtest.Options{})
	addr, pid, stop, err := startDefault(t.Context(), builtGuard(t), pg.URL("postgres"), mustFree(t), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if pid == 0 {
		t.Error("it has no process")
	}
	cfg, err := load.ParseURL(through(pg.URL("postgres"), addr), "demo")
	if err != nil {
		t.Fatal(err)
	}
	var conns load.Connections
	c := load.NewClient(cfg, &conns)
	defer c.Close()
	if _, err := c.Exec(t.Context(), "SELECT 1", time.Now().Add(10*time.Second)); err != nil {
		t.Error(err)
	}
	c.Quit()
	stop()
	if c, err := net.Dial("tcp", addr); err == nil {
		_ = c.Close()
		t.Error("the guard still runs")
	}
}

// TestGuardOfTheDemoThatEndsIsReported: without the password that it was given.
func TestGuardOfTheDemoThatEndsIsReported(t *testing.T) {
	for _, guard := range []string{"false", "/absent/pgguard"} {
		_, _, _, err := startDefault(t.Context(), guard, "postgres://app:hunter2@127.0.0.1:1/app", mustFree(t), t.Output())
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", guard, err)
		}
	}
}
