"""A destination's hold and health, read and written."""

import json
from dataclasses import fields, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import Delivery
from relay.health import MISCONFIGURED, Health
from relay.outbox.locks import locked
from relay.outbox.schema import destinations, holds
from relay.outbox.statements import HEALTH, get_meta, insert_ignoring, put_meta


def sendable_seconds(conn: Connection, delivery: Delivery, now: float) -> float:
    """Return a delivery's age, or that of its replay, without the time its destination was held."""
    since = delivery.received_at if delivery.replayed_at is None else delivery.replayed_at
    rows = conn.execute(
        sa.select(holds.c.started_at, holds.c.ended_at).where(
            holds.c.destination == delivery.destination,
            sa.or_(holds.c.ended_at.is_(None), holds.c.ended_at > since),
        )
    )
    held: float = sum(
        max(0.0, (now if ended is None else ended) - max(started, since)) for started, ended in rows
    )
    return now - since - held


def health_of(conn: Connection, name: str, *, lock: bool = False) -> Health:
    """Return what is known of a destination; with ``lock`` nobody else changes it in this transaction."""
    query = locked(conn, HEALTH) if lock else HEALTH
    row = conn.execute(query, {"this_name": name}).mappings().first()
    if row is None and lock:  # of an older copy, or of a configuration that only some processes know
        insert_ignoring(conn, destinations, {"name": name}, ["name"])
        row = conn.execute(query, {"this_name": name}).mappings().first()
    if row is None:
        return Health()
    values = {key: row[key] for key in row if key != "name"}
    for named in ("failing", "refusing"):
        values[named] = tuple(json.loads(values[named] or "[]"))
    return _with_fault(Health(**values))


def seconds_until(conn: Connection, name: str, due_at: float, now: float) -> float | None:
    """Return how far off a time is at which a destination is to be sent to; None while it is held."""
    return None if health_of(conn, name).is_held(now) else due_at - now


def _with_fault(health: Health) -> Health:
    """Servers of an earlier version begin and end holds beside us, and know of no fault but the hold."""
    if health.hold_reason is None and health.misconfigured:
        return replace(health, misconfigured=None)
    if health.reason_kind == MISCONFIGURED and not health.misconfigured:
        return replace(health, misconfigured=health.hold_reason)
    return health


def meet(conn: Connection, name: str, way: bytes) -> bool:
    """Keep a destination and by what it is reached; return whether that was something else before."""
    insert_ignoring(conn, destinations, {"name": name}, ["name"])
    before = get_meta(conn, f"way to {name}")
    if before != way:
        put_meta(conn, f"way to {name}", way)
    return before not in (None, way)


def save_health(conn: Connection, name: str, health: Health, now: float) -> None:
    """Keep what is known of a destination now, and a row for each hold that begins or ends."""
    before = health_of(conn, name)
    values = {field.name: getattr(health, field.name) for field in fields(Health)}
    for named in ("failing", "refusing"):
        values[named] = json.dumps(values[named])
    conn.execute(sa.update(destinations).where(destinations.c.name == name).values(values))
    if before.hold_reason == health.hold_reason:
        return
    # One row per hold: they are taken off a delivery's age, and tell an operator what happened.
    ended = holds.c.destination == name, holds.c.ended_at.is_(None)
    conn.execute(sa.update(holds).where(*ended).values(ended_at=now))
    if health.hold_reason:
        conn.execute(sa.insert(holds).values(destination=name, started_at=now, reason=health.hold_reason))
