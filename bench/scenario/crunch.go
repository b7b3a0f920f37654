package scenario

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5"
)

// crunchRows is the inner loop of crunchSQL: few enough to need no memory worth mentioning.
const crunchRows = 100

// crunchSQL is a statement that does nothing but compute, rounds times: pg_sleep would take no CPU, and so cost nobody
// anything.
func crunchSQL(rounds int) string {
	return fmt.Sprintf("SELECT sum(length(md5((a * b)::text))) FROM generate_series(1, %d) a, generate_series(1, %d) b",
		max(rounds/crunchRows, 1), crunchRows)
}

// Crunch is a statement that takes about cost of CPU, once PrepareCrunch has run.
func (s *Server) Crunch(cost time.Duration) string {
	return crunchSQL(int(s.CrunchRate * ms(cost)))
}

// PrepareCrunch finds how fast the server computes, and keeps it in the database, so that results of one server can be
// compared. Prepare must have run.
func (s *Server) PrepareCrunch(ctx context.Context) error {
	var perSecond int64
	err := s.kept(ctx, "crunch rounds per second", func(conn *pgx.Conn) (int64, error) {
		const rounds = 20_000
		best := time.Duration(1<<63 - 1)
		for range 9 {
			start := time.Now()
			if _, err := conn.Exec(ctx, crunchSQL(rounds)); err != nil {
				return 0, err
			}
			best = min(best, time.Since(start))
		}
		return int64(rounds / best.Seconds()), nil
	}, &perSecond)
	s.CrunchRate = float64(perSecond) / 1000
	return err
}

// capacityFor is how long the reads are counted: long enough for a few thousand.
const capacityFor = 3 * time.Second

// PrepareCapacity finds how many reads a second the server does when twice as many clients as there are processors ask it
// directly, and keeps it as PrepareCrunch does. It is what a machine manages that also makes the load.
func (s *Server) PrepareCapacity(ctx context.Context) error {
	var perSecond int64
	err := s.kept(ctx, fmt.Sprintf("reads of %d rows per second", s.ReadRows), func(*pgx.Conn) (int64, error) {
		return s.countReads(ctx, 2*runtime.NumCPU(), capacityFor)
	}, &perSecond)
	s.Capacity = float64(perSecond)
	return err
}

// countReads returns how many reads a second n clients get.
func (s *Server) countReads(ctx context.Context, n int, d time.Duration) (int64, error) {
	cfg, err := load.ParseURL(s.URL, pumaName)
	if err != nil {
		return 0, err
	}
	line := load.Timeline{Start: time.Now(), Phases: []time.Duration{d}}
	class := load.NewClass(line, 0)
	ctx, stop := context.WithDeadline(ctx, line.End())
	defer stop()
	var conns load.Connections
	var wg sync.WaitGroup
	for id := range n {
		wg.Go(func() {
			client := load.NewClient(cfg, &conns)
			defer client.Close()
			r := load.Rand(1, uint64(id))
			m := manner{class: class, deadline: goWait, pause: 100 * time.Millisecond}
			for ctx.Err() == nil {
				m.insist(ctx, client, []string{readSQL(r, s.ReadRows)})
			}
		})
	}
	wg.Wait()
	if class.Phase(0).Useful == 0 {
		return 0, fmt.Errorf("the server answered no read in %s", d)
	}
	return int64(class.Goodput(0)), nil
}

// kept reads the number of that name from the database, or has it found and keeps it.
func (s *Server) kept(ctx context.Context, key string, find func(*pgx.Conn) (int64, error), into *int64) error {
	conn, err := load.ConnectSide(ctx, s.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, "SELECT value FROM bench_meta WHERE key = $1", key).Scan(into)
	if err == nil {
		return nil
	}
	if err != pgx.ErrNoRows {
		return fmt.Errorf("read the calibration: %w", err)
	}
	if *into, err = find(conn); err != nil {
		return fmt.Errorf("find %s: %w", key, err)
	}
	if _, err := conn.Exec(ctx, "INSERT INTO bench_meta VALUES ($1, $2)", key, *into); err != nil {
		return fmt.Errorf("keep the calibration: %w", err)
	}
	return nil
}

// sideConns opens n connections to the server itself, before a scene begins: under its load a login may take seconds.
// closeAll ends them.
func sideConns(ctx context.Context, url string, n int) (conns []*pgx.Conn, closeAll func(), err error) {
	closeAll = func() {
		for _, c := range conns {
			c.Close(context.WithoutCancel(ctx))
		}
	}
	for range n {
		c, err := load.ConnectSide(ctx, url)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		conns = append(conns, c)
	}
	return conns, closeAll, nil
}
