"""Databases: engines for SQLite and PostgreSQL, the one thread that writes to SQLite, and their errors."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from relay.config.environment import is_sqlite
from relay.outbox.sqlite import BUSY_SECONDS, sqlite_module

# --- engines --------------------------------------------------------------------------------------------


def engine_for(url: str, *, reading: bool = False) -> Engine:
    if not is_sqlite(url):
        return _postgresql(url)
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # errors must not quote what was stored
        module=sqlite_module(),
        poolclass=sa.QueuePool,
        pool_size=4 if reading else 1,
        max_overflow=8,
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


def _postgresql(url: str) -> Engine:
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=24,
        pool_timeout=5,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=10000 -c lock_timeout=5000 "
            "-c idle_in_transaction_session_timeout=15000",
        },
    )


# --- the writer -----------------------------------------------------------------------------------------
