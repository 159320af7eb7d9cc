"""Listing, inside a transaction: what operators, alerts and forecasts look at."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import FRESH, KEPT, QUEUED, SENDING
from relay.outbox.schema import TESTS, UNFINISHED, attempts, deliveries, destinations
from relay.outbox.statements import DUE_RETRIES, LAST_DUE, WHOLE, in_state, own_receipt
from relay.outbox.wanted import whole, within_bytes

PAGE_ROWS = 1000


def waiting(conn: Connection, destination: str, now: float) -> dict[str, int]:
    """Return how many fresh deliveries wait, by source; due retries under the empty name."""
    fresh = (
        sa.select(deliveries.c.source, sa.func.count())
        .where(
            deliveries.c.destination == destination,
            deliveries.c.state == QUEUED,
            deliveries.c.lane == FRESH,
        )
        .group_by(deliveries.c.source)
    )
    counts = {str(row[0]): int(row[1]) for row in conn.execute(fresh)}
    counts[""] = conn.scalar(DUE_RETRIES, {"destination": destination, "now": now}) or 0
    return counts


_WAITS_SINCE = sa.func.min(sa.func.coalesce(deliveries.c.replayed_at, deliveries.c.received_at))


def backlog(conn: Connection) -> list[tuple[str, str, int, float]]:
    """Return (destination, state, count, since when the oldest waits) of all that is not finished."""
    query = (
        sa.select(
            deliveries.c.destination,
            deliveries.c.state,
            sa.func.count(),
            _WAITS_SINCE,
        )
        .where(UNFINISHED)
        .group_by(deliveries.c.destination, deliveries.c.state)
    )
    tests = _tests_that_wait(conn)
    found = [
        (to, state, number - tests.get((to, state), 0), at) for to, state, number, at in conn.execute(query)
    ]
    return [one for one in found if one[2]]


def destinations_waited_for(conn: Connection) -> set[str]:
    """Return every destination that something is not finished for, also one that was removed."""
    # From one name to the next by the index: DISTINCT would read all that waits.
    name = deliveries.c.destination
    waited_for = (
        sa.select(sa.func.min(name).label("name")).where(UNFINISHED).cte("waited_for", recursive=True)
    )
    following = sa.select(sa.func.min(name)).where(UNFINISHED, name > waited_for.c.name).scalar_subquery()
    names = waited_for.union_all(sa.select(following).where(waited_for.c.name.is_not(None)))
    return set(conn.scalars(sa.select(names.c.name).where(names.c.name.is_not(None))))


def sources_queued_for(conn: Connection, destination: str) -> list[str]:
    """Return the sources of what is queued for a destination, as far as so many rows tell."""
    source, to = deliveries.c.source, deliveries.c.destination
    some = sa.select(source).where(UNFINISHED, to == destination, deliveries.c.state == QUEUED)
    found = some.limit(PAGE_ROWS).subquery()
    return sorted(conn.scalars(sa.select(found.c.source).distinct()))


def destinations_met(conn: Connection) -> list[str]:
    """Return every destination that a server was ever configured with."""
    return list(conn.scalars(sa.select(destinations.c.name).order_by(destinations.c.name)))


def to_send(conn: Connection) -> dict[str, tuple[int, float | None]]:
    """Return how many are to be sent to each destination that is waited for, and since when they wait."""
    names, to = destinations_waited_for(conn), deliveries.c.destination
    query = (
        sa.select(to, sa.func.count(), _WAITS_SINCE)
        .where(UNFINISHED, to.in_(names), deliveries.c.state.in_((QUEUED, SENDING)))
        .group_by(to)
    )
    none: tuple[int, float | None] = (0, None)
    return dict.fromkeys(names, none) | {name: (number, at) for name, number, at in conn.execute(query)}


def last_due(conn: Connection, destination: str) -> float:
    """Return when the last of those that are sent again is due; 0 if there is none."""
    return float(conn.scalar(LAST_DUE, {"destination": destination}) or 0)


def _tests_that_wait(conn: Connection) -> dict[tuple[str, str], int]:
    """Return how many tests wait for a person, who made them and knows: they count nowhere."""
    query = (
        sa.select(deliveries.c.destination, deliveries.c.state, sa.func.count())
        .where(TESTS, deliveries.c.state.in_(KEPT))
        .group_by(deliveries.c.destination, deliveries.c.state)
    )
    return {(to, state): number for to, state, number in conn.execute(query)}


def row(conn: Connection, receipt: str) -> dict[str, Any] | None:
    """Return a whole row; the receipt may be one that a repeat was given."""
    query = sa.select(*WHOLE).where(deliveries.c.receipt == own_receipt(receipt))
    found = conn.execute(query).mappings().first()
    return dict(found) if found is not None else None


def with_payloads(conn: Connection, source: str | None, before: int | None) -> list[dict[str, Any]]:
    """Return whole rows that have payloads, newest first: some MiB of them before a seq."""
    meant: list[sa.ColumnElement[bool]] = [deliveries.c.payload.is_not(None)]
    if source is not None:
        meant.append(deliveries.c.source == source)
    if before is not None:
        meant.append(deliveries.c.seq < before)
    return whole(conn, meant, deliveries.c.seq.desc(), PAGE_ROWS)


def history(conn: Connection, receipt: str) -> list[dict[str, Any]]:
    """Return every send of a delivery, in order."""
    query = sa.select(attempts).where(attempts.c.receipt == receipt).order_by(attempts.c.id)
    return [dict(row) for row in conn.execute(query).mappings()]


def count(conn: Connection, source: str, state: str) -> int:
    """Return how many submissions of a source are in a state."""
    query = sa.select(sa.func.count()).where(
        *in_state(state), deliveries.c.source == source, deliveries.c.state == state
    )
    return int(conn.scalar(query) or 0)


def stale(conn: Connection, newest: bytes, after: int) -> list[tuple[int, str, bytes | None, bytes | None]]:
    """Return (seq, receipt, payload, hint) not sealed with the newest key: some MiB after a seq."""
    old = [
        sa.and_(box.is_not(None), sa.func.substr(box, 1, len(newest)) != newest)
        for box in (deliveries.c.payload, deliveries.c.contact_hint)
    ]
    sizes = sa.select(deliveries.c.seq, sa.func.coalesce(sa.func.length(deliveries.c.payload), 0))
    sizes = sizes.where(deliveries.c.seq > after, sa.or_(*old)).order_by(deliveries.c.seq)
    seqs = within_bytes(conn.execute(sizes.limit(PAGE_ROWS)))
    boxes = deliveries.c.seq, deliveries.c.receipt, deliveries.c.payload, deliveries.c.contact_hint
    query = sa.select(*boxes).where(deliveries.c.seq.in_(seqs)).order_by(deliveries.c.seq)
    return [tuple(one) for one in conn.execute(query)]
