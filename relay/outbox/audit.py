"""The audit log, inside a transaction: who did what, to how many, when."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.operating import audit
from relay.outbox.schema import deliveries
from relay.outbox.statements import own_receipt

KEPT_SECONDS = 366 * 86400.0
_AT_ONCE = 500


@dataclass(frozen=True)
class Act:
    """What somebody did: ``filter`` says to which rows, ``detail`` names fields, states or outcomes."""

    by: str
    action: str
    count: int = 1
    receipt: str | None = None
    filter: Mapping[str, Any] | None = None
    detail: Mapping[str, Any] | None = None


def note(conn: Connection, act: Act, now: float) -> int:
    """Write an act down, and return its id."""
    values = {
        "at": now,
        "by": act.by,
        "action": act.action,
        "count": act.count,
        "receipt": act.receipt,
        "filter": json.dumps(act.filter) if act.filter is not None else None,
        "detail": json.dumps(act.detail) if act.detail is not None else None,
    }
    return int(conn.execute(sa.insert(audit).values(values).returning(audit.c.id)).scalar_one())


def page(
    conn: Connection, before: int | None, limit: int, receipt: str | None = None
) -> list[dict[str, Any]]:
    """Return acts, newest first; with ``receipt``, whichever of a row's it is, those on it alone and the
    last of those on many that moved it."""
    query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit.c.id < before)
    if receipt is not None:
        own = own_receipt(receipt)
        of_many = sa.select(deliveries.c.moved_by).where(deliveries.c.receipt == own)
        query = query.where(sa.or_(audit.c.receipt == own, audit.c.id == of_many.scalar_subquery()))
    return [
        {
            **row,
            "filter": json.loads(row["filter"]) if row["filter"] else None,
            "detail": json.loads(row["detail"]) if row["detail"] else None,
        }
        for row in conn.execute(query).mappings()
    ]


def forget(conn: Connection, now: float) -> None:
    """Delete what was done longer ago than it is kept, some of the oldest at a time."""
    oldest = sa.select(audit.c.id).order_by(audit.c.id).limit(_AT_ONCE).scalar_subquery()
    conn.execute(sa.delete(audit).where(audit.c.id.in_(oldest), audit.c.at < now - KEPT_SECONDS))
