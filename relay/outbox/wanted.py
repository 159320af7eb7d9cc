"""Which rows are meant: one filter for lists, counts, jobs and exports."""

import base64
import binascii
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import DELIVERED, DISCARDED
from relay.outbox.schema import DISCARDED_ONES, DUPLICATE, OF_SOURCE, aliases, deliveries
from relay.outbox.statements import LISTED, WHOLE, in_state

PAGE_BYTES = 4 * 1024 * 1024
"""So much of what was sent is read at a time, or one row."""
MANY = 10_000
"""Counted no further: more than this is enough to act on."""
_DISORDER_SECONDS = 86400.0
"""Rows are numbered as they come, but for a clock that was set, or a process that was slow."""
_c = deliveries.c


@dataclass(frozen=True)
class Wanted:
    """Which rows are meant. ``since`` and ``until`` are times of receipt; ``upto`` is the last seq.

    ``seen_at``: what has come to its state since then is not meant.
    """

    state: str | None = None
    source: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None
    duplicate: bool | None = None
    contact_hashes: tuple[bytes, ...] | None = None
    named: Mapping[str, str] = field(default_factory=dict)
    """Ids by column, of which one is enough, as is a contact."""
    receipt: str | None = None
    """The beginning of a receipt, which may be one that a repeat was given."""
    upto: int | None = None
    seen_at: float | None = None


def conditions(conn: Connection, wanted: Wanted) -> list[Any]:
    """Return what must hold of a row that is meant."""
    found: list[Any] = list(_indexed(wanted))
    equal = {_c.state: wanted.state, _c.source: wanted.source, _c.reason: wanted.reason}
    found += [column == value for column, value in equal.items() if value is not None]
    if wanted.since is not None:
        found += [_c.received_at >= wanted.since, _c.seq >= _reached(conn, wanted.since - _DISORDER_SECONDS)]
    if wanted.until is not None:
        found += [_c.received_at < wanted.until, _c.seq < _reached(conn, wanted.until + _DISORDER_SECONDS)]
    if wanted.duplicate is not None:
        found.append(DUPLICATE if wanted.duplicate else sa.not_(_c.may_be_duplicate))
    if wanted.contact_hashes is not None or wanted.named:
        found.append(_c.seq.in_(_known_as(wanted)))
    if wanted.receipt is not None:
        found.append(_c.seq.in_(_beginning_with(wanted.receipt)))
    if wanted.upto is not None:
        found.append(_c.seq <= wanted.upto)
    if wanted.seen_at is not None:
        found.append(_c.changed_at <= wanted.seen_at)
    return found


def _indexed(wanted: Wanted) -> Iterable[Any]:
    """Return what holds anyway, in the words of the index that serves best."""
    if wanted.state == DISCARDED:
        return (DISCARDED_ONES,)
    if wanted.state not in (None, DELIVERED):
        return in_state(str(wanted.state))
    is_of_source = wanted.source is not None and wanted.reason is None and not wanted.duplicate
    return (OF_SOURCE,) if is_of_source else ()


def _reached(conn: Connection, at: float) -> int:
    """Return the seq from which on rows came at a time or later, more or less, reading few of them."""
    newest = sa.select(sa.func.coalesce(sa.func.max(_c.seq), 0) + 1).scalar_subquery()
    first = sa.select(sa.literal(0, sa.BigInteger).label("low"), newest.label("high"))
    halved = first.cte("halved", recursive=True)
    low, high = halved.c.low, halved.c.high
    middle = (low + high) // 2
    came = sa.select(_c.received_at).where(_c.seq >= middle).order_by(_c.seq).limit(1).scalar_subquery()
    is_earlier = came < at  # not where there is none
    half = sa.case((is_earlier, middle + 1), else_=low), sa.case((is_earlier, high), else_=middle)
    halved = halved.union_all(sa.select(*half).where(low < high))
    return int(conn.scalar(sa.select(halved.c.low).where(halved.c.low >= halved.c.high)) or 0)


def _beginning_with(receipt: str) -> Any:
    """Return the seqs of rows with a receipt that begins so, each kind by its own index."""
    end = receipt + "g"  # the digits end with f
    own, given = (column.between(receipt, end) for column in (_c.receipt, aliases.c.receipt))
    named = _c.receipt.in_(sa.select(aliases.c.of).where(given))
    return sa.union(sa.select(_c.seq).where(own), sa.select(_c.seq).where(named))


def _known_as(wanted: Wanted) -> Any:
    """Return the seqs of who is looked for. Each by its own index: asked in one breath, every row is read."""
    hashes = wanted.contact_hashes or ()
    alike: list[sa.ColumnElement[bool]] = [
        column.in_(hashes) for column in (_c.email_hash, _c.phone_hash) if hashes
    ]
    alike += [_c[name] == text for name, text in wanted.named.items()]
    if "receipt" in wanted.named:
        alias = sa.select(aliases.c.of).where(aliases.c.receipt == wanted.named["receipt"])
        alike.append(_c.receipt == alias.scalar_subquery())
    return sa.union(*(sa.select(_c.seq).where(one) for one in alike or [sa.false()]))


def newest_first(conn: Connection, wanted: Wanted, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Return rows without payloads, newest first, those with a smaller seq than ``before``."""
    query = sa.select(*LISTED).where(*conditions(conn, wanted)).order_by(_c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(_c.seq < before)
    return [dict(row) for row in conn.execute(query).mappings()]


def whole_newest_first(
    conn: Connection, wanted: Wanted, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return whole rows, newest first: some MiB at a time."""
    meant = conditions(conn, wanted) if before is None else [*conditions(conn, wanted), _c.seq < before]
    return whole(conn, meant, _c.seq.desc(), limit)


def oldest_first(conn: Connection, wanted: Wanted, after: int, limit: int) -> list[dict[str, Any]]:
    """Return whole rows, oldest first, those with a greater seq than ``after``: some MiB at a time."""
    meant = *conditions(conn, wanted), _c.seq > after
    return whole(conn, meant, _c.seq.asc(), limit)


def whole(conn: Connection, meant: Iterable[Any], order: Any, limit: int) -> list[dict[str, Any]]:
    """Return whole rows of which some conditions hold, in an order: some MiB, at most so many."""
    sizes = sa.select(_c.seq, sa.func.coalesce(sa.func.length(_c.payload), 0)).where(*meant)
    seqs = within_bytes(conn.execute(sizes.order_by(order).limit(limit)))
    query = sa.select(*WHOLE).where(_c.seq.in_(seqs)).order_by(order)
    return [dict(row) for row in conn.execute(query).mappings()]


def within_bytes(sized: Iterable[Any]) -> list[int]:
    """Return the first seqs of (seq, bytes) that fit into a page together, at least one."""
    found: list[int] = []
    left = PAGE_BYTES
    for seq, size in sized:
        left -= size
        if left < 0 and found:
            break
        found.append(seq)
    return found


def count(conn: Connection, wanted: Wanted) -> int:
    """Return how many rows are meant, at most one more than ``MANY``."""
    some: sa.Select[Any] = (
        sa.select(sa.literal_column("1"))
        .select_from(deliveries)
        .where(*conditions(conn, wanted))
        .limit(MANY + 1)
    )
    return int(conn.scalar(sa.select(sa.func.count()).select_from(some.subquery())) or 0)


def newest_seq(conn: Connection) -> int:
    """Return the seq of the newest row, 0 where there is none."""
    return int(conn.scalar(sa.select(sa.func.max(_c.seq))) or 0)


def place(seq: int) -> str:
    """Return an opaque name for a place in a list; it stays valid whatever is deleted."""
    return base64.urlsafe_b64encode(struct.pack(">Q", seq)).decode().rstrip("=")


def seq_of(text: str) -> int:
    """Return the place that ``place`` named. Raises ValueError for what it never returned."""
    try:
        (seq,) = struct.unpack(">Q", base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (binascii.Error, struct.error, ValueError):
        raise ValueError("is no place that a list ended with") from None
    if seq >= 1 << 63 or place(seq) != text:
        raise ValueError("is no place that a list ended with")
    return int(seq)
