"""Due, inside a transaction: when a destination is to be sent to next, and which of its slots are taken."""

import math

from sqlalchemy.engine import Connection

from relay.destination import Destination
from relay.outbox.holds import health_of
from relay.outbox.statements import FRESH_DUE, LEDGER, NEXT_DUE, RETRY_IS_DUE


def ledger(conn: Connection, destination: Destination, now: float) -> list[tuple[float, bool]]:
    """Return, by time, when each recent slot's call ended or its lease ends, and whether it is open."""
    widest = max(window.seconds for window in destination.windows)
    rows = conn.execute(LEDGER, {"destination": destination.name, "since": now - widest - 1})
    return [(held, ended is None and held > now) for held, ended in rows]


def slots(conn: Connection, destination: Destination, now: float) -> list[float]:
    """Return the recent slots as ``quota`` wants them."""
    return [held for held, _ in ledger(conn, destination, now)]


def next_due(conn: Connection, name: str) -> float:
    """Return when the next retry is due, or, without one, when upstream is looked at; else infinite."""
    due = conn.scalar(NEXT_DUE, {"destination": name})
    if due is not None:
        return float(due)
    health = health_of(conn, name)
    return math.inf if health.ends_at is None or not health.is_failing else health.ends_at


def idle_until(conn: Connection, name: str, now: float) -> float | None:
    """Return when the next delivery is due, None if one is: a look that costs no turn of the writer."""
    values = {"destination": name, "now": now, "source": ""}
    if any(conn.execute(lane, values).first() for lane in (FRESH_DUE, RETRY_IS_DUE)):
        return None
    due = next_due(conn, name)
    return None if due <= now else due
