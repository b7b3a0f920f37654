package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgguard/proxy/pgtest"

	"github.com/rogpeppe/go-internal/testscript"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the expected outputs in testdata/script")

// asPgguard, when set, makes the test binary be pgguard: startServe starts its own executable.
const asPgguard = "TEST_BINARY_IS_PGGUARD"

func TestMain(m *testing.M) {
	if os.Getenv(asPgguard) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"pgguard": main, "pgbouncer": main})
}

// TestScript runs testdata/script. Beside testscript's own, the scripts have these commands:
//
//	status URL CODE [TEXT]   waits until a GET answers CODE, with TEXT in the body
//	term                     sends SIGTERM to what runs in the background
//	interrupt                sends SIGINT to it
//	hangup                   sends SIGHUP to it
//	holds FILE TEXT          waits until the file is there and has the text in it; ! holds FILE, until it is not there
//
// and the variables ADDR1, ADDR2 and ADDR3, loopback addresses that nobody listens on.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *rewrite,
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			for i := range 3 {
				addr, err := pgtest.FreeAddress()
				if err != nil {
					return err
				}
				e.Setenv("ADDR"+strconv.Itoa(i+1), addr)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"status":    statusCommand,
			"term":      signalCommand(syscall.SIGTERM),
			"hangup":    signalCommand(syscall.SIGHUP),
			"interrupt": signalCommand(syscall.SIGINT),
			"holds":     holdsCommand,
		},
	})
}

// holdsCommand waits for what a file has in it.
func holdsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 1 || !neg && len(args) != 2 {
		ts.Fatalf("usage: holds FILE TEXT, or ! holds FILE")
	}
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if neg && os.IsNotExist(err) || !neg && err == nil && strings.Contains(string(text), args[1]) {
			return
		}
		select {
		case <-deadline:
			ts.Fatalf("%s: got %q, %v", args, text, err)
		case <-tick.C:
		}
	}
}

// signalCommand sends a signal to what runs in the background.
func signalCommand(sig os.Signal) func(ts *testscript.TestScript, neg bool, args []string) {
	return func(ts *testscript.TestScript, _ bool, _ []string) {
		for _, c := range ts.BackgroundCmds() {
			ts.Check(c.Process.Signal(sig))
		}
	}
}

func statusCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status URL CODE [TEXT]")
	}
	text := ""
	if len(args) > 2 {
		text = args[2]
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := fetch(ctx, args[0])
		if err == nil && got.code == args[1] && strings.Contains(got.body, text) {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("%s: got %q, %v; want %s %s", args[0], got, err, args[1], text)
		case <-tick.C:
		}
	}
}

// answer is the status and the body of a page.
type answer struct{ code, body string }

func fetch(ctx context.Context, url string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return answer{}, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return answer{fmt.Sprint(resp.StatusCode), string(body)}, err
}

// TestRunReturnsTheExitCode covers what a script cannot: that run itself ends with a code, for --help too.
func TestRunReturnsTheExitCode(t *testing.T) {
	for _, c := range []struct {
		args []string
		want int
	}{
		{[]string{"--help"}, exitOK},
		{[]string{"serve", "--help"}, exitOK},
		{[]string{"version"}, exitOK},
		{[]string{}, exitUsage},
		{[]string{"serve", "--absent"}, exitUsage},
		{[]string{"check", "absent.yaml"}, exitUsage},
	} {
		if got := run(context.Background(), c.args, streams{in: os.Stdin, out: io.Discard, err: io.Discard}); got != c.want {
			t.Errorf("pgguard %v: got %d, want %d", c.args, got, c.want)
		}
	}
}
