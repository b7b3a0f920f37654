package console

import (
	"context"
	"sync"
	"time"

	"pgguard/proxy"
)

// period is how long what SHOW STATS calls the average is taken over: PgBouncer's stats_period.
const period = time.Minute

// averages are the totals of databases at the ends of the last two periods.
type averages struct {
	began time.Time // of the first period

	mu sync.Mutex

	// guarded by mu
	before, last sample
}

// sample is the totals of databases at one time. The zero value is none.
type sample struct {
	at time.Time
	of map[string]proxy.Totals
}

// Run takes the totals at the end of each period, until ctx ends.
func (c *Console) Run(ctx context.Context, g Guard) {
	t := time.NewTicker(period)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			c.averages.take(totalsOf(g.Databases()), now)
		}
	}
}

func totalsOf(list []proxy.DatabaseInfo) map[string]proxy.Totals {
	of := map[string]proxy.Totals{}
	for _, d := range list {
		of[d.Name] = d.Totals
	}
	return of
}

// take notes the totals at the end of a period.
func (a *averages) take(of map[string]proxy.Totals, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.before, a.last = a.last, sample{now, of}
}

// of is what a database did in the last whole period, and how long that was; before the first has ended, since the start.
func (a *averages) of(name string, total proxy.Totals, now time.Time) (did proxy.Totals, took time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last.at.IsZero() {
		return total, now.Sub(a.began)
	}
	from := a.began
	if !a.before.at.IsZero() {
		from = a.before.at
	}
	return less(a.last.of[name], a.before.of[name]), a.last.at.Sub(from)
}

// less is what was done between two totals; what a database did that was forgotten between them is not known.
func less(is, was proxy.Totals) proxy.Totals {
	if is.Queries < was.Queries || is.Received < was.Received {
		return is
	}
	return proxy.Totals{
		Received: is.Received - was.Received, Sent: is.Sent - was.Sent, Leases: is.Leases - was.Leases,
		Queries: is.Queries - was.Queries, Transactions: is.Transactions - was.Transactions,
		QueryTime: is.QueryTime - was.QueryTime, TransactionTime: is.TransactionTime - was.TransactionTime, WaitTime: is.WaitTime - was.WaitTime,
		Parses: is.Parses - was.Parses, Binds: is.Binds - was.Binds, Prepared: is.Prepared - was.Prepared,
	}
}
