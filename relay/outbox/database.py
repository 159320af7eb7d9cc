"""Databases: engines for SQLite and PostgreSQL."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from relay.config.environment import is_sqlite
from relay.outbox.errors import is_crowded
from relay.outbox.sqlite import BUSY_SECONDS, sqlite_module

LOOK_SECONDS = 5.0
"""How long one question of somebody who looks may take."""
_CROWDED_SECONDS = 5.0
_CROWDED_PAUSE = 0.05
_LOOKERS = 2
_LOOKER_WAITS = 3.0
_STEPS_BETWEEN = 20_000  # of SQLite's machine: some milliseconds


def engine_for(url: str, *, reading: bool = False, **pool: Any) -> Engine:
    if not is_sqlite(url):
        return _postgresql(url)
    usual = {"pool_size": 4 if reading else 1, "max_overflow": 8}
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # errors must not quote what was stored
        module=sqlite_module(),
        poolclass=sa.QueuePool,
        **{**usual, **pool},
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        connection: Any = conn.connection.driver_connection
        statement = "BEGIN" if reading else "BEGIN IMMEDIATE"
        try:
            connection.execute(statement)
        except sqlite_module().Error as problem:  # SQLAlchemy wraps no error of an event's
            raise sa.exc.OperationalError(statement, None, problem) from None

    return engine


def connected(engine: Engine) -> Connection:
    """Return a connection. Where the server has none to spare, one of ours is waited for that comes back."""
    gives_up_at = time.monotonic() + _CROWDED_SECONDS
    while True:
        try:
            return engine.connect()
        except sa.exc.OperationalError as problem:
            if not is_crowded(problem) or time.monotonic() > gives_up_at:
                raise
        time.sleep(_CROWDED_PAUSE)


def _postgresql(url: str, *rest: Any, **pool: Any) -> Engine:
    from relay.outbox import postgresql  # psycopg is installed where it is used

    return postgresql.engine_for(url, *rest, **pool)


def unhurried(conn: Connection) -> AbstractContextManager[None]:
    """Wait for the answers of a PostgreSQL as long as they take."""
    if conn.dialect.name != "postgresql":
        return nullcontext()
    from relay.outbox import postgresql

    return postgresql.unhurried(conn)


def lookers_engine_for(url: str) -> Engine:
    """Return an engine for who looks at many rows: two at a time, each question bounded in time, so that
    whatever people click sign-ups are taken meanwhile."""
    few: dict[str, Any] = {"pool_size": _LOOKERS, "max_overflow": 0, "pool_timeout": _LOOKER_WAITS}
    if not is_sqlite(url):
        return _postgresql(url, LOOK_SECONDS, **few)
    engine = engine_for(url, reading=True, **few)

    @event.listens_for(engine, "before_cursor_execute")
    def limit(conn: Connection, *_: Any) -> None:
        connection: Any = conn.connection.driver_connection
        ends_at = time.monotonic() + LOOK_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS_BETWEEN)

    return engine
