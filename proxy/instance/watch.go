package instance

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/pool"
	"pgguard/proxy/upstream"
)

// How often the server's limits are read, and how often a database that cannot be reached is tried.
const (
	capsEvery  = 60 * time.Second
	capsSoon   = 2 * time.Second // while others have more of the server's connections than are left to them
	probeEvery = 500 * time.Millisecond
	watchLimit = 5 * time.Second // for one look at the server
)

// reserveShare is the part of the server's connections that the guard leaves to others: operators, migrations, another
// guard that starts before this one ends.
const reserveShare = 0.2

// ApplicationName is what a server's session is called in pg_stat_activity until it has served a client.
const ApplicationName = "pgguard"

// watchName begins the application_name of the side channel. Behind it stand, for other guards, how many servers this one has
// and how many statements they run: pgguard-watch 12/3. Their own names are their clients'.
const watchName = "pgguard-watch"

// due is when the side channel does next what it does less often than it looks.
type due struct{ limits, sample time.Time }

var dueAtOnce due

// watch is the side channel: one connection outside the pool, inside the cap. It reads the server's limits at the start
// and every minute, looks once a second what sessions wait for, runs the breaker's canaries, and tries a server that
// cannot be reached until it can.
func (in *Instance) watch(ctx context.Context) {
	var c *pgx.Conn
	defer in.hangUp(&c)
	var due due
	for {
		err := in.observe(ctx, &c, &due)
		wait := SampleEvery
		if left := time.Until(due.sample); left > 0 {
			wait = min(wait, left)
		}
		if in.isClearing() {
			wait = min(wait, clearEvery)
		}
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			in.LogFailed("the side channel does not work", err, time.Now())
			in.hangUp(&c)
			in.sees.Store(false)
			wait = probeEvery/2 + rand.N(probeEvery)
		}
		select {
		case <-ctx.Done():
			return
		case p := <-in.probes:
			in.answer(ctx, &c, p)
		case <-in.woken:
			due = dueAtOnce
		case <-in.doubts:
			if err := in.dialAnew(ctx, &c); err != nil {
				in.LogFailed("the side channel does not work", err, time.Now())
			}
		case <-in.wanted:
		case <-time.After(wait):
		}
	}
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
func (in *Instance) observe(ctx context.Context, c **pgx.Conn, due *due) error {
	if !in.Passes() {
		in.sees.Store(false)
		return nil
	}
	if err := in.reach(ctx, c); err != nil {
		return err
	}
	now := time.Now()
	if !now.Before(due.limits) {
		caps, pressed, err := in.readCaps(ctx, *c)
		if err != nil {
			return err
		}
		if due.limits = now.Add(capsEvery); pressed {
			due.limits = now.Add(capsSoon)
		}
		in.everUp.Store(true)
		in.Pool.SetCaps(caps)
	}
	if err := in.verify(ctx, c); err != nil {
		return err
	}
	if *c == nil {
		return nil
	}
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
func (in *Instance) verify(ctx context.Context, c **pgx.Conn) error {
	due := in.doubtful() || in.now()-time.Duration(in.identified.Load()) > capsEvery
	if !due && time.Since(in.resolved) > resolveEvery {
		in.resolved = time.Now()
		due = in.readdressed(ctx, *c)
	}
	if due {
		return in.dialAnew(ctx, c)
	}
	promoted, err := in.promoted(ctx, *c)
	if promoted {
		in.follow(ctx, *c, time.Now())
	}
	return err
}

// reach opens the side channel if it is not open.
func (in *Instance) reach(ctx context.Context, c **pgx.Conn) error {
	if *c != nil {
		return nil
	}
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	dialed := time.Now()
	conn, err := in.sideChannel(ctx)
	in.Dialed(classifyPgx(err), time.Now())
	if err != nil {
		return err
	}
	*c = conn
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

// sideChannel connects as the upstream's own user.
func (in *Instance) sideChannel(ctx context.Context) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig("sslmode=disable application_name=" + watchName)
	if err != nil {
		return nil, err
	}
	up := in.Door.Upstream
	cfg.Host, cfg.Port, cfg.User = up.Host, uint16(up.Port), up.User
	cfg.Database = up.Database
	if cfg.Database == "" {
		cfg.Database = up.User
	}
	cfg.Password = in.Door.Password(cfg.Database, cfg.User)
	cfg.TLSConfig, cfg.Fallbacks = nil, nil
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	cfg.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) { return in.Door.Connect(ctx) }
	return pgx.ConnectConfig(ctx, cfg)
}

// capsQuery reads the server's limits and what others use of them, who are neither these servers nor those of other guards.
// reserved_connections exists since 16.
const capsQuery = `select current_setting('max_connections')::int
  - coalesce(current_setting('superuser_reserved_connections', true)::int, 0)
  - coalesce(current_setting('reserved_connections', true)::int, 0),
  (select count(*) filter (where pid <> all ($1::int[]) and application_name <> '` + ApplicationName + `' and application_name not like '` + watchName + `%')
     - coalesce(sum(substring(application_name from '^` + watchName + ` ([0-9]+)/')::int) filter (where pid <> pg_catalog.pg_backend_pid()), 0)
     from pg_stat_activity where backend_type = 'client backend')`

// readCaps turns the server's limits into the pool's. pressed: others have more connections than are left to them.
func (in *Instance) readCaps(ctx context.Context, c *pgx.Conn) (caps pool.Caps, pressed bool, err error) {
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	var most, others int
	if err := c.QueryRow(ctx, capsQuery, in.pids()).Scan(&most, &others); err != nil {
		return pool.Caps{}, false, fmt.Errorf("read limits: %w", err)
	}
	others = max(0, others)
	reserve := int(reserveShare * float64(most))
	caps = pool.Caps{
		// One connection is the side channel's own.
		Total: max(1, min(most-reserve, most-others)-1),
		Users: map[string]int{}, Databases: map[string]int{}, Exempt: map[string]bool{},
	}
	for query, into := range map[string]func(string, int){
		// A superuser may pass his own limit and a database's.
		`select rolname, rolconnlimit from pg_roles where rolconnlimit >= 0 and not rolsuper`: func(name string, n int) { caps.Users[name] = n },
		`select datname, datconnlimit from pg_database where datconnlimit >= 0`:               func(name string, n int) { caps.Databases[name] = n },
		`select rolname, 0 from pg_roles where rolsuper`:                                      func(name string, _ int) { caps.Exempt[name] = true },
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

// classifyPgx makes a failure of the side channel comparable to one of a login.
func classifyPgx(err error) error {
	if err == nil {
		return nil
	}
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		return upstream.Classify(&upstream.Error{Code: pe.Code, Message: pe.Message, Body: []byte("\x00R" + pe.Routine + "\x00")})
	}
	return err
}
