//go:build pg

package difference

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy/pgtest"
)

// direct and guarded are the databases in which a script is played in each way.
const (
	direct  = "direct"
	guarded = "guarded"
)

// arena is a cluster with the two databases.
type arena struct {
	cluster *pgtest.Cluster
	addr    string
	admin   map[string]*pgconn.PgConn // by database
	dirty   bool                      // settings of roles, databases or the cluster are not what they were at first
	set     time.Time                 // when they were changed last
}

// roles exist once in the cluster. app is a client's user, and may become other; nobody may become stranger.
const roles = `create role app login; create role other; create role stranger; grant other to app`

// newArena makes the databases, which differ by name only.
func newArena(ctx context.Context) (*arena, error) {
	c, err := pgtest.Start(ctx, pgtest.Options{})
	if err != nil {
		return nil, err
	}
	a := &arena{cluster: c, addr: net.JoinHostPort(c.Host(), strconv.Itoa(c.Port())), admin: map[string]*pgconn.PgConn{}}
	texts := []string{roles}
	for _, db := range []string{direct, guarded} {
		texts = append(texts, "create database "+db, "alter database "+db+" set search_path = w, public")
	}
	for _, text := range texts {
		if err := c.Exec(ctx, text); err != nil {
			return a, fmt.Errorf("%s: %w", text, err)
		}
	}
	return a, a.connect(ctx)
}

// connect opens the connections that prepare and look.
func (a *arena) connect(ctx context.Context) error {
	for _, db := range []string{direct, guarded} {
		conn, err := pgconn.Connect(ctx, a.cluster.URL(db))
		if err != nil {
			return fmt.Errorf("connect to database %s: %w", db, err)
		}
		a.admin[db] = conn
		if err := a.exec(ctx, db, "set default_transaction_read_only = off"); err != nil { // whatever sessions begin with
			return err
		}
	}
	return nil
}

// crashWithin bounds how long after a process of PostgreSQL has crashed all others have been told to end.
const crashWithin = time.Second

// goesDown watches PostgreSQL after one of its processes is gone, and returns an error if it has crashed: the process that
// does is gone before the others are.
func (a *arena) goesDown(ctx context.Context, db string) error {
	for end := time.Now().Add(crashWithin); time.Now().Before(end); time.Sleep(time.Millisecond) { // between two looks
		if err := a.exec(ctx, db, "select 1"); err != nil {
			return err
		}
	}
	return nil
}

// orphans drops the temporary tables of processes that have crashed.
const orphans = `do $$ declare n name; begin
	for n in select nspname from pg_namespace where nspname ~ '^pg_temp_' loop execute format('drop schema %I cascade', n); end loop;
	end $$`

// backWithin bounds how long PostgreSQL takes to recover from a crash.
const backWithin = time.Minute

// recover waits until PostgreSQL is back from a crash.
func (a *arena) recover(ctx context.Context) error {
	for _, conn := range a.admin {
		_ = conn.Close(ctx) // it is dead
	}
	for end := time.Now().Add(backWithin); ; {
		err := a.connect(ctx)
		if err == nil {
			return a.exec(ctx, direct, orphans)
		}
		if time.Now().After(end) {
			return err
		}
		time.Sleep(10 * time.Millisecond) // between two looks at a condition
	}
}

func (a *arena) close(ctx context.Context) error {
	for _, conn := range a.admin {
		_ = conn.Close(ctx) // the cluster ends with it
	}
	return a.cluster.Stop()
}

func (a *arena) exec(ctx context.Context, db, text string) error {
	if _, err := a.admin[db].Exec(ctx, text).ReadAll(); err != nil {
		return fmt.Errorf("in database %s: %w", db, err)
	}
	return nil
}

// prepare makes the client's schema as it is at the start of every script.
func (a *arena) prepare(ctx context.Context, db string) error {
	return a.exec(ctx, db, fixture)
}

// remains are what a client that has left may leave in nobody's hands; a row for each.
const remains = `select 'advisory lock ' || objid from pg_locks l join pg_database d on d.oid = l.database
	where locktype = 'advisory' and datname = current_database()
	union all select 'temporary relation ' || relname from pg_class where relpersistence = 't'
	union all select state || ': ' || query from pg_stat_activity
	where datname = current_database() and state like 'idle in transaction%'`

// left waits until nothing of the clients remains in db, and returns what does when patience is over.
func (a *arena) left(ctx context.Context, db string) ([]string, error) {
	for end := time.Now().Add(patience); ; {
		results, err := a.admin[db].Exec(ctx, remains).ReadAll()
		if err != nil {
			return nil, fmt.Errorf("in database %s: %w", db, err)
		}
		var rows []string
		for _, r := range results[0].Rows {
			rows = append(rows, string(r[0]))
		}
		if len(rows) == 0 || time.Now().After(end) {
			return rows, nil
		}
		time.Sleep(time.Millisecond) // between two looks at a condition
	}
}
