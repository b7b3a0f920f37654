package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// process is one run of a server program under the watchdog.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the program has been reaped
	err  error         // how it ended; read after done
}

// command prepares a server program to run under the watchdog, as the account, with its output in the log.
func (c *Cluster) command(ctx context.Context, name string, args ...string) (*exec.Cmd, *os.File, error) {
	log, err := os.OpenFile(c.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := c.acct.own(c.logPath()); err != nil {
		_ = log.Close()
		return nil, nil, err
	}
	argv := slices.Concat([]string{"-c", runScript, "pgtest-run", c.dir, filepath.Join(c.bin, name)}, args)
	cmd := exec.CommandContext(ctx, "/bin/sh", argv...)
	cmd.Dir = c.dir
	cmd.Env = environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = c.acct.attr()
	return cmd, log, nil
}

// environment is this process's own, less what PostgreSQL's programs take settings from. With TZ set, initdb does
// not search the machine's time zones for a match, which takes it longer than all the rest.
func environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		return strings.HasPrefix(kv, "PG") || strings.HasPrefix(kv, "LC_") || strings.HasPrefix(kv, "LANG")
	})
	return append(env, "LC_ALL=C", "TZ=UTC")
}

// launch starts the program. The goroutine that waits for it ends with it.
func (c *Cluster) launch(name string, args ...string) (*process, error) {
	cmd, log, err := c.command(context.Background(), name, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
		c.forgetPID()
	}()
	return p, nil
}

// forgetPID hides a process that has been reaped from the watchdog: the number may soon be somebody else's.
func (c *Cluster) forgetPID() { _ = os.Remove(filepath.Join(c.dir, pidFile)) }

// run runs the program to its end, or kills it when ctx ends.
func (c *Cluster) run(ctx context.Context, name string, args ...string) error {
	cmd, log, err := c.command(ctx, name, args...)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	defer c.forgetPID()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("run %s: %w\n%s", name, err, c.LogTail(20))
	}
	return nil
}

// pid is the process id of the program, which its shell replaced itself with.
func (p *process) pid() int { return p.cmd.Process.Pid }

// signal sends s; a process that has ended is no error.
func (p *process) signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// ended reports whether the process ended within d.
func (p *process) ended(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-p.done:
		return true
	case <-t.C:
		return false
	}
}
