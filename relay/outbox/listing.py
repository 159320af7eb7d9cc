"""Listing, inside a transaction: what operators, alerts and forecasts look at."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import FRESH, INVALID, QUEUED
from relay.outbox.schema import UNFINISHED, attempts, deliveries
from relay.outbox.statements import DUE_RETRIES, in_state


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


def backlog(conn: Connection) -> list[tuple[str, str, int, float]]:
    """Return (destination, state, count, oldest received_at) of all that is not finished."""
    query = (
        sa.select(
            deliveries.c.destination,
            deliveries.c.state,
            sa.func.count(),
            sa.func.min(deliveries.c.received_at),
        )
        .where(UNFINISHED)
        .group_by(deliveries.c.destination, deliveries.c.state)
    )
    return [tuple(row) for row in conn.execute(query)]


def sources_all_invalid(conn: Connection, count: int) -> list[str]:
    """Return the sources whose last so many submissions all failed to be mapped."""
    invalid = (
        sa.select(deliveries.c.source)
        .where(UNFINISHED, deliveries.c.state == INVALID)
        .group_by(deliveries.c.source)
        .having(sa.func.count() >= count)
    )
    return [source for source in conn.scalars(invalid) if _last_invalid(conn, source, count)]


def _last_invalid(conn: Connection, source: str, count: int) -> bool:
    last = (
        sa.select(deliveries.c.state)
        .where(deliveries.c.source == source)
        .order_by(deliveries.c.seq.desc())
        .limit(count)
    )
    return set(conn.scalars(last)) == {INVALID}


def rows(
    conn: Connection,
    *,
    state: str | None,
    source: str | None,
    contact_hashes: tuple[bytes, ...] | None,
    before: str | None,
    receipt: str | None,
    with_payload: bool,
    limit: int,
) -> list[dict[str, Any]]:
    """Return whole rows, newest first; ``before`` is the receipt a page ended with."""
    query = sa.select(deliveries).order_by(deliveries.c.seq.desc()).limit(limit)
    if state is not None:
        query = query.where(*in_state(state), deliveries.c.state == state)
    if source is not None:
        query = query.where(deliveries.c.source == source)
    if receipt is not None:
        query = query.where(deliveries.c.receipt == receipt)
    if with_payload:
        query = query.where(deliveries.c.payload.is_not(None))
    if contact_hashes is not None:
        query = query.where(
            sa.or_(
                deliveries.c.email_hash.in_(contact_hashes),
                deliveries.c.phone_hash.in_(contact_hashes),
            )
        )
    if before is not None:
        last = sa.select(deliveries.c.seq).where(deliveries.c.receipt == before)
        query = query.where(deliveries.c.seq < last.scalar_subquery())
    return [dict(row) for row in conn.execute(query).mappings()]


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


def stale_boxes(conn: Connection, newest: bytes, limit: int) -> list[tuple[str, bytes]]:
    """Return (receipt, payload) of payloads that are not sealed with the newest key."""
    query = (
        sa.select(deliveries.c.receipt, deliveries.c.payload)
        .where(
            deliveries.c.payload.is_not(None),
            sa.func.substr(deliveries.c.payload, 1, len(newest)) != newest,
        )
        .limit(limit)
    )
    return [tuple(row) for row in conn.execute(query)]
