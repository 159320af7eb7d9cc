"""Jobs: one action on all rows of a filter, fixed when the job is made, done a batch at a time."""

import re
import secrets
from collections.abc import Mapping
from typing import Any

from relay import clock
from relay.config.settings import Settings
from relay.delivery import INVALID
from relay.operator.acting import Plan, planned
from relay.operator.actions import DISCARD, POSSIBLE, REPLAY, is_stranded, why_not
from relay.operator.errors import CannotDo, Missing, Nonsense, Unfitting
from relay.operator.filter import Filter, wanted
from relay.outbox import audit, jobs, moves
from relay.outbox import wanted as rows
from relay.outbox.audit import Act
from relay.outbox.jobs import CANCELLED, COUNTED, Job
from relay.outbox.outbox import Outbox
from relay.vault import Vault

ACTIONS = (REPLAY, DISCARD)
QUEUED, DISCARDED, SAME, CHANGED, UNMAPPABLE, IMPOSSIBLE = (
    "queued",
    "discarded",
    "same as delivered",
    "changed meanwhile",
    "unmappable",
    "not possible",
)
OUTCOMES = (QUEUED, DISCARDED, SAME, CHANGED, UNMAPPABLE, IMPOSSIBLE)
"""What becomes of a row."""
_DONE = {REPLAY: QUEUED, DISCARD: DISCARDED}
MOVED = tuple(_DONE.values())
_NAME = re.compile(r"[0-9a-f]{16}")
BATCH = 100


def make(
    outbox: Outbox, action: str, filter_: Filter, by: str, *, dry_run: bool, counted: str | None = None
) -> Job:
    """Count and keep a new job. Raises Nonsense, Unfitting, Missing.

    ``counted``: the dry run in which its rows were shown; what has come, or changed, since is not meant.
    """
    if action not in ACTIONS:
        raise Unfitting(f"action must be one of {', '.join(ACTIONS)}")
    shown_ = _shown(outbox, action, counted) if counted is not None else None
    filter_ = Filter(**shown_.filter) if shown_ else filter_
    wanted(filter_)
    _check_state(action, filter_)
    name = secrets.token_hex(8)

    def add(conn: Any) -> Job:
        now, said = outbox.now(conn), filter_.said()
        upto, seen_at = (shown_.upto, shown_.seen_at) if shown_ else (rows.newest_seq(conn), now)
        total = rows.count(conn, wanted(filter_, upto=upto, seen_at=seen_at))
        detail = {"job": name, "dry_run": dry_run}
        act = audit.note(conn, Act(by, f"{action} many", total, filter=said, detail=detail), now)
        job = Job(
            name, action, said, dry_run, by, COUNTED, 0, upto, total, 0, {}, None, now, None, seen_at, act
        )
        jobs.add(conn, job)
        return job

    return outbox.write(add)


def _shown(outbox: Outbox, action: str, name: str) -> Job:
    """Return the dry run that somebody saw. Raises Missing, Unfitting."""
    job = find(outbox, name)
    if job.action != action or not job.dry_run:
        raise Unfitting(f"counted must be a dry run of {action}")
    return job


def shown(job: Job) -> dict[str, Any]:
    """Return a job as operators see it."""
    return {
        "job": job.name,
        "action": job.action,
        "filter": dict(job.filter),
        "dry_run": job.dry_run,
        "by": job.by,
        "state": job.state,
        **counted(job),
        "done": job.done,
        "outcomes": dict(job.outcomes),
        "problem": job.problem,
        "made_at": clock.iso(job.made_at),
        "ended_at": clock.iso(job.ended_at),
    }


def counted(job: Job) -> dict[str, Any]:
    """Return how many rows are meant, and whether there are more than were counted."""
    more_than = job.total > rows.MANY and not job.is_over
    return {"total": rows.MANY if more_than and job.done <= rows.MANY else job.total, "more_than": more_than}


def find(outbox: Outbox, name: str) -> Job:
    """Return a job. Raises Missing."""
    job = outbox.read(jobs.get, name) if _NAME.fullmatch(name) else None
    if job is None:
        raise Missing("there is no such job")
    return job


def cancel(outbox: Outbox, name: str, by: str) -> None:
    """End a job between two batches. Raises Missing, CannotDo if it is over."""

    def end(conn: Any) -> bool:
        now = outbox.now(conn)
        if not jobs.end(conn, job, CANCELLED, now):
            return False
        done = (jobs.get(conn, name) or job).done  # read now that no batch can be written any more
        audit.note(conn, Act(by, "cancel job", done, detail={"job": name}), now)
        return True

    job = find(outbox, name)
    if not outbox.write(end):
        raise CannotDo(f"is over: it is {find(outbox, name).state}")


def would_replay(outbox: Outbox, settings: Settings, filter_: Filter) -> int:
    """Return how many rows would be queued; of invalid ones those that can be mapped by now."""
    meant = wanted(filter_)
    _check_state(REPLAY, filter_)
    if filter_.state != INVALID:
        return min(outbox.read(rows.count, meant), rows.MANY)
    count, looked, after = 0, 0, 0
    while looked < rows.MANY:
        found = outbox.read(rows.oldest_first, wanted=meant, after=after, limit=BATCH)
        if not found:
            break
        looked, after = looked + len(found), found[-1]["seq"]
        plans = [plan(REPLAY, row, settings, outbox.vault) for row in found]
        count += outbox.read(_likely_all, plans=plans).count(QUEUED)
    return count


def _likely_all(conn: Any, plans: list[Plan | str]) -> list[str]:
    return [likely(conn, one) for one in plans]


def _check_state(action: str, filter_: Filter) -> None:
    if filter_.state is None:
        raise Unfitting("state is needed: else suspects would be meant too")
    # What is queued for a destination that was removed can only be given up; of others nothing becomes.
    allowed = (*POSSIBLE[action], QUEUED) if action == DISCARD else POSSIBLE[action]
    if filter_.state not in allowed:
        raise Nonsense(f"state must be one of {', '.join(allowed)}")


def plan(action: str, row: Mapping[str, Any], settings: Settings, vault: Vault) -> Plan | str:
    """Return what is to become of a row, or why nothing can."""
    # Of those that will be sent a person gives up each by itself, having looked for it upstream.
    will_be_sent = row["state"] == QUEUED and not is_stranded(row, settings)
    if will_be_sent or why_not(action, row, settings):
        return IMPOSSIBLE
    try:
        return planned(action, row, settings, vault)
    except CannotDo:
        return UNMAPPABLE


def outcome(conn: Any, plan_: Plan | str, now: float) -> str:
    """Carry a plan out, and return what became of the row."""
    if isinstance(plan_, str):
        return plan_
    moved = plan_.carry_out(conn, now, None)
    if isinstance(moved, moves.Same):
        return SAME
    return CHANGED if isinstance(moved, moves.Changed) else _DONE[plan_.action]


def likely(conn: Any, plan_: Plan | str) -> str:
    """Return what would become of the row."""
    if isinstance(plan_, str):
        return plan_
    if plan_.action != DISCARD and plan_.same(conn):
        return SAME
    return _DONE[plan_.action]
