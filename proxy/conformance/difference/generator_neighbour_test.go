package difference

// dirt is what neighbours leave: under the client's names, in the client's settings, never in its schema, so that
// nobody waits for anybody.
var dirt = []string{
	"set work_mem = '1MB'", "set timezone = 'Africa/Cairo'", "set datestyle = 'SQL, MDY'", "set search_path = n", "set search_path = ''",
	"set client_encoding = 'LATIN2'", "set standard_conforming_strings = off", "set app.x = 'theirs'", "set app.y = 'theirs'",
	"select set_config('app.x', 'theirs', false)", "set default_transaction_read_only = on", "set default_transaction_isolation = 'repeatable read'",
	"set session characteristics as transaction read only", "set client_min_messages = error", "set bytea_output = escape", "set extra_float_digits = -15",
	"set role other", "set session authorization app", "set statement_timeout = '5min'", "set application_name = 'theirs'", "set plan_cache_mode = force_generic_plan",
	"begin; set work_mem = '2MB'; select 1 / 0", "begin; set timezone = 'Africa/Cairo'; rollback", "begin; set local work_mem = '3MB'", "begin; select 1 / 0",
	"do $$ begin perform pg_catalog.set_config('work_mem', '2MB', false); perform pg_catalog.set_config('app.y', 'do', false); end $$",
	"update pg_catalog.pg_settings set setting = '1234' where name = 'work_mem'",
	"prepare a as select 'theirs'", "prepare b(int) as select $1, 'theirs'", "prepare c as select * from n.t1", "deallocate all", "execute a",
	"create temp table tt (theirs text)", "create temp table t1 (theirs text)", "create temp table t2 (theirs text)", "create temp sequence ts",
	"create temp table gone (a int) on commit drop", "drop table if exists pg_temp.t1", "select 1 as theirs into temp made",
	"select pg_catalog.pg_try_advisory_lock(1001)", "select pg_catalog.pg_advisory_lock_shared(1002)", "select pg_catalog.pg_advisory_unlock_all()", "select pg_catalog.pg_try_advisory_lock(1001)",
	"do $$ begin perform pg_catalog.pg_try_advisory_lock(1003); end $$",
	"listen ch", "listen other_ch", "unlisten *", "declare p cursor with hold for select 'theirs'", "begin; declare q cursor with hold for select 'theirs'; commit",
	"begin; declare p cursor for select 'theirs'", "close all", "select nextval('n.theirs')", "insert into n.ids (v) values ('theirs')", "select lastval()",
	"discard all", "discard temp", "reset all", "reset work_mem", "reset role", "select 1", "select 1 / 0", "load 'plpgsql'", "begin; savepoint x", "commit", "select * from n.t1",
}

// neighbour is a step of the neighbours or of a visitor.
func (g *generator) neighbour() step {
	st := step{kind: neighbour, stays: !g.one(3)}
	if g.one(4) {
		st = step{kind: visitor}
	}
	for range g.r.IntN(4) {
		text := g.pick(dirt...)
		if without.String() != "" && without.MatchString(text) {
			continue
		}
		s := ""
		if g.one(2) {
			s = g.pick(statements...)
		}
		switch g.r.IntN(5) {
		case 0:
			st.messages = append(st.messages, parse(s, text), bind("", s), execute("", 0), sync)
		case 1:
			st.messages = append(st.messages, parse(s, "select $1::int, 'theirs'"), bind("", s, arg{value: "7"}), execute("", 0), sync)
		case 2:
			st.messages = append(st.messages, bind("", s), execute("", 0), sync)
		default:
			st.messages = append(st.messages, query(text))
		}
	}
	return st
}
