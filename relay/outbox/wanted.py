"""Which rows are meant: one filter for lists, counts, jobs and exports."""

import base64
import binascii
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.schema import deliveries
from relay.outbox.statements import LISTED, WHOLE, in_state

PAGE_BYTES = 4 * 1024 * 1024
"""So much of what was sent is read at a time, or one row."""
MANY = 10_000
"""Counted no further: more than this is enough to act on."""
_c = deliveries.c


@dataclass(frozen=True)
class Wanted:
    """Which rows are meant. ``since`` and ``until`` are times of receipt; ``upto`` is the last seq."""

    state: str | None = None
    source: str | None = None
    reason: str | None = None
    since: float | None = None
    until: float | None = None
    duplicate: bool | None = None
    contact_hashes: tuple[bytes, ...] | None = None
    receipt: str | None = None
    """The beginning of a receipt."""
    upto: int | None = None


def conditions(wanted: Wanted) -> list[Any]:
    """Return what must hold of a row that is meant."""
    found: list[Any] = list(in_state(wanted.state)) if wanted.state else []
    equal = {_c.state: wanted.state, _c.source: wanted.source, _c.reason: wanted.reason}
    found += [column == value for column, value in equal.items() if value is not None]
    if wanted.since is not None:
        found.append(_c.received_at >= wanted.since)
    if wanted.until is not None:
        found.append(_c.received_at < wanted.until)
    if wanted.duplicate is not None:
        found.append(_c.may_be_duplicate == sa.literal(wanted.duplicate))
    if wanted.contact_hashes is not None:
        found.append(
            sa.or_(_c.email_hash.in_(wanted.contact_hashes), _c.phone_hash.in_(wanted.contact_hashes))
        )
    if wanted.receipt is not None:
        found.append(_c.receipt.between(wanted.receipt, wanted.receipt + "g"))  # the digits end with f
    if wanted.upto is not None:
        found.append(_c.seq <= wanted.upto)
    return found


def newest_first(conn: Connection, wanted: Wanted, before: int | None, limit: int) -> list[dict[str, Any]]:
    """Return rows without payloads, newest first, those with a smaller seq than ``before``."""
    query = sa.select(*LISTED).where(*conditions(wanted)).order_by(_c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(_c.seq < before)
    return [dict(row) for row in conn.execute(query).mappings()]


def whole_newest_first(
    conn: Connection, wanted: Wanted, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return whole rows, newest first: some MiB at a time."""
    meant = conditions(wanted) if before is None else [*conditions(wanted), _c.seq < before]
    sizes = sa.select(_c.seq, sa.func.coalesce(sa.func.length(_c.payload), 0)).where(*meant)
    seqs = within_bytes(conn.execute(sizes.order_by(_c.seq.desc()).limit(limit)))
    query = sa.select(*WHOLE).where(_c.seq.in_(seqs)).order_by(_c.seq.desc())
    return [dict(row) for row in conn.execute(query).mappings()]


def oldest_first(conn: Connection, wanted: Wanted, after: int, limit: int) -> list[dict[str, Any]]:
    """Return whole rows, oldest first, those with a greater seq than ``after``: some MiB at a time."""
    meant = *conditions(wanted), _c.seq > after
    sizes = sa.select(_c.seq, sa.func.coalesce(sa.func.length(_c.payload), 0)).where(*meant)
    seqs = within_bytes(conn.execute(sizes.order_by(_c.seq).limit(limit)))
    query = sa.select(*WHOLE).where(_c.seq.in_(seqs)).order_by(_c.seq)
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
        sa.select(sa.literal_column("1")).select_from(deliveries).where(*conditions(wanted)).limit(MANY + 1)
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
