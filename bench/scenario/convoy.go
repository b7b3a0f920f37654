package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"pgguard/bench/load"
	"pgguard/bench/report"

	"github.com/jackc/pgx/v5"
)

// Convoy is many workers who write the same row, beside readers who have nothing to do with it: who holds the row gets a
// small part of the processors for each of its statements while all others wait for it.
type Convoy struct {
	Rows     int           `default:"1" help:"Rows the workers fight for: 1, 10, 1000 (all there are)."`
	Workers  int           `default:"200" help:"Workers who write."`
	Reads    float64       `default:"100" help:"Reads arriving per second."`
	Readers  int           `default:"20" help:"Connections of the readers at most."`
	ReadCost time.Duration `default:"2ms" help:"CPU a read costs the server; calibrated."`
	Deadline time.Duration `default:"2s" help:"How long a client waits for a read or a transaction, connecting included."`
	Pause    time.Duration `default:"100ms" help:"A worker's rest after an error; after a timeout it has none."`
	Warmup   time.Duration `default:"2s" help:"Reads before anything is counted."`
	Alone    time.Duration `default:"8s" help:"Length of the phase in which the readers are alone."`
	Beside   time.Duration `default:"20s" help:"Length of the convoy."`
	After    time.Duration `default:"8s" help:"Length of the phase after the workers have left."`
}

// Name returns "convoy".
func (Convoy) Name() string { return "convoy" }

// Prepare makes the tables and calibrates the read.
func (s Convoy) Prepare(ctx context.Context, server *Server) error {
	if s.Rows < 1 || s.Rows > accountRows {
		return fmt.Errorf("there are 1 to %d rows to fight for", accountRows)
	}
	return server.Prepare(ctx, s.ReadCost)
}

// Run has the readers alone, beside the workers, and alone again.
func (s Convoy) Run(ctx context.Context, e Env) (report.Run, error) {
	side, closeSide, err := sideConns(ctx, e.Server.URL, 1)
	if err != nil {
		return report.Run{}, err
	}
	defer closeSide()
	locks := &lockWatch{conn: side[0]}
	sc, err := newScene(e, s.Warmup, []phase{
		{name: "alone", length: s.Alone},
		{name: "beside", length: s.Beside, trouble: true, do: locks.watch},
		{name: "after", length: s.After},
	}, group{
		name: "readers", app: pumaName, deadline: s.Deadline, rate: s.Reads, clients: []int{s.Readers},
		work: func(r *rand.Rand) []string { return []string{readSQL(r, e.Server.ReadRows)} },
	}, group{
		name: "writers", app: "convoy", deadline: s.Deadline, pause: s.Pause, clients: []int{0, s.Workers, 0},
		work: func(r *rand.Rand) []string { return hotWork(r, s.Rows) },
	})
	if err != nil {
		return report.Run{}, err
	}
	r, err := sc.run(ctx)
	if err != nil {
		return r, err
	}
	sc.report(&r)
	locks.report(&r)
	return r, nil
}

// hotWorkCommit is the place of COMMIT in hotWork.
const hotWorkCommit = 5

// hotWork is a transaction of four statements, of which the first locks one of few rows.
func hotWork(r *rand.Rand, rows int) []string {
	row, medium := 1+r.IntN(rows), 1+r.IntN(mediaRows)
	return []string{
		"BEGIN",
		fmt.Sprintf("UPDATE bench_accounts SET posts = posts + 1 WHERE id = %d", row),
		fmt.Sprintf("SELECT posts FROM bench_accounts WHERE id = %d", row),
		fmt.Sprintf("UPDATE bench_media SET seen = seen + 1 WHERE id = %d", medium),
		fmt.Sprintf("SELECT seen FROM bench_media WHERE id = %d", medium),
		"COMMIT",
	}
}

// lockWatch looks at who waits for a row in the server.
type lockWatch struct {
	conn    *pgx.Conn
	most    int             // waiters at once
	checked map[string]bool // waits that have lasted for deadlock_timeout, each of which had one deadlock check
	before  int64
	after   int64 // deadlocks found
}

// locksEvery is how often a lockWatch looks; a look goes through all partitions of the lock table.
const locksEvery = 500 * time.Millisecond

// locksSQL names each wait for a lock and says whether it is as old as deadlock_timeout.
const locksSQL = `SELECT pid || ' ' || extract(epoch FROM waitstart), waitstart <= clock_timestamp() - current_setting('deadlock_timeout')::interval
FROM pg_locks WHERE NOT granted AND waitstart IS NOT NULL`

// watch looks until ctx ends. A wait that ends between the timeout and the next look is not seen.
func (l *lockWatch) watch(ctx context.Context) error {
	side, conn := context.WithoutCancel(ctx), l.conn
	l.checked = map[string]bool{}
	const deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
	if err := conn.QueryRow(side, deadlocks).Scan(&l.before); err != nil {
		return fmt.Errorf("look for deadlocks: %w", err)
	}
	for load.Sleep(ctx, locksEvery) {
		rows, err := conn.Query(side, locksSQL)
		if err != nil {
			return fmt.Errorf("look at the locks: %w", err)
		}
		n := 0
		for rows.Next() {
			var wait string
			var old bool
			if err := rows.Scan(&wait, &old); err != nil {
				rows.Close()
				return fmt.Errorf("look at the locks: %w", err)
			}
			n++
			if old {
				l.checked[wait] = true
			}
		}
		if err := rows.Err(); err != nil {
			return fmt.Errorf("look at the locks: %w", err)
		}
		l.most = max(l.most, n)
	}
	return conn.QueryRow(side, deadlocks).Scan(&l.after)
}

func (l *lockWatch) report(r *report.Run) {
	r.Add("beside: waiting for a lock, most", "", float64(l.most))
	r.Add("beside: deadlock checks, at least", "", float64(len(l.checked)))
	r.Add("beside: deadlocks", "", float64(l.after-l.before))
}
