// Command regress runs PostgreSQL's own regression suite directly and through the guard, and says what fails only through
// the guard. proxy/conformance/regress/run.sh gets the suite and calls it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"pgguard/proxy/pgtest"
)

// modes are the ways to run the suite; direct is without a guard.
var modes = []string{"direct", "transaction", "session"}

// runner is what every run of the suite has in common.
type runner struct {
	suite    string // holds sql, expected, data, parallel_schedule and regress.so
	program  string // the guard
	bin      string // the server programs
	expected expectations
	verbose  bool
}

func main() {
	var r runner
	flag.StringVar(&r.suite, "suite", "", "`directory` of the suite")
	flag.StringVar(&r.program, "program", "bin/pgguard", "`path` of the guard")
	flag.BoolVar(&r.verbose, "v", false, "print what pg_regress prints")
	list := flag.String("expected", "proxy/conformance/regress/expected.txt", "`file` with the tests that may fail")
	printBin := flag.Bool("print-bin-dir", false, "print where the server programs are and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := r.prepare(*list); err != nil {
		fmt.Fprintln(os.Stderr, "regress:", err)
		os.Exit(2)
	}
	if *printBin {
		fmt.Println(r.bin)
		return
	}
	wanted := flag.Args()
	if len(wanted) == 0 {
		wanted = modes
	}
	ok, err := r.all(ctx, wanted)
	if err != nil {
		fmt.Fprintln(os.Stderr, "regress:", err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// prepare finds the server programs and reads the list of tests that may fail.
func (r *runner) prepare(list string) (err error) {
	bin, err := pgtest.FindBinaries("")
	if err != nil {
		return err
	}
	postgres, err := filepath.EvalSymlinks(filepath.Join(bin, "postgres")) // pg_regress lies beside the program itself
	if err != nil {
		return err
	}
	r.bin = filepath.Dir(postgres)
	if r.suite, err = filepath.Abs(r.suite); err != nil {
		return err
	}
	text, err := os.ReadFile(list)
	if err != nil {
		return err
	}
	r.expected, err = parseExpectations(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", list, err)
	}
	return nil
}

// all runs the suite in each mode and prints what came of it; ok is false if a test failed that may not.
func (r *runner) all(ctx context.Context, wanted []string) (ok bool, err error) {
	for _, mode := range wanted {
		if !known(mode) {
			return false, fmt.Errorf("there is no mode %q; the modes are %s", mode, strings.Join(modes, ", "))
		}
	}
	ok = true
	var summary []string
	for _, mode := range wanted {
		res, err := r.run(ctx, mode)
		if err != nil {
			return false, fmt.Errorf("%s: %w", mode, err)
		}
		v := r.expected.judge(mode, res)
		for _, test := range v.unexpected {
			fmt.Printf("\n%s: %s failed, which expected.txt does not allow\n%s", mode, test, r.diff(mode, test))
		}
		for _, test := range v.stale {
			fmt.Printf("%s: %s passed, although expected.txt allows it to fail\n", mode, test)
		}
		summary = append(summary, v.String(mode))
		ok = ok && len(v.unexpected) == 0
	}
	fmt.Println("\n" + strings.Join(summary, "\n"))
	return ok, nil
}

func known(mode string) bool {
	for _, m := range modes {
		if m == mode {
			return true
		}
	}
	return false
}

// out is where the results of a mode lie: beside the suite, so that the server can write there, too.
func (r *runner) out(mode string) string { return filepath.Join(r.suite, "out", mode) }

// clean makes an empty directory for the results of a mode.
func (r *runner) clean(mode string) error {
	dir := r.out(mode)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	results := filepath.Join(dir, "results")
	if err := os.MkdirAll(results, 0o755); err != nil {
		return err
	}
	return os.Chmod(results, 0o777) // the server runs as another user where this is root, and writes there
}

// errNothing is a run that says nothing about the guard.
var errNothing = errors.New("pg_regress ran no test")
