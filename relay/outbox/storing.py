"""Storing, inside a transaction: put entries in, or find the earlier ones that they repeat."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import CHECK, HELD, INVALID, KEY_REUSED, QUEUED, Delivery
from relay.outbox.errors import Crossed
from relay.outbox.hints import sealed_hint
from relay.outbox.locks import ROOM, one_at_a_time
from relay.outbox.records import Entry, NoRoom, Stored
from relay.outbox.schema import aliases, deliveries
from relay.outbox.statements import (
    ALIAS_OF,
    INVALID_KEYS,
    IS_HELD,
    PLAIN_OF,
    REUSED,
    REUSED_BESIDE,
    changes_of,
    delivery_of,
    give_up,
    insert_all,
    is_superseded,
    row_of,
)
from relay.sources.source import Budget
from relay.vault import Vault


def store(conn: Connection, entries: Sequence[Entry], now: float, vault: Vault) -> list[Stored | NoRoom]:
    """Store entries, most of them with one statement; say of each what became of it."""
    invalid = _invalid_ones(conn, entries)
    plain = [entry for entry in entries if entry.is_plain and entry.raw_key not in invalid]
    inserted = set(insert_all(conn, [row_of(entry) for entry in plain]))
    return [
        Stored(entry.delivery)
        if entry.delivery.receipt in inserted
        else _shown(conn, entry, _store_one(conn, entry, now, vault, may_mend=entry.raw_key in invalid), now)
        for entry in entries
    ]


def known(conn: Connection, entries: Sequence[Entry], now: float) -> list[bool]:
    """Say of each entry whether it would repeat an earlier one, or mend it. Nothing is stored."""
    invalid = _invalid_ones(conn, entries)
    keyed = _by(conn, deliveries.c.repeat_key, [entry.repeat_key for entry in entries])
    twins = _by(conn, deliveries.c.twin_key, [entry.twin_key for entry in entries if entry.twin_key])

    def is_known(entry: Entry) -> bool:
        own, twin = keyed.get(entry.repeat_key), twins.get(entry.twin_key or b"")
        earlier = (own, entry.window), (twin, entry.twin_window)
        found = [one for one, window in earlier if one and not is_superseded(one, window, now)]
        return bool(found) or entry.raw_key in invalid

    return [is_known(entry) for entry in entries]


def _by(conn: Connection, column: sa.Column[bytes], keys: Sequence[bytes]) -> dict[bytes, Delivery]:
    rows = conn.execute(sa.select(deliveries).where(column.in_(keys))).mappings() if keys else ()
    return {bytes(row[column.name]): delivery_of(row) for row in rows}


def _shown(conn: Connection, entry: Entry, stored: Stored | NoRoom, now: float) -> Stored | NoRoom:
    """Give a repeat a receipt of its own, where its sender is not to know that it is one."""
    if isinstance(stored, NoRoom) or not stored.repeat or not entry.is_silent:
        return stored
    earlier, receipt = stored.delivery, entry.delivery.receipt
    own = sa.select(deliveries.c.id_hash).where(deliveries.c.receipt == earlier.receipt)
    if entry.id_hash is not None:
        if conn.scalar(own) == entry.id_hash:
            return stored
        if known := conn.execute(ALIAS_OF, {"id_hash": entry.id_hash, "of": earlier.receipt}).first():
            return replace(stored, delivery=_renamed(earlier, known))
    if entry.budget and not _has_room(conn, entry, entry.budget):
        return NoRoom()  # as a new one is told
    alias = {"receipt": receipt, "of": earlier.receipt, "received_at": now, "id_hash": entry.id_hash}
    conn.execute(sa.insert(aliases).values(alias))
    shown = replace(earlier, receipt=receipt, received_at=now)
    return replace(stored, delivery=shown, is_alias=True)


def named(conn: Connection, receipt: str) -> Delivery | None:
    """Return the delivery of a receipt, also of one that a repeat was given, as its sender knows it."""
    if found := find(conn, deliveries.c.receipt == receipt):
        return found
    alias = conn.execute(sa.select(aliases).where(aliases.c.receipt == receipt)).first()
    found = find(conn, deliveries.c.receipt == alias.of) if alias is not None else None
    return _renamed(found, alias) if found and alias else None


def settled(conn: Connection, receipt: str) -> Stored | None:
    """Return one delivery as its repeat would find it: with what its sender may see of the answer."""
    found = find(conn, deliveries.c.receipt == receipt)
    return repeat_of(conn, found) if found else None


def _renamed(delivery: Delivery, alias: Any) -> Delivery:
    """Return a delivery under another name of it."""
    return replace(delivery, receipt=alias.receipt, received_at=alias.received_at)


def _invalid_ones(conn: Connection, entries: Sequence[Entry]) -> set[bytes]:
    """Return the keys under which the same bytes are stored as invalid."""
    keys = [entry.raw_key for entry in entries if entry.raw_key and entry.delivery.state != INVALID]
    if not keys:
        return set()
    return {key for key in conn.scalars(INVALID_KEYS, {"keys": keys}) if key}


def _store_one(
    conn: Connection, entry: Entry, now: float, vault: Vault, *, may_mend: bool
) -> Stored | NoRoom:
    """Store an entry that may have something in common with an earlier one.

    ``may_mend``: whether the same bytes are there, as invalid.
    """
    if may_mend and entry.delivery.state == QUEUED:
        mended = find(conn, deliveries.c.repeat_key == entry.raw_key)
        if mended and mended.state == INVALID:
            return _mend(conn, mended, entry, now, vault)
    if repeated := _repeated(conn, entry, (entry.plain_key, entry.plain_twin), now):
        return repeated
    beside = _beside(conn, entry)
    if beside and not is_superseded(beside, None, now):
        return repeat_of(conn, beside)
    if entry.budget and not _has_room(conn, entry, entry.budget):
        earlier = find(conn, deliveries.c.repeat_key == entry.repeat_key)
        return repeat_of(conn, earlier) if earlier else NoRoom()
    if entry.id_hash and _is_reused(conn, entry):
        entry = replace(entry, delivery=replace(entry.delivery, reason=KEY_REUSED))
    for _ in range(3):
        if list(insert_all(conn, [row_of(entry)])):
            return Stored(entry.delivery)
        if repeated := _repeated(conn, entry, (entry.repeat_key, entry.twin_key), now, takes_over=True):
            return repeated
    raise Crossed("a repeat changed while it was looked at")


def _repeated(
    conn: Connection,
    entry: Entry,
    keys: tuple[bytes | None, bytes | None],
    now: float,
    *,
    takes_over: bool = False,
) -> Stored | None:
    """Return what an entry repeats by its content, or else as a twin: ``keys`` are those of both.

    ``takes_over``: an earlier one that does not count any more gives its key up.
    """
    windows = entry.window, entry.twin_window
    for column, key, window in zip(PLAIN_OF, keys, windows, strict=True):
        earlier = find(conn, column == key) if key else None
        if earlier and not is_superseded(earlier, window, now):
            return repeat_of(conn, earlier)
        if earlier and takes_over:
            give_up(conn, column, earlier.receipt, earlier.fence)
    return None


def _may_have_names(entry: Entry) -> bool:
    """Whether its repeats may have receipts of their own: no machine's have, which come with ids."""
    return entry.is_silent or entry.delivery.lane == CHECK


def _beside(conn: Connection, entry: Entry) -> Delivery | None:
    """Return the delivery to which this very key led before, if it says the same, however long ago."""
    if entry.id_hash is None or entry.twin_key is None or not _may_have_names(entry):
        return None
    plain = entry.plain_twin or entry.twin_key
    given_up = sa.and_(
        deliveries.c.twin_key.is_(None), deliveries.c.plain_twin == plain, deliveries.c.state != HELD
    )
    of = sa.select(aliases.c.of).where(aliases.c.id_hash == entry.id_hash)
    says_so = sa.or_(deliveries.c.twin_key.in_((entry.twin_key, plain)), given_up)
    return find(conn, sa.and_(deliveries.c.receipt.in_(of), says_so))


def repeat_of(conn: Connection, earlier: Delivery) -> Stored:
    """Return an earlier delivery as its repeat is told of it: with what may be seen of upstream's answer."""
    text = conn.scalar(sa.select(deliveries.c.reply).where(deliveries.c.receipt == earlier.receipt))
    return Stored(earlier, repeat=True, reply=json.loads(text) if text else None)


def _has_room(conn: Connection, entry: Entry, budget: Budget) -> bool:
    # Else all that come at once would find the same room.
    one_at_a_time(conn, ROOM, sa.func.hashtext("held:" + entry.delivery.source))
    held = deliveries.c.source == entry.delivery.source, IS_HELD
    found = conn.execute(sa.select(sa.func.count(), sa.func.sum(deliveries.c.size)).where(*held)).one()
    rows, size = found[0], found[1] or 0
    return rows < budget.rows and size + len(entry.box or b"") <= budget.size


def _is_reused(conn: Connection, entry: Entry) -> bool:
    keys = {"id_hash": entry.id_hash, "repeat_key": entry.repeat_key}
    asked = (REUSED, REUSED_BESIDE) if _may_have_names(entry) else (REUSED,)
    return any(conn.scalar(question, keys) is not None for question in asked)


def _mend(conn: Connection, invalid: Delivery, entry: Entry, now: float, vault: Vault) -> Stored:
    """Queue an invalid delivery whose repeat could be mapped, unless that repeats another."""
    keys = entry.plain_key or entry.repeat_key, entry.plain_twin or entry.twin_key
    repeated = _repeated(conn, entry, keys, now, takes_over=True)
    return repeated or Stored(_promote(conn, invalid, entry, now, vault), repeat=True)


def _promote(conn: Connection, delivery: Delivery, entry: Entry, now: float, vault: Vault) -> Delivery:
    """Queue an invalid delivery whose repeat could be mapped."""
    mended = replace(delivery, state=QUEUED, reason=None, due_at=now, dropped=entry.delivery.dropped)
    mended = replace(mended, lane=entry.delivery.lane)
    changed = conn.execute(
        sa.update(deliveries)
        .where(deliveries.c.receipt == delivery.receipt, deliveries.c.state == INVALID)
        .values(
            **changes_of(mended),
            payload=vault.seal(dict(entry.delivery.payload), delivery.receipt),
            contact_hint=sealed_hint(entry.delivery.payload, delivery.receipt, vault),
            size=len(entry.box or b""),
            repeat_key=entry.repeat_key,
            plain_key=entry.plain_key,
            twin_key=entry.twin_key,
            plain_twin=entry.plain_twin,
            email_hash=entry.email_hash,
            phone_hash=entry.phone_hash,
            consent=entry.consent,
            changed_at=now,
            replayed_at=now,
        )
    )
    if not changed.rowcount:
        raise Crossed("a repeat changed while it was looked at")
    return mended


def find(conn: Connection, condition: Any) -> Delivery | None:
    """Return the delivery that fulfils a condition, without its payload."""
    row = conn.execute(sa.select(deliveries).where(condition)).mappings().first()
    return delivery_of(row) if row else None
