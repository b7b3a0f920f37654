package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"pgguard/bench"
)

// demoCmd plays the story on a private PostgreSQL, direct and guarded.
type demoCmd struct {
	Stay    bool   `help:"Leave the server, the guard and its metrics running until interrupted, and print where they are."`
	Results string `default:"bench/results" placeholder:"DIR" help:"Where the chart and the figures go."`
}

// Run plays the demo; the guard in it is this program, as a process of its own so that its CPU and memory can be told.
func (c *demoCmd) Run(e *env) error {
	ctx, stop := signal.NotifyContext(e.ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	listen, err := freeAddr()
	if err != nil {
		return err
	}
	web, err := freeAddr()
	if err != nil {
		return err
	}
	return bench.Demo(ctx, bench.DemoConfig{
		Out:        e.out,
		ResultsDir: c.Results,
		Stay:       c.Stay,
		HTTP:       web,
		StartGuard: func(ctx context.Context, upstream string) (string, int, func(), error) {
			g, err := startServe(ctx, upstream, listen, web, e.err)
			if err != nil {
				return "", 0, nil, err
			}
			return listen, g.cmd.Process.Pid, g.stop, nil
		},
	})
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("look for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// served is a guard in a process of its own.
type served struct {
	cmd  *exec.Cmd
	end  context.CancelFunc // asks it to end
	done chan struct{}      // closed when it has
}

const (
	guardStart = 15 * time.Second // a guard is ready in a fraction of a second; a busy machine may need some
	guardEnd   = 5 * time.Second  // from being asked to end to being killed
)

// startServe runs this program's serve in front of upstream and returns when clients can be served. The guard ends with
// ctx or stop. Its log, warnings and worse, goes to log.
func startServe(ctx context.Context, upstream, listen, web string, log io.Writer) (*served, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	ctx, end := context.WithCancel(ctx)
	g := &served{end: end, done: make(chan struct{})}
	g.cmd = exec.CommandContext(ctx, path, "serve", "--listen", listen, "--http", web, "--log-level", "warn")
	g.cmd.Cancel = func() error { return g.cmd.Process.Signal(syscall.SIGTERM) }
	g.cmd.WaitDelay = guardEnd
	g.cmd.Stderr = log
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PGGUARD_") { // the demo shows the defaults
			g.cmd.Env = append(g.cmd.Env, v)
		}
	}
	// An empty XDG_CACHE_HOME and HOME: it learns for itself, and leaves nothing.
	g.cmd.Env = append(g.cmd.Env, "PGGUARD_UPSTREAM="+upstream, "XDG_CACHE_HOME=", "HOME=")
	if err := g.cmd.Start(); err != nil {
		end()
		return nil, err
	}
	go func() { // ends with the process
		defer close(g.done)
		_ = g.cmd.Wait() // it is ended by a signal, which Wait calls an error
	}()
	if err := g.awaitReady(ctx, "http://"+web+"/readyz"); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

// stop ends the guard and waits for it. It can be called more than once.
func (g *served) stop() {
	g.end()
	<-g.done
}

// awaitReady asks url until the answer is 200.
func (g *served) awaitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, guardStart)
	defer cancel()
	last := errors.New("it did not answer")
	for {
		last = getReady(ctx, url, last)
		if last == nil {
			return nil
		}
		select {
		case <-g.done:
			return errors.New("it ended at once; its log says why")
		case <-ctx.Done():
			return fmt.Errorf("wait until %s answers: %w", url, last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
