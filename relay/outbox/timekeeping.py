"""Time on SQLite, inside a transaction: stored times follow a wall clock that was set, or was wrong.

The clock of a process starts no earlier than the newest stored time: a machine that comes up in the year
2000 must not believe that all is still to come. When the wall clock is set, every time that this run of the
machine stamped is moved along; what was stamped before it was right then.
"""

from dataclasses import astuple, dataclass, replace
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import QUEUED, RETRY
from relay.outbox.columns import metadata
from relay.outbox.schema import BY_STATE, attempts, deliveries, destinations
from relay.outbox.statements import get_meta, put_meta
from relay.outcome import MAX_WAIT_SECONDS

_RECENT = 10_000
_NEWEST = 1000
_TICK = 0.001


@dataclass(frozen=True)
class Stamp:
    """What times are stamped by: the machine's run, and the clock's distance to its monotonic one.

    ``since``: when this run stamped its first; ``floor``: the newest time that was stored before.
    """

    boot: str
    offset: float
    since: float = 0.0
    floor: float = 0.0

    @classmethod
    def read(cls, conn: Connection) -> Self | None:
        """Return the last stamp of a database; earlier versions kept no more than its beginning."""
        boot, *times = (get_meta(conn, "clock") or b"").decode().split(" ")
        return cls(boot, *map(float, times)) if boot and times else None

    def write(self, conn: Connection) -> None:
        put_meta(conn, "clock", " ".join(map(str, astuple(self))).encode())


def begin(conn: Connection, stamp: Stamp, now: float, longest: float) -> float:
    """Carry what was stored over to a process's clock; return by how much that must be put forward.

    ``stamp`` names the run and the clock's offset, ``now`` is its time. Of an earlier run nothing is
    known: no wait is longer than ``longest``.
    """
    known = Stamp.read(conn)
    if known is not None and known.boot == stamp.boot:
        ahead = max(0.0, known.floor - now)
        _move(conn, known, stamp.offset + ahead)
        return ahead
    floor = newest(conn)
    ahead = max(0.0, floor + _TICK - now)  # later than what was stamped before, so that it can be told apart
    replace(stamp, offset=stamp.offset + ahead, since=now + ahead, floor=floor).write(conn)
    _begin_anew(conn, now + ahead, longest)
    return ahead


def follow(conn: Connection, boot: str, monotonic: float, offset: float, wall: float) -> float:
    """Move stored times, as the wall clock was set; return the offset that the clock must have now.

    ``offset``: what it had; ``wall``: the wall clock's own.
    """
    known = Stamp.read(conn) or Stamp(boot, offset)
    known = replace(known, boot=boot, offset=offset)
    after = max(wall, known.floor - monotonic)
    _move(conn, known, after)
    return after


def _move(conn: Connection, known: Stamp, offset: float) -> None:
    seconds = offset - known.offset
    shift(conn, seconds, known.since)
    replace(known, offset=offset, since=known.since + seconds).write(conn)


def newest(conn: Connection) -> float:
    """Return the newest time that was stamped, 0 in an empty database."""
    stamped = deliveries.c.received_at, deliveries.c.changed_at, deliveries.c.delivered_at
    sent = attempts.c.started_at, attempts.c.ended_at
    found = [
        *_largest(conn, deliveries.c.seq, stamped),
        *_largest(conn, attempts.c.id, sent),
    ]
    return max((one for one in found if one is not None), default=0.0)


def _largest(conn: Connection, key: sa.Column[Any], columns: tuple[sa.Column[Any], ...]) -> list[Any]:
    last = sa.select(*columns).order_by(key.desc()).limit(_NEWEST).subquery()
    return list(conn.execute(sa.select(*(sa.func.max(column) for column in last.c))).one())


def shift(conn: Connection, seconds: float, since: float) -> None:
    """Move every time from ``since`` on, which this run stamped or which lies ahead."""
    if abs(seconds) < 1:
        return
    for table in metadata.sorted_tables:
        times = [column for column in table.c if _is_time(column)]
        for column in times if table is not attempts else [c for c in times if c.name != "held_until"]:
            conn.execute(sa.update(table).where(column >= since).values({column: column + seconds}))
    _shift_slots(conn, seconds)


def _is_time(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Double) and column.name.endswith(("at", "_until"))


def _shift_slots(conn: Connection, seconds: float) -> None:
    """Move the recent slots all together: how long ago each was is what counts, whoever stamped it."""
    recent = sa.select(attempts.c.id).order_by(attempts.c.id.desc()).limit(_RECENT).scalar_subquery()
    moved = {"held_until": attempts.c.held_until + seconds}
    conn.execute(sa.update(attempts).where(attempts.c.id.in_(recent)).values(moved))


def _begin_anew(conn: Connection, now: float, longest: float) -> None:
    """Begin after a start of the machine: the last slot counts as taken now, and no wait is endless."""
    conn.execute(sa.update(attempts).where(attempts.c.held_until > now).values(held_until=now))
    last = conn.scalar(sa.select(sa.func.max(attempts.c.held_until)))
    if last is not None:
        _shift_slots(conn, now - last)
    for lanes, latest in ((deliveries.c.lane == RETRY, now + longest), (deliveries.c.lane != RETRY, now)):
        late = BY_STATE, deliveries.c.state == QUEUED, lanes, deliveries.c.due_at > latest
        conn.execute(sa.update(deliveries).where(*late).values(due_at=latest))
    furthest = now + MAX_WAIT_SECONDS
    held = destinations.c.hold_until > furthest
    conn.execute(sa.update(destinations).where(held).values(hold_until=furthest))
