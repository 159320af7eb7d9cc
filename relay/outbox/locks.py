"""What keeps processes apart, inside a transaction: on PostgreSQL, as on SQLite only one of them writes."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

# Any numbers that nobody else takes advisory locks on.
MIGRATING = 0x5167_6E75_7052
EPISODES = 0x5167_6E75_7053
MOVING = 0x5167_6E75_7054
DIGEST = 0x5167_6E75_7055
ROOM = 0x5167
"""Under which each source has a lock of its own."""


def one_at_a_time(conn: Connection, *lock: Any) -> None:
    """Let no other process go on that asks for the same lock, until this transaction is over."""
    if conn.dialect.name != "sqlite":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(*lock)))


def locked(conn: Connection, query: sa.Select[Any]) -> sa.Select[Any]:
    """Have a query lock the rows it returns; it waits for those that another process has locked."""
    return query if conn.dialect.name == "sqlite" else query.with_for_update()


def locked_if_free(conn: Connection, query: sa.Select[Any]) -> sa.Select[Any]:
    """Have a query lock the rows it returns, and pass over those that another process has locked."""
    return query if conn.dialect.name == "sqlite" else query.with_for_update(skip_locked=True)
