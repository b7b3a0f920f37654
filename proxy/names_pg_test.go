//go:build pg

package proxy

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgguard/proxy/instance"
	"pgguard/proxy/pgtest"
)

// trap makes a schema in which every name of pg_catalog's means something else: what is called or read there says so in the server's log. An
// operator is there for any two types, so that one fits better than pg_catalog's wherever those of no operator of its own are compared.
const trap = `create schema evil; grant usage on schema evil to public;
create function evil.noted(pg_catalog.text) returns bool language plpgsql as $$ begin raise log 'HOSTILE %', $1; return true; end $$;
create function evil.harmless() returns int language sql as 'select 1';
do $do$
declare o record; f record; l text; r text; body text; names text;
  types text[] := '{bool,char,name,int8,int2,int4,regproc,regprocedure,text,oid,xid,float8,regclass,regtype,regnamespace,regrole,inet,numeric,timestamptz,
    interval,bit,pg_lsn,text[],name[],oid[],int4[],regtype[]}';
begin
  foreach l in array types loop foreach r in array types loop
    select string_agg(format('create operator evil.%s (function = evil.%s, leftarg = pg_catalog.%s, rightarg = pg_catalog.%s);', op,
      case when op = '||' then 'glued' when op ~ '^[-+*/]$' then 'counted' else 'compared' end, l, r), '')
      into names from unnest('{=,<>,<,>,<=,>=,||,+,-,*,/,~~,!~~,~~*,!~~*,~,~*,!~,!~*}'::text[]) op;
    for o in values ('compared', 'bool', 'true'), ('glued', 'text', ''''''), ('counted', 'int8', '0') loop
      execute format('create function evil.%s(pg_catalog.%s, pg_catalog.%s) returns pg_catalog.%s language plpgsql as $$ begin raise log %L; return %s; end $$',
        o.column1, l, r, o.column2, format('HOSTILE operator of (%s, %s)', l, r), o.column3);
    end loop;
    execute names;
  end loop; end loop;
  for f in select p.oid, proname, pg_get_function_arguments(p.oid) args, coalesce(pg_get_function_result(p.oid), '') is, proretset, prorettype, proargmodes
      from pg_proc p where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and proname !~ '(in|out|recv|send)$' loop
    body := case when f.proretset or f.proargmodes is not null or f.prorettype = 'void'::regtype then 'return' else 'return null' end;
    begin
      execute format('create function evil.%I(%s) returns %s language plpgsql as $$ begin raise log %L; %s; end $$',
        f.proname, f.args, f.is, 'HOSTILE function ' || f.oid::regprocedure, body);
    exception when others then null; -- it takes or returns what no function in plpgsql does
    end;
  end loop;
  for f in select relname from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v') loop
    begin
      execute format('create view evil.%I as select c.* from pg_catalog.%I c where evil.noted(%L)', f.relname, f.relname, 'relation ' || f.relname);
    exception when others then null; -- it has a column of a type that no view has
    end;
  end loop;
  foreach l in array types loop
    if l !~ '\[' then
      execute format('create domain evil.%I as pg_catalog.%s check (evil.noted(%L))', l, l, 'type ' || l);
    end if;
  end loop;
end $do$;
create function evil.tallied(int8) returns int8 language plpgsql as $$ begin raise log 'HOSTILE aggregate'; return $1; end $$;
create aggregate evil.count(*) (sfunc = evil.tallied, stype = int8, initcond = '0');
create table evil.hot (n pg_catalog.int4); insert into evil.hot values (1);
alter database postgres set search_path = evil, pg_catalog`

// hostile finds what nobody but the test itself may have caused.
var hostile = regexp.MustCompile(`.*(HOSTILE|ERROR:|FATAL:).*`)

// leftBehind says what somebody else may have left in a session.
const leftBehind = `select pg_catalog.concat_ws(' ', session_user, pg_catalog.current_setting('role'), pg_catalog.current_setting('work_mem'),
  pg_catalog.current_setting('search_path'), pg_catalog.current_setting('lock_timeout'), coalesce(pg_catalog.current_setting('app.tenant', true), ''),
  pg_catalog.to_regclass('pg_temp.victims'), (select pg_catalog.count(*) from pg_catalog.pg_cursors where is_holdable),
  (select pg_catalog.count(*) from pg_catalog.pg_locks where locktype operator(pg_catalog.=) 'advisory' and pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()),
  (select pg_catalog.count(*) from pg_catalog.pg_listening_channels()),
  (select pg_catalog.count(*) from pg_catalog.pg_prepared_statements where name operator(pg_catalog.=) 'it'))`

// TestNobodysNamesAreCalled (CVE-2018-1058): in a database whose search_path begins with a schema where every name means something else, nothing of that is called by
// what the guard asks and does by itself, over connections of its own and over its clients', and what a client leaves is found.
func TestNobodysNamesAreCalled(t *testing.T) {
	var log logged
	c := pgtest.New(t, pgtest.Options{Log: &log, Settings: map[string]string{"log_line_prefix": "%p %a "}})
	admin := direct(t, c)
	admin.want(t, admin.query, trap, "", 'I')
	for _, text := range []string{ // who may create in public has been there first
		"create role mallory", "grant create on schema public to mallory", "set role mallory",
		"create function public.pgguard_ddl() returns event_trigger language plpgsql as $$ begin raise log 'HOSTILE trigger'; end $$", "reset role", instance.DDLTrigger,
	} {
		admin.want(t, admin.query, text, "", 'I')
	}
	if owner := admin.one(t, "select proowner::regrole from pg_proc where proname = 'pgguard_ddl'"); owner != "postgres" {
		t.Errorf("the trigger's function is %s's", owner)
	}
	before := len(log.all())
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Pool.MaxServers = 1 })
	g.looked(t)
	clean := direct(t, c).one(t, leftBehind)
	for _, leaves := range []struct {
		texts string
		pins  bool // the next client comes when this one has gone
	}{
		{texts: "set work_mem = '99MB'"}, {texts: "set search_path = evil, public, pg_catalog"}, {texts: "set role pg_monitor"},
		{texts: "set session authorization pg_monitor"}, {texts: "set app.tenant to 'x' & select harmless()"}, {texts: "select harmless()"},
		{texts: "begin & set local work_mem = '98MB' & select harmless() & set lock_timeout = '7s' & commit"},
		{texts: "do $$ begin perform evil.harmless(); end $$"}, {texts: "create table born (a pg_catalog.int4)"}, {texts: "drop table born"},
		{texts: "create temporary table victims (a pg_catalog.int4)", pins: true}, {texts: "select pg_catalog.pg_advisory_lock(7)", pins: true},
		{texts: "listen leftover", pins: true}, {texts: "begin & declare c cursor with hold for select & commit", pins: true},
		{texts: "prepare it as select & select harmless()"}, {texts: "discard all"},
	} {
		p := g.call(t)
		for _, text := range strings.Split(leaves.texts, " & ") {
			if a, err := p.query(text); err != nil || a.code() != "" {
				t.Fatal(text, a, err)
			}
		}
		if leaves.pins {
			_ = p.Close()
		}
		if got := g.call(t).one(t, leftBehind); got != clean {
			t.Errorf("%s: the next client has %q, want %q", leaves.texts, got, clean)
		}
	}
	waitForLock(t, c)
	lookUp := instance.Lookup{Query: instance.QueryAuto}
	if err := instance.TryLookup(context.Background(), instance.Config{}, g.cfg().Upstream, lookUp); err != nil {
		t.Error(err)
	}

	witness := direct(t, c)
	witness.want(t, witness.query, "select 1::pg_catalog.oid = 2", "", 'I')
	own := fmt.Sprintf("%d [unknown] LOG:", witness.pid)
	eventually(t, "logged", func() bool { return strings.Contains(log.all()[before:], own+"  HOSTILE operator") })
	for _, line := range hostile.FindAllString(log.all()[before:], -1) {
		if !strings.HasPrefix(line, own) {
			t.Error(line)
		}
	}
}

// waitForLock has so many clients of a guard wait for a lock that the side channel asks who holds it.
func waitForLock(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	g := newGuard(t, address(c), func(cfg *Config) { cfg.Limit = 20 })
	g.measured(t)
	holder := g.call(t)
	holder.want(t, holder.query, "begin", "", 'T')
	holder.want(t, holder.query, "update hot set n = 1", "", 'T')
	var all []chan answer
	for range 5 {
		all = append(all, g.call(t).later("update hot set n = 1"))
	}
	eventually(t, "seen", func() bool { s := g.allInstances()[0].Seen(); return s != nil && s.Holder != nil })
	holder.want(t, holder.query, "commit", "", 'I')
	for _, done := range all {
		if a := <-done; len(a.codes) > 0 {
			t.Error(a)
		}
	}
}
