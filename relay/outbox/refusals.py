"""What sources refused, inside a transaction: counts by cause and hour."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.operating import refusals
from relay.outbox.statements import inserting

_HOUR = 3600
_KEPT_SECONDS = 30 * 86400
_MOST_CAUSES = 20


def add(conn: Connection, counts: Mapping[tuple[str, str], int], now: float) -> None:
    """Add what was refused since the last time; forget what is old."""
    hour = int(now // _HOUR) * _HOUR
    made = inserting(conn, refusals)
    more = {"count": refusals.c.count + made.excluded.count, "last_at": made.excluded.last_at}
    upsert = made.on_conflict_do_update(index_elements=["source", "cause", "hour"], set_=more)
    for (source, cause), count in sorted(counts.items()):  # in order: no two processes wait for each other
        row = {"source": source, "cause": cause, "hour": hour, "count": count, "last_at": now}
        conn.execute(upsert, [row])
    conn.execute(sa.delete(refusals).where(refusals.c.hour < now - _KEPT_SECONDS))


def recent(conn: Connection, source: str, since: float) -> list[dict[str, Any]]:
    """Return the causes for which a source refused something since a time, the most frequent first."""
    count = sa.func.sum(refusals.c.count)
    query = (
        sa.select(refusals.c.cause, count.label("count"), sa.func.max(refusals.c.last_at).label("last_at"))
        .where(refusals.c.source == source, refusals.c.last_at >= since)
        .group_by(refusals.c.cause)
        .order_by(count.desc(), refusals.c.cause)
        .limit(_MOST_CAUSES)
    )
    return [{**row, "count": int(row["count"])} for row in conn.execute(query).mappings()]
