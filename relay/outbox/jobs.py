"""Jobs, inside a transaction: work on many rows that is counted, done in pieces, and survives a restart."""

import json
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.locks import locked, locked_if_free
from relay.outbox.operating import jobs
from relay.outbox.schema import deliveries

COUNTED, RUNNING, DONE, CANCELLED, FAILED = "counted", "running", "done", "cancelled", "failed"
LEASE_SECONDS = 10.0
"""After so long without a sign of life, another process goes on with a job."""
KEPT_SECONDS = 30 * 86400.0
"""Jobs that are over are kept for so long."""
_AT_ONCE = 500


@dataclass(frozen=True)
class Job:
    """What is done, to which rows, for whom, and how far it has come."""

    name: str
    action: str
    filter: Mapping[str, Any]
    dry_run: bool
    by: str
    state: str
    after: int
    upto: int
    total: int
    done: int
    outcomes: Mapping[str, int]
    problem: str | None
    made_at: float
    ended_at: float | None
    seen_at: float | None = None
    """When its rows were counted: a row that changed later is another than was meant."""
    act: int | None = None
    """What the audit log says of its making; None of one that an earlier version made."""
    id: int = 0

    @property
    def is_over(self) -> bool:
        return self.ended_at is not None


def add(conn: Connection, job: Job) -> None:
    """Keep a new job."""
    left_out = ("filter", "outcomes", "id")
    names = [field.name for field in fields(Job) if field.name not in left_out]
    values: dict[str, Any] = {name: getattr(job, name) for name in names}
    values |= {"filter": json.dumps(job.filter), "outcomes": json.dumps(job.outcomes)}
    conn.execute(sa.insert(jobs).values(values))


def get(conn: Connection, name: str) -> Job | None:
    """Return one job."""
    row = conn.execute(sa.select(jobs).where(jobs.c.name == name)).mappings().first()
    return _job(row) if row else None


def page(conn: Connection, before: int | None, limit: int) -> list[Job]:
    """Return jobs, newest first."""
    query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(jobs.c.id < before)
    return [_job(row) for row in conn.execute(query).mappings()]


def forget(conn: Connection, now: float) -> None:
    """Delete jobs that are over for longer than they are kept, some of the oldest at a time."""
    oldest = sa.select(jobs.c.id).order_by(jobs.c.id).limit(_AT_ONCE).scalar_subquery()
    conn.execute(sa.delete(jobs).where(jobs.c.id.in_(oldest), jobs.c.ended_at < now - KEPT_SECONDS))


def any_open(conn: Connection) -> bool:
    """Whether any job is not over: a look that costs no turn of the writer."""
    return conn.scalar(sa.select(jobs.c.id).where(jobs.c.ended_at.is_(None)).limit(1)) is not None


def take(conn: Connection, owner: str, now: float) -> Job | None:
    """Hand out the oldest job for ``LEASE_SECONDS``, if nobody works on it; a dry run need not wait.

    In the order of their making: whoever discards the rest means what an earlier replay leaves.
    """
    is_free = sa.or_(
        jobs.c.lease_until.is_(None),
        jobs.c.owner == owner,
        jobs.c.lease_until < now,
        jobs.c.lease_until > now + LEASE_SECONDS,  # the clock was set back
    )
    oldest = sa.select(sa.func.min(jobs.c.id)).where(jobs.c.ended_at.is_(None), sa.not_(jobs.c.dry_run))
    is_next = sa.or_(jobs.c.dry_run, jobs.c.id == oldest.scalar_subquery())
    query = sa.select(jobs).where(jobs.c.ended_at.is_(None), is_next, is_free).order_by(jobs.c.id).limit(1)
    row = conn.execute(locked_if_free(conn, query)).mappings().first()
    if row is None:
        return None
    state = COUNTED if row["dry_run"] else RUNNING
    taken = {"owner": owner, "lease_until": now + LEASE_SECONDS, "state": state}
    conn.execute(sa.update(jobs).where(jobs.c.id == row["id"]).values(taken))
    return _job({**row, **taken})


def give_back(conn: Connection, owner: str) -> None:
    """Let another process go on at once with what this one worked on."""
    conn.execute(sa.update(jobs).where(jobs.c.owner == owner).values(owner=None, lease_until=None))


def is_ours(conn: Connection, job: Job, owner: str) -> bool:
    """Whether a job still goes on, and nobody else has taken it; it stays so in this transaction."""
    query = sa.select(jobs.c.id).where(jobs.c.id == job.id, jobs.c.owner == owner, jobs.c.ended_at.is_(None))
    return conn.scalar(locked(conn, query)) is not None


def sign(conn: Connection, job: Job, receipts: Collection[str]) -> None:
    """Write down of rows that this job moved them."""
    moved = sa.update(deliveries).where(deliveries.c.receipt.in_(receipts))
    conn.execute(moved.values(moved_by=job.act))


def progress(conn: Connection, job: Job, outcomes: Mapping[str, int], after: int, now: float) -> None:
    """Write down how far a job has come."""
    done = job.done + sum(outcomes.values())
    values = {
        "after": after,
        "done": done,
        "total": max(job.total, done),
        "outcomes": json.dumps(Counter(job.outcomes) + Counter(outcomes)),
        "lease_until": now + LEASE_SECONDS,
    }
    conn.execute(sa.update(jobs).where(jobs.c.id == job.id).values(values))


def end(conn: Connection, job: Job, state: str, now: float, problem: str | None = None) -> bool:
    """End a job, unless it is over already. Returns whether it was not."""
    values: dict[str, Any] = {"state": state, "ended_at": now, "problem": problem, "lease_until": None}
    if state == DONE:
        values["total"] = jobs.c.done  # what vanished meanwhile was not there to be done
    ended = sa.update(jobs).where(jobs.c.id == job.id, jobs.c.ended_at.is_(None)).values(values)
    return bool(conn.execute(ended).rowcount)


def _job(row: Any) -> Job:
    texts = {name: json.loads(row[name]) for name in ("filter", "outcomes")}
    names = [name for name in Job.__dataclass_fields__ if name not in texts]
    return Job(**{name: row[name] for name in names}, **texts)
