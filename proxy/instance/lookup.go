package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/proxy/auth"
	"pgguard/proxy/upstream"
)

// QueryAuto as Config.Query asks the server in the way that its rights allow.
const QueryAuto = "auto"

// What auto asks, the first that may be.
const (
	queryRoles = `SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1`
	queryOwn   = `SELECT * FROM pgguard.user_lookup($1)`
	queryTheir = `SELECT * FROM pgbouncer.get_auth($1)`
)

// overdue finds a user whose password is no longer valid, whatever auth.query says of him.
const overdue = `SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = $1 AND rolvaliduntil < pg_catalog.now()`

// LookupFunction is SQL for a function with which a role that is no superuser may look up users.
func LookupFunction(role string) string {
	return fmt.Sprintf(`CREATE SCHEMA pgguard;
CREATE FUNCTION pgguard.user_lookup(name text, OUT username text, OUT password text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT rolname::text, rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1 AND NOT rolsuper $$;
REVOKE ALL ON FUNCTION pgguard.user_lookup(text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgguard TO %[1]s;
GRANT EXECUTE ON FUNCTION pgguard.user_lookup(text) TO %[1]s;
`, pgx.Identifier{role}.Sanitize())
}

const (
	lookupWait  = 5 * time.Second // a busy database takes milliseconds; then what is known from before counts
	lookupAge   = time.Minute     // of the connection: so long another server behind the name is not noticed, if the old one lives on
	absentFor   = time.Second     // for so long a user that there is not is not asked for again
	maxAnswers  = 10_000          // users whose secrets are kept for a time in which the database is down: some megabytes
	maxAbsent   = 1024            // names of strangers
	maxPassword = 64 << 10        // bytes of a secret
)

// lookups are the secrets of users as the database told them. Each login asks anew, over one connection, one query at a time for a user: who
// comes while one is under way shares the next, so that nobody is told what was true before he came. While the database cannot be asked, what it
// said last counts.
type lookups struct {
	turn chan struct{} // holds the right to use conn
	conn *pgx.Conn     // of who has the turn; nil: none
	born time.Time     // of who has the turn: when it was opened
	text string        // of who has the turn: the query that conn is for
	by   means         // of who has the turn: with what conn was opened

	mu      sync.Mutex
	next    map[string]*inquiry    // guarded by mu: that have not begun
	answers map[string]auth.Secret // guarded by mu: of users that there are
	absent  map[string]time.Time   // guarded by mu: when they were not there
	took    time.Duration          // guarded by mu: the last answer
}

// means are those with which users are looked up.
type means struct {
	query, database, user string
	door                  *upstream.Door
}

// means are those that hold now.
func (in *Instance) means() means {
	cfg := in.cfg()
	return means{cfg.Query, cfg.QueryDatabase, cfg.QueryUser, in.Door()}
}

// inquiry is one question, for all who wait for it.
type inquiry struct {
	done   chan struct{}
	secret auth.Secret
	found  bool
	err    error
}

// Asks is true if users are looked up in the database.
func (in *Instance) Asks() bool { return in.cfg().Query != "" }

// Secret looks a user up in the database. found is false for one that is not there, or whose password is no longer valid. The error is why
// nothing is known: the database cannot be asked, and has not been asked about him before. It blocks, at most until ctx ends.
func (in *Instance) Secret(ctx context.Context, user string) (secret auth.Secret, found bool, err error) {
	if !in.Asks() || !utf8.ValidString(user) { // PostgreSQL would refuse to read it
		return auth.Secret{}, false, nil
	}
	l := &in.lookups
	l.mu.Lock()
	if at, ok := l.absent[user]; ok && time.Since(at) < absentFor {
		took := l.took
		l.mu.Unlock()
		linger(ctx, took) // who is there is asked for each time
		return auth.Secret{}, false, nil
	}
	q := l.next[user]
	first := q == nil
	if first {
		q = &inquiry{done: make(chan struct{})}
		l.next[user] = q
	}
	l.mu.Unlock()
	ctx, stop := context.WithTimeout(ctx, lookupWait)
	defer stop()
	if first {
		in.inquire(ctx, user, q)
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		return in.remembered(user, ctx.Err())
	}
	if q.err != nil {
		return in.remembered(user, q.err)
	}
	return q.secret, q.found, nil
}

// linger waits, at most until ctx ends.
func linger(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// remembered is what the database said of a user before.
func (in *Instance) remembered(user string, cause error) (auth.Secret, bool, error) {
	in.lookups.mu.Lock()
	defer in.lookups.mu.Unlock()
	if s, ok := in.lookups.answers[user]; ok {
		return s, true, nil
	}
	return auth.Secret{}, false, cause
}

// inquire asks one question, in its turn.
func (in *Instance) inquire(ctx context.Context, user string, q *inquiry) {
	l := &in.lookups
	defer close(q.done)
	begin := func() {
		l.mu.Lock()
		delete(l.next, user)
		l.mu.Unlock()
	}
	if q.err = in.Refusing(); q.err != nil {
		begin()
		return
	}
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		q.err = ctx.Err()
		begin()
		return
	}
	defer func() { <-l.turn }()
	begin()
	start := time.Now()
	q.secret, q.found, q.err = in.lookUp(ctx, user)
	if q.err != nil {
		in.LogFailed("looking up a user failed", in.queryUser(), q.err, time.Now())
		return
	}
	l.keep(user, q.secret, q.found, start, time.Now())
}

// keep notes an answer.
func (l *lookups) keep(user string, s auth.Secret, found bool, start, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = now.Sub(start)
	if !found {
		delete(l.answers, user)
		if len(l.absent) >= maxAbsent {
			clear(l.absent)
		}
		l.absent[user] = now
		return
	}
	delete(l.absent, user)
	if _, ok := l.answers[user]; !ok && len(l.answers) >= maxAnswers {
		for other := range l.answers {
			delete(l.answers, other) // any
			break
		}
	}
	l.answers[user] = s
}

// forget has nothing be known of what was asked before.
func (l *lookups) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.answers)
	clear(l.absent)
}

// errLookup is what is wrong with an answer, which is not repeated.
var errLookup = errors.New("auth.query must return a name and a secret, or a secret alone, of one user")

// lookUp asks the database. A connection that has ended since it was used last is opened anew. It is for who has the turn.
func (in *Instance) lookUp(ctx context.Context, user string) (auth.Secret, bool, error) {
	l := &in.lookups
	kept := l.conn != nil
	s, found, err := in.lookUpOnce(ctx, user)
	if err != nil && l.conn == nil && kept && ctx.Err() == nil {
		s, found, err = in.lookUpOnce(ctx, user)
	}
	return s, found, err
}

func (in *Instance) lookUpOnce(ctx context.Context, user string) (s auth.Secret, found bool, err error) {
	l := &in.lookups
	here, by := in.Door().Current().String(), in.means()
	if l.conn != nil && (l.by != by || time.Since(l.born) > lookupAge || here != "" && here != l.conn.PgConn().Conn().RemoteAddr().String()) {
		_ = l.conn.Close(ctx)
		l.conn = nil
	}
	if l.conn == nil {
		if l.conn, l.text, err = in.openLookup(ctx); err != nil {
			return auth.Secret{}, false, err
		}
		l.born, l.by = time.Now(), by
	}
	defer func() {
		if l.conn.IsClosed() {
			l.conn = nil
		}
	}()
	var both pgconn.Batch
	both.ExecParams(overdue, [][]byte{[]byte(user)}, nil, nil, nil)
	both.ExecParams(l.text, [][]byte{[]byte(user)}, nil, nil, nil)
	r, err := l.conn.PgConn().ExecBatch(ctx, &both).ReadAll()
	if err != nil {
		return auth.Secret{}, false, faultOf(l.conn, err)
	}
	if len(r) != 2 {
		return auth.Secret{}, false, errLookup
	}
	if len(r[0].Rows) > 0 {
		return auth.Secret{}, false, nil
	}
	return readAnswer(r[1].Rows, user)
}

// readAnswer reads what auth.query returned.
func readAnswer(rows [][][]byte, user string) (auth.Secret, bool, error) {
	if len(rows) == 0 {
		return auth.Secret{}, false, nil
	}
	row := rows[0]
	if len(rows) > 1 || len(row) < 1 || len(row) > 2 {
		return auth.Secret{}, false, errLookup
	}
	if len(row) == 2 && (row[0] == nil || string(row[0]) != user) { // a function answers with a row of NULLs for nobody
		return auth.Secret{}, false, nil
	}
	text := row[len(row)-1]
	if len(text) == 0 {
		return auth.Secret{}, false, nil
	}
	if len(text) > maxPassword {
		return auth.Secret{}, false, errLookup
	}
	s, err := auth.ParseSecret(string(text))
	return s, err == nil, err
}

// queryUser is who looks up users.
func (in *Instance) queryUser() string {
	return cmp.Or(in.cfg().QueryUser, in.Door().Upstream.User)
}

// openLookup logs in for looking up users, with settings of its own: nothing of a client's is in force there. It returns the query, too.
func (in *Instance) openLookup(ctx context.Context) (*pgx.Conn, string, error) {
	c, err := in.ownChannel(ctx, in.queryUser(), cmp.Or(in.cfg().QueryDatabase, in.database()), map[string]string{
		"search_path": "pg_catalog, pg_temp", "statement_timeout": fmt.Sprint(lookupWait.Milliseconds()),
	}, 0)
	if err != nil {
		return nil, "", err
	}
	text := in.cfg().Query
	if text == QueryAuto {
		if text, err = chooseQuery(ctx, c); err != nil {
			_ = c.Close(ctx)
			return nil, "", err
		}
	}
	return c, text, nil
}

// TryLookup looks somebody up once, as an instance of this configuration and upstream would, and returns why that does not work.
func TryLookup(ctx context.Context, cfg Config, up upstream.Upstream) error {
	in := &Instance{catalogs: map[string]*Catalog{}}
	in.conf.Store(&cfg)
	in.door.Store(cfg.door(upstream.NewDoor(up)))
	in.Door().Learn(up)
	defer func() {
		if c := in.lookups.conn; c != nil {
			_ = c.Close(ctx)
		}
	}()
	_, _, err := in.lookUpOnce(ctx, in.queryUser())
	return err
}

// errNoLookup is why nobody can be looked up.
var errNoLookup = errors.New("auth.query: auto needs a superuser, or the function pgguard.user_lookup (pgguard auth-query prints its SQL)")

// chooseQuery finds what auto is for this user.
func chooseQuery(ctx context.Context, c *pgx.Conn) (string, error) {
	const rights = `SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'),
  coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('pgguard.user_lookup(text)'), 'EXECUTE'), false),
  coalesce(pg_catalog.has_function_privilege(pg_catalog.to_regprocedure('pgbouncer.get_auth(text)'), 'EXECUTE'), false)`
	var may [3]bool
	if err := c.QueryRow(ctx, rights).Scan(&may[0], &may[1], &may[2]); err != nil {
		return "", err
	}
	for i, text := range []string{queryRoles, queryOwn, queryTheir} {
		if may[i] {
			return text, nil
		}
	}
	return "", errNoLookup
}

// closeLookups ends the connection, once nobody uses it, for good.
func (in *Instance) closeLookups() {
	l := &in.lookups
	l.turn <- struct{}{} // and is never given back
	if l.conn != nil {
		_ = l.conn.PgConn().Conn().Close()
		l.conn = nil
	}
}
