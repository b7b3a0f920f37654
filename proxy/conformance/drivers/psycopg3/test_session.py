"""Transactions, settings, locks, notifications and pools of psycopg 3."""

import asyncio
import concurrent.futures
import time

import psycopg
import pytest
from conftest import URL, one
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, ConnectionPool


def test_transactions_and_savepoints(connect):
    conn = connect(autocommit=False)
    conn.execute("drop table if exists accounts")
    conn.execute("create table accounts (id int primary key)")
    conn.commit()
    conn.execute("insert into accounts values (1)")
    with pytest.raises(errors.UniqueViolation), conn.transaction():
        conn.execute("insert into accounts values (2)")
        conn.execute("insert into accounts values (%s)", [1])
    with conn.transaction():
        conn.execute("insert into accounts values (3)")
    conn.commit()
    assert one(conn, "select sum(id) from accounts") == 4
    with pytest.raises(errors.DivisionByZero):
        conn.execute("select 1/0")
    with pytest.raises(errors.InFailedSqlTransaction):
        conn.execute("select 1")
    conn.rollback()
    assert one(conn, "select sum(id) from accounts") == 4


def test_isolation_and_read_only(connect):
    conn = connect(autocommit=False)
    conn.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    conn.read_only = True
    assert one(conn, "show transaction_isolation") == "serializable"
    with pytest.raises(errors.ReadOnlySqlTransaction):
        conn.execute("create table never ()")
    conn.rollback()
    conn.isolation_level = conn.read_only = None
    assert one(conn, "show transaction_isolation") == "read committed"


def test_two_phase_commit(connect):
    conn = connect(autocommit=False)
    conn.execute("drop table if exists phased")
    conn.execute("create table phased (a int)")
    conn.commit()
    for name, keep in [("kept", True), ("dropped", False)]:
        conn.tpc_begin(conn.xid(1, name, "branch"))
        conn.execute("insert into phased values (1)")
        conn.tpc_prepare()
        conn.tpc_commit() if keep else conn.tpc_rollback()
    assert one(conn, "select count(*) from phased") == 1


def test_settings(conn):
    conn.execute("drop schema if exists mine cascade; create schema mine; create table mine.here as select 5 as a")
    for text in ["set search_path to mine", "set time zone 'Asia/Tokyo'", "set work_mem = '5MB'"]:
        conn.execute(text)
    for i in range(5):
        assert one(conn, "select a from here where a > %s", i % 2, prepare=True) == 5
        assert one(conn, "select '2020-01-02 03:00Z'::timestamptz").hour == 12
        assert conn.info.timezone.key == "Asia/Tokyo"
        assert one(conn, "show work_mem") == "5MB"
    with pytest.raises(errors.DivisionByZero), conn.transaction():
        conn.execute("set work_mem = '6MB'")
        conn.execute("set local time zone 'UTC'")
        assert one(conn, "show work_mem") == "6MB"
        conn.execute("select 1/0")
    assert one(conn, "show work_mem") == "5MB"
    assert one(conn, "show timezone") == "Asia/Tokyo"
    conn.execute("reset work_mem")
    assert one(conn, "show work_mem") == "4MB"
    assert one(conn, "select set_config('work_mem', '7MB', false)") == "7MB"
    assert one(conn, "show work_mem") == "7MB"
    conn.execute("reset all")
    assert one(conn, "show search_path") == '"$user", public'


def test_startup_options(connect):
    conn = connect(options="-c work_mem=9MB -c search_path=pg_catalog -c app.mark=start")
    for _ in range(5):
        assert one(conn, "show work_mem") == "9MB"
        assert one(conn, "show search_path") == "pg_catalog"
        assert one(conn, "select current_setting('app.mark')") == "start"
    conn.execute("set work_mem = '5MB'")
    conn.execute("reset work_mem")
    assert one(conn, "show work_mem") == "9MB"


def test_client_encoding(conn):
    conn.execute("set client_encoding to latin1")
    for _ in range(3):
        assert one(conn, "select %s::text", "\xfc") == "\xfc"
        assert conn.info.encoding == "iso8859-1"
    with pytest.raises(errors.UntranslatableCharacter):
        conn.execute("select U&'\\20AC'").fetchone()
    conn.execute("set client_encoding to utf8")
    assert one(conn, "select %s::text", "€") == "€"


def test_notifications(connect):
    listener, other = connect(), connect()
    listener.execute("listen news")
    for i in range(5):
        other.execute("select pg_notify('news', %s)", [str(i)])
        got = list(listener.notifies(timeout=20, stop_after=1))
        assert [(n.channel, n.payload) for n in got] == [("news", str(i))]
    listener.execute("unlisten *")
    other.execute("notify news, 'nobody'")
    assert list(listener.notifies(timeout=0)) == []


def test_advisory_locks(connect):
    a, b = connect(), connect()
    a.execute("select pg_advisory_lock(7)")
    for _ in range(3):
        assert one(b, "select pg_try_advisory_lock(%s)", 7) is False
    assert one(a, "select pg_advisory_unlock(%s)", 7) is True
    assert one(b, "select pg_try_advisory_lock(%s)", 7) is True
    b.close()
    a.execute("set lock_timeout = '20s'")
    a.execute("select pg_advisory_lock(7)")  # of one who has gone, so it is had soon
    assert one(a, "select pg_advisory_unlock(%s)", 7) is True


def test_temporary_tables(connect):
    a, b = connect(), connect()
    a.execute("create temp table scratch (n int)")
    for i in range(6):
        a.execute("insert into scratch values (%s)", [i])
        assert one(a, "select count(*) from scratch") == i + 1
        with pytest.raises(errors.UndefinedTable):
            b.execute("select * from scratch")
    a.execute("drop table scratch")


def test_cancel(conn):
    conn.execute("set statement_timeout = 100")
    with pytest.raises(errors.QueryCanceled):
        conn.execute("select pg_sleep(20)")
    conn.execute("reset statement_timeout")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        slept = pool.submit(conn.execute, "select pg_sleep(20)")
        deadline = time.monotonic() + 15
        while not slept.done() and time.monotonic() < deadline:
            conn.cancel_safe(timeout=5)
            concurrent.futures.wait([slept], 0.1)
        with pytest.raises(errors.QueryCanceled):
            slept.result(timeout=1)
    assert one(conn, "select 1") == 1


def test_error_keeps_connection(conn):
    conn.execute("set app.mark = 'mine'")
    for text, kind in [("select 1/0", errors.DivisionByZero), ("selec", errors.SyntaxError), ("select * from nowhere", errors.UndefinedTable)]:
        for prepare in [False, True]:
            with pytest.raises(kind):
                conn.execute(text, prepare=prepare)
            assert one(conn, "select current_setting('app.mark')", prepare=prepare) == "mine"


def test_notices(conn):
    got = []
    conn.add_notice_handler(lambda d: got.append(d.message_primary))
    conn.execute("do $$ begin raise notice 'hear %', 'this'; end $$")
    assert got == ["hear this"]


def test_several_statements_at_once(conn):
    cur = conn.execute("select 1; begin; select 2; commit; select 3")
    rows = []
    while True:
        if cur.description:
            rows += cur.fetchall()
        if not cur.nextset():
            break
    assert rows == [(1,), (2,), (3,)]


def test_pool():
    def configure(conn):
        conn.execute("set app.mark = 'pooled'")
        conn.commit()

    def work(task):
        for i in range(10):
            with pool.connection() as conn:
                conn.execute("insert into pooled values (%s)", [task * 100 + i])
                row = conn.execute(
                    "select count(*), current_setting('app.mark') from pooled where id / 100 = %s", [task]
                ).fetchone()
                assert row == (i + 1, "pooled")

    with ConnectionPool(URL, min_size=8, max_size=8, configure=configure, check=ConnectionPool.check_connection) as pool:
        with pool.connection() as conn:
            conn.execute("drop table if exists pooled")
            conn.execute("create table pooled (id int)")
        with concurrent.futures.ThreadPoolExecutor(16) as tasks:
            list(tasks.map(work, range(16)))
        with pool.connection() as conn:
            assert one(conn, "select count(*) from pooled") == 160


def test_asynchronous_pool():
    async def main():
        async with AsyncConnectionPool(URL, min_size=6, max_size=6, kwargs={"prepare_threshold": 1}) as pool:

            async def work(task):
                for i in range(10):
                    async with pool.connection() as conn, conn.pipeline():
                        cur = await conn.execute("select %s::int + %s::int", [task, i])
                        assert await cur.fetchone() == (task + i,)

            await asyncio.gather(*(work(task) for task in range(12)))

    asyncio.run(asyncio.wait_for(main(), 30))
