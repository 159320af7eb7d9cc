"""Figures, inside a transaction: what arrived when, and what waits for a person."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.schema import ARRIVED, NEEDS_SOMEBODY, deliveries
from relay.outbox.wanted import MANY

HOUR = 3600.0
_c = deliveries.c


def last_received(conn: Connection, source: str) -> float | None:
    """Return when a source's newest submission came."""
    newest = (
        sa.select(_c.received_at).where(ARRIVED, _c.source == source).order_by(_c.received_at.desc()).limit(1)
    )
    found: float | None = conn.scalar(newest)
    return found


def last_states(conn: Connection, source: str, count: int) -> list[str]:
    """Return the states of a source's newest submissions."""
    newest = (
        sa.select(_c.state).where(ARRIVED, _c.source == source).order_by(_c.received_at.desc()).limit(count)
    )
    return list(conn.scalars(newest))


def arrivals(conn: Connection, source: str, since: float, hours: int) -> list[int]:
    """Return how many came to a source in each hour since a time; tests and tables count nowhere."""
    # A count by range needs nothing but the index; grouping would sort a week of rows.
    first = sa.select(sa.literal(since, sa.Double).label("began"))
    each = first.cte("each_hour", recursive=True)
    last = since + (hours - 1.5) * HOUR  # half an hour aside: sums of floats are not exact
    each = each.union_all(sa.select(each.c.began + HOUR).where(each.c.began < last))
    within = _c.received_at >= each.c.began, _c.received_at < each.c.began + HOUR
    came = sa.select(sa.func.count()).select_from(deliveries).where(ARRIVED, _c.source == source, *within)
    query = sa.select(came.scalar_subquery()).select_from(each).order_by(each.c.began)
    return list(conn.scalars(query))


def arrived(conn: Connection, source: str, since: float, until: float) -> int:
    """Return how many came to a source between two times; tests and tables count nowhere."""
    within = _c.received_at >= since, _c.received_at < until
    came = sa.select(sa.func.count()).select_from(deliveries)
    return int(conn.scalar(came.where(ARRIVED, _c.source == source, *within)) or 0)


def needing(conn: Connection) -> int:
    """Return how many wait for a person, at most ``MANY``: more than that is enough to act on."""
    some: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(deliveries).where(NEEDS_SOMEBODY)
    # In the order of the index. In any order, PostgreSQL hopes to come across so many by reading the table;
    # but what waits stands at its end, and it reads all that is done first.
    some = some.order_by(_c.state, _c.source)
    return int(conn.scalar(sa.select(sa.func.count()).select_from(some.limit(MANY).subquery())) or 0)


def waiting(conn: Connection, states: Sequence[str]) -> list[dict[str, Any]]:
    """Return what is in some states: how many of each state, source and reason, and when the newest came."""
    query = (
        sa.select(
            _c.state,
            _c.source,
            _c.reason,
            sa.func.count().label("count"),
            sa.func.max(_c.received_at).label("newest"),
        )
        .where(NEEDS_SOMEBODY, _c.state.in_(states))
        .group_by(_c.state, _c.source, _c.reason)
    )
    return [dict(row) for row in conn.execute(query).mappings()]
