package instance

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"pgguard/pool"
	"pgguard/pool/sorting"
	"pgguard/proxy/sql"
	"pgguard/proxy/translate"
)

// looks is who waits for the side channel to have looked.
type looks struct {
	mu sync.Mutex

	// guarded by mu
	waiting []chan struct{} // closed when a look that began later has ended
	wishes  []*wish         // of some of them
}

// take returns those who wait for a look that is about to begin, and what they want to know.
func (l *looks) take() ([]chan struct{}, []*wish) {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting, wishes := l.waiting, l.wishes
	l.waiting, l.wishes = nil, nil
	return waiting, wishes
}

const (
	// lookWait bounds how long a login waits for a look after a client has changed something. One takes a millisecond; on a machine that is
	// that busy what was seen a second ago must do.
	lookWait = time.Second
)

// Stirred notes that a client may have changed what a login gets. It waits for nobody.
func (in *Instance) Stirred() { in.stirs.Add(1) }

// Settled returns when what the guard's clients have changed up to now is known here, or cannot be. What others have changed is
// known within a second.
func (in *Instance) Settled() {
	switch {
	case !in.sees.Load():
	case in.stirs.Load() != in.seen.Load():
		in.ask(nil, lookWait)
	}
}

// Sees is true while the side channel looks.
func (in *Instance) Sees() bool { return in.sees.Load() }

// ask has the side channel look at once, grants it w, if that is not nil, and waits until it has looked, or that lasts too long.
func (in *Instance) ask(w *wish, patience time.Duration) (looked bool) {
	done := make(chan struct{})
	in.looks.mu.Lock()
	in.looks.waiting = append(in.looks.waiting, done)
	if w != nil {
		in.looks.wishes = append(in.looks.wishes, w)
	}
	in.looks.mu.Unlock()
	select {
	case in.wanted <- struct{}{}:
	default: // it is about to
	}
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case <-done:
		return true
	case <-timeout.C:
		return false
	}
}

// Era counts changes to what servers report by themselves: a reload of the configuration, and a change of the role of the server.
func (in *Instance) Era() uint64 { return in.era.Load() }

// Renew has what servers report be asked anew by who logs in: they may be others.
func (in *Instance) Renew() { in.era.Add(1) }

// clearFor is how long databases that somebody wants for himself are looked for in haste: what asks for one waits for five seconds.
const (
	clearFor   = 6 * time.Second
	clearEvery = 50 * time.Millisecond
)

// Clear has the side channel look for databases that somebody wants for himself, at once and for a while: a client is about to
// drop, rename or copy one. It waits for nobody.
func (in *Instance) Clear() {
	in.clearing.Store(time.Since(in.born).Nanoseconds() + int64(clearFor))
	select {
	case in.wanted <- struct{}{}:
	default:
	}
}

func (in *Instance) isClearing() bool { return int64(time.Since(in.born)) < in.clearing.Load() }

// glanceQuery reads in one row what tells whether anything has changed: the server's own state, which databases somebody wants for himself
// (DROP DATABASE, ALTER DATABASE … RENAME and CREATE DATABASE … TEMPLATE lock one, and wait up to five seconds for others to leave it),
// and a digest of what logins get.
const glanceQuery = `SELECT pg_catalog.concat_ws(' ', pg_catalog.pg_conf_load_time()::pg_catalog.text, pg_catalog.pg_is_in_recovery()), (SELECT
  pg_catalog.string_agg(pg_catalog.concat(coalesce(l.pid, 0), ' ', d.datname), pg_catalog.chr(1)) FROM pg_catalog.pg_locks l, pg_catalog.pg_database d
  WHERE l.locktype OPERATOR(pg_catalog.=) 'object' AND l.classid OPERATOR(pg_catalog.=) 1262 AND l.objid OPERATOR(pg_catalog.=) d.oid AND l.granted
    AND l.mode OPERATOR(pg_catalog.=) ANY ('{ShareLock,AccessExclusiveLock}')),
  (SELECT pg_catalog.hashtextextended(pg_catalog.string_agg(pg_catalog.concat(w.n, ' ', ` + originOf + `), pg_catalog.chr(2) ORDER BY w.n), 0)::pg_catalog.text FROM ` + entriesFrom + `)`

// originsQuery reads what logins get.
const originsQuery = `SELECT w.n, ` + originOf + ` FROM ` + entriesFrom

const entriesFrom = `ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) WITH ORDINALITY
  AS w (d, r, n), pg_catalog.pg_database d, pg_catalog.pg_roles r WHERE d.datname OPERATOR(pg_catalog.=) w.d AND r.rolname OPERATOR(pg_catalog.=) w.r`

// lookOnce is how many entries one look is about, unless a client has changed something: those that were looked at longest ago.
const lookOnce = 256

// look learns over *c what has changed in the server that servers do not say by themselves.
func (in *Instance) look(ctx context.Context, c **pgx.Conn) error {
	ctx, stop := context.WithTimeout(ctx, watchLimit)
	defer stop()
	waiting, wishes := in.looks.take()
	defer func() {
		for _, done := range waiting {
			close(done)
		}
	}()
	stirs := in.stirs.Load()
	wanted, err := in.glance(ctx, *c, stirs != in.seen.Load())
	if err != nil {
		in.sees.Store(false)
		return err
	}
	in.seen.Store(stirs)
	in.sees.Store(true)
	for _, w := range strings.Split(wanted, originSeparator) {
		pid, database, ok := strings.Cut(w, " ")
		n, err := strconv.ParseUint(pid, 10, 32)
		if ok && err == nil && in.leaveDatabase(database, uint32(n)) && in.database() == database {
			in.hangUp(c)
			return nil
		}
	}
	return lookAtDefaults(ctx, *c, wishes)
}

// glimpse is what a glance was about, and what it has shown.
type glimpse struct {
	entries          []*Entry
	of               int // how many there were
	databases, users []string
	state, digest    string
}

// glance runs glanceQuery, and reads more where something has changed. It returns which databases somebody wants for himself.
func (in *Instance) glance(ctx context.Context, c *pgx.Conn, all bool) (wanted string, err error) {
	g := &in.glimpse
	if entries, changed := in.entriesToLookAt(all, c.PgConn().ParameterStatus("server_encoding")); changed {
		*g = glimpse{state: g.state, of: g.of, entries: entries, databases: make([]string, len(entries)), users: make([]string, len(entries))}
		for i, e := range entries {
			g.databases[i], g.users[i] = e.Database, e.User
		}
	}
	var state string
	var wants, digest *string
	if err := c.QueryRow(ctx, glanceQuery, g.databases, g.users).Scan(&state, &wants, &digest); err != nil {
		return "", fmt.Errorf("look: %w", err)
	}
	if g.state != state { // what was reported before the first look may be of another
		in.era.Add(1)
	}
	g.state = state
	if digest == nil {
		digest = new(string)
	}
	if len(g.entries) > 0 && (g.digest != *digest || *digest == "") {
		if err := in.lookAtEntries(ctx, c); err != nil {
			return "", err
		}
	}
	g.digest = *digest
	if wants != nil {
		wanted = *wants
	}
	return wanted, in.tellName(ctx, c)
}

// tellName tells other guards how many servers there are, if that has changed.
func (in *Instance) tellName(ctx context.Context, c *pgx.Conn) error {
	servers := in.Pool.Live()
	if in.named == [2]int{servers, in.running} {
		return nil
	}
	in.named = [2]int{servers, in.running}
	if _, err := c.Exec(ctx, fmt.Sprintf("SET application_name TO '%s %d/%d'", sideName, servers, in.running)); err != nil {
		return fmt.Errorf("look: %w", err)
	}
	return nil
}

// lookAtEntries reads the origins of the entries that the glance was about.
func (in *Instance) lookAtEntries(ctx context.Context, c *pgx.Conn) error {
	g := &in.glimpse
	turns := make([]uint64, len(g.entries))
	for i, e := range g.entries {
		turns[i] = e.Turn()
	}
	rows, err := c.Query(ctx, originsQuery, g.databases, g.users)
	if err != nil {
		return fmt.Errorf("look: %w", err)
	}
	origins := make([]string, len(g.entries))
	var n int
	var origin string
	if _, err := pgx.ForEachRow(rows, []any{&n, &origin}, func() error { origins[n-1] = origin; return nil }); err != nil {
		return fmt.Errorf("look: %w", err)
	}
	for i, e := range g.entries {
		in.Met(e, turns[i], origins[i])
	}
	return nil
}

// entriesToLookAt are the entries that a look is about, over a side channel in a database of that encoding; changed: they may be others than
// those of the glance before.
func (in *Instance) entriesToLookAt(all bool, encoding string) (list []*Entry, changed bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !in.newEntries && len(in.entries) <= lookOnce && in.glimpse.of == len(in.entries) {
		return nil, false
	}
	in.newEntries, in.glimpse.of = false, len(in.entries)
	for _, e := range in.entries {
		if sayable(e.Database, encoding) && sayable(e.User, encoding) {
			list = append(list, e)
		}
	}
	if !all && len(list) > lookOnce {
		sorting.By(list, func(a, b *Entry) int { return cmp.Compare(a.looked, b.looked) })
		list = list[:lookOnce]
	}
	in.glances++
	for _, e := range list {
		e.looked = in.glances
	}
	return list, true
}

// sayable is true if a name, which is whatever a client has said, can be told to a server in a database of that encoding, and be one of its catalogues:
// it refuses a text that is not right there, and cuts what is too long. Of an encoding that is not known it is ASCII that can.
func sayable(name, encoding string) bool {
	switch {
	case len(name) > sql.MaxName:
		return false
	case encoding == "UTF8":
		return utf8.ValidString(name)
	case encoding == "", strings.HasPrefix(encoding, "EUC_"), encoding == "MULE_INTERNAL":
		return !strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf })
	}
	return true // each byte is a character
}

// leaveDatabase closes the idle servers of a database that the process pid wants for itself, if that works for a client of the guard,
// or if no client of the guard is in that database any more.
func (in *Instance) leaveDatabase(database string, pid uint32) bool {
	if in.servers()[pid] == nil && in.Pool.Uses(database) > 0 {
		return false
	}
	in.Pool.Retire(time.Now(), "somebody wants the database for himself", func(s *pool.Server) bool {
		c, ok := s.Conn.(Server)
		return s.Key.Database == database && (!ok || c.PID() != pid)
	})
	in.leaveLookups(database)
	return true
}

// wish is a question of what settings are that neither a role nor a database sets.
type wish struct {
	names  []string
	values map[string]usual
}

// Keeps returns the settings that a session must be given at its login to be as one of origin was is, although who logs in now gets is.
func (in *Instance) Keeps(was, is string) []translate.Pair {
	w := &wish{values: map[string]usual{}}
	for _, origin := range []string{was, is} {
		for name := range defaultsOf(origin) {
			w.values[name] = usual{free: true}
			if sayable(name, "") {
				w.names = append(w.names, name)
			}
		}
	}
	if len(w.names) == 0 {
		return nil
	}
	if !in.ask(w, lookWait) {
		return nil // rather those of now than no server at all
	}
	return keeps(was, is, w.values)
}

// lookAtDefaults grants wishes.
func lookAtDefaults(ctx context.Context, c *pgx.Conn, wishes []*wish) error {
	for _, w := range wishes {
		// What the side channel was given at its own login says nothing of others.
		rows, err := c.Query(ctx, `SELECT pg_catalog.lower(name), CASE WHEN name OPERATOR(pg_catalog.=) 'client_encoding' THEN pg_catalog.current_setting('server_encoding')
			WHEN source OPERATOR(pg_catalog.=) ANY ('{client,database,user,database user}') THEN boot_val ELSE reset_val END,
			context OPERATOR(pg_catalog.<>) ALL ('{superuser,superuser-backend,postmaster,sighup,internal}')
			FROM pg_catalog.pg_settings WHERE pg_catalog.lower(name) OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[])`, w.names)
		if err != nil {
			return fmt.Errorf("look: %w", err)
		}
		var name string
		var value *string
		var free bool
		_, err = pgx.ForEachRow(rows, []any{&name, &value, &free}, func() error {
			u := usual{free: free}
			if value != nil {
				u.value = *value
			}
			w.values[name] = u
			return nil
		})
		if err != nil {
			return fmt.Errorf("look: %w", err)
		}
	}
	return nil
}
