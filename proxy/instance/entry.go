package instance

import (
	"slices"
	"strings"
	"sync"
	"time"

	"pgguard/pool"
	"pgguard/proxy/translate"
)

// Entry is one database and user of an instance, and what PostgreSQL gives a session that logs in so now: its origin. Any goroutine
// may call its methods.
//
// An origin says which database and role have these names, whether they let anybody in, and what ALTER ROLE and ALTER DATABASE … SET
// have given them. A session keeps its own to its end; who logs in after a change gets another. So each change begins a new turn,
// and servers of one turn are not lent to clients of another.
type Entry struct {
	Database, User string

	looked uint64 // of the side channel's goroutine: which of its glances was about it last

	mu sync.Mutex

	// guarded by mu
	turn   uint64 // of who logs in now; no other entry of the instance has had it
	origin string // as the server says; empty: not known yet
	gone   bool   // there is no such database, or no such role
	past   []past // the last turns before, the last one last
}

// past is a turn that is over.
type past struct {
	turn   uint64
	origin string
}

// maxPast is how many turns an entry remembers: for clients whose servers were opened before anybody could ask for their origin.
const maxPast = 8

// Past is the origin of a turn that is over.
func (e *Entry) Past(turn uint64) (origin string, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.past {
		if p.turn == turn && p.origin != "" {
			return p.origin, true
		}
	}
	return "", false
}

// maxEntries bounds the entries that are watched; beyond, those that no server was opened for are forgotten, then all.
const maxEntries = 4096

// Entry returns that of a database and a user, by their names at the server.
func (in *Instance) Entry(database, user string) *Entry {
	in.mu.Lock()
	defer in.mu.Unlock()
	name := database + "\x00" + user
	e := in.entries[name]
	if e != nil {
		return e
	}
	if len(in.entries) >= maxEntries {
		in.forgetEntriesLocked()
	}
	in.turns++
	e = &Entry{Database: database, User: user, turn: in.turns}
	in.entries[name], in.newEntries = e, true
	return e
}

func (in *Instance) forgetEntriesLocked() {
	for name, e := range in.entries {
		e.mu.Lock()
		if e.origin == "" {
			delete(in.entries, name)
		}
		e.mu.Unlock()
	}
	if len(in.entries) >= maxEntries {
		in.entries = map[string]*Entry{}
	}
}

// Turn is that of who logs in now.
func (e *Entry) Turn() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.turn
}

// Barred is true if PostgreSQL may let nobody in who logs in so now, as far as its catalogues say: there is no such database or role, the role has
// no LOGIN, the database allows no connections, the role may not connect to it, its password is valid no more, or the database has an event
// trigger of logins, whose function decides (17 and later).
func (e *Entry) Barred() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	head, _, _ := strings.Cut(e.origin, originSeparator)
	parts := strings.Split(head, " ")
	return e.gone || len(parts) > 3 && slices.Contains(parts[3:], "false")
}

// Met notes the origin that a session had which has just logged in, "" if there is no such database or role. seen is the turn in which
// that was asked for: what was asked for before the last change says nothing about it.
func (in *Instance) Met(e *Entry, seen uint64, origin string) {
	e.mu.Lock()
	was, wasGone := e.origin, e.gone
	if e.turn != seen || (was == origin && !(wasGone && origin != "")) {
		e.gone = e.gone || origin == ""
		e.mu.Unlock()
		return
	}
	e.origin, e.gone = origin, origin == ""
	changed := was != "" || wasGone
	e.mu.Unlock()
	if changed {
		in.turnOver(e, was, origin)
	}
}

// turnOver begins a new turn: what was started before is kept for those who are here already, and for them only, or retired if
// nobody is here, or it is another database or role that has the name now.
func (in *Instance) turnOver(e *Entry, was, is string) {
	another := identityOf(was) != identityOf(is)
	retired := in.Pool.Retire(time.Now(), "role or database is not what it was", func(s *pool.Server) bool {
		return s.Key.Database == e.Database && s.Key.User == e.User && (another || s.Key.Unused())
	})
	in.mu.Lock()
	in.turns++
	turn := in.turns
	in.mu.Unlock()
	e.mu.Lock()
	e.past = append(e.past[max(0, len(e.past)-maxPast+1):], past{e.turn, was})
	e.turn = turn
	e.mu.Unlock()
	in.cfg().Log.Info("role or database is not what it was", "upstream", in.Name(), "database", e.Database, "user", e.User,
		"retired", retired)
}

// originSeparator stands between the parts of an origin.
const originSeparator = "\x01"

// identityOf is what of an origin says which database and role it is about.
func identityOf(origin string) string {
	head, _, _ := strings.Cut(origin, originSeparator)
	parts := strings.SplitN(head, " ", 3)
	return strings.Join(parts[:min(2, len(parts))], " ")
}

// supers is true for the origin of a superuser.
func supers(origin string) bool {
	head, _, _ := strings.Cut(origin, originSeparator)
	parts := strings.Split(head, " ")
	return len(parts) > 2 && parts[2] == "true"
}

// defaultsOf are the settings that ALTER ROLE and ALTER DATABASE had given an origin, by names in lower case.
func defaultsOf(origin string) map[string]string {
	out := map[string]string{}
	parts := strings.Split(origin, originSeparator)
	for _, p := range parts[1:] {
		if name, value, ok := strings.Cut(unescape(p), "="); ok {
			out[strings.ToLower(name)] = value
		}
	}
	return out
}

// unescape undoes PostgreSQL's encode(…, 'escape').
func unescape(text string) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\':
			b.WriteByte(text[i])
		case i+3 < len(text) && text[i+1] >= '0' && text[i+1] <= '3':
			b.WriteByte((text[i+1]-'0')<<6 | (text[i+2]-'0')<<3 | (text[i+3] - '0'))
			i += 3
		case i+1 < len(text):
			i++
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

// originOf is SQL for the origin of role r in database d. What is not ASCII in settings is told as bytes, unread, because databases and
// clients differ in their encodings: what is right in the one in which it was set is none of another's. Of more than a start-up packet has room for, only
// a digest is told.
const originOf = `pg_catalog.concat(pg_catalog.concat_ws(' ', d.oid, r.oid, r.rolsuper::pg_catalog.text, r.rolcanlogin::pg_catalog.text,
  d.datallowconn::pg_catalog.text, pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')::pg_catalog.text,
  coalesce(r.rolvaliduntil OPERATOR(pg_catalog.>) pg_catalog.now(), true)::pg_catalog.text,
  coalesce((pg_catalog.to_jsonb(d.*) OPERATOR(pg_catalog.->>) 'dathasloginevt') OPERATOR(pg_catalog.<>) 'true', true)::pg_catalog.text), (
  SELECT CASE WHEN pg_catalog.octet_length(o) OPERATOR(pg_catalog.<=) 8192 THEN o ELSE pg_catalog.concat(pg_catalog.chr(1), pg_catalog.hashtextextended(o, 0)) END FROM (
  SELECT pg_catalog.string_agg(pg_catalog.concat(pg_catalog.chr(1), pg_catalog.encode(pg_catalog.decode(
    pg_catalog.replace(c, pg_catalog.chr(92), pg_catalog.repeat(pg_catalog.chr(92), 2)), 'escape'), 'escape')), ''
    ORDER BY s.setrole OPERATOR(pg_catalog.<>) 0, s.setdatabase OPERATOR(pg_catalog.<>) 0, n)
  FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS u (c, n)
  WHERE s.setdatabase OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid, d.oid]) AND s.setrole OPERATOR(pg_catalog.=) ANY (ARRAY[0::pg_catalog.oid, r.oid])) AS a (o)))`

// OriginQuestion asks a server that has just let somebody in for his origin.
const OriginQuestion = `SELECT ` + originOf + ` FROM pg_catalog.pg_database d, pg_catalog.pg_roles r
  WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND r.rolname OPERATOR(pg_catalog.=) session_user`

// keeps returns the settings that a session must be given at its login to be as one of origin was is, although who logs in now
// gets is. values are what settings are that neither a role nor a database sets.
func keeps(was, is string, values map[string]usual) (list []translate.Pair) {
	before, now := defaultsOf(was), defaultsOf(is)
	for name, value := range before {
		if v, ok := now[name]; (!ok || v != value) && (values[name].free || supers(was)) {
			list = append(list, translate.Pair{Name: name, Value: value})
		}
	}
	for name := range now {
		if _, ok := before[name]; !ok && (values[name].free || supers(was)) {
			list = append(list, translate.Pair{Name: name, Value: values[name].value})
		}
	}
	return list
}

// usual is what a setting is where neither a role nor a database sets it.
type usual struct {
	value string
	free  bool // everybody may set it
}
