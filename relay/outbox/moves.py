"""Moves, inside a transaction: a row is queued again or given up, if it is still as somebody saw it.

Who acts on what a page showed names the state and the fence that were shown. A row that is queued again
takes its plain keys, so that later repeats find it, unless another with one of them was or will be sent.
Under one lock: of two that say the same, one finds the other moved.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from relay.delivery import (
    CHECK,
    DELIVERED,
    DISCARDED,
    FRESH,
    HELD,
    NEW_SERIES,
    PARKED,
    QUEUED,
    RETRY,
    SENDING,
)
from relay.outbox import audit
from relay.outbox.audit import Act
from relay.outbox.errors import Crossed
from relay.outbox.locks import MOVING, locked, one_at_a_time
from relay.outbox.schema import aliases, deliveries
from relay.outbox.statements import PLAIN_OF, give_up
from relay.vault import CannotOpen, Vault

_c = deliveries.c
_SENT = (QUEUED, SENDING, PARKED, DELIVERED)
"""States of one that was sent, is, will be, or perhaps was."""


@dataclass(frozen=True)
class Expected:
    """A row as it was seen by who acts on it."""

    state: str
    fence: int


@dataclass(frozen=True)
class Mended:
    """What a kept payload comes to, mapped again or corrected: the columns in which the row changes."""

    box: bytes = field(repr=False)
    hint: bytes | None = field(repr=False)
    plain_key: bytes
    email_hash: bytes | None
    phone_hash: bytes | None
    dropped: str | None
    consent: str | None
    twin_key: bytes | None = None
    """What a repeat is recognised by whatever key it carries; None: as it is."""


@dataclass(frozen=True)
class Near:
    """In how many seconds, before or after a row was received, another that says the same is the same
    sign-up; None: at any time. ``twin``: the same for one that carries another key."""

    content: float | None
    twin: float | None


EVER = Near(None, None)


@dataclass(frozen=True)
class Keys:
    """What repeats of a row are recognised by once it is queued; None: by nothing of the kind."""

    content: bytes | None = None
    twin: bytes | None = None


NOTHING = Keys()


@dataclass(frozen=True)
class Moved:
    """It was done."""


@dataclass(frozen=True)
class Changed:
    """Nothing was done: the row is no longer as it was seen. ``row``: as it is now, None if it is gone."""

    row: dict[str, Any] | None


@dataclass(frozen=True)
class Same:
    """Nothing was done: another says the same, and was or will be sent."""

    receipt: str
    state: str


def requeue(
    conn: Connection,
    receipt: str,
    expect: Expected,
    near: Near,
    mended: Mended | None,
    act: Act | None,
    now: float,
    lacking: Keys = NOTHING,
) -> Moved | Changed | Same:
    """Queue a row for replay. ``lacking``: the plain keys of one that was stored without them."""
    one_at_a_time(conn, MOVING)
    row = _seen(conn, receipt)
    if row is None or not _is_expected(row, expect):
        return Changed(row)
    values = {**_again(row, now), **(_mended_columns(mended) if mended else {})}
    if same := _move_with_keys(conn, row, _plain_keys(row, mended, lacking), near, values):
        return same
    if act is not None:
        audit.note(conn, act, now)
    return Moved()


def discard(conn: Connection, receipt: str, expect: Expected, act: Act | None, now: float) -> Moved | Changed:
    """Give a row up for good, its payload erased."""
    row = _seen(conn, receipt)
    if row is None or not _is_expected(row, expect):
        return Changed(row)
    _change(conn, row, {**GIVEN_UP, "reason": "discarded", "changed_at": now})
    if act is not None:
        audit.note(conn, act, now)
    return Moved()


def hold_back(conn: Connection, receipt: str, reason: str, vault: Vault, now: float) -> bool:
    """Hold a delivery that failed its check: of what may be a bot's, no more is kept than would be sent."""
    row = _seen(conn, receipt)
    if row is None or (row["state"], row["lane"]) != (QUEUED, CHECK):
        return False
    cut = row["payload"]
    with suppress(CannotOpen):  # what cannot be read stays as it is
        payload = vault.open(cut, receipt)
        cut = vault.seal({key: one for key, one in payload.items() if key in ("profile", "update")}, receipt)
    plain = _plain_keys(row)
    keys = {"repeat_key": None, "plain_key": plain.content, "twin_key": None, "plain_twin": plain.twin}
    held = {"state": HELD, "lane": FRESH, "reason": reason, "changed_at": now}
    _change(conn, row, {**held, **keys, "payload": cut, "size": len(cut)})
    return True


def let_pass(conn: Connection, receipt: str, near: Near, now: float) -> bool:
    """Let a delivery that was checked be sent. If another has its keys by now, it is that one's repeat."""
    one_at_a_time(conn, MOVING)
    row = _seen(conn, receipt)
    if row is None or (row["state"], row["lane"]) != (QUEUED, CHECK):
        return False
    values = {"lane": FRESH, "due_at": now, "changed_at": now}
    if same := _move_with_keys(conn, row, _plain_keys(row), near, values):
        # Other names of it lead to that one, too: they were told, and would be gone with the row.
        conn.execute(sa.update(aliases).where(aliases.c.of == receipt).values(of=same.receipt))
        conn.execute(sa.delete(deliveries).where(_c.receipt == receipt))
        alias = {"receipt": receipt, "of": same.receipt}
        alias |= {"received_at": row["received_at"], "id_hash": row["id_hash"]}
        conn.execute(sa.insert(aliases).values(alias))
    return True


def same_as(
    conn: Connection, receipt: str, near: Near, mended: Mended | None, lacking: Keys = NOTHING
) -> Same | None:
    """Return what would keep a row from being queued again."""
    row = _seen(conn, receipt)
    return _sent_already(conn, row, _plain_keys(row, mended, lacking), near) if row is not None else None


GIVEN_UP: Mapping[str, Any] = {"state": DISCARDED, "payload": None, "contact_hint": None}


def _seen(conn: Connection, receipt: str) -> dict[str, Any] | None:
    query = locked(conn, sa.select(deliveries).where(_c.receipt == receipt))
    row = conn.execute(query).mappings().first()
    return dict(row) if row is not None else None


def _is_expected(row: Mapping[str, Any], expect: Expected) -> bool:
    return bool(row["state"] == expect.state and row["fence"] == expect.fence)


def _again(row: Mapping[str, Any], now: float) -> dict[str, Any]:
    return {
        "state": QUEUED,
        "lane": RETRY,
        "due_at": now,
        "replayed_at": now,
        "changed_at": now,
        "reason": "replayed",
        **NEW_SERIES,
        "forbidden_at": None,
        # Nobody knows whether a parked one arrived, unless its profile is known and only its update is left.
        "may_be_duplicate": row["may_be_duplicate"] or (row["state"] == PARKED and row["profile_id"] is None),
    }


def _mended_columns(mended: Mended) -> dict[str, Any]:
    return {
        "payload": mended.box,
        "contact_hint": mended.hint,
        "email_hash": mended.email_hash,
        "phone_hash": mended.phone_hash,
        "dropped": mended.dropped,
        "consent": mended.consent,
    }


# --- the plain keys -----------------------------------------------------------------------------------


def _plain_keys(row: Mapping[str, Any], mended: Mended | None = None, lacking: Keys = NOTHING) -> Keys:
    content = _plain(row, row["plain_key"], row["repeat_key"]) or lacking.content
    twin = _plain(row, row["plain_twin"], row["twin_key"]) or lacking.twin
    return Keys(content, twin) if mended is None else Keys(mended.plain_key, mended.twin_key or twin)


def _plain(row: Mapping[str, Any], plain: bytes | None, own: bytes | None) -> bytes | None:
    """Return a plain key of a row; None if it was never kept, or there was none."""
    if plain is not None:
        return bytes(plain)
    if own is None or row["state"] == HELD or (row["state"], row["lane"]) == (QUEUED, CHECK):
        return None
    return bytes(own)


def _move_with_keys(
    conn: Connection, row: Mapping[str, Any], keys: Keys, near: Near, values: Mapping[str, Any]
) -> Same | None:
    """Change a row and give it its plain keys, unless another with one of them was or will be sent."""
    for _ in range(3):
        others = _others(conn, row, keys)  # first: who comes after the question gives nothing up
        if same := _sent_already(conn, row, keys, near):
            return same
        try:
            with conn.begin_nested():
                for key, receipt, fence in others:
                    give_up(conn, key, receipt, fence)
                _change(conn, row, {**values, **_taken(keys)})
        except IntegrityError:  # another process stored one with that key meanwhile
            continue
        return None
    raise Crossed("a repeat changed while it was looked at")


def _taken(keys: Keys) -> dict[str, Any]:
    """Return the columns of a row that takes its plain keys."""
    content = {"repeat_key": keys.content, "plain_key": None} if keys.content is not None else {}
    return content | ({"twin_key": keys.twin, "plain_twin": None} if keys.twin is not None else {})


def _others(conn: Connection, row: Mapping[str, Any], keys: Keys) -> list[tuple[Any, str, int]]:
    """Return who has a row's plain keys: in which column, its receipt, and the fence it was seen with."""
    found: list[tuple[Any, str, int]] = []
    for column, key in zip(PLAIN_OF, (keys.content, keys.twin), strict=True):
        query = sa.select(_c.receipt, _c.fence).where(column == key, _c.receipt != row["receipt"])
        found += [(column, *one) for one in conn.execute(query)] if key is not None else []
    return found


def _sent_already(conn: Connection, row: Mapping[str, Any], keys: Keys, near: Near) -> Same | None:
    """Return another row that says the same, received near this one, that was or will be sent."""
    # What a sender's key names is the same for ever.
    seconds = near.content if row["id_hash"] is None else None
    return _sent_with(conn, row, _c.repeat_key, keys.content, seconds) or _sent_with(
        conn, row, _c.twin_key, keys.twin, near.twin
    )


def _sent_with(
    conn: Connection,
    row: Mapping[str, Any],
    column: sa.Column[bytes],
    key: bytes | None,
    seconds: float | None,
) -> Same | None:
    if key is None:
        return None
    sent = sa.or_(_c.state.in_(_SENT), _c.profile_id.is_not(None))
    unchecked = sa.and_(_c.state == QUEUED, _c.lane == CHECK)
    has_key = sa.or_(column == key, PLAIN_OF[column] == key)
    query = sa.select(_c.receipt, _c.state).where(has_key, _c.receipt != row["receipt"], sent, ~unchecked)
    if seconds is not None:
        query = query.where(
            _c.received_at.between(row["received_at"] - seconds, row["received_at"] + seconds)
        )
    found = conn.execute(query.order_by(_c.seq.desc()).limit(1)).first()
    return Same(found.receipt, found.state) if found is not None else None


def _change(conn: Connection, row: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    """Change a row that this transaction has read; its fence says that it changed."""
    conn.execute(
        sa.update(deliveries)
        .where(_c.receipt == row["receipt"])
        .values({**values, "fence": row["fence"] + 1})
    )
