//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"os/user"
	"strconv"
	"syscall"

	"pgguard/proxy"
	"pgguard/proxy/config/pgbouncer"
)

// starterVariable, when set, says that this process was started to run in the background, and that whoever started it waits for a byte.
const starterVariable = "PGGUARD_STARTER"

// starterFile is what the byte is written to.
const starterFile = 3

// inBackground is true for the process that daemonize starts.
func inBackground() bool { return os.Getenv(starterVariable) != "" }

// tellStarter tells it that clients can connect.
func tellStarter() {
	if !inBackground() {
		return
	}
	_ = os.Unsetenv(starterVariable)
	f := os.NewFile(starterFile, "starter")
	_, _ = f.Write([]byte{1}) // if nobody waits any more, nobody is told
	_ = f.Close()
}

// daemonize starts this program again, with no terminal, and returns when clients can connect to it. What it says before there is a log is
// in the log file.
func daemonize(p pgbouncer.Process) error {
	switch {
	case p.PIDFile == "":
		return usageError{errors.New("-d needs a pidfile in the configuration")}
	case p.LogFile == "":
		return usageError{errors.New("-d needs a logfile in the configuration")}
	}
	_, absent := os.Stat(p.LogFile)
	log, err := os.OpenFile(p.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("logfile: %w", err)
	}
	defer func() { _ = log.Close() }() // the process that is started has it
	if uid, gid, err := idOf(p.User); absent != nil && err == nil && p.User != "" {
		_ = log.Chown(uid, gid) // only root can
	}
	wait, told, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = wait.Close() }() // only read from
	self, err := os.Executable()
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	child, err := os.StartProcess(self, os.Args, &os.ProcAttr{
		Env: append(os.Environ(), starterVariable+"=1"), Files: []*os.File{null, null, log, told}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return err
	}
	_ = told.Close()
	if n, _ := wait.Read(make([]byte, 1)); n == 1 {
		return child.Release()
	}
	_, _ = child.Wait()
	return fmt.Errorf("it has not started: %s says why", p.LogFile)
}

// isRunning is true for the number of a process that there is.
func isRunning(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// idOf are the numbers of a user of the system.
func idOf(name string) (uid, gid int, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(u.Uid); err != nil {
		return 0, 0, err
	}
	gid, err = strconv.Atoi(u.Gid)
	return uid, gid, err
}

// become makes this process one of another user, for good; an empty name, or its own, changes nothing.
func become(name string) error {
	if name == "" {
		return nil
	}
	uid, gid, err := idOf(name)
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	if uid == os.Getuid() {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	texts, err := u.GroupIds()
	if err != nil {
		return fmt.Errorf("user: %w", err)
	}
	groups := []int{gid}
	for _, text := range texts {
		if n, err := strconv.Atoi(text); err == nil && n != gid {
			groups = append(groups, n)
		}
	}
	if err := errors.Join(syscall.Setgroups(groups), syscall.Setgid(gid), syscall.Setuid(uid)); err != nil {
		return fmt.Errorf("user: become %s: %w", name, err)
	}
	return os.Setenv("HOME", u.HomeDir)
}

// pauses is a guard whose clients can be kept waiting.
type pauses interface {
	Pause(ctx context.Context, database string) error
	Resume(database string) error
}

// obeyUserSignals pauses all databases at SIGUSR1, which may take as long as a transaction, and resumes them at SIGUSR2, until ctx ends.
func obeyUserSignals(ctx context.Context, log *slog.Logger, g pauses) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	stop := func() {}
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case sig := <-signals:
			stop()
			stop = func() {}
			if sig == syscall.SIGUSR2 {
				switch err := g.Resume(""); {
				case errors.Is(err, proxy.ErrShutDown):
					log.Info("got SIGUSR2 while shutting down, ignoring")
				case err != nil:
					log.Info("got SIGUSR2, continuing from PAUSE")
					log.Warn("there is nothing to continue from", "error", err)
				default:
					log.Info("got SIGUSR2, continuing from PAUSE")
				}
				continue
			}
			log.Info("got SIGUSR1, pausing all activity")
			stop = beside(func(ctx context.Context) {
				if err := g.Pause(ctx, ""); err != nil {
					log.Warn("pausing has not come to its end", "error", err)
				} else {
					log.Info("paused")
				}
			})
		}
	}
}
