package instance

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"pgguard/pool"
	"pgguard/proxy/auth"
	"pgguard/proxy/upstream"
)

// Lookup says how users are looked up. The zero value is not at all.
type Lookup struct {
	// Query looks a user up, by his name as $1: SQL, or QueryAuto.
	Query string
	// Database is where, and User who does; empty: those of the upstream.
	Database, User string
}

// QueryAuto as Lookup.Query asks the server in the way that its rights allow.
const QueryAuto = "auto"

// What auto asks, the first that may be.
const (
	queryRoles = `SELECT rolname, rolpassword FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) $1`
	queryOwn   = `SELECT * FROM pgguard.user_lookup($1)`
	queryTheir = `SELECT * FROM pgbouncer.get_auth($1)`
)

// lapsed finds a user whose password is no longer valid, whatever auth.query says of him.
const lapsed = `SELECT 1 FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) $1 AND rolvaliduntil OPERATOR(pg_catalog.<) pg_catalog.now()`

// LookupFunction is SQL for a function with which a role that is no superuser may look up users.
func LookupFunction(role string) string {
	return fmt.Sprintf(`BEGIN;
CREATE SCHEMA IF NOT EXISTS pgguard;
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_proc f ON f.pronamespace OPERATOR(pg_catalog.=) n.oid, pg_catalog.pg_roles r
    WHERE n.nspname OPERATOR(pg_catalog.=) 'pgguard' AND r.oid OPERATOR(pg_catalog.=) ANY (ARRAY[n.nspowner, f.proowner]) AND NOT r.rolsuper) THEN
    RAISE EXCEPTION 'schema pgguard, or a function in it, is of a role that is no superuser, which could say who users are';
  END IF;
END $$;
CREATE OR REPLACE FUNCTION pgguard.user_lookup(name pg_catalog.text, OUT username pg_catalog.text, OUT password pg_catalog.text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
$$ SELECT rolname::pg_catalog.text, rolpassword FROM pg_catalog.pg_authid WHERE rolname OPERATOR(pg_catalog.=) $1 AND NOT rolsuper $$;
REVOKE ALL ON FUNCTION pgguard.user_lookup(pg_catalog.text) FROM PUBLIC;
GRANT USAGE ON SCHEMA pgguard TO %[1]s;
GRANT EXECUTE ON FUNCTION pgguard.user_lookup(pg_catalog.text) TO %[1]s;
COMMIT;
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

// lookups are the secrets of users as the database told them in one way. Each login asks anew, over one connection, one query at a time for a user: who
// comes while one is under way shares the next, so that nobody is told what was true before he came. While the database cannot be asked, what it
// said last counts.
type lookups struct {
	how  Lookup
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
	over    bool                   // guarded by mu: nobody looks up in this way any more
}

// means are those with which users are looked up.
type means struct {
	how  Lookup
	door *upstream.Door
}

func newLookups(how Lookup) *lookups {
	return &lookups{how: how, turn: make(chan struct{}, 1), next: map[string]*inquiry{}, answers: map[string]auth.Secret{}, absent: map[string]time.Time{}}
}

// lookupsOf are the lookups of this kind; nil: the instance has ended. Those of who began to log in before a reload, which names them no more, leave nothing.
func (in *Instance) lookupsOf(how Lookup) *lookups {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.lookups == nil {
		return nil
	}
	l := in.lookups[how]
	if l == nil {
		l = newLookups(how)
		if l.over = !slices.Contains(in.cfg().Lookups, how); !l.over {
			in.lookups[how] = l
		}
	}
	return l
}

// keepLookups forgets what is known in other ways than these, and closes what it was asked over.
func (in *Instance) keepLookups(ways []Lookup) {
	in.mu.Lock()
	var old []*lookups
	for how, l := range in.lookups {
		if !slices.Contains(ways, how) {
			delete(in.lookups, how)
			old = append(old, l)
		}
	}
	in.mu.Unlock()
	for _, l := range old {
		l.close()
	}
}

// inquiry is one question, for all who wait for it.
type inquiry struct {
	done   chan struct{}
	secret auth.Secret
	found  bool
	err    error
}

// Secret looks a user up in the database. found is false for one that is not there; who has no password, or one that is no longer valid, has an unknown secret. The error is why
// nothing is known: the database cannot be asked, and has not been asked about him before. It blocks, at most until ctx ends.
func (in *Instance) Secret(ctx context.Context, how Lookup, user string) (secret auth.Secret, found bool, err error) {
	if how.Query == "" || !utf8.ValidString(user) { // PostgreSQL would refuse to read it
		return auth.Secret{}, false, nil
	}
	l := in.lookupsOf(how)
	if l == nil {
		return auth.Secret{}, false, pool.ErrClosed
	}
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
		in.inquire(ctx, l, user, q)
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		return l.remembered(user, ctx.Err())
	}
	if q.err != nil {
		return l.remembered(user, q.err)
	}
	return q.secret, q.found, nil
}

// longestLinger bounds the wait of who need not be looked up: a database that was slow once, whoever was asked for, must not hold up every login from then on.
const longestLinger = 100 * time.Millisecond

// Linger waits as long as the last look-up in this way took, but not long, and at most until ctx ends.
func (in *Instance) Linger(ctx context.Context, how Lookup) {
	l := in.lookupsOf(how)
	if l == nil {
		return
	}
	l.mu.Lock()
	took := min(l.took, longestLinger)
	l.mu.Unlock()
	linger(ctx, took)
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

// remembered is what the database said of a user before. Where it says something against the question, that counts: so may a function refuse a user.
func (l *lookups) remembered(user string, cause error) (auth.Secret, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if isAnswer(cause) {
		delete(l.answers, user)
	}
	if s, ok := l.answers[user]; ok {
		return s, true, nil
	}
	return auth.Secret{}, false, cause
}

// isAnswer is true for an error that is the database's answer, or nobody may ask; false: it cannot be asked now.
func isAnswer(err error) bool {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return !upstream.OfServer(said.Code)
	}
	return errors.Is(err, errLookup) || errors.Is(err, errNoLookup)
}

// inquire asks one question, in its turn.
func (in *Instance) inquire(ctx context.Context, l *lookups, user string, q *inquiry) {
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
	defer l.yield()
	begin()
	start := time.Now()
	q.secret, q.found, q.err = in.lookUp(ctx, l, user)
	if q.err != nil {
		in.LogFailed("looking up a user failed", in.userOf(l.how), q.err, time.Now())
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

// errLookup is what is wrong with an answer, which is not repeated.
var errLookup = errors.New("auth.query must return a name and a secret, or a secret alone, of one user")

// lookUp asks the database. A connection that has ended since it was used last is opened anew. It is for who has the turn.
func (in *Instance) lookUp(ctx context.Context, l *lookups, user string) (auth.Secret, bool, error) {
	kept := l.conn != nil
	s, found, err := in.lookUpOnce(ctx, l, user)
	if err != nil && l.conn == nil && kept && ctx.Err() == nil {
		s, found, err = in.lookUpOnce(ctx, l, user)
	}
	return s, found, err
}

func (in *Instance) lookUpOnce(ctx context.Context, l *lookups, user string) (s auth.Secret, found bool, err error) {
	here, by := in.Door().Current().String(), means{l.how, in.Door()}
	if l.conn != nil && (l.by != by || time.Since(l.born) > lookupAge || here != "" && here != l.conn.PgConn().Conn().RemoteAddr().String()) {
		_ = l.conn.Close(ctx)
		l.conn = nil
	}
	if l.conn == nil {
		if l.conn, l.text, err = in.openLookup(ctx, l.how); err != nil {
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
	both.ExecParams(lapsed, [][]byte{[]byte(user)}, nil, nil, nil)
	both.ExecParams(l.text, [][]byte{[]byte(user)}, nil, nil, nil)
	r, err := l.conn.PgConn().ExecBatch(ctx, &both).ReadAll()
	if err != nil {
		return auth.Secret{}, false, faultOf(l.conn, err)
	}
	if len(r) != 2 {
		return auth.Secret{}, false, errLookup
	}
	if s, found, err = readAnswer(r[1].Rows, user); len(r[0].Rows) > 0 {
		s = auth.Secret{}
	}
	return s, found, err
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
	if len(text) == 0 { // he has none; where only that is told, nobody says that there is somebody
		return auth.Secret{}, len(row) == 2, nil
	}
	if len(text) > maxPassword {
		return auth.Secret{}, false, errLookup
	}
	s, err := auth.ParseSecret(string(text))
	if err != nil {
		return auth.Secret{}, false, fmt.Errorf("%w: %w", errLookup, err)
	}
	return s, true, nil
}

// userOf is who looks up users.
func (in *Instance) userOf(how Lookup) string { return cmp.Or(how.User, in.Door().Upstream.User) }

// databaseOf is where that is.
func (in *Instance) databaseOf(how Lookup) string { return cmp.Or(how.Database, in.database()) }

// openLookup logs in for looking up users, with settings of its own: nothing of a client's is in force there. It returns the query, too.
func (in *Instance) openLookup(ctx context.Context, how Lookup) (*pgx.Conn, string, error) {
	c, err := in.ownChannel(ctx, in.userOf(how), in.databaseOf(how), map[string]string{
		"statement_timeout": fmt.Sprint(lookupWait.Milliseconds()),
	}, 0)
	if err != nil {
		return nil, "", err
	}
	text := how.Query
	if text == QueryAuto {
		if text, err = chooseQuery(ctx, c); err != nil {
			_ = c.Close(ctx)
			return nil, "", err
		}
	}
	return c, text, nil
}

// TryLookup looks somebody up once, as an instance of this configuration and upstream would, and returns why that does not work.
func TryLookup(ctx context.Context, cfg Config, up upstream.Upstream, how Lookup) error {
	in := &Instance{catalogs: map[string]*Catalog{}}
	in.conf.Store(&cfg)
	in.door.Store(cfg.door(upstream.NewDoor(up)))
	in.Door().Learn(up)
	l := newLookups(how)
	defer l.close()
	_, _, err := in.lookUpOnce(ctx, l, in.userOf(how))
	return err
}

// errNoLookup is why nobody can be looked up.
var errNoLookup = errors.New("auth.query: auto needs a superuser, or the function pgguard.user_lookup, made by one in a schema of his (pgguard auth-query prints its SQL)")

// usable is SQL for whether a function may say who users are: it may be called, who made it may read passwords, and nobody but such a role, or the one that
// asks, may put another in its place. Everybody who may create a schema could else be whoever he likes.
const usable = `coalesce((SELECT pg_catalog.has_function_privilege(f.oid, 'EXECUTE') AND pg_catalog.has_table_privilege(f.proowner, 'pg_catalog.pg_authid', 'SELECT')
    AND (pg_catalog.pg_get_userbyid(n.nspowner) OPERATOR(pg_catalog.=) current_user OR pg_catalog.has_table_privilege(n.nspowner, 'pg_catalog.pg_authid', 'SELECT'))
  FROM pg_catalog.pg_proc f, pg_catalog.pg_namespace n WHERE n.oid OPERATOR(pg_catalog.=) f.pronamespace
    AND f.oid OPERATOR(pg_catalog.=) pg_catalog.to_regprocedure('%s(pg_catalog.text)')), false)`

// rights asks what this user may.
var rights = fmt.Sprintf(`SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT'), `+usable+`, `+usable, "pgguard.user_lookup", "pgbouncer.get_auth")

// chooseQuery finds what auto is for this user.
func chooseQuery(ctx context.Context, c *pgx.Conn) (string, error) {
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

// closeLookups ends the connections, each as soon as nobody uses it.
func (in *Instance) closeLookups() {
	in.mu.Lock()
	all := in.lookups
	in.lookups = nil
	in.mu.Unlock()
	for _, l := range all {
		l.close()
	}
}

// leaveLookups closes the connections to a database over which users are looked up, but for those that are at it now.
func (in *Instance) leaveLookups(database string) {
	in.mu.Lock()
	var there []*lookups
	for how, l := range in.lookups {
		if in.databaseOf(how) == database {
			there = append(there, l)
		}
	}
	in.mu.Unlock()
	for _, l := range there {
		l.leave(false)
	}
}

// close ends the connection as soon as nobody uses it. Who comes nevertheless is served, and leaves none.
func (l *lookups) close() { l.leave(true) }

// leave closes the connection if nobody uses it; if it is over for good, whoever does closes it.
func (l *lookups) leave(over bool) {
	l.mu.Lock()
	l.over = l.over || over
	var c *pgx.Conn
	select {
	case l.turn <- struct{}{}:
		c, l.conn = l.conn, nil
		<-l.turn
	default:
	}
	l.mu.Unlock()
	shut(c)
}

// yield gives the turn back.
func (l *lookups) yield() {
	l.mu.Lock()
	var c *pgx.Conn
	if l.over {
		c, l.conn = l.conn, nil
	}
	<-l.turn
	l.mu.Unlock()
	shut(c)
}

// shut closes a connection, if there is one, without a word.
func shut(c *pgx.Conn) {
	if c != nil {
		_ = c.PgConn().Conn().Close()
	}
}
