package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"pgguard/proxy/pgtest"
)

// guard is a running guard.
type guard struct {
	at  endpoint
	dir string // of its configuration
	cmd *exec.Cmd
	log *os.File
}

// guardConfig gives each of the suite's parallel tests (20 at most) a server, and each of them may keep it.
const guardConfig = `listen: ["127.0.0.1:0"]
http: "off"
upstream: "postgres://postgres@%s:%d/postgres"
pool: {mode: %s, max_servers: 60, limit: 60}
`

// startGuard starts the guard before a cluster. Its log is kept beside the results.
func (r *runner) startGuard(ctx context.Context, c *pgtest.Cluster, mode string) (*guard, error) {
	dir, err := os.MkdirTemp("", "pgguard-regress-")
	if err != nil {
		return nil, err
	}
	g := &guard{dir: dir}
	file := filepath.Join(dir, "pgguard.yaml")
	text := fmt.Sprintf(guardConfig, c.Host(), c.Port(), mode)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if g.log, err = os.Create(filepath.Join(r.out(mode), "pgguard.log")); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	g.cmd = exec.Command(r.program, "serve", "-c", file)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	if err := g.cmd.Start(); err != nil {
		return nil, errors.Join(err, g.log.Close(), os.RemoveAll(dir))
	}
	if err := g.ready(ctx); err != nil {
		g.stop()
		return nil, err
	}
	return g, nil
}

// serving is where the guard's log says on what address it listens.
var serving = regexp.MustCompile(`msg=serving listen=\[127\.0\.0\.1:(\d+)\]`)

// ready waits until the guard says that it serves, and where. A client that comes sooner than the guard's first server
// waits there.
func (g *guard) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		text, err := os.ReadFile(g.log.Name())
		if err != nil {
			return err
		}
		if m := serving.FindSubmatch(text); m != nil {
			g.at = endpoint{"127.0.0.1", string(m[1])}
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the guard does not say that it serves:\n%s", text)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the guard at once and removes its directory; nothing of it is worth an error here.
func (g *guard) stop() {
	_ = g.cmd.Process.Kill()
	_ = g.cmd.Wait()
	_ = g.log.Close()
	_ = os.RemoveAll(g.dir)
}
