"""When each source was last heard of, inside a transaction: kept beside the rows, which go one day."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import DISCARDED, HELD, INVALID
from relay.outbox.operating import heard
from relay.outbox.schema import ARRIVED, deliveries
from relay.outbox.statements import insert_ignoring

_NOBODY = (HELD, INVALID, DISCARDED)
"""What a row is that may have come from a program, or holds nobody: a replay makes a sign-up of it."""


def known(conn: Connection) -> dict[str, float]:
    """Return of each source when it was last heard of, as it was kept."""
    return {row.source: row.last_at for row in conn.execute(sa.select(heard))}


def last_accepted(conn: Connection, source: str, since: float) -> float | None:
    """Return when a source's newest accepted submission came, None if that was not after ``since``."""
    columns = deliveries.c
    accepted = columns.source == source, columns.received_at > since, columns.state.not_in(_NOBODY)
    newest = sa.select(columns.received_at).where(ARRIVED, *accepted)
    found: float | None = conn.scalar(newest.order_by(columns.received_at.desc()).limit(1))
    return found


def keep(conn: Connection, times: Mapping[str, float], gone: Collection[str]) -> None:
    """Keep when sources were last heard of; forget those that are gone."""
    for source, at in sorted(times.items()):  # in order: no two processes wait for each other
        insert_ignoring(conn, heard, {"source": source, "last_at": at}, ["source"])
        later = heard.c.source == source, heard.c.last_at < at
        conn.execute(sa.update(heard).where(*later).values(last_at=at))
    conn.execute(sa.delete(heard).where(heard.c.source.in_(sorted(gone))))
