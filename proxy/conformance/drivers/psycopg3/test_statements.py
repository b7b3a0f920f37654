"""Prepared statements, pipelines, COPY, cursors and types of psycopg 3."""

import os

import psycopg
import pytest
from conftest import one
from psycopg import errors
from psycopg.types.json import Jsonb


def test_implementation():
    """The one that was asked for: the binary package brings a libpq of its own, the other uses the system's."""
    assert psycopg.pq.__impl__ == os.environ["PSYCOPG_IMPL"]


@pytest.mark.parametrize("threshold", [0, 2, 5])
def test_more_statements_than_are_kept(conn, threshold):
    """psycopg drops the oldest by Close with libpq 17, by DEALLOCATE before."""
    conn.prepare_threshold, conn.prepared_max = threshold, 5
    for round in range(8):
        for i in range(12):
            assert one(conn, f"select {i * 100} + %s::int", round) == i * 100 + round


def test_same_text_on_many_connections(connect):
    conns = [connect(prepare_threshold=0) for _ in range(8)]
    for round in range(6):
        for i, c in enumerate(conns):
            assert one(c, "select %s::int * 10 + %s::int", round, i) == round * 10 + i


def test_prepared_in_and_after_transaction(conn):
    """A statement that was prepared in a transaction which is rolled back is still there."""
    with pytest.raises(ZeroDivisionError), conn.transaction():
        assert one(conn, "select %s::int + 1", 1, prepare=True) == 2
        raise ZeroDivisionError
    for _ in range(3):
        assert one(conn, "select %s::int + 1", 2, prepare=True) == 3


def test_drop_and_deallocate_all(conn):
    for text in ["deallocate all", "discard all"]:
        for i in range(10):
            assert one(conn, f"select {i} + %s::int", 1, prepare=True) == i + 1
        conn.execute(text)
        for i in range(10):
            assert one(conn, f"select {i} + %s::int", 1, prepare=True) == i + 1


def test_sql_prepare(conn):
    conn.execute("prepare p (int) as select $1 + 1")
    assert one(conn, "execute p (7)") == 8
    conn.execute("deallocate p")
    with pytest.raises(errors.InvalidSqlStatementName):
        conn.execute("execute p (7)")


def test_changed_table(conn):
    """psycopg passes the error on, and is fine after DEALLOCATE ALL."""
    conn.execute("drop table if exists changing; create table changing (a int); insert into changing values (1)")
    for i in range(3):
        conn.execute("deallocate all")
        for _ in range(3):
            assert len(conn.execute("select * from changing where a = %s", [1], prepare=True).fetchone()) == i + 1
        conn.execute(f"alter table changing add column b{i} int")


def test_pipeline(conn):
    with conn.pipeline() as p:
        cursors = [conn.execute(f"select %s::int + {i % 15}", [i], prepare=True) for i in range(60)]
        p.sync()
        assert [c.fetchone()[0] for c in cursors] == [i + i % 15 for i in range(60)]
    assert one(conn, "select 1") == 1


def test_pipeline_with_errors(conn):
    for prepare in [False, True]:
        with pytest.raises(errors.DivisionByZero):
            with conn.pipeline() as p:
                first = conn.execute("select 1", prepare=prepare)
                p.sync()
                conn.execute("select 1 / %s::int", [0], prepare=prepare)
                conn.execute("create table never ()")
                p.sync()
        assert first.fetchone() == (1,)
        assert one(conn, "select to_regclass('never')") is None


def test_pipeline_in_transaction(connect):
    conn = connect(autocommit=False)
    conn.execute("drop table if exists piped")
    conn.execute("create table piped (a int)")
    conn.commit()
    with conn.pipeline():
        with conn.transaction():
            for i in range(20):
                conn.execute("insert into piped values (%s)", [i], prepare=True)
            count = conn.execute("select count(*) from piped")
        assert count.fetchone() == (20,)
    conn.rollback()
    assert one(conn, "select count(*) from piped") == 20


def test_execute_many(conn):
    conn.execute("drop table if exists many; create table many (a int primary key)")
    with conn.cursor() as cur:
        cur.executemany("insert into many values (%s) returning a", [(i,) for i in range(200)], returning=True)
        got = [cur.fetchone()[0]]
        while cur.nextset():
            got.append(cur.fetchone()[0])
        assert got == list(range(200))
        with pytest.raises(errors.UniqueViolation):
            cur.executemany("insert into many values (%s)", [(i,) for i in range(300, 150, -1)])
    assert one(conn, "select count(*) from many") == 200


def test_copy(conn):
    conn.execute("drop table if exists copied; create table copied (a int check (a <> 13), b text)")
    with conn.cursor() as cur:
        with cur.copy("copy copied from stdin") as copy:
            for i in range(20_000):
                copy.write_row((100 + i, "row"))
        assert cur.rowcount == 20_000
        with pytest.raises(errors.CheckViolation), cur.copy("copy copied from stdin") as copy:
            for i in range(20_000):
                copy.write_row((i, "row"))
        with pytest.raises(KeyError), cur.copy("copy copied from stdin") as copy:
            copy.write_row((1, "row"))
            raise KeyError
        with cur.copy("copy copied (a) to stdout with (format binary)") as copy:
            copy.set_types(["int4"])
            assert sum(row[0] for row in copy.rows()) == sum(range(100, 20_100))
        with cur.copy("copy copied to stdout") as copy:
            assert sum(bytes(block).count(b"\n") for block in copy) == 20_000
    assert one(conn, "select count(*) from copied") == 20_000


def test_cursors(conn):
    with conn.transaction():
        with conn.cursor(name="served") as cur:
            cur.itersize = 7
            cur.execute("select n from generate_series(1, 100) n")
            assert sum(n for (n,) in cur) == 5050
        with conn.cursor(name="other", scrollable=True) as cur:
            cur.execute("select n from generate_series(1, 100) n")
            cur.scroll(50)
            assert cur.fetchmany(3) == [(51,), (52,), (53,)]
    with conn.cursor(name="held", withhold=True) as cur:
        cur.execute("select n from generate_series(1, 30) n")
        assert len(cur.fetchmany(10)) == 10
        assert one(conn, "select 1") == 1
        assert len(cur.fetchall()) == 20


def test_stream(conn):
    with conn.cursor() as cur:
        assert sum(n for (n,) in cur.stream("select generate_series(1, 1000)")) == 500500
        assert sum(n for (n,) in cur.stream("select generate_series(1, %s)", [1000], size=100 if psycopg.pq.version() >= 170000 else 1)) == 500500


@pytest.mark.parametrize("binary", [False, True])
def test_types(conn, binary):
    for value, kind in [([1, -2, 3], "int4[]"), (["a", 'b "c"', "", "ü"], "text[]"), (b"\0\1\xff\n", "bytea"), (0.1, "float8")]:
        cur = conn.cursor(binary=binary)
        for _ in range(3):
            assert cur.execute(f"select %b::{kind}" if binary else f"select %s::{kind}", [value], prepare=True).fetchone() == (value,)
    assert one(conn, "select %s::jsonb", Jsonb({"a": [1, None]})) == {"a": [1, None]}
