package main

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"pgguard/drivers/neighbours"
	"pgguard/proxy/pgtest"
)

// result is one run of a driver's tests against one target.
type result struct {
	tally
	took     time.Duration
	noise    string   // what the neighbours did meanwhile
	log      string   // path
	failures []string // names of tests of a Go suite
	trouble  []string // why it failed, beside the tests that did
}

func (r *result) ok() bool {
	return r != nil && len(r.trouble) == 0 && r.failed == 0 && r.skipped == 0 && r.passed > 0
}

// add notes a trouble.
func (r *result) add(format string, args ...any) {
	r.trouble = append(r.trouble, fmt.Sprintf(format, args...))
}

// run runs the driver's tests in a new database, directly or through a new guard among neighbours.
func (s *settings) run(ctx context.Context, pg *pgtest.Cluster, d driver, guarded bool) *result {
	target := "direct"
	if guarded {
		target = "guard"
	}
	name := strings.NewReplacer("-", "_", "/", "_").Replace(d.name + "_" + target)
	if s.suites {
		name = "suite_" + name
	}
	r := &result{log: filepath.Join(s.cache, "log", name+".log")}
	if err := pg.Exec(ctx, "create database "+name); err != nil {
		r.add("%v", err)
		return r
	}
	defer func() {
		if err := pg.Exec(ctx, "drop database "+name+" with (force)"); err != nil {
			r.add("%v", err)
		}
	}()
	address := pg.URL(name)
	for _, text := range d.setup {
		if err := execIn(ctx, address, text); err != nil {
			r.add("set up: %v", err)
			return r
		}
	}
	if !guarded {
		s.play(ctx, d, address, r)
		return r
	}
	g, err := startGuard(ctx, s, address, filepath.Join(s.cache, "log", name+".guard.log"))
	if err != nil {
		r.add("%v", err)
		return r
	}
	defer g.stop()
	crowd, err := neighbours.Start(ctx, g.url, s.neighbours, s.seed)
	if err != nil {
		r.add("%v", err)
		return r
	}
	w := watch(ctx, pg, name)
	s.play(ctx, d, g.url, r)
	if rep := crowd.Stop(); s.neighbours > 0 {
		blameNeighbours(rep, r)
	}
	w.blame(r, s.pool)
	g.blame(ctx, r)
	leftovers(ctx, pg, name, r)
	return r
}

// play runs the driver's program against address and counts.
func (s *settings) play(ctx context.Context, d driver, address string, r *result) {
	ctx, stop := context.WithTimeout(ctx, s.within)
	defer stop()
	cmd, err := s.command(d, address)
	if err != nil {
		r.add("%v", err)
		return
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a runner's children end with it
	from := time.Now()
	err = runGroup(ctx, cmd)
	r.took = time.Since(from)
	if e := os.WriteFile(r.log, out.Bytes(), 0o644); e != nil {
		r.add("%v", e)
	}
	r.tally, r.failures = d.count(out.String()), goFailures(out.String())
	switch {
	case ctx.Err() != nil:
		r.add("not done within %v", s.within)
	case err != nil && r.failed == 0:
		r.add("%s: %v", filepath.Base(d.args[0]), err)
	case r.passed+r.failed == 0:
		r.add("no test ran")
	}
}

// command returns the driver's program, aimed at address.
func (s *settings) command(d driver, address string) (*exec.Cmd, error) {
	env, err := environment(address)
	if err != nil {
		return nil, err
	}
	expand := func(text string) string {
		return os.Expand(text, func(name string) string {
			for _, e := range append(env, "CACHE="+s.cache) {
				if value, ok := strings.CutPrefix(e, name+"="); ok {
					return value
				}
			}
			return ""
		})
	}
	var args []string
	for _, a := range d.args {
		args = append(args, expand(a))
	}
	dir, _, _ := strings.Cut(d.name, "/")
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = filepath.Join(s.dir, dir)
	if d.in != "" {
		cmd.Dir = expand(d.in)
	}
	more := env
	for _, e := range d.env {
		more = append(more, expand(e))
	}
	cmd.Env = append(os.Environ(), more...)
	return cmd, nil
}

// runGroup runs the command and kills all of its process group when ctx ends.
func runGroup(ctx context.Context, cmd *exec.Cmd) error {
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	defer stop()
	return cmd.Wait()
}

// environment returns the variables that lead a driver to address.
func environment(address string) ([]string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return []string{
		"DRIVERS_URL=" + address,
		"PGHOST=" + u.Hostname(), "PGPORT=" + u.Port(), "PGUSER=" + u.User.Username(), "PGDATABASE=" + strings.TrimPrefix(u.Path, "/"),
		"PGSSLMODE=disable", "PGPASSWORD=", "PGAPPNAME=", "PGOPTIONS=", "LC_ALL=C.UTF-8",
	}, nil
}
