package difference

import (
	"encoding/binary"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
)

// worldSays begins the line of what somebody was told who has changed the world.
const worldSays = "(the world: "

// setsDefaults are changes of what sessions begin with.
var setsDefaults = regexp.MustCompile(`^alter (role|database|system) `)

// changingScript is one in which the world changes.
func (g *generator) changingScript() script {
	s := script{guard: g.kind, user: "app"}
	if g.one(5) {
		s.user = "postgres"
	}
	if g.one(5) {
		s.options = g.startup()
	}
	g.choose()
	w := &changer{generator: g, user: s.user, column: "bigint", known: map[string]string{}, texts: map[string]asked{}}
	for range 3 { // few, so that each meets servers that have it from before
		w.about = append(w.about, askedTexts[g.r.IntN(len(askedTexts))])
	}
	sets := g.one(4) // changes of settings take their time
	w.prepareSome()
	for range 3 + g.r.IntN(5) {
		for range 1 + g.r.IntN(3) {
			w.beside()
		}
		w.world(sets)
		for range 1 + g.r.IntN(4) {
			w.after()
		}
	}
	g.steps = append(g.steps, g.neighbour(), simple("rollback"), g.neighbour(), simple(probe))
	s.steps = g.steps
	return s
}

// changer generates for a world that changes. What it believes of the world need not be true.
type changer struct {
	*generator
	user   string
	about  []asked           // what this script asks
	column string            // the type of changed.v
	known  map[string]string // what that was when a statement was prepared, by name
	texts  map[string]asked  // of the statements
}

// asked is a text about what changes. %s in its arguments is a value of the column v.
type asked struct {
	text string
	args []string
}

var askedTexts = []asked{
	{"insert into changed (id, v) values ($1, $2)", []string{"9", "%s"}}, {"insert into changed values ($1, $2, $3, $4)", []string{"8", "%s", "2026-02-03 12:34:56", "0.123456789012345"}},
	{"select * from changed order by id", nil}, {"select v from changed where id = $1", []string{"1"}}, {"select id from changed where v = $1", []string{"%s"}},
	{"update changed set v = $1 where id = 2 returning v", []string{"%s"}}, {"update changed set d = $1, r = $2 where id = 1 returning d, r", []string{"2026-02-03 12:34:56", "0.123456789012345"}},
	{"select turned($1)", []string{"007"}}, {"select turned(id) from changed where id = $1", []string{"1"}}, {"select turned('7')", nil}, {"select * from looked", nil},
	{"select * from looked where id = $1", []string{"1"}}, {"insert into felt values ($1) returning e", []string{"calm"}}, {"select count(*) from felt where e <> $1", []string{"wild"}},
	{"select $1::feeling", []string{"wild"}}, {"table felt", nil}, {"select '2026-06-01 12:00:00'::timestamptz, $1::int", []string{"1"}},
	{"select (0.1::float8 + 0.2::float8)::text, now() is null", nil}, {"delete from changed where id > $1 returning v", []string{"5"}},
	{"select '1 day 2 hours'::interval::text, '2026-02-03'::date::text, $1::date", []string{"01/02/2026"}},
}

// typed are the texts of values, of which none, some or all are of a column's type.
var typed = []string{"7", "007", "5000000000", "1.5", "abc"}

// binaries are seven in the binary form of types.
var binaries = map[string]string{
	"bigint": string(binary.BigEndian.AppendUint64(nil, 7)), "int": string(binary.BigEndian.AppendUint32(nil, 7)), "text": "7",
	"double precision": string(binary.BigEndian.AppendUint64(nil, math.Float64bits(7))),
}

// prepareSome has the client know some statements.
func (w *changer) prepareSome() {
	for range 1 + w.r.IntN(3) {
		w.steps = append(w.steps, step{kind: client, messages: append(w.prepareAsked(w.pick(statements...)), sync)})
	}
}

// prepareAsked is a Parse, and at times a Describe.
func (w *changer) prepareAsked(name string) []message {
	a := w.about[w.r.IntN(len(w.about))]
	w.texts[name], w.known[name] = a, w.column
	m := []message{parse(name, a.text)}
	if name != "" { // the name may be in use
		m = []message{closing('S', name), m[0]}
	}
	if w.one(2) {
		m = append(m, describe('S', name))
	}
	return m
}

// runAsked runs a statement as a driver would that has kept what it was told of it.
func (w *changer) runAsked(name string) []message {
	var args []arg
	for _, a := range w.texts[name].args {
		switch seven := binaries[w.known[name]]; {
		case a != "%s":
			args = append(args, arg{value: a})
		case seven != "" && w.one(2):
			args = append(args, arg{binary: true, value: seven})
		default:
			args = append(args, arg{value: typed[w.r.IntN(len(typed))]})
		}
	}
	b := bind("", name, args...)
	if w.one(3) {
		b.formats = []int16{1}
	}
	m := []message{b}
	if w.one(2) {
		m = append(m, describe('P', ""))
	}
	return append(m, execute("", 0))
}

// beside is a step of the client, or of a neighbour, as in other scripts.
func (w *changer) beside() {
	if w.one(3) {
		w.steps = append(w.steps, w.neighbour())
		return
	}
	if w.one(3) {
		w.client()
		return
	}
	w.after()
}

// after is a step of the client about what changes.
func (w *changer) after() {
	name := w.pick(statements...)
	switch n := w.r.IntN(12); {
	case n < 4:
		if _, ok := w.texts[name]; ok {
			w.steps = append(w.steps, step{kind: client, messages: append(w.runAsked(name), sync)})
			return
		}
		fallthrough
	case n < 6:
		w.steps = append(w.steps, step{kind: client, messages: slices.Concat(w.prepareAsked(name), w.runAsked(name), []message{sync})})
	case n < 8:
		w.steps = append(w.steps, step{kind: client, messages: slices.Concat(w.prepareAsked(""), w.runAsked(""), []message{sync})})
	case n < 9:
		w.steps = append(w.steps, simple(w.pick("select * from changed order by 1", "select * from looked", "table felt", "select turned('7')", probe, "show timezone", "show work_mem", ownPid)))
	case n < 10:
		w.steps = append(w.steps, step{kind: leave, how: goodbye}, simple(ownPid))
		clear(w.texts)
		w.inTx = false
	case n < 11:
		w.steps = append(w.steps, simple(w.pick("begin", "commit", "rollback")))
	default:
		w.steps = append(w.steps, w.neighbour())
	}
}

// world is a step that changes it.
func (w *changer) world(sets bool) {
	st := step{kind: world, past: !w.one(3)}
	if sets && w.one(2) {
		st.messages = w.defaults()
	} else {
		st.messages = []message{query(w.redefinition())}
	}
	w.steps = append(w.steps, st)
	if last := st.messages[len(st.messages)-1].sql; strings.Contains(last, "pg_reload_conf") {
		w.steps = append(w.steps, simple("select 'after the reload'")) // it tells of what is reported
	}
}

// redefinition changes what texts mean.
func (w *changer) redefinition() string {
	column := w.pick("bigint", "int", "double precision", "text", "numeric")
	switch w.r.IntN(10) {
	case 0, 1, 2:
		w.column = column
		return fmt.Sprintf("alter table changed alter v type %s using v::text::%s", column, column)
	case 3:
		return w.pick("alter table changed alter d type timestamp, alter r type double precision", "alter table changed alter d type date, alter r type real",
			"alter table changed alter d type text")
	case 4:
		return w.pick("alter table changed add column if not exists x int default 3", "alter table changed drop column if exists x", "alter table changed rename v to x",
			"alter table changed rename x to v")
	case 5:
		w.column = column
		return w.pick("drop table changed; create table changed (id int primary key, v "+column+", d date, r real)",
			"drop table if exists changed; create table changed (v "+column+", id int primary key, r real, d timestamp)") + "; insert into changed (id, v) values (1, '7'), (2, '8')"
	case 6:
		return "drop function if exists turned(bigint), turned(text), turned(int); create function turned(" + w.pick("bigint", "text", "int") + ") returns " +
			w.pick("text", "int", "bigint") + " language sql as $$ select " + w.pick("$1", "8") + "::text::int $$"
	case 7:
		return "drop table felt; drop type feeling; create type feeling as enum (" + w.pick("'calm'", "'wild', 'calm'", "'calm', 'glad', 'wild'") +
			"); create table felt (e feeling); insert into felt values ('calm')"
	case 8:
		return "drop view if exists looked; create view looked as select " + w.pick("id, v", "v, id", "id::bigint as id, v", "id, length(v) as v") + " from t1"
	}
	return w.pick("drop table changed", "drop view looked", "create table if not exists changed (id int primary key, v bigint, d date, r real)", "drop function if exists turned(text)",
		"alter type feeling add value if not exists 'wild'", "alter table changed alter v set default 5", "create index if not exists changed_v on changed (v)")
}

// defaults changes what sessions begin with.
func (w *changer) defaults() []message {
	set := w.pick("work_mem = '5MB'", "work_mem = '6MB'", "timezone = 'Asia/Tokyo'", "timezone = 'UTC'", "datestyle = 'German'", "extra_float_digits = 0", "bytea_output = 'escape'",
		"intervalstyle = 'iso_8601'", "statement_timeout = '9min'", "lock_timeout = '8min'", "default_transaction_read_only = on", "client_min_messages = 'warning'")
	whose := w.pick("role "+w.user, "role "+w.user, "database $db", "role "+w.user+" in database $db", "system", "system")
	text := "alter " + whose + " set " + set
	if w.one(4) {
		text = "alter " + whose + " reset " + strings.Fields(set)[0]
	}
	m := []message{query(text)}
	if whose == "system" {
		m = append(m, query("select pg_reload_conf()"))
	}
	return m
}
