"""Upkeep, inside a transaction: what a copy or another mode means, keys, retention, erasure, alerts."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import DELIVERED, KEPT, PARKED, QUEUED, SENDING
from relay.health import RESTORED
from relay.outbox.database import unhurried
from relay.outbox.errors import Unfit
from relay.outbox.hints import resealed, sealed_hint
from relay.outbox.locks import EPISODES, one_at_a_time
from relay.outbox.schema import BY_STATE, LEFT, attempts, deliveries, destinations, holds, meta
from relay.outbox.statements import IS_SENDING, get_meta, insert_ignoring, put_meta
from relay.outbox.wanted import Wanted, oldest_first
from relay.vault import CannotOpen, Vault

_AT_ONCE = 1000
STRAYS_SECONDS = 30 * 86400.0
"""Attempts that belong to nothing are kept for so long, and as long as a window may count them."""
_UNSEEN_SECONDS = 30.0
_EPISODE = "alert:"
_CAUSES = "causes:"
_HINTS = "hints"
_TIMELINE = "timeline"
_TIMELINES = sa.select(
    sa.func.left(sa.func.pg_walfile_name(sa.func.pg_current_wal_insert_lsn()), 8),
    sa.select(meta.c.value).where(meta.c.key == _TIMELINE).scalar_subquery(),
)
_IS_UNTOLD = sa.or_(
    deliveries.c.may_be_duplicate,
    sa.and_(deliveries.c.state.in_((PARKED, DELIVERED)), deliveries.c.profile_id.is_(None)),
)


def check_purpose(conn: Connection, sandbox: bool) -> None:
    """Keep pretend and real people apart, for ever. Raises Unfit."""
    purpose = b"sandbox" if sandbox else b"real"
    insert_ignoring(conn, meta, {"key": "purpose", "value": purpose}, ["key"])
    found = get_meta(conn, "purpose")
    if found == b"sandbox" and not sandbox:
        raise Unfit(
            "this database was made in sandbox mode; with a real token use another: set RELAY_DATABASE_URL"
        )
    if found == b"real" and sandbox:
        raise Unfit(
            "this database holds real submissions, and there is no token: set OCAMBA_TOKEN, "
            "or unset RELAY_DATABASE_URL to try the sandbox"
        )


def restore_if_copied(conn: Connection) -> None:
    """A server started on a backup holds everything: what was queued then may have been sent since."""
    made_at = get_meta(conn, "backup")
    if made_at is None:
        return
    conn.execute(sa.delete(meta).where(meta.c.key == "backup"))
    # Held since the copy was made: nothing could be sent in between, so nothing gives up over it.
    hold_all_restored(conn, float(made_at))


def hold_all_restored(conn: Connection, since: float) -> None:
    """Hold every destination, and mark what is queued or on its way: it may have been sent."""
    conn.execute(
        sa.update(deliveries)
        .where(deliveries.c.state.in_((QUEUED, SENDING)))
        .values(state=QUEUED, may_be_duplicate=True, lease_until=None, fence=deliveries.c.fence + 1)
    )
    conn.execute(sa.update(holds).where(holds.c.ended_at.is_(None)).values(ended_at=since))
    held = sa.select(destinations.c.name, sa.literal(since), sa.literal(RESTORED))
    conn.execute(sa.insert(holds).from_select(["destination", "started_at", "reason"], held))
    conn.execute(sa.update(destinations).values(hold_until=None, hold_reason=RESTORED))


def tells_promotions(conn: Connection) -> bool:
    """Whether a PostgreSQL tells of promotions: some that are hosted have no log of their own to tell of."""
    try:
        with conn.begin_nested():
            conn.execute(_TIMELINES)
    except (sa.exc.NotSupportedError, sa.exc.ProgrammingError):
        return False
    return True


def mark_if_promoted(conn: Connection) -> None:
    """On PostgreSQL: mark what is queued where a standby took over, as a note that it was sent may be lost.

    Each promotion begins a timeline of its own.
    """
    timeline, found = conn.execute(_TIMELINES).one()
    now = str(timeline).encode()
    if found is None:
        put_meta(conn, _TIMELINE, now)
    elif found != now:
        with unhurried(conn):
            conn.execute(sa.text("SET LOCAL statement_timeout = 0"))
            is_known = meta.c.key == _TIMELINE, meta.c.value == found  # of several one marks, the others wait
            if conn.execute(sa.update(meta).where(*is_known).values(value=now)).rowcount:
                queued = deliveries.c.state == QUEUED
                conn.execute(sa.update(deliveries).where(queued).values(may_be_duplicate=True))


def hints_given_up_to(conn: Connection) -> int | None:
    """Return the seq up to which rows of an earlier version have their hints; None when all have."""
    found = get_meta(conn, _HINTS)
    return None if found == b"given" else int(found or 0)


def give_hints(conn: Connection, vault: Vault, after: int) -> int | None:
    """Give some MiB of rows after a seq their hints; return the last one's seq, None if there was none."""
    rows = oldest_first(conn, Wanted(), after, _AT_ONCE)
    for row in rows:
        if row["payload"] is None or row["contact_hint"] is not None:
            continue
        with suppress(CannotOpen):  # what cannot be read has none
            hint = sealed_hint(vault.open(row["payload"], row["receipt"]), row["receipt"], vault)
            own = deliveries.c.receipt == row["receipt"], deliveries.c.payload == row["payload"]
            conn.execute(sa.update(deliveries).where(*own).values(contact_hint=hint))
    put_meta(conn, _HINTS, str(rows[-1]["seq"]).encode() if rows else b"given")
    return rows[-1]["seq"] if rows else None


def rewrap_hash_key(conn: Connection, vault: Vault) -> None:
    """Seal the hash key with the newest key; no hash changes."""
    put_meta(conn, "hash_key", vault.rewrap_hash_key())


def reseal(
    conn: Connection, rows: Sequence[tuple[int, str, bytes | None, bytes | None]], vault: Vault
) -> list[str]:
    """Seal (seq, receipt, payload, hint) that are still as they were read with the newest key.

    What cannot be read stays as it is; returns why, of each.
    """
    unread: list[str] = []
    for _, receipt, payload, hint in rows:
        same = (
            deliveries.c.payload.is_not_distinct_from(payload),
            deliveries.c.contact_hint.is_not_distinct_from(hint),
        )
        try:
            new = {"payload": vault.reseal(payload, receipt), "contact_hint": resealed(hint, receipt, vault)}
        except CannotOpen as problem:
            unread.append(str(problem))
            continue
        conn.execute(sa.update(deliveries).where(deliveries.c.receipt == receipt, *same).values(new))
    return unread


def old(conn: Connection, source: str, before: float, limit: int) -> list[str]:
    """Return what has waited for a person, and what keeps a payload beside being delivered, since ``before``.

    It looks through all that waits: nothing to do while others wait to write.
    """
    since = deliveries.c.source == source, deliveries.c.changed_at < before
    kept = sa.select(deliveries.c.receipt).where(BY_STATE, deliveries.c.state.in_(KEPT), *since)
    return list(
        conn.scalars(kept.union_all(sa.select(deliveries.c.receipt).where(LEFT, *since)).limit(limit))
    )


def expire(conn: Connection, receipts: Sequence[str], before: float) -> int:
    """Delete what has waited since ``before``, and the payloads of what is delivered."""
    # The whole condition again: one that was replayed meanwhile is no longer meant.
    some = deliveries.c.receipt.in_(receipts), deliveries.c.changed_at < before
    gone = sa.delete(deliveries).where(deliveries.c.state.in_(KEPT), *some)
    left = sa.update(deliveries).where(LEFT, *some).values(payload=None, contact_hint=None)
    return int(conn.execute(gone).rowcount) + int(conn.execute(left).rowcount)


def sources_that_keep(conn: Connection) -> list[str]:
    """Return the sources, also former ones, of which something is kept that retention ends."""
    kept = sa.select(deliveries.c.source).where(BY_STATE, deliveries.c.state.in_(KEPT))
    return list(conn.scalars(kept.union(sa.select(deliveries.c.source).where(LEFT))))


def strays(conn: Connection, after: int, before: float, limit: int) -> tuple[list[int], int]:
    """Look through some attempts that follow a number; return those that were over before a time and belong
    to nothing, as looks do and what was sent of a row that is gone, and from where to go on."""
    past = sa.select(attempts.c.id, attempts.c.held_until, deliveries.c.seq)
    past = past.outerjoin(deliveries, deliveries.c.receipt == attempts.c.receipt)
    rows = conn.execute(past.where(attempts.c.id > after).order_by(attempts.c.id).limit(limit)).all()
    return [row.id for row in rows if row.seq is None and row.held_until < before], rows[-1].id if rows else 0


def forget_attempts(conn: Connection, numbers: Sequence[int]) -> None:
    """Delete attempts."""
    conn.execute(sa.delete(attempts).where(attempts.c.id.in_(numbers)))


def erase(conn: Connection, receipts: Sequence[str]) -> list[tuple[str | None, bool]]:
    """Delete deliveries that are not being sent; slots in use stay counted.

    Returns, of each that is gone, the id that its profile has upstream, and whether upstream may have one
    whose id nobody was told.
    """
    gone: list[tuple[str | None, bool]] = []
    for start in range(0, len(receipts), _AT_ONCE):
        some = deliveries.c.receipt.in_(receipts[start : start + _AT_ONCE])
        query = sa.delete(deliveries).where(some, sa.not_(IS_SENDING))
        gone += (tuple(one) for one in conn.execute(query.returning(deliveries.c.profile_id, _IS_UNTOLD)))
    return gone


_Causes = frozenset[str]


def firing(
    seen: Mapping[str, _Causes], current: Mapping[str, _Causes | None]
) -> tuple[dict[str, _Causes], set[str]]:
    """Return the causes of the alerts that are firing now, and which of those are to be told.

    ``seen``: the causes that were told; ``current``: those of now, None where no episode begins.
    """
    causes = {
        key: seen[key] if found is None else found
        for key, found in current.items()
        if found is not None or key in seen
    }
    # One without a cause is of an earlier version.
    return causes, {
        key for key, found in causes.items() if key not in seen or (seen[key] and found - seen[key])
    }


def change_episodes(
    conn: Connection, now: float, current: Mapping[str, _Causes | None]
) -> tuple[set[str], set[str]]:
    """Make ``current`` the alerts that are firing, each with its causes; return which began and are over.

    Of several processes that ask at once, one is told of each. What only one of them sees, such as a
    source over its limits, is over when nobody has seen it for a while.
    """
    one_at_a_time(conn, EPISODES)
    seen = {key: float(value) for key, value in _kept(conn, _EPISODE).items()}
    told = {key: frozenset(json.loads(value)) for key, value in _kept(conn, _CAUSES).items()}
    causes, began = firing({key: told.get(key, frozenset()) for key in seen}, current)
    for key, found in causes.items():
        put_meta(conn, _EPISODE + key, str(now).encode())
        if found:
            put_meta(conn, _CAUSES + key, json.dumps(sorted(found)).encode())
    patience = 0.0 if conn.dialect.name == "sqlite" else _UNSEEN_SECONDS
    # What was seen far ahead was seen by a clock that was wrong.
    over = {key for key, at in seen.items() if key not in causes and abs(now - at) >= patience}
    for key in over:
        conn.execute(sa.delete(meta).where(meta.c.key.in_((_EPISODE + key, _CAUSES + key))))
    return began, over


def _kept(conn: Connection, prefix: str) -> dict[str, bytes]:
    query = sa.select(meta.c.key, meta.c.value).where(meta.c.key.startswith(prefix))
    return {key.removeprefix(prefix): value for key, value in conn.execute(query)}
