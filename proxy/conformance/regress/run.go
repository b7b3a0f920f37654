package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"pgguard/proxy/pgtest"
)

// within bounds one run of the suite, which takes one or two minutes on a small machine.
const within = 20 * time.Minute

// endpoint is what psql connects to.
type endpoint struct {
	host, port string
}

// run runs the whole suite in one mode, on a cluster of its own.
func (r *runner) run(ctx context.Context, mode string) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := r.clean(mode); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(r.out(mode), "server.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	// What pg_regress gives a server of its own.
	c, err := pgtest.Start(ctx, pgtest.Options{Log: log, Settings: map[string]string{"max_prepared_transactions": "2"}})
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Stop() }()
	if err := createDatabase(ctx, c); err != nil {
		return nil, err
	}
	at := endpoint{c.Host(), strconv.Itoa(c.Port())}
	if mode != "direct" {
		g, err := r.startGuard(ctx, c, mode)
		if err != nil {
			return nil, err
		}
		defer g.stop()
		at = g.at
	}
	return r.regress(ctx, mode, at)
}

// createDatabase does what pg_regress does for the database that it makes itself.
func createDatabase(ctx context.Context, c *pgtest.Cluster) error {
	for _, text := range []string{
		`create database regression template = template0`,
		`alter database regression set lc_messages to 'C'`,
		`alter database regression set lc_monetary to 'C'`,
		`alter database regression set lc_numeric to 'C'`,
		`alter database regression set lc_time to 'C'`,
		`alter database regression set bytea_output to 'hex'`,
		`alter database regression set timezone_abbreviations to 'Default'`,
	} {
		if err := c.Exec(ctx, text); err != nil {
			return fmt.Errorf("%s: %w", text, err)
		}
	}
	return nil
}

// regress runs pg_regress and returns which tests passed.
func (r *runner) regress(ctx context.Context, mode string, at endpoint) (map[string]bool, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(r.bin, "../lib/pgxs/src/test/regress/pg_regress"),
		"--use-existing", "--dbname=regression", "--user=postgres", "--host="+at.host, "--port="+at.port,
		"--bindir="+r.bin, "--dlpath="+r.suite, "--inputdir="+r.suite, "--outputdir="+r.out(mode),
		"--schedule="+filepath.Join(r.suite, "parallel_schedule"), "--max-connections=20")
	cmd.Dir = r.out(mode)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if r.verbose {
		cmd.Stdout = io.MultiWriter(&out, os.Stdout)
	}
	start := time.Now()
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) { // 1: a test failed
		return nil, fmt.Errorf("pg_regress: %w\n%s", err, out.String())
	}
	res := parseResults(out.String())
	if len(res) == 0 {
		return nil, fmt.Errorf("%w\n%s", errNothing, out.String())
	}
	fmt.Printf("%s: %d tests in %s\n", mode, len(res), time.Since(start).Round(time.Second))
	return res, nil
}
