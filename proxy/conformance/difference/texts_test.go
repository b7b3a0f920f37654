package difference

import (
	"fmt"
	"strings"
)

// family is one kind of statement. A script uses some of them, so that each meets each alone and in crowds.
type family struct {
	name   string
	weight int
	text   func(g *generator) string
}

// The universe is small, so that names meet.
var (
	statements = []string{"a", "b", "c"}
	portals    = []string{"p", "q"}
	temporary  = []string{"tt", "t1", "made"}
	savepoints = []string{"x", "y"}
	channels   = []string{"ch", "other_ch"}
	keys       = []string{"1", "2", "3"}
)

// values are settings with values for them, as one writes them in SET.
var values = [][]string{
	{"work_mem", "'5MB'", "'6MB'", "64", "'bogus'"},
	{"datestyle", "German", "'ISO, DMY'", "'SQL, YMD'"},
	{"timezone", "'Asia/Tokyo'", "UTC", "'+3'", "'America/New_York'", "'Nowhere'"},
	{"search_path", "w", "w, public", "public", "''", "w, pg_catalog", "n, w", `"$user", w`},
	{"client_encoding", "LATIN1", "UTF8", "SJIS", "'SQL_ASCII'", "'nonsense'"},
	{"extra_float_digits", "0", "-5"},
	{"bytea_output", "escape", "hex"},
	{"intervalstyle", "iso_8601", "postgres_verbose"},
	{"client_min_messages", "warning", "error", "notice", "log"},
	{"standard_conforming_strings", "off", "on"},
	{"escape_string_warning", "off"},
	{"backslash_quote", "on", "off"},
	{"default_transaction_isolation", "'serializable'", "'repeatable read'"},
	{"default_transaction_read_only", "on", "off"},
	{"statement_timeout", "'10min'", "0"},
	{"lock_timeout", "'10min'", "'11min'"},
	{"enable_seqscan", "off"},
	{"plan_cache_mode", "force_generic_plan", "force_custom_plan"},
	{"array_nulls", "off"},
	{"transform_null_equals", "on"},
	{"row_security", "off"},
	{"check_function_bodies", "off"},
	{"xmloption", "document"},
	{"quote_all_identifiers", "on"},
	{"idle_in_transaction_session_timeout", "'10min'"},
	{"session_replication_role", "replica"},
	{"temp_buffers", "'1MB'"},
	{"lc_messages", "'C'"},
	{"max_connections", "7"},
	{"nosuch", "1"},
	{"app.x", "'one'", "'two'", "''"},
	{"app.y", "'one'", "2"},
	{"app.x", "'three'"},
	{"application_name", "'renamed'"},
}

var families = []family{
	{"read", 6, readText}, {"set", 6, setText}, {"setting", 5, settingText}, {"show", 6, showText},
	{"probe", 3, func(*generator) string { return probe }},
	{"transaction", 9, transactionText}, {"error", 3, errorText}, {"prepare", 6, prepareText},
	{"temp", 5, tempText}, {"lock", 5, lockText}, {"cursor", 6, cursorText}, {"sequence", 4, sequenceText},
	{"listen", 4, listenText}, {"discard", 2, discardText}, {"ddl", 3, ddlText}, {"write", 4, writeText},
	{"function", 5, functionText}, {"role", 3, roleText}, {"string", 2, stringText}, {"large", 1, largeText},
	{"copyout", 2, func(g *generator) string {
		return g.pick("copy t1 to stdout", "copy (select * from t2) to stdout csv header", "copy t1 to stdout binary",
			"copy nosuch to stdout", "copy (select 1 / (3 - id) from t1 order by id) to stdout")
	}},
}

// probe shows at once most of what a session can have: each of its columns is a way to be wrong.
const probe = "select current_setting('work_mem'), current_setting('timezone'), current_setting('datestyle'), " +
	"current_setting('search_path'), current_setting('client_encoding'), current_setting('transaction_isolation'), " +
	"current_setting('transaction_read_only'), current_setting('standard_conforming_strings'), " +
	"coalesce(nullif(current_setting('app.x', true), ''), '-'), coalesce(nullif(current_setting('app.y', true), ''), '-'), " +
	"current_user, session_user, (select count(*) from pg_catalog.pg_locks where pid = pg_catalog.pg_backend_pid() and locktype = 'advisory'), " +
	"(select pg_catalog.string_agg(c, ',' order by c) from pg_catalog.pg_listening_channels() c), " +
	"(select pg_catalog.string_agg(name || is_holdable, ',' order by name) from pg_catalog.pg_cursors where name <> ''), " +
	"(select pg_catalog.string_agg(relname, ',' order by relname) from pg_catalog.pg_class where relnamespace = pg_catalog.pg_my_temp_schema())"

func readText(g *generator) string {
	return g.pick("select 1", "select 1 as one, 'two' as two", "select * from t1", "select * from t2", "select * from t3",
		"select id from t1 where id < 3 order by id", "select generate_series(1, 4)", "select null::int, ''", "", ";", "-- nothing",
		"values (1), (2)", "table t2", "select current_user, session_user", "select count(*) from t1",
		"explain (costs off) select * from t1 where id = 1", "select 'é'", "select 1; ")
}

func setText(g *generator) string {
	v := values[g.r.IntN(len(values))]
	name, value := v[0], g.pick(v[1:]...)
	switch g.r.IntN(14) {
	case 0, 1, 2:
		return fmt.Sprintf("set %s = %s", name, value)
	case 3:
		return fmt.Sprintf("SET SESSION %s TO %s", name, value)
	case 4, 5:
		return fmt.Sprintf("set local %s = %s", name, value)
	case 6, 7:
		return fmt.Sprintf("select set_config('%s', %s, false)", name, literal(value))
	case 8:
		return fmt.Sprintf("select pg_catalog.set_config('%s', %s, true)", name, literal(value))
	case 9:
		return "reset " + name
	case 10:
		return fmt.Sprintf("set %s to default", name)
	case 11:
		return fmt.Sprintf("/* set */ SET\n%s /* to */ = %s -- done", name, value)
	case 12:
		return fmt.Sprintf("update pg_settings set setting = %s where name = '%s'", literal(value), name)
	}
	return "reset all"
}

// literal is a value of SET as one of SQL.
func literal(value string) string {
	if strings.HasPrefix(value, "'") {
		return value
	}
	return "'" + value + "'"
}

func settingText(g *generator) string {
	return g.pick("set time zone 'Europe/Paris'", "set time zone default", "set time zone local", "set names 'LATIN1'", "set names default",
		"set schema 'public'", "set session characteristics as transaction isolation level serializable",
		"set session characteristics as transaction read only", "set session characteristics as transaction read write",
		"set transaction isolation level repeatable read", "set transaction read only", "set local transaction_read_only = on",
		"set transaction_isolation = 'serializable'", "set constraints all deferred", "set session session characteristics as transaction read only",
		"set xml option document", "set local time zone 'Asia/Kolkata'", "set work_mem from current", "set timezone = default",
		"begin; set local work_mem = '7MB'; commit", "begin; set work_mem = '8MB'; rollback", "set work_mem = '5MB'; select 1 / 0",
		"set work_mem = '5MB'; set timezone = 'Asia/Tokyo'", "begin; set work_mem = '6MB'; savepoint x; set work_mem = '7MB'; rollback to x; commit")
}

func showText(g *generator) string {
	v := values[g.r.IntN(len(values))][0]
	switch g.r.IntN(5) {
	case 0, 1:
		return "show " + v
	case 2:
		return g.pick("show transaction isolation level", "show time zone", "show session authorization", "show transaction_read_only")
	case 3:
		return "select name, setting from pg_settings where source = 'session' and name not like 'app.%' order by 1"
	}
	return fmt.Sprintf("select coalesce(nullif(current_setting('%s', true), ''), '-')", v)
}

func roleText(g *generator) string {
	return g.pick("set role other", "set role other", "set role app", "set role none", "reset role", "set role stranger", "set local role other",
		"set session authorization other", "set session authorization app", "set session authorization default", "reset session authorization",
		"select set_config('role', 'other', false)", "select current_user, session_user", "show role", "select current_role, user")
}

func transactionText(g *generator) string {
	s := g.pick(savepoints...)
	if !g.inTx || g.one(10) {
		return g.pick("begin", "begin", "begin", "BEGIN", "start transaction", "begin isolation level repeatable read", "begin read only",
			"begin isolation level serializable, read write", "begin work", "commit", "rollback", "savepoint x", "commit and chain",
			"begin; select 1; commit", "begin; select 1", "rollback to x", "begin not deferrable", "/* a */ begin -- b",
			"prepare transaction 'nothing'", "begin; savepoint x; select 1 / 0")
	}
	return g.pick("commit", "commit", "rollback", "end", "abort", "commit and chain", "rollback and chain", "rollback work",
		"savepoint "+s, "savepoint "+s, "rollback to "+s, "rollback to "+s, "release "+s, "release savepoint "+s, "rollback transaction to savepoint "+s,
		"commit; begin", "rollback; begin read only", "commit; select 1", "begin")
}

func errorText(g *generator) string {
	return g.pick("select 1 / 0", "selec 1", "select * from nosuch", "insert into t1 values (1, 'again')", "select 'x'::int",
		"select nosuch()", "do $$ begin raise exception 'on purpose' using errcode = 'AB123', detail = 'more', hint = 'less'; end $$",
		"select 1; select 1 / 0; select 2", "select * from t1 where", "select '", "select 1 / (2 - id) from t1 order by id",
		"select pg_catalog.set_config('work_mem', 'x', false)", "select $1", "execute")
}

func prepareText(g *generator) string {
	s := g.pick(statements...)
	return g.pick("prepare "+s+" as select 1", "prepare "+s+"(int) as select $1 + 1", "prepare "+s+" as select * from t2",
		"prepare "+s+"(text) as select $1, 'by sql'", "execute "+s, "execute "+s, "execute "+s+"(1)", "execute "+s+"('2')",
		"deallocate "+s, "deallocate prepare "+s, "deallocate all", "DEALLOCATE PREPARE ALL",
		"explain (costs off) execute "+s, "create temp table tt as execute "+s, "deallocate "+s+"; prepare "+s+" as select 3; execute "+s)
}

func tempText(g *generator) string {
	t := g.pick(temporary...)
	return g.pick("create temp table "+t+" (a int)", "create temp table "+t+" (a int) on commit drop",
		"create temporary table if not exists "+t+" (a int) on commit delete rows", "insert into "+t+" select generate_series(1, 3)",
		"select * from "+t, "select * from pg_temp."+t, "drop table "+t, "drop table if exists "+t, "truncate pg_temp."+t,
		"select 1 as a into temp "+t, "create temp view tv as select 1 as one", "select * from tv", "create temp sequence ts", "select nextval('ts')",
		"create table pg_temp."+t+" (b text)", "create function pg_temp.f() returns int language sql as 'select 7'", "select pg_temp.f()",
		"select relname from pg_class where relnamespace = pg_my_temp_schema() order by 1", "alter table "+t+" add column more int",
		"create temp table "+t+" (a int); insert into "+t+" values (1); drop table "+t)
}

func lockText(g *generator) string {
	k := g.pick(keys...)
	return g.pick("select pg_advisory_lock("+k+")", "select pg_try_advisory_lock("+k+")", "select pg_advisory_lock_shared("+k+")",
		"select pg_advisory_xact_lock("+k+")", "select pg_try_advisory_xact_lock_shared("+k+")", "select pg_advisory_unlock("+k+")",
		"select pg_advisory_unlock("+k+")", "select pg_advisory_unlock_shared("+k+")", "select pg_advisory_unlock_all()",
		"select pg_advisory_lock("+k+", 5)", "select pg_advisory_unlock("+k+", 5)", "select pg_advisory_lock(id) from t1 where id < 3",
		"select pg_advisory_lock("+k+"); select pg_advisory_unlock("+k+")",
		"select classid, objid, mode from pg_locks where pid = pg_backend_pid() and locktype = 'advisory' order by 1, 2, 3")
}

func cursorText(g *generator) string {
	c := g.pick(portals...)
	return g.pick("declare "+c+" cursor for select generate_series(1, 5)", "declare "+c+" cursor with hold for select id from t1",
		"declare "+c+" scroll cursor with hold for select generate_series(1, 5)", "declare "+c+" binary cursor for select 5",
		"fetch 2 from "+c, "fetch "+c, "fetch all from "+c, "move 1 in "+c, "fetch backward 1 from "+c, "close "+c, "close "+c, "close all",
		"begin; declare "+c+" cursor with hold for select id from t1; commit",
		"select name, is_holdable, is_scrollable from pg_cursors where name <> '' order by 1")
}

func sequenceText(g *generator) string {
	return g.pick("select nextval('s1')", "select nextval('s1')", "select currval('s1')", "select currval('s1')", "select lastval()", "select lastval()",
		"select setval('s1', 10)", "insert into ids (v) values ('x')", "insert into ids (v) values ('x') returning id", "select currval('ids_id_seq')",
		"select nextval('s1'); select lastval()", "select number()", "create temp sequence if not exists ts; select nextval('ts')")
}

func listenText(g *generator) string {
	c := g.pick(channels...)
	return g.pick("listen "+c, "listen "+c, "notify "+c, "notify "+c+", 'hello'", "select pg_notify('"+c+"', 'by function')",
		"unlisten "+c, "unlisten *", "select pg_listening_channels()", "listen "+c+"; notify "+c+", 'both'", "select * from pg_catalog.pg_listening_channels() order by 1")
}

func discardText(g *generator) string {
	return g.pick("discard all", "discard all", "discard temp", "discard plans", "discard sequences", "select 1; discard all", "reset all")
}

func ddlText(g *generator) string {
	return g.pick("alter table t2 add column c int", "alter table t2 drop column if exists c", "alter table t2 alter column a type bigint",
		"alter table t2 alter column a type int", "drop table if exists t2", "create table if not exists t2 (a int, b text)", "create table t4 (a int)",
		"drop table t4", "create view v as select 1 as one", "drop view if exists v", "alter table t1 rename to t5", "alter table t5 rename to t1",
		"create or replace function number() returns bigint language sql as $$ select 42::bigint $$", "create index on t2 (a)",
		"alter type mood add value if not exists 'fine'", "comment on table t1 is 'x'", "grant select on t1 to other", "analyze t1", "vacuum t2",
		"alter table t2 add column c int; select * from t2")
}

func writeText(g *generator) string {
	return g.pick("insert into t1 values (100, 'new')", "insert into t1 values (100, 'new') on conflict do nothing", "update t1 set v = v || '!' where id = 2",
		"delete from t1 where id = 3 returning *", "delete from t1 where id > 50", "truncate t2", "insert into t2 values (3, 'three') returning *",
		"update t2 set b = null", "with n as (insert into t2 values (4, 'four') returning a) select * from n", "select * from t1 for update",
		"insert into t2 values (5, 'five'); select count(*) from t2", "lock table t1", "merge into t2 using (values (1)) s(a) on t2.a = s.a when matched then delete",
		"insert into sly values ('sly')")
}

func functionText(g *generator) string {
	return g.pick("select say('hello')", "select warn('careful')", "select put('work_mem', '12MB')", "select put('app.x', 'put')", "select put_local('work_mem', '13MB')",
		"select put_and_fail('work_mem', '14MB')", "select put_and_catch('work_mem', '15MB')", "select tuned()", "select take(3)", "select scratch()",
		"select * from made", "call halves()", "call sets()", "do $$ begin perform pg_catalog.set_config('app.x', 'do', false); end $$",
		"do $$ begin perform pg_advisory_lock(2); end $$", "do $$ begin create temp table tt (a int); end $$", "do $$ begin null; end $$",
		"do $$ begin set local work_mem = '16MB'; end $$", "do $$ begin execute 'set timezone = ''Asia/Tokyo'''; end $$", "do $$ begin notify ch; end $$",
		"do $$ begin execute 'listen ch'; end $$", "do $$ begin raise notice 'one'; raise warning 'two'; end $$",
		"select pg_catalog.set_config(name, '17MB', false) from (values ('work_mem')) s(name)")
}

func stringText(g *generator) string {
	return g.pick(`select 'a\b'`, `select E'a\'b'`, `select 'a\'; select 2 --'`, `select '\'' || 'x'`, `select $q$ set work_mem = '1MB' $q$`,
		`select U&'\0061'`, "select 'set work_mem = ''9MB'''", "select '/*'; select '*/'", "/* /* nested */ set */ select 1", `select "v" from t1 limit 1`,
		"select '\x95\x5c'", "select '\x95\x5c'; set work_mem = '21MB' --'", "select 'ü' || chr(233)", "select 1 as \"set work_mem\"")
}

func largeText(g *generator) string {
	return g.pick("select repeat('x', 70000)", "select repeat('y', 20000) from generate_series(1, 5)", "select generate_series(1, 3000)",
		"select '"+strings.Repeat("z", 9000)+"' as z", "select say(repeat('n', 20000))")
}
