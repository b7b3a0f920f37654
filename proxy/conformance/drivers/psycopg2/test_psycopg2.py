"""psycopg 2: simple queries throughout, settings sent by the driver, server-side cursors, COPY, its pool."""

import concurrent.futures
import contextlib
import io
import os
import select
import time

import psycopg2
import psycopg2.extras
import pytest
from psycopg2 import errors, extensions
from psycopg2.pool import ThreadedConnectionPool

URL = os.environ["DRIVERS_URL"]


@pytest.fixture
def connect():
    """Opens connections that are closed after the test."""
    with contextlib.ExitStack() as stack:

        def open_one(autocommit=True, **more):
            conn = stack.enter_context(contextlib.closing(psycopg2.connect(URL, **more)))
            conn.autocommit = autocommit
            return conn

        yield open_one


@pytest.fixture
def conn(connect):
    """One connection in autocommit mode."""
    return connect()


def rows(conn, text, args=None):
    """All rows of a query."""
    with conn.cursor() as cur:
        cur.execute(text, args)
        return cur.fetchall() if cur.description else None


def one(conn, text, args=None):
    """The only value of a query's only row."""
    ((value,),) = rows(conn, text, args)
    return value


def test_sql_prepare_on_two_connections(connect):
    conns = [connect() for _ in range(2)]  # each keeps a server of its own in the guard
    for i, conn in enumerate(conns):
        rows(conn, f"prepare plan (int) as select {i * 100} + $1")
    for round in range(4):
        for i, conn in enumerate(conns):
            assert one(conn, "execute plan (%s)", [round]) == i * 100 + round
            rows(conn, "deallocate plan")
            with pytest.raises(errors.InvalidSqlStatementName):
                rows(conn, "execute plan (1)")
            rows(conn, f"prepare plan (int) as select {i * 100} + $1")
    for conn in conns:
        rows(conn, "deallocate all")


def test_transactions_and_savepoints(connect):
    conn = connect(autocommit=False)
    rows(conn, "drop table if exists accounts; create table accounts (id int primary key)")
    conn.commit()
    rows(conn, "insert into accounts values (1); savepoint s; insert into accounts values (2)")
    with pytest.raises(errors.UniqueViolation):
        rows(conn, "insert into accounts values (1)")
    with pytest.raises(errors.InFailedSqlTransaction):
        rows(conn, "select 1")
    assert conn.info.transaction_status == extensions.TRANSACTION_STATUS_INERROR
    rows(conn, "rollback to s")
    rows(conn, "insert into accounts values (3)")
    conn.commit()
    assert conn.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
    assert one(conn, "select sum(id) from accounts") == 4
    conn.rollback()


def test_session_characteristics(connect):
    """set_session sends SET SESSION CHARACTERISTICS or BEGIN with its options, as the mode is."""
    for autocommit in [False, True]:
        conn = connect(autocommit=autocommit)
        conn.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
        for _ in range(3):
            assert one(conn, "show transaction_isolation") == "serializable"
            assert one(conn, "show transaction_read_only") == "on"
            conn.rollback()
        with pytest.raises(errors.ReadOnlySqlTransaction):
            rows(conn, "create table never ()")
        conn.rollback()
        conn.set_session(isolation_level="DEFAULT", readonly=False, deferrable=False)
        assert one(conn, "show transaction_isolation") == "read committed"


def test_reset(connect):
    """reset sends RESET ALL and SET SESSION AUTHORIZATION DEFAULT."""
    conn = connect(autocommit=False)
    rows(conn, "set work_mem = '5MB'; set session authorization pg_monitor")
    conn.commit()
    assert rows(conn, "select current_setting('work_mem'), current_user, session_user") == [("5MB", "pg_monitor", "pg_monitor")]
    conn.reset()
    assert rows(conn, "select current_setting('work_mem'), session_user = %s", [os.environ["PGUSER"]]) == [("4MB", True)]


def test_settings(conn):
    rows(conn, "drop schema if exists mine cascade; create schema mine; create table mine.here as select 5 as a")
    rows(conn, "set search_path to mine; set time zone 'Asia/Tokyo'; set work_mem = '5MB'")
    for _ in range(5):
        assert one(conn, "select a from here") == 5
        assert one(conn, "select '2020-01-02 03:00Z'::timestamptz").hour == 12
        assert conn.get_parameter_status("TimeZone") == "Asia/Tokyo"
        assert one(conn, "show work_mem") == "5MB"
    rows(conn, "reset all")
    assert one(conn, "show search_path") == '"$user", public'


def test_client_encoding(conn):
    conn.set_client_encoding("LATIN1")
    for _ in range(3):
        assert one(conn, "select %s", ["\xfc"]) == "\xfc"
        assert one(conn, "show client_encoding") == "LATIN1"
    conn.set_client_encoding("UTF8")
    assert one(conn, "select %s", ["€"]) == "€"


def test_startup_options(connect):
    conn = connect(options="-c work_mem=9MB -c timezone=America/New_York")
    for _ in range(5):
        assert rows(conn, "select current_setting('work_mem'), current_setting('timezone')") == [("9MB", "America/New_York")]


def test_copy(conn):
    rows(conn, "drop table if exists copied; create table copied (a int check (a <> 13), b text)")
    with conn.cursor() as cur:
        cur.copy_expert("copy copied from stdin", io.StringIO("".join(f"{100 + i}\trow\n" for i in range(20_000))))
        assert cur.rowcount == 20_000
        with pytest.raises(errors.CheckViolation):
            cur.copy_from(io.StringIO("".join(f"{i}\trow\n" for i in range(20_000))), "copied")
        out = io.StringIO()
        cur.copy_to(out, "copied")
        assert out.getvalue().count("\n") == 20_000
        with pytest.raises(errors.BadCopyFileFormat):
            cur.copy_from(io.StringIO("1\n"), "copied")
    assert one(conn, "select count(*) from copied") == 20_000


def test_named_cursors(connect):
    conn = connect(autocommit=False)
    with conn.cursor("served") as cur:
        cur.itersize = 7
        cur.execute("select n from generate_series(1, 100) n")
        assert sum(n for (n,) in cur) == 5050
    conn.commit()
    with conn.cursor("held", withhold=True) as cur:
        cur.execute("select n from generate_series(1, 30) n")
        assert len(cur.fetchmany(10)) == 10
        conn.commit()
        assert one(conn, "select 1") == 1
        conn.commit()
        assert len(cur.fetchmany(30)) == 20
    conn.commit()


def test_notifications(connect):
    listener, other = connect(), connect()
    rows(listener, "listen news")
    for i in range(5):
        rows(other, "select pg_notify('news', %s)", [str(i)])
        while not listener.notifies:
            assert select.select([listener], [], [], 20)[0], "no notification"
            listener.poll()
        n = listener.notifies.pop()
        assert (n.channel, n.payload, listener.notifies) == ("news", str(i), [])
    rows(listener, "unlisten news")


def test_advisory_locks_and_temporary_tables(connect):
    a, b = connect(), connect()
    rows(a, "select pg_advisory_lock(7); create temp table scratch (n int)")
    for i in range(5):
        assert one(b, "select pg_try_advisory_lock(7)") is False
        rows(a, "insert into scratch values (%s)", [i])
        assert one(a, "select count(*) from scratch") == i + 1
        with pytest.raises(errors.UndefinedTable):
            rows(b, "select * from scratch")
    rows(a, "drop table scratch")
    assert one(a, "select pg_advisory_unlock(7)") is True
    assert one(b, "select pg_try_advisory_lock(7)") is True
    assert one(b, "select pg_advisory_unlock(7)") is True


def test_arrays_and_types(conn):
    for value, kind in [([1, -2, 3], "int4[]"), (["a", 'b "c"', "", "ü"], "text[]"), (0.1, "float8")]:
        assert one(conn, f"select %s::{kind}", [value]) == value
    assert bytes(one(conn, "select %s::bytea", [psycopg2.Binary(b"\0\1\xff\n")])) == b"\0\1\xff\n"
    assert one(conn, "select %s::jsonb", [psycopg2.extras.Json({"a": [1, None]})]) == {"a": [1, None]}


def test_many_values(conn):
    rows(conn, "drop table if exists many; create table many (a int primary key)")
    with conn.cursor() as cur:
        psycopg2.extras.execute_batch(cur, "insert into many values (%s)", [(i,) for i in range(300)])
        psycopg2.extras.execute_values(cur, "insert into many values %s", [(i,) for i in range(300, 600)])
    assert one(conn, "select count(*) from many") == 600


def test_cancel(conn):
    rows(conn, "set statement_timeout = 100")
    with pytest.raises(errors.QueryCanceled):
        rows(conn, "select pg_sleep(20)")
    rows(conn, "reset statement_timeout")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slept = pool.submit(rows, conn, "select pg_sleep(20)")
        deadline = time.monotonic() + 15
        while not slept.done() and time.monotonic() < deadline:
            conn.cancel()
            concurrent.futures.wait([slept], 0.1)
        with pytest.raises(errors.QueryCanceled):
            slept.result(timeout=1)
    assert one(conn, "select 1") == 1


def test_error_keeps_connection(conn):
    rows(conn, "set app.mark = 'mine'")
    for text, kind in [("select 1/0", errors.DivisionByZero), ("selec", errors.SyntaxError), ("select * from nowhere", errors.UndefinedTable)]:
        with pytest.raises(kind):
            rows(conn, text)
        assert one(conn, "select current_setting('app.mark')") == "mine"


def test_pool():
    pool = ThreadedConnectionPool(8, 8, URL)

    def work(task):
        for i in range(10):
            conn = pool.getconn()
            rows(conn, "insert into pooled values (%s)", [task * 100 + i])
            assert one(conn, "select count(*) from pooled where id / 100 = %s", [task]) == i + 1
            conn.commit()
            pool.putconn(conn)

    conn = pool.getconn()
    rows(conn, "drop table if exists pooled; create table pooled (id int)")
    conn.commit()
    pool.putconn(conn)
    with concurrent.futures.ThreadPoolExecutor(8) as tasks:
        list(tasks.map(work, range(8)))
    pool.closeall()
