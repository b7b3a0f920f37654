//go:build pg

package difference

// fixture is what a client finds. Schema w is made anew for every script.
const fixture = `
drop schema if exists w cascade;
create schema w authorization app;
grant all on schema w to other;
set role app;
create table t1 (id int primary key, v text);
insert into t1 select i, 'row ' || i from generate_series(1, 5) i;
create table t2 (a int, b text);
insert into t2 values (1, 'one'), (2, 'two');
create type mood as enum ('sad', 'happy');
create table t3 (m mood, at timestamptz default '2001-02-03 04:05:06Z', f float8, i interval, raw bytea);
insert into t3 values ('sad', default, 1.0 / 3, '1 day 02:03', '\x00ff5c');
create sequence s1;
create table ids (id serial primary key, v text);
create table sly (v text);
create table went (n int);
create function adds(int) returns int language sql as $$ insert into w.went values ($1) returning n $$;
create function fails(int) returns int language plpgsql as
	$$ begin insert into w.went values ($1); raise exception 'fails %', $1; end $$;
create function say(text) returns void language plpgsql as $$ begin raise notice '%', $1; end $$;
create function warn(text) returns int language plpgsql as $$ begin raise warning '%', $1; return 1; end $$;
create function put(text, text) returns text language sql as $$ select pg_catalog.set_config($1, $2, false) $$;
create function put_local(text, text) returns text language sql as $$ select pg_catalog.set_config($1, $2, true) $$;
create function put_and_fail(text, text) returns text language plpgsql as
	$$ begin perform pg_catalog.set_config($1, $2, false); raise exception 'put_and_fail'; end $$;
create function put_and_catch(text, text) returns text language plpgsql as $$ begin
	begin perform pg_catalog.set_config($1, $2, false); perform 1 / 0; exception when division_by_zero then null; end;
	return pg_catalog.current_setting($1, true); end $$;
create function tuned() returns text language plpgsql set work_mem = '9MB' as
	$$ begin return pg_catalog.current_setting('work_mem'); end $$;
create function take(int) returns void language plpgsql as $$ begin perform pg_advisory_lock($1); end $$;
create function scratch() returns void language plpgsql as
	$$ begin create temp table if not exists made (a int); insert into made values (1); end $$;
create function number() returns bigint language sql as $$ select nextval('w.s1') $$;
create procedure halves() language plpgsql as
	$$ begin insert into w.t2 values (10, 'kept'); commit; insert into w.t2 values (11, 'lost'); rollback; end $$;
create procedure sets() language plpgsql as $$ begin set work_mem = '11MB'; commit; set timezone = 'Asia/Tokyo'; end $$;
create function on_sly() returns trigger language plpgsql as
	$$ begin perform pg_catalog.set_config('app.y', new.v, false); return new; end $$;
create trigger sly before insert on sly for each row execute function on_sly();
create function set_config(text, text, boolean) returns text language sql as $$ select 'not what you think'::text $$;
create function pg_listening_channels() returns setof text language sql as $$ select 'not what you think'::text $$;
create table changed (id int primary key, v bigint, d date, r real);
insert into changed values (1, 7, '2001-02-03', 0.5), (2, 8, '2001-02-04', 1.5);
create type feeling as enum ('calm', 'wild');
create table felt (e feeling);
insert into felt values ('calm');
create view looked as select id, v from t1;
create function turned(bigint) returns text language sql as $$ select 'bigint ' || $1 $$;
grant all on all tables in schema w to other;
grant all on all sequences in schema w to other;
reset role;
select lo_unlink(oid) from pg_largeobject_metadata`

// neighbourFixture is what the neighbours have, apart from the client: they must not wait for one another. A client whose
// search_path leads there may change it, but for the sequence theirs.
const neighbourFixture = `
drop schema if exists n cascade;
create schema n;
grant all on schema n to app, other;
create table n.t1 (id int primary key, v text, more int);
insert into n.t1 values (1, 'theirs', 1), (2, 'theirs', 2);
create sequence n.s1 start 1000;
create sequence n.theirs;
create table n.ids (id serial primary key, v text);
create table n.held (v text);
grant all on all tables in schema n to app, other;
grant all on all sequences in schema n to app, other`
