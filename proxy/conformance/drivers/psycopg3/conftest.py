"""Connections for the tests of psycopg 3."""

import os

import psycopg
import pytest

URL = os.environ["DRIVERS_URL"]


@pytest.fixture
def connect():
    """Opens connections that are closed after the test."""
    opened = []

    def open_one(**more):
        conn = psycopg.connect(URL, **({"autocommit": True} | more))
        opened.append(conn)
        return conn

    yield open_one
    for conn in opened:
        conn.close()


@pytest.fixture
def conn(connect):
    """One connection in autocommit mode."""
    return connect()


def one(conn, text, *args, **more):
    """The only value of a query's only row."""
    ((value,),) = conn.execute(text, args or None, **more).fetchall()
    return value
