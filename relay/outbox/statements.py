"""The statements of the outbox, built once, and its rows as values."""

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from relay.delivery import DEAD, DELIVERED, DISCARDED, HELD, INVALID, KEPT, QUEUED, SENDING, Delivery
from relay.outbox.records import Entry
from relay.outbox.schema import BY_STATE, aliases, attempts, deliveries, destinations, meta

_COLUMNS = tuple(field.name for field in fields(Delivery) if field.name not in ("payload", "dropped"))

PLAIN_OF = {
    deliveries.c.repeat_key: deliveries.c.plain_key,
    deliveries.c.twin_key: deliveries.c.plain_twin,
}
"""By what a row is recognised, its content first: and where that stands while it is not the row's own."""

# --- statements, built once ---------------------------------------------------------------------------

_CHANGING_COLUMNS = (
    *("state", "reason", "lane", "due_at", "attempts", "silent", "errors", "unclear", "forbidden_at"),
    *("may_be_duplicate", "profile_id", "trace_id", "delivered_at"),
)
_SETTLED_COLUMNS = (*_CHANGING_COLUMNS, "dropped", "changed_at", "lease_until")
LISTED = [
    *(column for column in deliveries.c if column.name != "payload"),
    deliveries.c.payload.is_not(None).label("has_payload"),
]
"""A row as lists need it: a thousand payloads would be a thousand bodies in memory."""
WHOLE = [*LISTED, deliveries.c.payload]
IS_HELD = deliveries.c.state == sa.literal_column("'held'")
IS_SENDING = deliveries.c.state == sa.literal_column("'sending'")
DATABASE_CLOCK = sa.select(sa.extract("epoch", sa.func.clock_timestamp()))
INVALID_KEYS = sa.select(deliveries.c.repeat_key).where(
    deliveries.c.repeat_key.in_(sa.bindparam("keys", expanding=True)),
    deliveries.c.state == sa.literal_column("'invalid'"),
)
_SAYS_OTHERWISE = (
    sa.or_(
        deliveries.c.repeat_key != sa.bindparam("repeat_key"),
        deliveries.c.repeat_key.is_(None),
    ),
    deliveries.c.state.not_in((INVALID, HELD, DEAD, DISCARDED)),
)
REUSED = (
    sa.select(deliveries.c.receipt)
    .where(deliveries.c.id_hash == sa.bindparam("id_hash"), *_SAYS_OTHERWISE)
    .limit(1)
)
REUSED_BESIDE = (
    sa.select(deliveries.c.receipt)
    .join(aliases, aliases.c.of == deliveries.c.receipt)
    .where(aliases.c.id_hash == sa.bindparam("id_hash"), *_SAYS_OTHERWISE)
    .limit(1)
)
"""The same for a key that came with a silent repeat."""
ALIAS_OF = (
    sa.select(aliases)
    .where(aliases.c.id_hash == sa.bindparam("id_hash"), aliases.c.of == sa.bindparam("of"))
    .order_by(aliases.c.received_at)
    .limit(1)
)
LEDGER = (
    sa.select(attempts.c.held_until, attempts.c.ended_at)
    .where(
        attempts.c.destination == sa.bindparam("destination"),
        attempts.c.held_until > sa.bindparam("since"),
    )
    .order_by(attempts.c.held_until)
)
ALL_QUEUED = sa.select(deliveries).where(
    deliveries.c.destination == sa.bindparam("destination"),
    # Literals, so that both databases see that the partial indexes apply.
    deliveries.c.state == sa.literal_column("'queued'"),
)
ALL_FRESH = ALL_QUEUED.where(
    deliveries.c.lane == sa.literal_column("0"), deliveries.c.due_at <= sa.bindparam("now")
)
FRESH_ORDER = (deliveries.c.source, deliveries.c.due_at, deliveries.c.seq)
FRESH_AFTER = ALL_FRESH.where(deliveries.c.source > sa.bindparam("source")).order_by(*FRESH_ORDER).limit(1)
FRESH_DUE: sa.Select[Any] = ALL_FRESH.with_only_columns(sa.literal_column("1")).limit(1)
FRESH_ANY = ALL_FRESH.order_by(*FRESH_ORDER).limit(1)
RETRY_DUE = ALL_QUEUED.where(
    deliveries.c.lane == sa.literal_column("1"), deliveries.c.due_at <= sa.bindparam("now")
)
RETRY_IS_DUE: sa.Select[Any] = RETRY_DUE.with_only_columns(sa.literal_column("1")).limit(1)
LEAST_UNCLEAR = RETRY_DUE.order_by(deliveries.c.unclear, deliveries.c.due_at, deliveries.c.seq).limit(1)
NEWEST = ALL_FRESH.order_by(deliveries.c.seq.desc()).limit(1)
NEWEST_OF_OTHERS = NEWEST.where(deliveries.c.source != sa.bindparam("source"))
NEXT_RETRY = RETRY_DUE.order_by(deliveries.c.due_at, deliveries.c.seq).limit(1)
TO_CHECK = (
    sa.select(deliveries)
    .where(
        deliveries.c.state == sa.literal_column("'queued'"),
        deliveries.c.lane == sa.literal_column("2"),
        deliveries.c.due_at <= sa.bindparam("now"),
        deliveries.c.source.not_in(sa.bindparam("without", expanding=True)),
        sa.or_(
            deliveries.c.source.in_(sa.bindparam("known", expanding=True)),
            deliveries.c.received_at < sa.bindparam("now") - sa.bindparam("patience"),
        ),
    )
    .order_by(deliveries.c.due_at)
    .limit(1)
)
_RETRIES = (
    deliveries.c.destination == sa.bindparam("destination"),
    deliveries.c.state == sa.literal_column("'queued'"),
    deliveries.c.lane == sa.literal_column("1"),
)
NEXT_DUE = sa.select(sa.func.min(deliveries.c.due_at)).where(*_RETRIES)
LAST_DUE = sa.select(sa.func.max(deliveries.c.due_at)).where(*_RETRIES)
DUE_RETRIES = sa.select(sa.func.count()).select_from(RETRY_DUE.subquery())
START = (
    sa.update(deliveries)
    .where(deliveries.c.receipt == sa.bindparam("this_receipt"))
    .values(
        state=SENDING,
        fence=sa.bindparam("fence"),
        sends=sa.bindparam("sends"),
        lease_until=sa.bindparam("lease_until"),
    )
)
_SETTLED: dict[str, Any] = {
    **{name: sa.bindparam(f"new_{name}") for name in _SETTLED_COLUMNS},
    "reply": sa.func.coalesce(sa.bindparam("new_reply", type_=sa.Text), deliveries.c.reply),
    # Not written again when it stays: it may have been sealed with a newer key meanwhile.
    "payload": sa.case(
        (sa.bindparam("keep_payload", type_=sa.Boolean) == sa.true(), deliveries.c.payload),
        else_=sa.bindparam("new_payload", type_=sa.LargeBinary),
    ),
    "contact_hint": sa.case(
        (sa.bindparam("keep_payload", type_=sa.Boolean) == sa.true(), deliveries.c.contact_hint),
        else_=None,
    ),
}
SETTLE = (
    sa.update(deliveries)
    .where(
        deliveries.c.receipt == sa.bindparam("this_receipt"),
        deliveries.c.fence == sa.bindparam("this_fence"),
        IS_SENDING,
    )
    .values(_SETTLED)
)
SETTLE_LATE = (
    sa.update(deliveries)
    .where(
        deliveries.c.receipt == sa.bindparam("late_receipt"),
        deliveries.c.sends == sa.bindparam("late_sends"),
        deliveries.c.state.not_in((SENDING, DELIVERED)),
    )
    .values(
        {
            **_SETTLED,
            "fence": deliveries.c.fence + 1,
            # Where its key went to another, the person has signed up again, and was maybe sent by that.
            "may_be_duplicate": sa.case(
                (
                    sa.or_(deliveries.c.plain_key.is_not(None), deliveries.c.plain_twin.is_not(None)),
                    deliveries.c.may_be_duplicate,
                ),
                else_=_SETTLED["may_be_duplicate"],
            ),
        }
    )
)
FINISH = (
    sa.update(attempts)
    .where(attempts.c.id == sa.bindparam("this_attempt"))
    .values(
        {
            # What was settled without it stays: a late answer tells no more than when its slot ends.
            **{
                name: sa.case(
                    (attempts.c.ended_at.is_(None), sa.bindparam(f"new_{name}", type_=attempts.c[name].type)),
                    else_=attempts.c[name],
                )
                for name in ("ended_at", "seconds", "outcome", "status")
            },
            # An end that is not known leaves the slot taken to the lease's end.
            "held_until": sa.func.coalesce(sa.bindparam("new_held_until"), attempts.c.held_until),
        }
    )
)
ATTEMPT = sa.insert(attempts).returning(attempts.c.id)
HEALTH = sa.select(destinations).where(destinations.c.name == sa.bindparam("this_name"))


# --- rows ---------------------------------------------------------------------------------------------


_INSERT = {
    name: kind.insert(deliveries).on_conflict_do_nothing().returning(deliveries.c.receipt)
    for name, kind in (("sqlite", sqlite), ("postgresql", postgresql))
}


def row_of(entry: Entry) -> dict[str, Any]:
    """Return the columns of a new row; what is not named has its default in the database."""
    delivery = entry.delivery
    return {
        "receipt": delivery.receipt,
        "source": delivery.source,
        "destination": delivery.destination,
        "state": delivery.state,
        "reason": delivery.reason,
        "lane": delivery.lane,
        "received_at": delivery.received_at,
        "due_at": delivery.due_at,
        "changed_at": delivery.received_at,
        "dropped": json.dumps(delivery.dropped) if delivery.dropped else None,
        "payload": entry.box,
        "size": len(entry.box or b""),
        "contact_hint": entry.hint,
        "repeat_key": entry.repeat_key,
        "plain_key": entry.plain_key,
        "twin_key": entry.twin_key,
        "plain_twin": entry.plain_twin,
        "id_hash": entry.id_hash,
        "email_hash": entry.email_hash,
        "phone_hash": entry.phone_hash,
        "consent": entry.consent,
        "ignored_files": json.dumps(entry.ignored_files) if entry.ignored_files else None,
        "is_test": entry.is_test,
        "is_imported": entry.is_imported,
    }


def delivery_of(row: Any) -> Delivery:
    return Delivery(
        **{name: row[name] for name in _COLUMNS},
        dropped=tuple(json.loads(row["dropped"] or "[]")),
    )


def own_receipt(receipt: str) -> Any:
    """Return the receipt of the row that a receipt leads to, which may be one that a repeat was given."""
    alias = sa.select(aliases.c.of).where(aliases.c.receipt == receipt).scalar_subquery()
    return sa.func.coalesce(alias, receipt)


def in_state(state: str) -> tuple[Any, ...]:
    """Return the condition under which the index of unfinished rows serves a state."""
    return (BY_STATE,) if state in (QUEUED, SENDING, *KEPT) else ()


def changes_of(delivery: Delivery) -> dict[str, Any]:
    """Return the columns in which a delivery changes on its way."""
    values = {name: getattr(delivery, name) for name in _CHANGING_COLUMNS}
    values["dropped"] = json.dumps(delivery.dropped) if delivery.dropped else None
    return values


def stamped(entry: Entry, now: float) -> Entry:
    """Stamp an entry with the database's clock: hosts' clocks differ."""
    return replace(entry, delivery=replace(entry.delivery, received_at=now, due_at=now))


def is_superseded(earlier: Delivery, window: float | None, now: float) -> bool:
    """Whether an earlier delivery no longer counts as the one that another repeats."""
    if earlier.state in (DEAD, DISCARDED) and earlier.profile_id is None:
        return True
    return window is not None and earlier.received_at + window < now


def give_up(conn: Connection, key: sa.Column[bytes], receipt: str, fence: int) -> None:
    """Let a key of a row that nobody moved meanwhile go to another; what it was is still known."""
    own = deliveries.c.receipt == receipt, deliveries.c.fence == fence
    plain = PLAIN_OF[key]
    conn.execute(sa.update(deliveries).where(*own).values({key: None, plain: sa.func.coalesce(plain, key)}))


def insert_all(conn: Connection, rows: list[dict[str, Any]]) -> Iterable[str]:
    """Insert rows unless their repeat key or twin key is taken, and return the receipts of those inserted."""
    return list(conn.scalars(_INSERT[conn.dialect.name], rows)) if rows else ()


def inserting(conn: Connection, table: sa.Table) -> Any:
    """Return an insert as this database has it, which can say what is done where the row is there already."""
    return (sqlite if conn.dialect.name == "sqlite" else postgresql).insert(table)


def insert_ignoring(conn: Connection, table: sa.Table, values: dict[str, Any], keys: list[str]) -> None:
    conn.execute(inserting(conn, table).values(values).on_conflict_do_nothing(index_elements=keys))


def get_meta(conn: Connection, key: str) -> bytes | None:
    value = conn.scalar(sa.select(meta.c.value).where(meta.c.key == key))
    return bytes(value) if value is not None else None


def put_meta(conn: Connection, key: str, value: bytes) -> None:
    insert_ignoring(conn, meta, {"key": key, "value": value}, ["key"])
    conn.execute(sa.update(meta).where(meta.c.key == key).values(value=value))
