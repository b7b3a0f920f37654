package load

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// watchEvery is how often a Watcher looks. Oftener costs the server measurably when it has a thousand backends.
const watchEvery = 200 * time.Millisecond

// sideName is the application_name of our own connections to the server.
const sideName = "pgguard-bench"

// watchSQL counts the client backends other than our own. autovacuum, walsender and the like are not clients.
const watchSQL = `SELECT count(*), count(*) FILTER (WHERE state = 'active') FROM pg_stat_activity
WHERE backend_type = 'client backend' AND application_name <> '` + sideName + "'"

// Sample is one look at the server.
type Sample struct {
	At     time.Time
	Total  int // server connections
	Active int // of which running a statement
}

// Watcher counts the server connections from a connection of its own, five times a second, until Close.
// Any goroutine may use it.
type Watcher struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	samples []Sample // guarded by mu
	err     error    // guarded by mu
}

// Watch connects to the server itself, not through a target, and begins to look.
func Watch(ctx context.Context, url string) (*Watcher, error) {
	conn, err := ConnectSide(ctx, url)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	w := &Watcher{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		defer conn.Close(context.WithoutCancel(ctx))
		w.run(ctx, conn)
	}()
	return w, nil
}

// ConnectSide opens a connection for looking at the server and preparing it. The caller closes it.
func ConnectSide(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the server's URL: %w", err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	cfg.RuntimeParams["application_name"] = sideName
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect to the server: %w", err)
	}
	return conn, nil
}

func (w *Watcher) run(ctx context.Context, conn *pgx.Conn) {
	for {
		s := Sample{}
		err := conn.QueryRow(ctx, watchSQL).Scan(&s.Total, &s.Active)
		s.At = time.Now()
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		if err == nil {
			w.samples = append(w.samples, s)
		} else {
			w.err = fmt.Errorf("watch the server: %w", err)
		}
		w.mu.Unlock()
		if err != nil || !Sleep(ctx, watchEvery) {
			return
		}
	}
}

// Last returns the newest sample; the zero Sample before the first.
func (w *Watcher) Last() Sample {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.samples) == 0 {
		return Sample{}
	}
	return w.samples[len(w.samples)-1]
}

// Max returns the largest number of server connections seen from from until to.
func (w *Watcher) Max(from, to time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	most := 0
	for _, s := range w.samples {
		if !s.At.Before(from) && s.At.Before(to) {
			most = max(most, s.Total)
		}
	}
	return most
}

// PerSecond returns the largest number of server connections in each of n seconds from start; a second without a look repeats the one before.
func (w *Watcher) PerSecond(start time.Time, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		from := start.Add(time.Duration(i) * time.Second)
		out[i] = float64(w.Max(from, from.Add(time.Second)))
		if out[i] == 0 && i > 0 {
			out[i] = out[i-1]
		}
	}
	return out
}

// ActivePerSecond returns the mean number of statements that the server was seen to run in each of n seconds from start;
// a second without a look repeats the one before.
func (w *Watcher) ActivePerSecond(start time.Time, n int) []float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	out, looks := make([]float64, n), make([]float64, n)
	for _, s := range w.samples {
		if i := s.At.Sub(start); i >= 0 && i < time.Duration(n)*time.Second {
			out[i/time.Second] += float64(s.Active)
			looks[i/time.Second]++
		}
	}
	for i := range out {
		switch {
		case looks[i] > 0:
			out[i] /= looks[i]
		case i > 0:
			out[i] = out[i-1]
		}
	}
	return out
}

// Close stops looking, closes the connection and returns what stopped it early, if anything.
func (w *Watcher) Close() error {
	w.cancel()
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}
