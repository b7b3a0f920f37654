package scenario

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// script is one transaction, for both engines.
type script struct {
	pgbench  string
	steps    func(r *rand.Rand) []step
	protocol string // simple, extended or prepared, as pgbench calls them
}

// step is one statement, with $1 for its argument if it has one.
type step struct {
	sql string
	arg string
}

// text is the step without a parameter.
func (s step) text() string { return strings.Replace(s.sql, "$1", s.arg, 1) }

// args are what a Bind of the step needs.
func (s step) args() []string {
	if s.arg == "" {
		return nil
	}
	return []string{s.arg}
}

// readScript is pgbench -S.
var readScript = script{
	pgbench: "\\set aid random(1, 100000 * " + strconv.Itoa(steadyScale) + ")\nSELECT abalance FROM pgbench_accounts WHERE aid = :aid;\n",
	steps: func(r *rand.Rand) []step {
		return []step{{"SELECT abalance FROM pgbench_accounts WHERE aid = $1;", randomAccount(r)}}
	},
}

// writeScript updates an account and adds to the history, in a transaction.
var writeScript = script{
	pgbench: "\\set aid random(1, 100000 * " + strconv.Itoa(steadyScale) + `)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, 1, CURRENT_TIMESTAMP);
COMMIT;
`,
	steps: func(r *rand.Rand) []step {
		aid := randomAccount(r)
		return []step{
			{"BEGIN;", ""},
			{"UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = $1;", aid},
			{"INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, $1, 1, CURRENT_TIMESTAMP);", aid},
			{"COMMIT;", ""},
		}
	},
}

func randomAccount(r *rand.Rand) string { return strconv.Itoa(1 + r.IntN(100_000*steadyScale)) }

// engine runs a script with n clients for d.
type engine func(ctx context.Context, e Env, s script, n int, d time.Duration) (result, error)

func (s Steady) engine() (engine, error) {
	_, err := exec.LookPath("pgbench")
	switch {
	case s.Engine == "go" || s.Engine == "auto" && err != nil:
		return runGo, nil
	case err != nil:
		return nil, fmt.Errorf("pgbench is not installed: %w", err)
	default:
		return runPgbench, nil
	}
}

// sampleShare of the transactions enter pgbench's log, from which the quantiles come. Writing all down would be part of what is measured.
const sampleShare = "0.1"

// loginsPerSecond is what PostgreSQL manages at the least on a small machine. pgbench's clock runs while it logs in, so
// that its time is extended by what its logins may take.
const loginsPerSecond = 100

// runPgbench runs pgbench with two threads.
func runPgbench(ctx context.Context, e Env, s script, n int, d time.Duration) (result, error) {
	if u, err := url.Parse(e.URL); err == nil && strings.Contains(u.Host, ",") {
		return result{}, errors.New("pgbench would use one proxy of the fleet: add --engine go")
	}
	dir, err := os.MkdirTemp("", "pgguard-pgbench-")
	if err != nil {
		return result{}, fmt.Errorf("make a directory for pgbench: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "script.sql")
	if err := os.WriteFile(file, []byte(s.pgbench), 0o600); err != nil {
		return result{}, fmt.Errorf("write pgbench's script: %w", err)
	}
	seconds := max(1, int(d.Round(time.Second).Seconds())) + n/loginsPerSecond
	cmd := exec.CommandContext(ctx, "pgbench", "-n", "-M", s.protocol, "-f", file, "-c", strconv.Itoa(n), "-j", strconv.Itoa(min(n, 2)),
		"-T", strconv.Itoa(seconds), "--random-seed", strconv.FormatUint(e.Seed, 10),
		"-l", "--sampling-rate", sampleShare, "--log-prefix", filepath.Join(dir, "log"), e.URL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return result{}, fmt.Errorf("run pgbench: %w: %s", err, lastLine(string(out)))
	}
	r, err := parsePgbench(string(out))
	if err != nil {
		return r, err
	}
	logs, err := filepath.Glob(filepath.Join(dir, "log.*"))
	if err != nil {
		return r, err
	}
	r.p50, r.p99, err = pgbenchQuantiles(logs)
	return r, err
}

var (
	pgbenchCount  = regexp.MustCompile(`number of transactions actually processed: (\d+)`)
	pgbenchFailed = regexp.MustCompile(`number of failed transactions: (\d+)`)
	pgbenchRate   = regexp.MustCompile(`tps = ([0-9.]+) \(without initial connection time\)`)
)

// parsePgbench reads the summary pgbench prints. The time is what the rate says, which leaves the logins out.
func parsePgbench(out string) (result, error) {
	count, rate := pgbenchCount.FindStringSubmatch(out), pgbenchRate.FindStringSubmatch(out)
	if count == nil || rate == nil {
		return result{}, fmt.Errorf("pgbench has no summary: %s", lastLine(out))
	}
	r := result{}
	r.count, _ = strconv.ParseInt(count[1], 10, 64) // the expression admits digits only
	tps, err := strconv.ParseFloat(rate[1], 64)
	if err != nil || tps <= 0 {
		return r, errors.New("pgbench did no transaction")
	}
	r.took = time.Duration(float64(r.count) / tps * float64(time.Second))
	if f := pgbenchFailed.FindStringSubmatch(out); f != nil {
		r.failed, _ = strconv.ParseInt(f[1], 10, 64) // the expression admits digits only
	}
	return r, nil
}

// pgbenchQuantiles reads logs, whose third field is a transaction's microseconds.
func pgbenchQuantiles(paths []string) (p50, p99 time.Duration, err error) {
	var times []int64
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return 0, 0, fmt.Errorf("read pgbench's log: %w", err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			fields := strings.Fields(lines.Text())
			if len(fields) < 3 {
				continue
			}
			if us, err := strconv.ParseInt(fields[2], 10, 64); err == nil {
				times = append(times, us)
			}
		}
		err = lines.Err()
		f.Close()
		if err != nil {
			return 0, 0, fmt.Errorf("read pgbench's log: %w", err)
		}
	}
	if len(times) == 0 {
		return 0, 0, nil
	}
	slices.Sort(times)
	at := func(q float64) time.Duration {
		return time.Duration(times[min(int(q*float64(len(times))), len(times)-1)]) * time.Microsecond
	}
	return at(0.5), at(0.99), nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}
