"""Names that sources post and nothing looks at, inside a transaction: a few of each source, no values."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.operating import unmapped
from relay.outbox.statements import inserting

MOST = 50
"""Per source: whoever may post chooses the names."""
_KEPT_SECONDS = 7 * 86400
_c = unmapped.c


def add(conn: Connection, names: Mapping[str, Collection[str]], now: float) -> None:
    """Keep names, so many of each source; forget what nobody posted for a week."""
    conn.execute(sa.delete(unmapped).where(_c.last_at < now - _KEPT_SECONDS))
    made = inserting(conn, unmapped)
    upsert = made.on_conflict_do_update(index_elements=["source", "name"], set_={"last_at": now})
    for source, some in sorted(names.items()):  # in order: no two processes wait for each other
        known = set(recent(conn, source))
        fresh = sorted(set(some) - known)[: max(0, MOST - len(known))]
        for name in sorted({*fresh, *(known & set(some))}):
            conn.execute(upsert, [{"source": source, "name": name, "last_at": now}])


def recent(conn: Connection, source: str) -> list[str]:
    """Return the names of a source, in order."""
    query = sa.select(_c.name).where(_c.source == source).order_by(_c.name).limit(2 * MOST)
    return list(conn.scalars(query))
