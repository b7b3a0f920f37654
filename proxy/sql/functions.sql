-- Prints functions_catalog.txt: the names in pg_catalog and information_schema all of whose functions are immutable or
-- stable, and the keywords that cannot name a function. Volatile functions are judged by hand in functions_hand.txt.
-- Functions that SQL cannot call with values of its own (internal, cstring, handlers, triggers) are left out.
--
--   psql -AtX -f functions.sql postgres | fold -s -w 118 | sed 's/ *$//' > functions_catalog.txt
select '# Generated from ' || split_part(version(), ' ', 1) || ' ' || current_setting('server_version_num')::int / 10000
    || ' by functions.sql; do not edit.';
select '[reads]';
select string_agg(proname, ' ' order by proname)
from (
    select proname
    from pg_proc
    where pronamespace in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    group by proname
    having not bool_or(provolatile = 'v')
       and not bool_and(prorettype::regtype::text in ('internal', 'cstring', 'trigger', 'event_trigger',
                'language_handler', 'fdw_handler', 'index_am_handler', 'table_am_handler', 'tsm_handler')
            or 'internal'::regtype = any (proargtypes::oid[])
            or 'cstring'::regtype = any (proargtypes::oid[]))
) p;
select '[keywords]';
select string_agg(word::text, ' ' order by word::text) from pg_get_keywords() where catcode in ('R', 'C');
