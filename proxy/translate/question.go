package translate

import (
	"encoding/binary"
	"strings"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// question is a residue query under way: what it asks, and what has been answered.
type question struct {
	asks      Pins
	suspect   Pins   // why it is asked
	bodies    uint64 // how often the bodies of functions had changed when it was asked
	customs   int    // how many names of custom settings it asks for
	functions bool   // the bodies of functions are asked for
	again     int    // how often it has been asked already, or patiently
	found     Pins
	pairs     []Pair
	barred    bool     // something is set that only a superuser may set
	super     bool     // the client logged in as one
	stock     []Pair   // names of statements prepared by SQL, and what is said of them
	read      [][]byte // bodies of functions
	writes    writes
	failed    bool
}

// patiently is a question that was not answered in time: the client's statement_timeout is short.
const patiently = 100

// residueQueries say what a session holds: rows of a kind, a name and a value.
var residueQueries = []struct {
	pin  Pins
	kind byte
	text string
}{
	{Pins(sql.Setting), 's', `SELECT CASE WHEN context OPERATOR(pg_catalog.~~) 'superuser%' THEN 'S' ELSE 's' END, name, setting ` +
		`FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session' ` +
		`AND name OPERATOR(pg_catalog.<>) ALL ('{transaction_isolation,transaction_read_only,transaction_deferrable}')`},
	{Pins(sql.TempTable), 't', `SELECT 't', '', '' WHERE pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND EXISTS (SELECT FROM pg_catalog.pg_depend ` +
		`WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())`},
	{Pins(sql.AdvisoryLock), 'a', `SELECT 'a', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_locks ` +
		`WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())`},
	{Pins(sql.Listen), 'l', `SELECT 'l', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_listening_channels())`},
	{Pins(sql.Cursor), 'c', `SELECT 'c', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)`},
	{Pins(sql.Prepared), 'p', `SELECT 'p', name, pg_catalog.concat(from_sql::pg_catalog.text, ' ', ` +
		`(SELECT pg_catalog.string_agg(t::pg_catalog.oid::pg_catalog.text, ',' ORDER BY n) ` +
		`FROM pg_catalog.unnest(parameter_types) WITH ORDINALITY AS u (t, n)), ' ', statement) ` +
		`FROM pg_catalog.pg_prepared_statements WHERE pg_catalog.left(name, 10) OPERATOR(pg_catalog.<>) '` + StatementPrefix + `'`},
}

// functionsQuery reads the bodies of the functions that may change a custom setting. Longer ones are not read to their
// end, which makes them opaque.
const functionsQuery = `SELECT 'f', '', pg_catalog.left(body, 4000) FROM (SELECT CASE WHEN prosqlbody IS NULL THEN prosrc ` +
	`ELSE pg_catalog.pg_get_function_sqlbody(oid) END AS body FROM pg_catalog.pg_proc ` +
	`WHERE prolang OPERATOR(pg_catalog.<>) ALL ('{12,13}'::pg_catalog.oid[])) f ` +
	`WHERE body OPERATOR(pg_catalog.~*) 'set_config|\mset\s+(session\s+|local\s+)?["a-z_0-9]+\.|''\s*set\s'`

// writes are counts of what was written to the catalogs that say what a text means, by this session at once, by others when they have told.
// Casts and operators are among them; so are temporary tables.
type writes struct{ functions, all string }

// writesQuery asks the server for them.
const writesQuery = `SELECT 'w', (pg_catalog.pg_stat_get_tuples_inserted(1255) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_updated(1255) OPERATOR(pg_catalog.+) ` +
	`pg_catalog.pg_stat_get_tuples_deleted(1255) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_inserted(1255) OPERATOR(pg_catalog.+) ` +
	`pg_catalog.pg_stat_get_xact_tuples_updated(1255) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(1255))::pg_catalog.text, ` +
	`pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(c) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_updated(c) OPERATOR(pg_catalog.+) ` +
	`pg_catalog.pg_stat_get_tuples_deleted(c) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_inserted(c) OPERATOR(pg_catalog.+) ` +
	`pg_catalog.pg_stat_get_xact_tuples_updated(c) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(c))::pg_catalog.text ` +
	`FROM pg_catalog.unnest('{1247,1249,1255,1259,2605,2615,2617}'::pg_catalog.oid[]) c`

// suspicious returns what the server must be asked before it is lent to another: what the client may have left, and,
// of what is known to be there, what may be gone.
func (l *Lease) suspicious() Pins {
	of := l.suspect & asked
	if l.suspect&PinFunction != 0 {
		of = asked
	}
	of |= l.undo & l.pins & asked
	if l.undo&Pins(sql.Prepared) != 0 && len(l.c.stock) > 0 {
		of |= Pins(sql.Prepared)
	}
	if l.undo&Pins(sql.Setting) != 0 && l.c.settings != l.c.plain {
		of |= Pins(sql.Setting)
	}
	return of
}

// Ask returns the residue query if a transaction has ended that may have left something, and notes that it is under way; else nil.
func (l *Lease) Ask() []byte { return l.askOnceQuiet() }

func (l *Lease) askOnceQuiet() []byte {
	of := l.suspicious()
	if of == 0 || l.status != wire.Idle || !l.Quiet() || l.c.Session || l.gone {
		return nil
	}
	l.held = false
	return l.ask(of, 0)
}

// asking is true while the server answers a residue query.
func (l *Lease) asking() bool {
	e := l.owed.front()
	return l.question != nil && e != nil && e.why == ask
}

// ask returns the residue query for what is suspicious, and notes that it is under way.
func (l *Lease) ask(of Pins, again int) []byte {
	customs, stale, bodies := l.c.Catalog.Customs()
	q := &question{asks: of, suspect: l.suspect, bodies: bodies, customs: len(customs), again: again}
	if before := l.question; before != nil {
		q.suspect = before.suspect
	} else {
		l.suspect, l.undo, l.stays, l.flux = 0, 0, 0, false
	}
	q.functions = stale && q.suspect&PinFunction != 0 && again < patiently
	var queries []string
	for _, r := range residueQueries {
		if of&r.pin != 0 {
			queries = append(queries, r.text)
		}
	}
	if of&Pins(sql.Setting) != 0 {
		queries = append(queries, l.settingQueries(customs)...)
	}
	if q.functions {
		queries = append(queries, functionsQuery)
	}
	if q.suspect&PinFunction != 0 && l.c.CountsWrites() {
		queries = append(queries, writesQuery)
	}
	text := strings.Join(queries, " UNION ALL ")
	l.question = q
	l.owed.add(expectation{kind: query, whose: guard, why: ask, own: true})
	var out []byte
	if again == patiently { // up to the Sync it is one transaction
		out = appendAsked(out, `SELECT 's', 'statement_timeout', pg_catalog.current_setting('statement_timeout')`)
		out = appendAsked(out, `SET LOCAL statement_timeout = 0`)
	}
	return wire.AppendEmpty(appendAsked(out, text), wire.Sync)
}

// settingQueries ask for what is set and not in pg_settings.
func (l *Lease) settingQueries(customs []string) []string {
	queries := []string{
		`SELECT 's', 'session_authorization', session_user::pg_catalog.text WHERE session_user OPERATOR(pg_catalog.<>) ` + literal(l.c.User),
		`SELECT 's', 'role', pg_catalog.current_setting('role') WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) ` +
			literal(l.c.began(settingRole, "none")),
		`SELECT 'u', '', '' FROM pg_catalog.pg_roles WHERE rolsuper AND rolname OPERATOR(pg_catalog.=) ` + literal(l.c.User),
	}
	if len(customs) == 0 {
		return queries
	}
	names, values := make([]string, len(customs)), make([]string, len(customs))
	for i, c := range customs {
		names[i], values[i] = literal(c), literal(l.c.began(strings.ToLower(c), ""))
	}
	return append(queries, `SELECT 's', n, pg_catalog.current_setting(n, true) FROM ROWS FROM (pg_catalog.unnest(ARRAY[`+strings.Join(names, ",")+
		`]), pg_catalog.unnest(ARRAY[`+strings.Join(values, ",")+`])) AS c (n, v) WHERE pg_catalog.current_setting(n, true) OPERATOR(pg_catalog.<>) v`)
}

// askName is the residue query's name on a server. Its last is closed first, because one that fails stays.
const askName = StatementPrefix + "ask"

// appendAsked appends a query of the extended protocol that leaves the client's unnamed statement as it is: what an
// EXECUTE or a FETCH returns is settled when it is prepared, and another time it would be something else.
func appendAsked(dst []byte, text string) []byte {
	dst = wire.AppendText(dst, wire.Close, "S"+askName)
	dst = wire.AppendParse(dst, askName, text+"\x00\x00\x00")
	dst = wire.AppendMessage(dst, wire.Bind, []byte("\x00"+askName+"\x00\x00\x00\x00\x00\x00\x00")) // no portal's name, formats or parameters
	dst = wire.AppendMessage(dst, wire.Execute, make([]byte, 5))
	return wire.AppendText(dst, wire.Close, "S"+askName)
}

// row takes one row of the answer.
func (q *question) row(body []byte, whole bool) {
	var f [3][]byte
	if !whole || len(body) < 2 || binary.BigEndian.Uint16(body) != 3 {
		q.failed = true
		return
	}
	body = body[2:]
	for i := range f {
		if len(body) < 4 {
			q.failed = true
			return
		}
		n := int32(binary.BigEndian.Uint32(body))
		body = body[4:]
		if n < 0 {
			continue
		}
		if int(n) > len(body) {
			q.failed = true
			return
		}
		f[i], body = body[:n], body[n:]
	}
	switch kind := string(f[0]); kind {
	case "s", "S":
		q.barred = q.barred || kind == "S"
		q.pairs = append(q.pairs, Pair{string(f[1]), string(f[2])})
	case "u":
		q.super = true
	case "p":
		q.stock = append(q.stock, Pair{string(f[1]), string(f[2])})
	case "w":
		q.writes = writes{string(f[1]), string(f[2])}
	case "f":
		q.read = append(q.read, append([]byte(nil), f[2]...))
	default:
		for _, r := range residueQueries {
			if kind == string(r.kind) {
				q.found |= r.pin
			}
		}
	}
}

// askAnswered ends a residue query, or asks another if there is more to know.
func (l *Lease) askAnswered() Fate {
	q := l.question
	if l.gone { // nobody waits for the answer
		l.question, l.flux = nil, true
		return Drop
	}
	catalog := l.c.Catalog
	if q.failed && q.again < patiently {
		l.out = l.ask(q.asks, patiently)
		return Drop
	}
	if q.failed {
		l.unanswered = true
		q.found |= PinFunction
	}
	if q.writes != l.s.writes && q.writes.all != "" {
		catalog.Written(q.writes.functions != l.s.writes.functions)
		l.s.writes = q.writes
	}
	if q.functions && !q.failed {
		catalog.Functions(q.read, q.bodies)
		// Others may have read them meanwhile: what counts is what was asked for.
		if known, _, _ := catalog.Customs(); len(known) > q.customs && q.again < 3 {
			l.out = l.ask(q.asks, q.again+1)
			return Drop
		}
	}
	l.question = nil
	if (q.suspect&PinFunction != 0 && catalog.Opaque()) || q.suspect&pinOpaque != 0 {
		q.found |= PinFunction
	}
	if q.asks&Pins(sql.Setting) != 0 && !q.failed {
		l.takeSettings(q.pairs)
		if q.barred && !q.super { // a function that runs as somebody else has set it: the client could not on another server
			q.found |= Pins(sql.Setting)
		}
	}
	if q.asks&Pins(sql.Prepared) != 0 && !q.failed {
		dedicated := (l.pins|q.suspect)&PinDedicated != 0 || l.reached
		if l.takeStock(q.stock) || (dedicated && len(q.stock) > 0) {
			q.found |= Pins(sql.Prepared)
		}
	}
	l.verdict(q.asks, q.found|q.suspect&unasked)
	if l.discardsExcess() {
		return Drop
	}
	forClient := l.held
	l.held = false
	return passIf(forClient)
}

// takeSettings notes what the session has set, as its server says.
func (l *Lease) takeSettings(list []Pair) {
	seen := map[string]bool{}
	all, kept := make([]Pair, 0, len(list)), make([]Pair, 0, len(list))
	for _, p := range list {
		if seen[p.Name] {
			continue
		}
		seen[p.Name] = true
		all = append(all, p)
		if p.Name != settingName || l.c.SyncApplicationName {
			kept = append(kept, p)
		}
	}
	l.s.settings = NewSettings(all)
	is := NewSettings(kept)
	if !seen[settingName] {
		is = is.As(l.c.plain)
	}
	l.c.Set(is)
}
