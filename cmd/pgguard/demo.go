package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// demoCmd has pgguard-bench play the story on a private PostgreSQL, direct and guarded by this program. The load and the charts are in there, and not in
// what runs beside every application.
type demoCmd struct {
	Stay    bool   `help:"Leave the server, the guard and its metrics running until interrupted, and print where they are."`
	Results string `default:"bench/results" placeholder:"DIR" help:"Where the chart and the figures go."`
}

// benchEnd is how long pgguard-bench may take to end what it has started.
const benchEnd = 20 * time.Second

// Run implements the command.
func (c *demoCmd) Run(e *env) error {
	ctx, stop := signal.NotifyContext(e.ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	bench, err := findBench(self)
	if err != nil {
		return err
	}
	args := []string{"demo", "--guard", self, "--results", c.Results}
	if c.Stay {
		args = append(args, "--stay")
	}
	cmd := exec.CommandContext(ctx, bench, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = benchEnd
	cmd.Stdin, cmd.Stdout, cmd.Stderr = e.in, e.out, e.err
	err = cmd.Run()
	if c.Stay && ctx.Err() != nil {
		return nil // it is meant to end that way
	}
	return err
}

// findBench is the harness: beside this program, else where commands are.
func findBench(self string) (string, error) {
	const name = "pgguard-bench"
	beside := filepath.Join(filepath.Dir(self), name)
	if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
		return beside, nil
	}
	found, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		return "", fmt.Errorf("the demo is played by %s, which is neither beside %s nor in PATH: make build makes both, and the packages have both", name, self)
	}
	return found, err
}
