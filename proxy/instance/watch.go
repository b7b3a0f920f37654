package instance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"pgguard/breaker"
	"pgguard/pool"
)

// How often the server's limits are read, and how often a database that cannot be reached is tried.
const (
	capsEvery  = 60 * time.Second
	capsSoon   = 2 * time.Second // while others have more of the server's connections than are left to them, or one of its limits keeps somebody waiting
	pauseFirst = 250 * time.Millisecond
	pauseLast  = 2 * time.Second // what a server that comes back is missed at most; a login that fails costs it a process
	watchLimit = 5 * time.Second // for one look at the server
)

// reserveShare is the part of the server's connections that the guard leaves to others: operators, migrations, another
// guard that starts before this one ends.
const reserveShare = 0.2

// ApplicationName is what a server's session is called in pg_stat_activity until it has served a client.
const ApplicationName = "pgguard"

// schedule is when the side channel does next what it does less often than it looks.
type schedule struct {
	limits, sample time.Time
	pressed        time.Time // the limits, if one of them is in the way
}

// pauseUntil is how long the side channel waits before it looks again, if its next sample is due then.
func (in *Instance) pauseUntil(sample time.Time) time.Duration {
	wait := SampleEvery
	if left := time.Until(sample); left > 0 {
		wait = min(wait, left)
	}
	if in.isClearing() {
		wait = min(wait, clearEvery)
	}
	return wait
}

// watch is the side channel: one connection outside the pool, inside the cap. It reads the server's limits at the start
// and every minute, looks once a second what sessions wait for, runs the breaker's canaries, and tries a server that
// cannot be reached until it can. After a failure it does not look again before its pause is over, whoever wakes it.
func (in *Instance) watch(ctx context.Context) {
	var c *pgx.Conn
	defer in.hangUp(&c)
	var next schedule
	failures := 0
	failed := func(err error) (wait time.Duration) {
		in.LogFailed("the side channel does not work", in.Door().Upstream.User, err, time.Now())
		failures++
		return pause(failures - 1)
	}
	for {
		err := in.observe(ctx, &c, &next)
		err = faultOf(c, err)
		wait := in.pauseUntil(next.sample)
		switch {
		case err == nil:
			failures = 0
		case ctx.Err() != nil:
			return
		default:
			in.hangUp(&c)
			in.sees.Store(false)
			wait = failed(err)
		}
		switch probe, why := in.next(ctx, c, wait, failures > 0); why {
		case ended:
			return
		case asked:
			in.answer(ctx, &c, probe)
		case awoken:
			next = schedule{}
		case doubted:
			if err := in.dialAnew(ctx, &c); err != nil { // the one there is may still serve
				in.rest(ctx, failed(err))
			}
		}
	}
}

// pauseEnd is why the side channel does not wait any longer.
type pauseEnd uint8

const (
	due     pauseEnd = iota // it is time for the next look
	ended                   // the instance ends
	asked                   // a canary is to run
	awoken                  // the limits are to be read
	doubted                 // it may not be the upstream any more who answers
)

// next waits for the next thing to do, and for news of changes to the database meanwhile. While the side channel fails it takes its time.
func (in *Instance) next(ctx context.Context, c *pgx.Conn, wait time.Duration, failing bool) (breaker.Probe, pauseEnd) {
	defer hears(ctx, c)()
	woken, doubts, wanted := in.woken, in.doubts, in.wanted
	if failing {
		woken, doubts, wanted = nil, nil, nil
	}
	select {
	case <-ctx.Done():
		return breaker.Probe{}, ended
	case p := <-in.probes:
		return p, asked
	case <-woken:
		return breaker.Probe{}, awoken
	case <-wanted:
		return breaker.Probe{}, due
	case <-doubts:
		return breaker.Probe{}, doubted
	case <-time.After(wait):
		return breaker.Probe{}, due
	}
}

// rest waits so long, or until ctx ends.
func (in *Instance) rest(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// pause is the wait after so many failures and one more: doubled each time, less up to half of it by chance, so that many guards do not
// come back together.
func pause(failures int) time.Duration {
	d := min(pauseLast, pauseFirst<<min(failures, 10))
	return d - rand.N(d/2)
}

// Wake has the side channel look at once, at the server's limits, too.
func (in *Instance) Wake() {
	select {
	case in.woken <- struct{}{}:
	default: // it is about to
	}
}

// observe looks at the server: at what has changed, at its limits if they are old, and at what runs if that is due. While the breaker is
// open it leaves that to canaries.
func (in *Instance) observe(ctx context.Context, c **pgx.Conn, due *schedule) error {
	if !in.Passes() {
		in.sees.Store(false)
		return nil
	}
	silent := *c == nil && in.everUp.Load()
	if err := in.reach(ctx, c, watchLimit); err != nil {
		return err
	}
	if silent { // changes that it would have been told of
		in.Catalog(in.database()).Changed(nil)
	}
	now := time.Now()
	if !now.Before(due.limits) || !now.Before(due.pressed) && in.Pool.Limited() {
		caps, pressed, err := in.readCaps(ctx, *c)
		if err != nil {
			return err
		}
		if due.limits, due.pressed = now.Add(capsEvery), now.Add(capsSoon); pressed {
			due.limits = due.pressed
		}
		if most := in.cfg().MostServers; most > 0 {
			caps.Total = min(caps.Total, most)
		}
		in.everUp.Store(true)
		in.Pool.SetCaps(caps)
	}
	in.verify(ctx, c)
	if err := in.look(ctx, c); err != nil {
		return err
	}
	if now.Before(due.sample) || *c == nil {
		return nil
	}
	due.sample = now.Add(SampleEvery)
	return in.sample(ctx, *c)
}

// verify looks whether who answers at the other end of *c is still who answers at the upstream's address: where there are signs that it is not,
// and once a minute anyhow.
func (in *Instance) verify(ctx context.Context, c **pgx.Conn) {
	due := in.doubtful() || in.now()-time.Duration(in.identified.Load()) > capsEvery
	if !due && time.Since(in.resolved) > resolveEvery {
		in.resolved = time.Now()
		due = in.readdressed(ctx)
	}
	if (due || in.divided(ctx, *c)) && time.Since(in.shutOut) > pauseLast {
		if err := in.dialAnew(ctx, c); err != nil { // the one there is may still serve, above all where the server has no connection left
			in.shutOut = time.Now()
			in.LogFailed("the side channel cannot be opened anew", in.Door().Upstream.User, err, time.Now())
		}
	}
}

// reach opens the side channel if it is not open, and gives each address of the upstream that long.
func (in *Instance) reach(ctx context.Context, c **pgx.Conn, patience time.Duration) error {
	if *c != nil {
		return nil
	}
	dialed := time.Now()
	conn, err := in.sideChannel(ctx, patience)
	in.Tried(err, time.Now())
	in.mu.Lock()
	in.blind = err
	in.mu.Unlock()
	if err != nil {
		return err
	}
	*c, in.named = conn, [2]int{}
	listen(ctx, conn)
	in.follow(ctx, conn, dialed)
	return nil
}

// hangUp closes the side channel, if it is open, whether or not the server answers.
func (in *Instance) hangUp(c **pgx.Conn) {
	if *c == nil {
		return
	}
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	_ = (*c).Close(ctx)
	_ = (*c).PgConn().Conn().Close()
	*c = nil
}

// capsQuery reads the server's limits and what others use of them, who are neither these servers nor those of other guards.
// reserved_connections exists since 16. Anybody may call himself as guards do: a name is read as far as a server can have connections, and ours are
// their clients'.
const capsQuery = `select pg_catalog.current_setting('max_connections')::pg_catalog.int4
  OPERATOR(pg_catalog.-) coalesce(pg_catalog.current_setting('superuser_reserved_connections', true)::pg_catalog.int4, 0)
  OPERATOR(pg_catalog.-) coalesce(pg_catalog.current_setting('reserved_connections', true)::pg_catalog.int4, 0),
  (select pg_catalog.count(*) filter (where pid OPERATOR(pg_catalog.<>) all ($1::pg_catalog.int4[])
      and application_name OPERATOR(pg_catalog.<>) '` + ApplicationName + `' and application_name OPERATOR(pg_catalog.!~~) '` + sideName + `%')
    OPERATOR(pg_catalog.-) coalesce(pg_catalog.sum(pg_catalog.substring(application_name, '^` + sideName + ` ([0-9]{1,5})/')::pg_catalog.int4)
      filter (where pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() and pid OPERATOR(pg_catalog.<>) all ($1::pg_catalog.int4[])), 0)
    from pg_catalog.pg_stat_activity where backend_type OPERATOR(pg_catalog.=) 'client backend')`

// readCaps turns the server's limits into the pool's. pressed: others have more connections than are left to them.
func (in *Instance) readCaps(ctx context.Context, c *pgx.Conn) (caps pool.Caps, pressed bool, err error) {
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	var most, others int
	if err := c.QueryRow(ctx, capsQuery, in.pids()).Scan(&most, &others); err != nil {
		return pool.Caps{}, false, fmt.Errorf("read limits: %w", err)
	}
	others = max(0, others)
	in.most.Store(int64(most))
	reserve := int(reserveShare * float64(most))
	caps = pool.Caps{
		// One connection is the side channel's own.
		Total: max(1, min(most-reserve, most-others)-1),
		Users: map[string]int{}, Databases: map[string]int{}, Exempt: map[string]bool{},
	}
	for query, into := range map[string]func(string, int){
		// A superuser may pass his own limit and a database's.
		`select rolname, rolconnlimit from pg_catalog.pg_roles where rolconnlimit OPERATOR(pg_catalog.>=) 0 and not rolsuper`: func(name string, n int) { caps.Users[name] = n },
		`select datname, datconnlimit from pg_catalog.pg_database where datconnlimit OPERATOR(pg_catalog.>=) 0`:               func(name string, n int) { caps.Databases[name] = n },
		`select rolname, 0 from pg_catalog.pg_roles where rolsuper`:                                                           func(name string, _ int) { caps.Exempt[name] = true },
	} {
		rows, err := c.Query(ctx, query)
		if err != nil {
			return caps, false, fmt.Errorf("read limits: %w", err)
		}
		var name string
		var n int
		if _, err := pgx.ForEachRow(rows, []any{&name, &n}, func() error { into(name, n); return nil }); err != nil {
			return caps, false, fmt.Errorf("read limits: %w", err)
		}
	}
	return caps, others > reserve, nil
}
