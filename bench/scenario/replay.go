package scenario

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"pgguard/bench/load"
	"pgguard/bench/replay"
	"pgguard/bench/report"
)

// Replay plays the statements of a log again: each session on a connection of its own, each statement at its time, or as soon as the one before it has ended.
type Replay struct {
	Log       string        `arg:"" type:"path" help:"A log in CSV or JSON, of a PostgreSQL with log_min_duration_statement = 0."`
	Database  string        `placeholder:"NAME" help:"Only what was done in this database of the log."`
	Speed     float64       `default:"1" help:"How many times as fast as in the log."`
	OnlyReads bool          `help:"Leave out what may change something, and the transactions around it."`
	Deadline  time.Duration `default:"1m" help:"How long a statement may take, connecting included."`
	Grace     time.Duration `default:"30s" help:"How long after the log's end statements may still be sent; what is left then is not played."`
}

// Name returns "replay".
func (Replay) Name() string { return "replay" }

// Prepare changes nothing: the tables must be those of the log.
func (s Replay) Prepare(context.Context, *Server) error {
	if s.Speed <= 0 {
		return fmt.Errorf("--speed %g: it must be above 0", s.Speed)
	}
	_, err := s.read()
	return err
}

func (s Replay) read() (*replay.Log, error) {
	f, err := os.Open(s.Log)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	log, err := replay.Read(f, s.Database)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Log, err)
	}
	if s.OnlyReads {
		log = log.OnlyReads()
		if len(log.Sessions) == 0 {
			return nil, fmt.Errorf("%s: nothing in it only reads", s.Log)
		}
	}
	return log, nil
}

// Run plays the log once.
func (s Replay) Run(ctx context.Context, e Env) (report.Run, error) {
	r := report.Run{Started: time.Now(), Seed: e.Seed}
	log, err := s.read()
	if err != nil {
		return r, err
	}
	from, to := log.Span()
	length := time.Duration(float64(to.Sub(from))/s.Speed) + s.Grace
	watch, err := load.Watch(ctx, e.Server.URL)
	if err != nil {
		return r, err
	}
	defer watch.Close()
	p := &player{Replay: s, from: from, line: load.Timeline{Start: time.Now(), Phases: []time.Duration{length}}, logged: load.NewTally(), lag: load.NewTally()}
	p.class = load.NewClass(p.line, 0)
	ctx, stop := context.WithDeadline(ctx, p.line.End())
	defer stop()
	m := startMeter(e.PIDs)
	finished := make(chan struct{})
	go func() { // ends with the last session, which ctx bounds
		p.play(ctx, e.URL, log)
		close(finished)
	}()
	for playing := true; playing; {
		select {
		case <-finished:
			playing = false
		case <-time.After(500 * time.Millisecond):
			e.progress(time.Since(p.line.Start), length, "")
		}
	}
	took := time.Since(p.line.Start)
	m.finish(&r, nil)
	p.report(&r, log.Skipped, took)
	n := int(took/time.Second) + 1
	r.Zero = p.line.Start
	r.Series = append(r.Series,
		report.PerSecond(SeriesGoodput, "useful answers/s", firstOf(p.class.PerSecond(), n)),
		report.PerSecond(SeriesP99, "ms", firstOf(p.class.P99PerSecond(), n)),
		report.PerSecond(SeriesActive, "statements", watch.ActivePerSecond(p.line.Start, n)),
		report.PerSecond(SeriesServers, "connections", watch.PerSecond(p.line.Start, n)))
	return r, p.fault
}

// firstOf is at most n values.
func firstOf(values []float64, n int) []float64 { return values[:min(n, len(values))] }

// player is a log under way.
type player struct {
	Replay
	from  time.Time // of the log
	line  load.Timeline
	class *load.Class
	count load.Connections

	mu     sync.Mutex
	logged *load.Tally      // what the played statements took in the log; guarded by mu
	lag    *load.Tally      // how much later than in the log they were sent; guarded by mu
	errors map[string]int64 // guarded by mu
	unsent int              // statements that were not played; guarded by mu
	fault  error            // why none could be; guarded by mu until play has returned
}

// play plays all sessions, and returns when they have ended.
func (p *player) play(ctx context.Context, url string, log *replay.Log) {
	p.errors = map[string]int64{}
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for _, s := range log.Sessions {
		cfg, err := load.ParseURL(url, s.Statements[0].Application)
		if err != nil {
			p.fault = err
			return
		}
		sessions.Go(func() { p.session(ctx, cfg, s) })
	}
}

// session plays one, on a connection that is opened for its first statement.
func (p *player) session(ctx context.Context, cfg *pgconn.Config, s replay.Session) {
	c := load.NewClient(cfg, &p.count)
	defer c.Quit()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, st := range s.Statements {
		due := p.line.Start.Add(time.Duration(float64(st.Begin.Sub(p.from)) / p.Speed))
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			p.mu.Lock()
			p.unsent += len(s.Statements) - i
			p.mu.Unlock()
			return
		}
		p.statement(ctx, c, &st, due)
	}
}

// statement plays one that is due.
func (p *player) statement(ctx context.Context, c *load.Client, st *replay.Statement, due time.Time) {
	sent := time.Now()
	deadline := sent.Add(p.Deadline)
	_, err := c.Do(ctx, deadline, func(conn *load.Conn) (int, error) {
		if !st.Extended {
			return conn.Query(st.Text, deadline)
		}
		bind := &pgproto3.Bind{}
		for _, a := range st.Args {
			var value []byte
			if a != nil {
				value = append([]byte{}, *a...)
			}
			bind.Parameters = append(bind.Parameters, value)
		}
		return conn.Pipeline([]pgproto3.FrontendMessage{
			&pgproto3.Parse{Query: st.Text}, bind, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{},
		}, deadline)
	})
	p.class.Note(sent, time.Now(), err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logged.Note(st.Begin, st.Begin.Add(st.Took), 0, nil)
	p.lag.Note(due, sent, 0, nil)
	if err != nil {
		p.errors["replay statements "+load.Label(err)]++
	}
}

// report adds the figures; skipped are statements of the log that cannot be played.
func (p *player) report(r *report.Run, skipped int, took time.Duration) {
	all := p.class.Phase(0)
	r.Errors = p.errors
	r.Add("statements", "", float64(all.Offered))
	r.Add("failed", "", float64(all.Offered-all.Useful))
	r.Add("p50", "ms", ms(all.Quantile(0.50)))
	r.Add("p99", "ms", ms(all.Quantile(0.99)))
	r.Add("in the log p50", "ms", ms(p.logged.Quantile(0.50)))
	r.Add("in the log p99", "ms", ms(p.logged.Quantile(0.99)))
	r.Add("sent later than in the log p99", "ms", ms(p.lag.Quantile(0.99)))
	r.Add("took", "s", took.Seconds())
	r.Add("not played in time", "", float64(p.unsent))
	r.Add("cannot be played", "", float64(skipped))
	r.Add("logins", "", float64(p.count.Attempts.Load()))
	r.Add("failed logins", "", float64(p.count.LoginFailed.Load()))
}
