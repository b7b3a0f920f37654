package bench

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
)

// simulating has the test's own program be pgguard-bench sim.
const simulating = "PGGUARD_TEST_SIM"

// TestSimEndsAtASignal at once, whatever it computes.
func TestSimEndsAtASignal(t *testing.T) {
	if os.Getenv(simulating) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM) // as the program does
		defer stop()
		os.Exit(Main(ctx, []string{"sim", "--trace", "--seeds", "1"}, os.Stdout, os.Stderr))
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestSimEndsAtASignal$")
		cmd.Env = append(os.Environ(), simulating+"=1")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if _, err := lines.ReadString('\n'); err != nil { // it computes
			t.Fatal(err)
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, lines)
		var ended *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &ended) {
			t.Fatalf("%s: it has gone on to its end: %v", sig, err)
		}
		if s, is := ended.Sys().(syscall.WaitStatus); !is || !s.Signaled() || s.Signal() != sig {
			t.Errorf("%s: it has ended by %v", sig, ended)
		}
	}
}
