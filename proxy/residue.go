package proxy

import (
	"encoding/binary"
	"strings"
	"time"

	"pgguard/proxy/sql"
	"pgguard/proxy/wire"
)

// asked are the residues of which the server knows whether they are there.
const asked = pins(sql.Prepared | sql.Setting | sql.TempTable | sql.AdvisoryLock | sql.Listen | sql.Cursor)

// residueQueries say what a session holds: rows of a kind, a name and a value.
var residueQueries = []struct {
	of   pins
	kind byte
	text string
}{
	{pins(sql.Setting), 's', `SELECT 's', name, setting FROM pg_catalog.pg_settings WHERE source = 'session' ` +
		`AND name <> ALL ('{transaction_isolation,transaction_read_only,transaction_deferrable}')`},
	{pins(sql.TempTable), 't', `SELECT 't', '', '' WHERE pg_catalog.pg_my_temp_schema() <> 0 AND EXISTS (SELECT FROM pg_catalog.pg_depend ` +
		`WHERE refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND refobjid = pg_catalog.pg_my_temp_schema())`},
	{pins(sql.AdvisoryLock), 'a', `SELECT 'a', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'advisory' AND pid = pg_catalog.pg_backend_pid())`},
	{pins(sql.Listen), 'l', `SELECT 'l', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_listening_channels())`},
	{pins(sql.Cursor), 'c', `SELECT 'c', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)`},
	{pins(sql.Prepared), 'p', `SELECT 'p', '', '' WHERE EXISTS (SELECT FROM pg_catalog.pg_prepared_statements WHERE pg_catalog.left(name, 10) <> '` + statementPrefix + `')`},
}

// functionsQuery reads the bodies of the functions that may change a custom setting. Longer ones are not read to their
// end, which makes them opaque.
const functionsQuery = `SELECT 'f', '', pg_catalog.left(body, 4000) FROM (SELECT CASE WHEN prosqlbody IS NULL THEN prosrc ` +
	`ELSE pg_catalog.pg_get_function_sqlbody(oid) END AS body FROM pg_catalog.pg_proc WHERE prolang NOT IN (12, 13)) f ` +
	`WHERE body ~* 'set_config|\mset\s+(session\s+|local\s+)?["a-z_0-9]+\.|''\s*set\s'`

// question is a residue query under way: what it asks, and what has been answered.
type question struct {
	of        pins
	suspect   pins   // why it is asked; what is sent while it is under way is another question
	schema    uint64 // the catalog's bodies when it was asked
	functions bool   // the bodies of functions are asked for
	again     int    // how often it has been asked already, or patient
	found     pins
	pairs     []pair
	bodies    [][]byte
	failed    bool
}

// patient is a question that was not answered in time: the client's statement_timeout is short.
const patient = 100

// suspicious returns what the server must be asked before it is lent to another: what the client may have left, and,
// of what is known to be there, what may be gone.
func (s *session) suspicious() pins {
	of := s.suspect & asked
	if s.suspect&pinFunction != 0 {
		of = asked
	}
	of |= s.undo & s.pins & asked
	if s.undo&pins(sql.Setting) != 0 && s.settings != plain {
		of |= pins(sql.Setting)
	}
	return of
}

// askOnceQuietLocked returns the residue query if a transaction has ended that may have left something; else nil.
func (s *session) askOnceQuietLocked() []byte {
	of := s.suspicious()
	if of == 0 || s.ex.status != wire.Idle || !s.ex.quiet() || s.gone || s.route.mode == PoolModeSession {
		return nil
	}
	s.held = false
	return s.askLocked(of, 0)
}

// askLocked returns the residue query for what is suspicious, and notes that it is under way.
func (s *session) askLocked(of pins, again int) []byte {
	now := time.Now()
	cat := s.route.catalog
	customs, stale := cat.Customs(now)
	q := &question{of: of, suspect: s.suspect, schema: cat.FunctionsAge()}
	if before := s.question; before != nil {
		q.suspect = before.suspect
	} else {
		s.suspect, s.undo, s.flux = 0, 0, false
	}
	q.functions = stale && q.suspect&pinFunction != 0 && again < patient
	var text strings.Builder
	if q.again = again; again == patient {
		text.WriteString(`SELECT 's', 'statement_timeout', pg_catalog.current_setting('statement_timeout'); SET LOCAL statement_timeout = 0; `)
	}
	first := true
	add := func(query string) {
		if !first {
			text.WriteString(" UNION ALL ")
		}
		first = false
		text.WriteString(query)
	}
	for _, r := range residueQueries {
		if of&r.of != 0 {
			add(r.text)
		}
	}
	if of&pins(sql.Setting) != 0 {
		add(`SELECT 's', 'session_authorization', session_user::text WHERE session_user <> ` + literal(s.route.key.User))
		began := s.route.key.Value.(*login)
		add(`SELECT 's', 'role', pg_catalog.current_setting('role') WHERE pg_catalog.current_setting('role') <> ` +
			literal(began.first(settingRole, "none")))
		if len(customs) > 0 {
			names, values := make([]string, len(customs)), make([]string, len(customs))
			for i, c := range customs {
				names[i], values[i] = literal(c), literal(began.first(c, ""))
			}
			add(`SELECT 's', n, pg_catalog.current_setting(n, true) FROM ROWS FROM (pg_catalog.unnest(ARRAY[` + strings.Join(names, ",") +
				`]), pg_catalog.unnest(ARRAY[` + strings.Join(values, ",") + `])) AS c (n, v) WHERE pg_catalog.current_setting(n, true) <> v`)
		}
	}
	if q.functions {
		add(functionsQuery)
	}
	s.question = q
	s.ex.add(markAsk)
	if again == patient { // two statements
		s.backend.unnamed = noStatement
		return wire.AppendText(nil, wire.Query, text.String())
	}
	return appendQuestion(nil, text.String())
}

// askName is the residue query's name on a server. Its last is closed first, because one that fails stays.
const askName = statementPrefix + "ask"

// appendQuestion appends a query of the extended protocol that leaves the client's unnamed statement as it is: what an
// EXECUTE or a FETCH returns is settled when it is prepared, and another time it would be something else.
func appendQuestion(dst []byte, text string) []byte {
	dst = wire.AppendText(dst, wire.Close, "S"+askName)
	dst = wire.AppendParse(dst, askName, text+"\x00\x00\x00")
	dst = wire.AppendMessage(dst, wire.Bind, []byte("\x00"+askName+"\x00\x00\x00\x00\x00\x00\x00")) // no portal's name, formats or parameters
	dst = wire.AppendMessage(dst, wire.Execute, make([]byte, 5))
	dst = wire.AppendText(dst, wire.Close, "S"+askName)
	return wire.AppendEmpty(dst, wire.Sync)
}

// row takes one row of the answer.
func (q *question) row(body []byte) {
	var f [3][]byte
	if len(body) < 2 || binary.BigEndian.Uint16(body) != 3 {
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
	case "s":
		q.pairs = append(q.pairs, pair{string(f[1]), string(f[2])})
	case "f":
		q.bodies = append(q.bodies, append([]byte(nil), f[2]...))
	default:
		for _, r := range residueQueries {
			if kind == string(r.kind) {
				q.found |= r.of
			}
		}
	}
}

// answeredLocked takes the answer to the residue query. It returns another query if there is more to ask.
func (s *session) answeredLocked(b *backend) (more []byte) {
	q := s.question
	cat := s.route.catalog
	behind := !s.ex.quiet() // what the client has sent meanwhile would come before another question
	if q.failed && q.again < patient && !behind {
		return s.askLocked(q.of, patient)
	}
	if q.failed {
		s.srv.log.Warn("residue query failed; client keeps its server", "upstream", b.inst.Name(), "pid", b.pid)
		q.found |= pinFunction
	}
	if q.functions && !q.failed && cat.LearnFunctions(q.bodies, q.schema, time.Now()) && q.again < 3 {
		if !behind {
			return s.askLocked(q.of, q.again+1)
		}
		s.suspect |= q.suspect // asked when the client is done
	}
	s.question = nil
	if q.suspect&pinFunction != 0 && cat.FunctionsOpaque() || q.suspect&pinOpaque != 0 {
		q.found |= pinFunction
	}
	if q.of&pins(sql.Setting) != 0 && !q.failed {
		s.takeSettings(b, q.pairs)
	}
	s.verdictLocked(q.of, q.found|q.suspect&unasked)
	return nil
}

// takeSettings notes what the session has set, as its server says.
func (s *session) takeSettings(b *backend, list []pair) {
	seen := map[string]bool{}
	all, kept := make([]pair, 0, len(list)), make([]pair, 0, len(list))
	for _, p := range list {
		if seen[p.name] {
			continue
		}
		seen[p.name] = true
		all = append(all, p)
		if p.name != "application_name" || s.srv.cfg.SyncApplicationName {
			kept = append(kept, p)
		}
	}
	b.settings = newSettings(all)
	s.becomeSettings(newSettings(kept))
}

// becomeSettings gives the session its settings. It is called with mu held.
func (s *session) becomeSettings(to settings) {
	s.settings = to
	s.warns = s.route.warns
	if s.warns && to != plain {
		_, level := to.get("client_min_messages")
		_, language := to.get("lc_messages")
		s.warns = !level && !language
	}
}
