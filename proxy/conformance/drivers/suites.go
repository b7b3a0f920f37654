package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

const dsn = "host=$PGHOST port=$PGPORT user=$PGUSER dbname=$PGDATABASE sslmode=disable"

// pgxSetup is what pgx's testsetup/postgresql_setup.sql does for a database without passwords.
var pgxSetup = []string{
	"create extension hstore", "create extension ltree", "create domain uint64 as numeric(20,0)",
	`do $$ begin create user " tricky, ' } "" \ test user " superuser password 'secret';
		exception when duplicate_object then null; end $$`,
}

// suites are the drivers' own tests; suites.sh puts their sources into the cache.
var suites = []driver{
	{
		name: "pgx-pooler", needs: "suite-pgx", in: "$CACHE/suites/pgx", setup: pgxSetup, count: countGo,
		args: []string{"go", "test", "-count", "1", "-v", "-run", "Pgbouncer", "."},
		env:  []string{"PGX_TEST_PGBOUNCER_CONN_STRING=" + dsn, "PGX_TEST_DATABASE=" + dsn},
	},
	{
		name: "pgx", needs: "suite-pgx", in: "$CACHE/suites/pgx", setup: pgxSetup, count: countGo,
		args: []string{"go", "test", "-count", "1", "-p", "1", "-v", ".", "./pgconn", "./pgtype", "./pgxpool", "./stdlib"},
		env:  []string{"PGX_TEST_DATABASE=" + dsn},
	},
	{
		name: "pq", needs: "suite-pq", in: "$CACHE/suites/pq", count: countGo,
		args: []string{"go", "test", "-count", "1", "-v", "."},
	},
	{
		name: "pq-binary", needs: "suite-pq", in: "$CACHE/suites/pq", count: countGo,
		args: []string{"go", "test", "-count", "1", "-v", "."}, env: []string{"PQTEST_BINARY_PARAMETERS=1"},
	},
}

var goFailure = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

// goFailures returns the tests that failed, without those of which a part failed.
func goFailures(output string) []string {
	var names []string
	for _, m := range goFailure.FindAllStringSubmatch(output, -1) {
		names = append(names, m[1])
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(names, func(other string) bool { return strings.HasPrefix(other, name+"/") })
	})
}

// execIn runs one text in the database at address.
func execIn(ctx context.Context, address, text string) error {
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, text)
	return err
}

// known are the failures that have a reason, by suite and test; a test ends in "/..." for all its parts.
type known map[string]string

// readKnown reads lines of a suite, a test and its reason; # begins a comment.
func readKnown(path string) (known, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := known{}
	for i, line := range strings.Split(string(b), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		suite, rest, _ := strings.Cut(line, " ")
		test, reason, ok := strings.Cut(strings.TrimSpace(rest), " ")
		if !ok {
			return nil, fmt.Errorf("%s:%d: want a suite, a test and a reason", path, i+1)
		}
		k[suite+" "+test] = strings.TrimSpace(reason)
	}
	return k, nil
}

// reason returns why the test of the suite fails.
func (k known) reason(suite, test string) (string, bool) {
	if r, ok := k[suite+" "+test]; ok {
		return r, true
	}
	parent, _, _ := strings.Cut(test, "/")
	r, ok := k[suite+" "+parent+"/..."]
	return r, ok
}

// judgeSuites lists what fails through the guard and not directly, each with its reason, and reports whether one has none.
func judgeSuites(out io.Writer, path string, rows []row) (bool, error) {
	reasons, err := readKnown(path)
	if err != nil {
		return false, err
	}
	passed, failed := 0, 0
	for _, r := range rows {
		if r.missing != "" {
			fmt.Fprintf(out, "\n%s: NOT RUN: %s\n", r.driver.name, r.missing)
			failed++
			continue
		}
		if r.guard == nil {
			continue
		}
		unexplained := 0
		fmt.Fprintf(out, "\n%s: direct %s, guard %s; fails directly too: %d\n", r.driver.name, r.direct.tally, r.guard.tally, len(r.direct.failures))
		for _, test := range r.guard.failures {
			if slices.Contains(r.direct.failures, test) {
				continue
			}
			why, ok := reasons.reason(r.driver.name, test)
			if !ok {
				why = "UNEXPLAINED"
				unexplained++
			}
			fmt.Fprintf(out, "  %s: %s\n", test, why)
		}
		if unexplained > 0 || len(r.direct.trouble)+len(r.guard.trouble) > 0 || r.guard.passed == 0 {
			failed++
		} else {
			passed++
		}
	}
	fmt.Fprintf(out, "suites: %d passed, %d failed\n", passed, failed)
	return failed > 0, nil
}
