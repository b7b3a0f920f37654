"""asyncpg: named statements in binary, its cache, cursors, COPY, and the pool that resets its connections."""

import asyncio
import contextlib
import io
import os

import asyncpg
import pytest

URL = os.environ["DRIVERS_URL"]


def scenario(test):
    """Runs a coroutine function as a test, bounded; it opens its connections with connect."""

    def run():
        async def bounded():
            async with contextlib.AsyncExitStack() as stack:

                async def connect(**more):
                    conn = await asyncpg.connect(URL, **({"statement_cache_size": 8} | more))
                    stack.push_async_callback(conn.close)
                    return conn

                await asyncio.wait_for(test(connect), 40)

        asyncio.run(bounded())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@scenario
async def test_more_statements_than_are_kept(connect):
    conn = await connect()
    for round in range(4):
        for i in range(20):
            assert await conn.fetchval(f"select {i * 100} + $1::int", round) == i * 100 + round


@scenario
async def test_without_a_cache(connect):
    conn = await connect(statement_cache_size=0)
    for i in range(20):
        assert await conn.fetchval(f"select {i} + $1::int", 1) == i + 1


@scenario
async def test_same_text_on_many_connections(connect):
    conns = [await connect() for _ in range(8)]
    for round in range(5):
        got = await asyncio.gather(*(c.fetchval("select $1::int * 10 + $2::int", round, i) for i, c in enumerate(conns)))
        assert got == [round * 10 + i for i in range(8)]


@scenario
async def test_statement_objects(connect):
    conns = [await connect() for _ in range(3)]
    stmts = [await c.prepare(f"select {i}, $1::text as t", name="named") for i, c in enumerate(conns)]
    for _ in range(3):
        for i, s in enumerate(stmts):
            assert tuple(await s.fetchrow("x")) == (i, "x")
            assert [a.name for a in s.get_attributes()] == ["?column?", "t"]
    with pytest.raises(asyncpg.DuplicatePreparedStatementError):
        await conns[0].prepare("select 'taken'", name="named")
    assert tuple(await stmts[0].fetchrow("y")) == (0, "y")


@scenario
async def test_changed_table(connect):
    """asyncpg prepares again outside a transaction, and passes the error on in one."""
    conn, other = await connect(), await connect()
    await conn.execute("drop table if exists changing; create table changing (a int); insert into changing values (1)")
    for i in range(3):
        for _ in range(2):
            assert len(await conn.fetchrow("select * from changing where a = $1", 1)) == i + 1
        await other.execute(f"alter table changing add column b{i} int")
    with pytest.raises(asyncpg.InvalidCachedStatementError):
        async with conn.transaction():
            await conn.fetchrow("select * from changing where a = $1", 1)
    assert len(await conn.fetchrow("select * from changing where a = $1", 1)) == 4


@scenario
async def test_transactions_and_savepoints(connect):
    conn = await connect()
    await conn.execute("drop table if exists accounts; create table accounts (id int primary key)")
    async with conn.transaction(isolation="serializable"):
        assert await conn.fetchval("show transaction_isolation") == "serializable"
        await conn.execute("insert into accounts values (1)")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with conn.transaction():
                await conn.execute("insert into accounts values (2)")
                await conn.execute("insert into accounts values ($1)", 1)
        async with conn.transaction():
            await conn.execute("insert into accounts values ($1)", 3)
    assert await conn.fetchval("select sum(id) from accounts") == 4
    transaction = conn.transaction(readonly=True)
    await transaction.start()
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await conn.execute("insert into accounts values (9)")
    with pytest.raises(asyncpg.InFailedSQLTransactionError):
        await conn.fetchval("select 1")
    await transaction.rollback()
    assert await conn.fetchval("select sum(id) from accounts") == 4


@scenario
async def test_settings(connect):
    conn = await connect(server_settings={"work_mem": "9MB", "timezone": "America/New_York", "app.mark": "start"})
    for _ in range(3):
        assert await conn.fetchval("show work_mem") == "9MB"
        assert await conn.fetchval("show timezone") == "America/New_York"
        assert await conn.fetchval("select current_setting('app.mark')") == "start"
    assert conn.get_settings().TimeZone == "America/New_York"
    await conn.execute("drop schema if exists mine cascade; create schema mine; create table mine.here as select 5 as a")
    await conn.execute("set search_path to mine; set time zone 'Asia/Tokyo'; set work_mem = '5MB'")
    for i in range(5):
        assert await conn.fetchval("select a from here where a > $1", i % 2) == 5
        assert conn.get_settings().TimeZone == "Asia/Tokyo"
        assert await conn.fetchval("show work_mem") == "5MB"
    await conn.reset()
    assert await conn.fetchval("show work_mem") == "9MB"
    assert await conn.fetchval("show search_path") == '"$user", public'


@scenario
async def test_copy(connect):
    conn = await connect()
    await conn.execute("drop table if exists copied; create table copied (a int check (a <> 13), b text)")
    records = [(100 + i, "row") for i in range(20_000)]
    assert await conn.copy_records_to_table("copied", records=records) == "COPY 20000"
    with pytest.raises(asyncpg.CheckViolationError):
        await conn.copy_records_to_table("copied", records=[(i, "row") for i in range(2000)])
    out = io.BytesIO()
    assert await conn.copy_from_query("select a from copied where a < $1", 1100, output=out, format="csv") == "COPY 1000"
    assert out.getvalue().count(b"\n") == 1000
    with pytest.raises(asyncpg.BadCopyFileFormatError):
        await conn.copy_to_table("copied", source=io.BytesIO(b"1\n"))
    assert await conn.fetchval("select count(*) from copied") == 20_000


@scenario
async def test_cursors(connect):
    conn = await connect()
    async with conn.transaction():
        total = 0
        async for row in conn.cursor("select n from generate_series(1, $1) n", 100, prefetch=7):
            total += row[0]
            if row[0] % 20 == 0:  # another statement in between
                assert await conn.fetchval("select $1::int", row[0]) == row[0]
        assert total == 5050
        cursor = await conn.cursor("select n from generate_series(1, 100) n")
        assert await cursor.forward(10) == 10
        assert [r[0] for r in await cursor.fetch(3)] == [11, 12, 13]


@scenario
async def test_notifications(connect):
    listener, other = await connect(), await connect()
    got = asyncio.Queue()

    def hear(_conn, _pid, channel, payload):
        got.put_nowait((channel, payload))

    await listener.add_listener("news", hear)
    for i in range(5):
        await other.execute("select pg_notify('news', $1)", str(i))
        assert await asyncio.wait_for(got.get(), 20) == ("news", str(i))
    await listener.remove_listener("news", hear)
    await other.execute("notify news, 'nobody'")
    assert await listener.fetchval("select 1") == 1
    assert got.empty()


@scenario
async def test_advisory_locks_and_temporary_tables(connect):
    a, b = await connect(), await connect()
    await a.execute("select pg_advisory_lock(7); create temp table scratch (n int)")
    for i in range(5):
        assert await b.fetchval("select pg_try_advisory_lock($1)", 7) is False
        await a.execute("insert into scratch values ($1)", i)
        assert await a.fetchval("select count(*) from scratch") == i + 1
        with pytest.raises(asyncpg.UndefinedTableError):
            await b.fetchval("select count(*) from scratch")
    await a.execute("drop table scratch")
    assert await a.fetchval("select pg_advisory_unlock($1)", 7) is True
    assert await b.fetchval("select pg_try_advisory_lock($1)", 7) is True
    assert await b.fetchval("select pg_advisory_unlock($1)", 7) is True


@scenario
async def test_types(connect):
    conn = await connect()
    for value, kind in [([1, -2, 3], "int4[]"), (["a", 'b "c"', "", "ü"], "text[]"), (b"\0\1\xff\n", "bytea"), (0.1, "float8")]:
        for _ in range(3):
            assert await conn.fetchval(f"select $1::{kind}", value) == value
    await conn.execute("drop type if exists pair cascade; create type pair as (a int, b text)")
    assert tuple(await conn.fetchval("select $1::pair", (1, "x"))) == (1, "x")
    await conn.set_type_codec("json", encoder=str, decoder=len, schema="pg_catalog")
    assert await conn.fetchval("select '[1]'::json") == 3


@scenario
async def test_cancel(connect):
    conn = await connect()
    with pytest.raises(TimeoutError):
        await conn.fetchval("select pg_sleep(20)", timeout=0.3)
    assert await conn.fetchval("select 1") == 1
    await conn.execute("set statement_timeout = 100")
    with pytest.raises(asyncpg.QueryCanceledError):
        await conn.fetchval("select pg_sleep($1)", 20)
    await conn.execute("reset statement_timeout")
    assert await conn.fetchval("show statement_timeout") == "0"


@scenario
async def test_error_keeps_connection(connect):
    conn = await connect()
    await conn.execute("set app.mark = 'mine'")
    for text, kind in [
        ("select 1/0", asyncpg.DivisionByZeroError),
        ("selec", asyncpg.PostgresSyntaxError),
        ("select * from nowhere", asyncpg.UndefinedTableError),
    ]:
        for ask in [conn.execute, conn.fetch]:
            with pytest.raises(kind):
                await ask(text)
            assert await conn.fetchval("select current_setting('app.mark')") == "mine"


@scenario
async def test_execute_many(connect):
    conn = await connect()
    await conn.execute("drop table if exists many; create table many (a int primary key)")
    await conn.executemany("insert into many values ($1)", [(i,) for i in range(500)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await conn.executemany("insert into many values ($1)", [(i,) for i in range(800, 400, -1)])
    assert await conn.fetchval("select count(*) from many") == 500
    rows = await conn.fetchmany("select $1::int * 2", [(i,) for i in range(50)])
    assert [r[0] for r in rows] == [i * 2 for i in range(50)]


@scenario
async def test_pool(connect):
    """On release the pool sends pg_advisory_unlock_all, CLOSE ALL, UNLISTEN * and RESET ALL."""
    setup = await connect()
    await setup.execute("drop table if exists pooled; create table pooled (id int)")

    async def init(conn):
        await conn.execute("set app.mark = 'pooled'")

    async with asyncpg.create_pool(URL, min_size=8, max_size=8, setup=init) as pool:

        async def work(task):
            for i in range(10):
                async with pool.acquire() as conn, conn.transaction():
                    await conn.execute("insert into pooled values ($1)", task * 100 + i)
                    row = await conn.fetchrow("select count(*), current_setting('app.mark') from pooled where id / 100 = $1", task)
                    assert tuple(row) == (i + 1, "pooled")
                async with pool.acquire() as conn:
                    await conn.execute("set work_mem = '5MB'")
                    assert await conn.fetchval("show work_mem") == "5MB"
                async with pool.acquire() as conn:
                    assert await conn.fetchval("show work_mem") == "4MB"

        await asyncio.gather(*(work(task) for task in range(16)))
    assert await setup.fetchval("select count(*) from pooled") == 160
