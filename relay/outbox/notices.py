"""What operators are still to be told, inside a transaction: kept until it was told, also over a restart."""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.locks import DIGEST, locked_if_free, one_at_a_time
from relay.outbox.operating import notices
from relay.outbox.schema import meta
from relay.outbox.statements import get_meta, put_meta

LEASE_SECONDS = 120.0
"""How long one process may take to tell something, before another tries."""
_MOST = 1000
_DIGEST = "digest"
_WRONG = "untold:"


@dataclass(frozen=True)
class Notice:
    """Something to be told through a channel. It names numbers, sources and destinations, and nobody."""

    id: int
    content: Mapping[str, Any]


def add(conn: Connection, channels: Iterable[str], content: Mapping[str, Any]) -> None:
    """Keep something to be told; of a channel that nobody answers, the oldest are forgotten."""
    for channel in channels:
        conn.execute(sa.insert(notices).values(channel=channel, content=json.dumps(content)))
        newest = sa.select(notices.c.id).where(notices.c.channel == channel).order_by(notices.c.id.desc())
        kept = newest.limit(_MOST).subquery()
        is_old = notices.c.id.not_in(sa.select(kept.c.id))
        conn.execute(sa.delete(notices).where(notices.c.channel == channel, is_old))


def waiting(conn: Connection, channel: str) -> int:
    """Return how much is still to be told: a look that costs no turn of the writer."""
    query = sa.select(sa.func.count()).select_from(notices).where(notices.c.channel == channel)
    return int(conn.scalar(query) or 0)


def take(conn: Connection, channel: str, now: float, most: int = 1) -> list[Notice]:
    """Hand out the oldest ones of a channel, unless another process is telling them."""
    query = sa.select(notices).where(notices.c.channel == channel).order_by(notices.c.id).limit(most)
    rows = conn.execute(locked_if_free(conn, query)).mappings()
    free = itertools.takewhile(lambda row: not _is_leased(row["lease_until"] or 0, now), rows)
    taken = [Notice(row["id"], json.loads(row["content"])) for row in free]
    conn.execute(_of(sa.update(notices), taken).values(lease_until=now + LEASE_SECONDS))
    return taken


def _is_leased(until: float, now: float) -> bool:
    """Whether somebody is telling it; a lease longer than any was given by a clock that was wrong."""
    return now < until <= now + LEASE_SECONDS


def told(conn: Connection, taken: Sequence[Notice]) -> None:
    """Forget what was told."""
    conn.execute(_of(sa.delete(notices), taken))


def give_back(conn: Connection, taken: Sequence[Notice]) -> None:
    """Let what could not be told be tried again."""
    conn.execute(_of(sa.update(notices), taken).values(lease_until=None))


def _of(statement: Any, taken: Sequence[Notice]) -> Any:
    return statement.where(notices.c.id.in_([notice.id for notice in taken]))


def tried(conn: Connection, channel: str, why: str | None) -> None:
    """Keep why the last one did not arrive through a channel, or that it did."""
    if why is None:
        conn.execute(sa.delete(meta).where(meta.c.key == _WRONG + channel))
    else:
        put_meta(conn, _WRONG + channel, why.encode())


def wrong(conn: Connection, channels: Iterable[str]) -> dict[str, str]:
    """Return, of each channel through which the last one did not arrive, why."""
    found = ((channel, get_meta(conn, _WRONG + channel)) for channel in channels)
    return {channel: why.decode() for channel, why in found if why is not None}


def _last_day(conn: Connection) -> str:
    return (get_meta(conn, _DIGEST) or b"").decode()


def is_day(conn: Connection, day: str) -> bool:
    """Whether this day has begun already: a look that costs no turn of the writer."""
    return _is_begun(_last_day(conn), day)


def _is_begun(known: str, day: str) -> bool:
    """Whether it is the day known last or the one before, as it is in a process whose zone is behind."""
    return known in (day, (date.fromisoformat(day) + timedelta(days=1)).isoformat())


def begin_day(conn: Connection, day: str) -> bool:
    """Whether this day's digest is still to be made; of several processes one is told so."""
    one_at_a_time(conn, DIGEST)
    known = _last_day(conn)
    if _is_begun(known, day):
        return False
    put_meta(conn, _DIGEST, day.encode())
    # On the first day, or once a clock that was ahead is right, there is nothing to look back on.
    return bool(known) and known < day
