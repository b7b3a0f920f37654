package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"pgguard/proxy/pgtest"
)

// settings is what the command line says.
type settings struct {
	guard      string // path of the pgguard binary
	dir        string // the directory of the drivers
	cache      string // what was installed, what could not be, and the logs
	pool       int
	pinned     int
	neighbours int
	within     time.Duration
	seed       uint64
	optional   []string // drivers that may be missing
	directOnly bool
	suites     bool // the drivers' own tests instead of ours
}

func main() {
	var s settings
	flag.StringVar(&s.guard, "guard", "bin/pgguard", "path of the pgguard binary")
	flag.StringVar(&s.dir, "dir", "proxy/conformance/drivers", "directory of the drivers' tests")
	flag.StringVar(&s.cache, "cache", "proxy/conformance/drivers/.cache", "directory of what was installed, and of the logs")
	flag.IntVar(&s.pool, "pool", 4, "the guard's pool.max_servers")
	flag.IntVar(&s.pinned, "pinned", 3, "the guard's pool.max_pinned: two for the driver, one for a neighbour; 0 leaves it out")
	flag.IntVar(&s.neighbours, "neighbours", 50, "noisy neighbours")
	flag.DurationVar(&s.within, "within", 4*time.Minute, "longest time for one run of one driver")
	flag.Uint64Var(&s.seed, "seed", rand.Uint64(), "seed of the neighbours")
	flag.BoolVar(&s.directOnly, "direct-only", false, "leave the guard out")
	flag.BoolVar(&s.suites, "suites", false, "run the drivers' own suites, which suites.sh gets")
	flag.Parse()
	s.optional = strings.FieldsFunc(os.Getenv("DRIVERS_OPTIONAL"), func(r rune) bool { return r == ' ' || r == ',' })
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed, err := runAll(ctx, &s, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "drivers:", err)
		os.Exit(2)
	}
	if failed {
		os.Exit(1)
	}
}

// runAll runs the named drivers, or all, and prints the table. It reports whether any of them failed.
func runAll(ctx context.Context, s *settings, names []string) (bool, error) {
	all := drivers
	if s.suites {
		all = suites
	}
	chosen, err := choose(all, names)
	if err != nil {
		return false, err
	}
	for _, dir := range []*string{&s.guard, &s.dir, &s.cache} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return false, err
		}
	}
	if err := os.MkdirAll(filepath.Join(s.cache, "log"), 0o755); err != nil {
		return false, err
	}
	pg, err := pgtest.Start(ctx, pgtest.Options{Settings: map[string]string{"max_connections": "60", "max_prepared_transactions": "4"}})
	if err != nil {
		return false, err
	}
	defer func() { _ = pg.Stop() }() // its directory is a temporary one
	fmt.Printf("drivers: PostgreSQL %d, pool of %d, %d neighbours, seed %d\n", pg.Version(), s.pool, s.neighbours, s.seed)
	rows, err := s.runEach(ctx, pg, chosen)
	if err != nil {
		return false, err
	}
	if s.suites {
		return judgeSuites(os.Stdout, filepath.Join(s.dir, "suites.txt"), rows)
	}
	return !printTable(os.Stdout, rows, s.directOnly), nil
}

// runEach runs the drivers one after another.
func (s *settings) runEach(ctx context.Context, pg *pgtest.Cluster, chosen []driver) ([]row, error) {
	var rows []row
	for _, d := range chosen {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		r := row{driver: d, missing: s.missing(d), optional: slices.Contains(s.optional, d.name)}
		if r.missing == "" {
			r.direct = s.run(ctx, pg, d, false)
			r.report("direct", r.direct)
			if !s.directOnly {
				r.guard = s.run(ctx, pg, d, true)
				r.report("guard", r.guard)
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// missing returns why the driver cannot run on this machine, as the installation noted it.
func (s *settings) missing(d driver) string {
	b, err := os.ReadFile(filepath.Join(s.cache, "missing", d.needs))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
