package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/drivers/neighbours"
	"pgguard/proxy/pgtest"
)

// watcher counts a database's sessions again and again.
type watcher struct {
	stop context.CancelFunc
	done chan struct{}
	most int   // sessions at once; read after done
	err  error // read after done
}

// watch starts to count the sessions of the database. blame must be called, and ends it.
func watch(ctx context.Context, pg *pgtest.Cluster, database string) *watcher {
	ctx, stop := context.WithCancel(ctx)
	w := &watcher{stop: stop, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		w.err = w.count(ctx, pg, database)
	}()
	return w
}

// count returns when ctx ends. A session that is about to end is still in the view after its client was told, so
// one look too many proves nothing: three in a row do.
func (w *watcher) count(ctx context.Context, pg *pgtest.Cluster, database string) error {
	conn, err := pgx.Connect(ctx, pg.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var seen [3]int
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		const sessions = `select count(*) from pg_stat_activity where datname = $1 and backend_type = 'client backend'
			and application_name not like 'pgguard-watch%'` // the guard's side channel is no server
		if err := conn.QueryRow(ctx, sessions, database).Scan(&seen[i%3]); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		w.most = max(w.most, min(seen[0], seen[1], seen[2]))
	}
}

// blame ends the counting and adds to r that there were more sessions than the cap.
func (w *watcher) blame(r *result, limit int) {
	w.stop()
	<-w.done
	switch {
	case w.err != nil:
		r.add("count servers: %v", w.err)
	case w.most > limit:
		r.add("%d servers at once, the cap is %d", w.most, limit)
	case w.most == 0:
		r.add("the watcher saw no server")
	}
}

// leftovers adds to r what is left in the database's sessions after every client has gone: locks, transactions,
// channels. The guard's own side connection holds none.
func leftovers(ctx context.Context, pg *pgtest.Cluster, database string, r *result) {
	conn, err := pgx.Connect(ctx, pg.URL(database))
	if err != nil {
		r.add("look for leftovers: %v", err)
		return
	}
	defer func() { _ = conn.Close(ctx) }()
	for what, query := range map[string]string{
		"advisory locks": `select count(*) from pg_locks where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
		"transactions":   `select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in transaction%'`,
		"temporary tables": `select count(*) from pg_class c join pg_namespace n on n.oid = relnamespace
			where nspname like 'pg\_temp\_%' and relkind = 'r'`,
	} {
		deadline := time.Now().Add(patience)
		for n := -1; n != 0; {
			if err := conn.QueryRow(ctx, query).Scan(&n); err != nil {
				r.add("look for %s: %v", what, err)
				break
			}
			if time.Now().After(deadline) {
				r.add("%d %s are left", n, what)
				break
			}
		}
	}
}

// blameNeighbours adds to r what the neighbours saw that they should not have.
func blameNeighbours(rep neighbours.Report, r *result) {
	for i, f := range rep.Faults {
		if i == 5 {
			r.add("and %d more faults of neighbours", len(rep.Faults)-i)
			break
		}
		r.add("neighbour: %s", f)
	}
	if rep.Refused > 0 {
		r.add("%d statements of neighbours were refused: %s", rep.Refused, rep.Refusal)
	}
	if rep.Acts == 0 {
		r.add("the neighbours did nothing")
	}
	r.noise = fmt.Sprintf("%d acts, %d transactions/s", rep.Acts, rep.PerSecond())
}
