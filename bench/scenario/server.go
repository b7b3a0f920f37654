package scenario

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"pgguard/bench/load"

	"github.com/jackc/pgx/v5"
)

// Sizes of the tables. The timeline fits in shared_buffers of 128 MB and is large enough for reads of tens of milliseconds.
const (
	timelineRows = 150_000
	accountRows  = 1000
	mediaRows    = 20_000
)

// schemaSQL makes the tables of Story and Spiral when they are missing. Parallel plans are off so that a read costs the
// same whatever else runs; the fill factors leave room for updates in place.
const schemaSQL = `
CREATE TABLE IF NOT EXISTS bench_meta (key text PRIMARY KEY, value bigint NOT NULL);
CREATE TABLE IF NOT EXISTS bench_timeline (id int PRIMARY KEY, score int NOT NULL, body text NOT NULL) WITH (parallel_workers = 0);
CREATE TABLE IF NOT EXISTS bench_accounts (id int PRIMARY KEY, posts bigint NOT NULL) WITH (fillfactor = 30);
CREATE TABLE IF NOT EXISTS bench_media (id int PRIMARY KEY, state int NOT NULL, seen bigint NOT NULL) WITH (fillfactor = 70);
INSERT INTO bench_timeline SELECT i, (i::bigint * 7919 %% 100003)::int, md5(i::text) || md5((i + 1)::text)
 FROM generate_series(1, %d) i WHERE NOT EXISTS (SELECT FROM bench_timeline);
INSERT INTO bench_accounts SELECT i, 0 FROM generate_series(1, %d) i WHERE NOT EXISTS (SELECT FROM bench_accounts);
INSERT INTO bench_media SELECT i, 0, 0 FROM generate_series(1, %d) i WHERE NOT EXISTS (SELECT FROM bench_media);
ANALYZE bench_timeline; ANALYZE bench_accounts; ANALYZE bench_media`

// Server is the PostgreSQL behind the targets, reached directly as a superuser.
type Server struct {
	URL string
	// ReadRows is how many rows a timeline read sorts, so that it costs about ReadCost of CPU. Prepare fills it.
	ReadRows int
	// ReadCost is what a read of ReadRows was measured to cost on the idle server.
	ReadCost time.Duration
	// CrunchRate is how many rounds of crunchSQL take a millisecond. PrepareCrunch fills it.
	CrunchRate float64
	// Capacity is how many reads a second the server does when it is asked directly. PrepareCapacity fills it.
	Capacity float64
	// Restart stops the server in mode fast and starts it again; nil for a server that is not ours.
	Restart func() error

	postmaster int // its process; 0 before CPU was asked, -1 when it is not on this machine
}

// CPU is the user and system time of all the server's processes since it started, and whether they are on this machine.
func (s *Server) CPU(ctx context.Context) (time.Duration, bool) {
	if s.postmaster == 0 {
		pid, err := load.Postmaster(ctx, s.URL)
		if err != nil {
			pid = -1
		}
		s.postmaster = pid
	}
	if s.postmaster < 0 {
		return 0, false
	}
	took, err := load.TreeCPU(s.postmaster)
	return took, err == nil
}

// Exec runs SQL text, which may hold many statements, on a connection of its own.
func (s *Server) Exec(ctx context.Context, sql string) error {
	conn, err := load.ConnectSide(ctx, s.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("prepare the server: %w", err)
	}
	return nil
}

// Prepare makes the tables and finds how many rows a read of about cost must sort. The number is kept in the database
// and used again when it was found for the same cost, so that results of one server can be compared.
func (s *Server) Prepare(ctx context.Context, cost time.Duration) error {
	if err := s.Exec(ctx, fmt.Sprintf(schemaSQL, timelineRows, accountRows, mediaRows)); err != nil {
		return err
	}
	conn, err := load.ConnectSide(ctx, s.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	key := "read rows for " + cost.String()
	err = conn.QueryRow(ctx, "SELECT value FROM bench_meta WHERE key = $1", key).Scan(&s.ReadRows)
	if err == nil {
		s.ReadCost, err = timeReads(ctx, conn, s.ReadRows)
		return err
	}
	if err != pgx.ErrNoRows {
		return fmt.Errorf("read the calibration: %w", err)
	}
	if err := s.calibrate(ctx, conn, cost); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, "INSERT INTO bench_meta VALUES ($1, $2)", key, s.ReadRows); err != nil {
		return fmt.Errorf("keep the calibration: %w", err)
	}
	return nil
}

// calibrate approaches the number of rows by proportion; the cost is close to linear, so that few rounds do.
func (s *Server) calibrate(ctx context.Context, conn *pgx.Conn, cost time.Duration) error {
	s.ReadRows = 10_000
	for range 4 {
		took, err := timeReads(ctx, conn, s.ReadRows)
		if err != nil {
			return err
		}
		rows := float64(s.ReadRows) * float64(cost) / float64(max(took, time.Microsecond))
		s.ReadRows = min(max(int(rows), 100), timelineRows/2)
	}
	took, err := timeReads(ctx, conn, s.ReadRows)
	s.ReadCost = took
	return err
}

// timeReads returns the shortest time of a read of that many rows. What else the machine does only adds to it.
func timeReads(ctx context.Context, conn *pgx.Conn, rows int) (time.Duration, error) {
	r := load.Rand(1, 1)
	times := make([]time.Duration, 0, 21)
	for range cap(times) {
		start := time.Now()
		if _, err := conn.Exec(ctx, readSQL(r, rows)); err != nil {
			return 0, fmt.Errorf("calibrate the read: %w", err)
		}
		times = append(times, time.Since(start))
	}
	return slices.Min(times), nil
}

// readSQL is a timeline: the best twenty of a random stretch of rows.
func readSQL(r *rand.Rand, rows int) string {
	from := 1 + r.IntN(timelineRows-rows)
	return fmt.Sprintf("SELECT id, score, body FROM bench_timeline WHERE id BETWEEN %d AND %d ORDER BY score DESC, id LIMIT 20", from, from+rows-1)
}

// settleWait bounds the wait for the statements that the run before abandoned. Sorting 1,000 abandoned reads out takes a few seconds.
const settleWait = 20 * time.Second

// Settle brings the server back to rest between runs: no client left, tables vacuumed, a checkpoint done.
// Clients still there after settleWait are ended.
func (s *Server) Settle(ctx context.Context) error {
	conn, err := load.ConnectSide(ctx, s.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	const others = " FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
	for end := time.Now().Add(settleWait); ; {
		var n int
		if err := conn.QueryRow(ctx, "SELECT count(*)"+others).Scan(&n); err != nil {
			return fmt.Errorf("look for clients left over: %w", err)
		}
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			if _, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid)"+others); err != nil {
				return fmt.Errorf("end the clients left over: %w", err)
			}
			end = time.Now().Add(settleWait)
		}
		if !load.Sleep(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
	for _, sql := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("settle the server: %w", err)
		}
	}
	return nil
}
