//go:build !unix

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"pgguard/proxy/config/pgbouncer"
)

// inBackground is false: nothing is started so here.
func inBackground() bool { return false }

func tellStarter() {}

// daemonize fails.
func daemonize(pgbouncer.Process) error {
	return usageError{errors.New("-d is not available on this system; have a service manager run it")}
}

// isRunning is true for the number of a process that there is.
func isRunning(pid int) bool {
	p, err := os.FindProcess(pid)
	if err == nil {
		_ = p.Release()
	}
	return err == nil
}

// become fails for any user.
func become(name string) error {
	if name == "" {
		return nil
	}
	return errors.New("user: no process can become another user's on this system")
}

// obeyUserSignals does nothing: there are no such signals.
func obeyUserSignals(context.Context, *slog.Logger, any) {}
