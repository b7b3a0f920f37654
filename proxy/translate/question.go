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
	unseen    bool   // so is what runs them where their names are not in the text
	hidden    bool   // something may have run so
	roles     []Pair // the role that is in force, and whose session it is now, if it is asked again as who logged in
	changed   uint64 // how often that had changed when it was asked
	again     int    // how often it has been asked already, or patiently
	found     Pins
	pairs     []Pair
	barred    bool     // something is set that only a superuser may set
	super     bool     // the client logged in as one
	stock     []Pair   // names of statements prepared by SQL, and what is said of them
	read      [][]byte // bodies of functions
	ways      []Way
	writes    writes
	failed    bool
}

// patiently is a question that was not answered in time, because the client's statement_timeout is short: that is put off first, for which a machine that
// is busy may take too long as well, a few times.
const (
	patiently = 100
	mostAsked = patiently + 4
)

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

// bodyOf is SQL for the body of the function p, NULL for one that PostgreSQL keeps as a tree (BEGIN ATOMIC) and that leaves nothing by itself. To write down a tree takes a
// lock on each table in it, which somebody else may have for as long as a migration lasts.
const bodyOf = `CASE WHEN p.prosqlbody IS NULL THEN p.prosrc WHEN p.prosqlbody::pg_catalog.text OPERATOR(pg_catalog.~) (SELECT pg_catalog.concat(':relid ', ` +
	`'pg_catalog.pg_settings'::pg_catalog.regclass::pg_catalog.oid, ' |', (` + leavers + `))) THEN pg_catalog.pg_get_function_sqlbody(p.oid) END`

// leavers is SQL for what matches the tree of what calls a function of PostgreSQL's own that leaves something.
const leavers = `SELECT ':funcid (' OPERATOR(pg_catalog.||) pg_catalog.string_agg(c.oid::pg_catalog.text, '|') OPERATOR(pg_catalog.||) ') ' FROM pg_catalog.pg_proc c ` +
	`WHERE c.pronamespace OPERATOR(pg_catalog.=) 11::pg_catalog.oid AND c.proname OPERATOR(pg_catalog.~) '^(set_config|pg_(try_)?advisory_(un)?lock)'`

// functionsQuery reads the bodies of the functions that may change a custom setting. Longer ones are not read to their
// end, which makes them opaque.
const functionsQuery = `SELECT 'f', '', pg_catalog.left(body, 4000) FROM (SELECT ` + bodyOf + ` AS body FROM pg_catalog.pg_proc p ` +
	`WHERE prolang OPERATOR(pg_catalog.<>) ALL ('{12,13}'::pg_catalog.oid[])) f ` +
	`WHERE body OPERATOR(pg_catalog.~*) 'set_config|\mset\s+(session\s+|local\s+)?["a-z_0-9]+\.|''\s*set\s'`

// unseenQuery reads which functions leave something in their session, by their own text or by that of functions that they call, and how they run where
// their names are not in a text: behind something that depends on them, or as the column of a row. What has no name is what leaves something by itself. Functions in C are believed to leave nothing.
const unseenQuery = `SELECT 'h', u.name, u.way FROM (WITH RECURSIVE f AS MATERIALIZED (SELECT p.oid, p.proname::pg_catalog.text AS name, ` +
	`p.pronargs OPERATOR(pg_catalog.>) 0 AND p.pronargs OPERATOR(pg_catalog.-) p.pronargdefaults OPERATOR(pg_catalog.<=) 1 AND EXISTS (SELECT FROM pg_catalog.pg_type t ` +
	`WHERE t.oid OPERATOR(pg_catalog.=) p.proargtypes[0] AND t.typtype OPERATOR(pg_catalog.=) ANY ('{c,d,p}'::pg_catalog."char"[])) AS single, ` +
	`coalesce(` + bodyOf + `, '') AS body FROM pg_catalog.pg_proc p ` +
	`WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid AND (p.prolang OPERATOR(pg_catalog.<>) ALL ('{12,13}'::pg_catalog.oid[]) OR p.prokind OPERATOR(pg_catalog.=) 'a'::pg_catalog."char")), ` +
	`leaves AS (SELECT f.oid, f.name, f.single, f.body FROM f ` +
	`WHERE f.body OPERATOR(pg_catalog.~*) '` + leavesByName + `' OR f.body OPERATOR(pg_catalog.~*) '` + leavesByStatement + `' ` +
	`OR CASE WHEN f.body OPERATOR(pg_catalog.~*) 'set_config' THEN pg_catalog.regexp_replace(f.body, '` + setsLocally + `', ' ', 'gi') OPERATOR(pg_catalog.~*) 'set_config' END ` +
	`UNION SELECT f.oid, f.name, f.single, '' FROM leaves l, f WHERE CASE WHEN l.name OPERATOR(pg_catalog.~) '^[[:alnum:]_]+$' ` +
	`THEN f.body OPERATOR(pg_catalog.~*) ('[[:<:]]' OPERATOR(pg_catalog.||) l.name OPERATOR(pg_catalog.||) '[[:>:]]') ELSE pg_catalog.strpos(f.body, l.name) OPERATOR(pg_catalog.>) 0 END ` +
	`OR EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 1255::pg_catalog.oid AND d.refobjid OPERATOR(pg_catalog.=) l.oid ` +
	`AND d.classid OPERATOR(pg_catalog.=) 1255::pg_catalog.oid AND d.objid OPERATOR(pg_catalog.=) f.oid)) ` +
	`SELECT l.name, coalesce((SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 1255::pg_catalog.oid ` +
	`AND d.refobjid OPERATOR(pg_catalog.=) l.oid AND d.classid OPERATOR(pg_catalog.<>) 1255::pg_catalog.oid LIMIT 1), CASE WHEN l.single THEN 'the column of a row' END, '') ` +
	`OPERATOR(pg_catalog.||) pg_catalog.chr(1) OPERATOR(pg_catalog.||) l.body AS way FROM leaves l ` +
	`UNION ALL SELECT '', pg_catalog.pg_describe_object(e.class, e.oid, 0) FROM (SELECT 2618::pg_catalog.oid AS class, oid, ev_action::pg_catalog.text AS tree FROM pg_catalog.pg_rewrite WHERE oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ` +
	`UNION ALL SELECT 2604::pg_catalog.oid, oid, adbin::pg_catalog.text FROM pg_catalog.pg_attrdef ` +
	`UNION ALL SELECT 2606::pg_catalog.oid, oid, conbin::pg_catalog.text FROM pg_catalog.pg_constraint WHERE conbin IS NOT NULL ` +
	`UNION ALL SELECT 2620::pg_catalog.oid, oid, tgqual::pg_catalog.text FROM pg_catalog.pg_trigger WHERE tgqual IS NOT NULL ` +
	`UNION ALL SELECT 3256::pg_catalog.oid, oid, pg_catalog.concat(polqual::pg_catalog.text, polwithcheck::pg_catalog.text) FROM pg_catalog.pg_policy) e ` +
	`WHERE e.tree OPERATOR(pg_catalog.~) (` + leavers + `)) u`

// Regular expressions without a backslash, which standard_conforming_strings may give another meaning.
const (
	// setsLocally matches a call of set_config that leaves nothing behind its transaction.
	setsLocally = `set_config[[:space:]]*[(]([^();]|[(]([^();]|[(][^();]*[)])*[)])*,[[:space:]]*true[[:space:]]*[)]`
	// leavesByName and leavesByStatement match the body of a function, in any language, that may leave something in its session. Both in one take several times as long.
	leavesByName = `advisory_(lock|unlock)|update[[:space:]]+(pg_catalog[.])?pg_settings|` +
		`create[[:space:]]+(or[[:space:]]+replace[[:space:]]+)?((global|local)[[:space:]]+)?temp|into[[:space:]]+temp|pg_temp|with[[:space:]]+hold`
	leavesByStatement = `(^|;|''|[$]|>>|[(=,+][[:space:]]*["` + "`" + `]|[[:<:]](begin|atomic|then|else|loop)[[:>:]])([[:space:]]|--[^` + "\n" + `]*` + "\n" + `|/[*]([^*]|[*]+[^*/])*[*]+/)*` +
		`((reset|discard|listen|unlisten|load|prepare|deallocate)[[:space:]"]|set[[:space:]]+(?![[:space:]]*(local|constraints|transaction)[[:space:]]))`
)

// writes are counts of what was written to the catalogs that say what a text means, by this session at once, by others when they have told.
// Casts and operators are among them; so are temporary tables.
type writes struct{ functions, ways, all string }

// waysQuery asks the server for how often it was written what runs functions: defaults, casts, constraints, operators, rules, triggers and policies.
const waysQuery = `SELECT 'v', '', pg_catalog.sum(pg_catalog.pg_stat_get_tuples_inserted(c) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_tuples_updated(c) ` +
	`OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_inserted(c) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(c))::pg_catalog.text ` +
	`FROM pg_catalog.unnest('{2604,2605,2606,2617,2618,2620,3256}'::pg_catalog.oid[]) c`

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
	if l.status != wire.Idle || !l.Quiet() || l.c.Session || l.gone {
		return nil
	}
	of := l.suspicious()
	hidden, read, changed := l.unseen && l.c.Catalog.Unseen(), false, uint64(0)
	if l.unseen {
		read, changed = l.c.Catalog.ReadUnseen()
	}
	if hidden || read {
		of = asked
	}
	if of == 0 {
		l.unseen = false
		return nil
	}
	l.held = false
	return l.ask(&question{asks: of, hidden: hidden, unseen: read, changed: changed}, 0)
}

// grave is true if something was left for a reason that is known. Else it is asked only because it was not known yet which functions there are.
func (q *question) grave(c Catalog) bool {
	return q != nil && (q.suspect != 0 || (q.hidden && c.RunsUnseen()))
}

// anew is the same question, of which nothing has been answered. What functions do is not read twice.
func (q *question) anew() *question {
	again := &question{asks: q.asks, suspect: q.suspect, hidden: q.hidden, roles: q.roles}
	if q.failed {
		again.unseen, again.changed = q.unseen, q.changed
	}
	return again
}

// Asking is true while the server answers a residue query.
func (l *Lease) Asking() bool {
	e := l.owed.front()
	return l.question != nil && e != nil && e.why == ask
}

// ask returns a residue query, and notes that it is under way.
func (l *Lease) ask(q *question, again int) []byte {
	of := q.asks
	customs, stale, bodies := l.c.Catalog.Customs()
	q.bodies, q.customs, q.again = bodies, len(customs), again
	if l.question == nil {
		q.suspect = l.suspect
		l.suspicion = suspicion{}
	}
	q.functions = (stale && q.suspect&PinFunction != 0 && again < patiently) || q.unseen
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
	if q.unseen {
		queries = append(queries, unseenQuery)
	}
	if q.suspect&PinFunction != 0 && l.c.CountsWrites() {
		queries = append(queries, writesQuery, waysQuery)
	}
	text := strings.Join(queries, " UNION ALL ")
	l.question = q
	l.owed.add(expectation{kind: query, whose: guard, why: ask, own: true})
	var out []byte
	if again >= patiently { // up to the Sync it is one transaction
		out = appendAsked(out, `SELECT 's', 'statement_timeout', pg_catalog.current_setting('statement_timeout')`)
		out = appendAsked(out, `SET LOCAL statement_timeout = 0`)
	}
	for _, p := range q.roles { // up to the Sync, too
		value := "none"
		if p.Name == settingAuthorization {
			value = l.c.User
		}
		out = appendAsked(out, `SELECT 'n', '', pg_catalog.set_config(`+literal(p.Name)+`,`+literal(value)+`,true)`)
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
		q.writes.functions, q.writes.all = string(f[1]), string(f[2])
	case "v":
		q.writes.ways = string(f[2])
	case "h":
		by, body, _ := strings.Cut(string(f[2]), "\x01")
		q.ways = append(q.ways, Way{string(f[1]), by, body})
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
		l.unread()
		l.question, l.flux, l.suspect = nil, true, l.suspect|q.suspect
		return Drop
	}
	catalog := l.c.Catalog
	if q.failed && q.again < mostAsked {
		l.out = l.ask(q.anew(), max(q.again+1, patiently))
		return Drop
	}
	if q.failed && (q.hidden || q.suspect != 0) { // else nothing was suspected: it was only to be read what functions there are
		l.unanswered = true
		q.found |= PinFunction
	}
	if q.writes != l.s.writes && q.writes.all != "" {
		catalog.Written(q.writes.functions != l.s.writes.functions || q.writes.ways != l.s.writes.ways)
		l.s.writes = q.writes
	}
	switch {
	case q.unseen && q.failed:
		catalog.Unread()
	case q.unseen:
		catalog.Ran(q.ways, q.changed)
	}
	if q.functions && !q.failed {
		catalog.Functions(q.read, q.bodies)
		// Others may have read them meanwhile: what counts is what was asked for.
		if known, _, _ := catalog.Customs(); len(known) > q.customs && q.again < 3 {
			l.out = l.ask(q.anew(), q.again+1)
			return Drop
		}
	}
	if q.takesRoles() {
		l.out = l.ask(q.anew(), q.again)
		return Drop
	}
	l.question = nil
	if (q.suspect&PinFunction != 0 && catalog.Opaque(false)) || (q.hidden && catalog.Opaque(true)) || q.suspect&pinOpaque != 0 {
		q.found |= PinFunction
	}
	if q.asks&Pins(sql.Setting) != 0 && !q.failed {
		l.takeSettings(append(q.roles, q.pairs...))
		if q.barred && (!q.super || len(q.roles) > 1) { // a function that runs as somebody else has set it: the client could not on another server
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

// takesRoles is true if a superuser has another role now, to whom PostgreSQL does not tell all that is set: it is to be asked again as who logged in.
// Who has another role in a session that is another's is not: PostgreSQL does not put back both.
func (q *question) takesRoles() bool {
	if q.asks&Pins(sql.Setting) == 0 || q.failed || !q.super || len(q.roles) > 0 {
		return false
	}
	for _, p := range q.pairs {
		if p.Name == settingRole || p.Name == settingAuthorization {
			q.roles = append(q.roles, p)
		}
	}
	if len(q.roles) == 1 {
		return true
	}
	q.barred = q.barred || len(q.roles) > 1 // it may be
	return false
}

// unread notes that the answer to what functions there are, if that was asked, will not be read.
func (l *Lease) unread() {
	if l.question != nil && l.question.unseen {
		l.c.Catalog.Unread()
	}
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
