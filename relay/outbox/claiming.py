"""Sending, inside a transaction: hand deliveries out, record what came of them, keep the ledger and holds."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import DELIVERED, SENDING, Delivery
from relay.destination import Destination
from relay.health import FAILING, REFUSALS, Health, ended, looked, trying
from relay.outbox.due import ledger, next_due, slots
from relay.outbox.holds import health_of, save_health, sendable_seconds
from relay.outbox.locks import locked_if_free
from relay.outbox.records import Claim, Decide, Decision, Known, Look, NothingYet, Turn
from relay.outbox.schema import attempts, deliveries
from relay.outbox.statements import (
    ATTEMPT,
    FINISH,
    FRESH_AFTER,
    FRESH_ANY,
    FRESH_DUE,
    IS_SENDING,
    LEAST_UNCLEAR,
    NEWEST,
    NEWEST_OF_OTHERS,
    NEXT_RETRY,
    SETTLE,
    SETTLE_LATE,
    START,
    changes_of,
    delivery_of,
)
from relay.outcome import Delivered, Seen, Unreadable, Wait
from relay.quota import is_half_used, next_free

LEASE_GRACE_SECONDS = 10.0
"""A lease is the deadline of a call and this much, for what comes before and after it."""
STRANGERS_SECONDS = 300.0
"""So long after its lease a delivery is left to those who know its destination."""
_RETRY_EVERY = 10
_AT_ONCE = 1000


class Sending:
    """The steps by which deliveries are sent. ``now`` returns the time all processes agree on."""

    def __init__(self, now: Callable[[Connection], float], known: Mapping[str, Destination]) -> None:
        """``known``: the destinations by name; it may grow."""
        self._now = now
        self._destinations = known

    def claim(self, conn: Connection, destination: Destination, turn: Turn) -> Claim | Look | NothingYet:
        """Hand out the next delivery: its attempt recorded as started, and its slot taken."""
        health = health_of(conn, destination.name, lock=True)
        now = self._now(conn)
        if health.is_over(now):
            health = ended(health, now)
            save_health(conn, destination.name, health, now)
        if health.is_held(now) and not health.may_probe(now):
            return NothingYet(health.ends_at or math.inf, "held")
        recent = ledger(conn, destination, now)
        if sum(open_ for _, open_ in recent) >= health.lane_width(destination):
            return NothingYet(math.inf, "parallel")
        slots = [held for held, _ in recent]
        free = next_free(destination.windows, slots, now)
        if free > now:
            return NothingYet(free, "quota")
        probe = health.is_held(now)
        # Thousands of retries would use up each minute in its first seconds, and keep fresh ones waiting.
        no_retry = not probe and now < turn.retry_at and is_half_used(destination.windows, slots, now)
        lanes = _lanes_to_probe(health) if probe else _lanes(turn, no_retry)
        row = _next(conn, destination.name, lanes, turn, now)
        if row is None:
            due = next_due(conn, destination.name)
            if probe and health.is_failing and due == health.hold_until:  # as nobody waits that could be sent
                return _start_look(conn, destination, health, now)
            return NothingYet(max(due, turn.retry_at) if no_retry else due, "empty")
        if probe and health.must_look(row["unclear"], now):
            return _start_look(conn, destination, health, now)
        return _start(conn, destination, health, row, now, probe)

    def record(
        self, conn: Connection, claim: Claim, seconds: float, decide: Decide, end_known: bool
    ) -> Decision | None:
        """Record how an attempt ended; None if the delivery is no longer this claim's."""
        name = claim.delivery.destination
        health = health_of(conn, name, lock=True)
        now = self._now(conn)
        decision = decide(claim.delivery, self._known(conn, claim.delivery, health, now))
        guarded = {"this_receipt": claim.delivery.receipt, "this_fence": claim.delivery.fence}
        settled = _settled(decision, now)
        unchanged = {"keep_payload": "payload" not in settled, "new_payload": None, "new_reply": None}
        values = {**unchanged, **{f"new_{name}": value for name, value in settled.items()}}
        changed = conn.execute(SETTLE, {**guarded, **values}).rowcount
        outcome, end = decision.outcome, now if end_known else None
        if isinstance(outcome, Unreadable):  # no call was made: its slot is free again
            end = 0.0
        _finish(conn, claim.attempt, outcome.word, outcome.status, seconds, end, now)
        if not changed:
            return decision if self._accept_late(conn, claim, decision, values) else None
        if decision.health != health:
            save_health(conn, name, decision.health, now)
        return decision

    @staticmethod
    def _accept_late(conn: Connection, claim: Claim, decision: Decision, values: dict[str, Any]) -> bool:
        """Take a delivery's late success although it was settled without it, if nobody sent it again.

        What it says of the destination is too old.
        """
        told = conn.scalar(sa.select(attempts.c.seconds).where(attempts.c.id == claim.attempt)) is not None
        if told or not isinstance(decision.outcome, Delivered):
            return False
        late = {"late_receipt": claim.delivery.receipt, "late_sends": claim.delivery.sends}
        return bool(conn.execute(SETTLE_LATE, {**values, **late}).rowcount)

    def looked(
        self,
        conn: Connection,
        look: Look,
        destination: Destination,
        seen: Seen | Wait,
        seconds: float,
        jitter: float,
    ) -> Health:
        """Record what a look at a destination showed."""
        health = health_of(conn, look.destination, lock=True)
        now = self._now(conn)
        fresh = conn.execute(FRESH_DUE, {"destination": look.destination, "now": now}).first()
        idle = fresh is None and next_due(conn, look.destination) == health.hold_until
        changed = looked(health, destination, seen, jitter, now, idle=idle)
        if changed != health:
            save_health(conn, look.destination, changed, now)
        _finish(conn, look.attempt, seen.word, seen.status, seconds, now if seen.status else None, now)
        return changed

    def recover(self, conn: Connection, decide: Decide, every: bool) -> list[Decision]:
        """Settle what is being sent by nobody: ``every`` such delivery, or those past their lease."""
        now = self._now(conn)
        is_ours = deliveries.c.destination.in_(sorted(self._destinations))
        is_alone = conn.dialect.name == "sqlite"
        latest = now if is_alone else sa.case((is_ours, now), else_=now - STRANGERS_SECONDS)
        gone = [IS_SENDING] if every else [IS_SENDING, deliveries.c.lease_until < latest]
        # The destination before the row, as a result that comes in takes them: else both wait for ever.
        for name in sorted(conn.scalars(sa.select(deliveries.c.destination).where(*gone).distinct())):
            health_of(conn, name, lock=True)
        query = sa.select(deliveries).where(*gone).limit(_AT_ONCE)
        rows = conn.execute(locked_if_free(conn, query)).mappings().all()
        return [self._recover_one(conn, row, decide, now) for row in rows]

    def _recover_one(self, conn: Connection, row: Any, decide: Decide, now: float) -> Decision:
        delivery = delivery_of(row)
        health = health_of(conn, delivery.destination, lock=True)
        decision = decide(delivery, self._known(conn, delivery, health, now))
        conn.execute(
            sa.update(deliveries)
            .where(deliveries.c.receipt == delivery.receipt, deliveries.c.fence == delivery.fence)
            .values(**_settled(decision, now), fence=delivery.fence + 1)
        )
        conn.execute(
            sa.update(attempts)
            .where(attempts.c.receipt == delivery.receipt, attempts.c.ended_at.is_(None))
            .values(ended_at=now, outcome=decision.outcome.word)
        )
        if decision.health != health:
            save_health(conn, delivery.destination, decision.health, now)
        return decision

    def _known(self, conn: Connection, delivery: Delivery, health: Health, now: float) -> Known:
        return Known(
            now,
            health,
            lambda: sendable_seconds(conn, delivery, now),
            lambda: self._has_room(conn, delivery.destination, now),
        )

    def _has_room(self, conn: Connection, name: str, now: float) -> bool:
        destination = self._destinations.get(name)
        if destination is None:
            return False
        return next_free(destination.windows, slots(conn, destination, now), now) <= now


def _lanes(turn: Turn, no_retry: bool) -> tuple[sa.Select[Any], ...]:
    """Return where to look for what is sent next: sources take turns with their oldest fresh one.

    Every tenth slot goes to a due retry or replay.
    """
    if no_retry:
        return FRESH_AFTER, FRESH_ANY
    if turn.count % _RETRY_EVERY == _RETRY_EVERY - 1:
        return NEXT_RETRY, FRESH_AFTER, FRESH_ANY
    return FRESH_AFTER, FRESH_ANY, NEXT_RETRY


def _lanes_to_probe(health: Health) -> tuple[sa.Select[Any], ...]:
    """Return where to look for a probe: for what proves most, and risks least."""
    if health.reason_kind == REFUSALS:
        return NEWEST_OF_OTHERS, NEWEST, NEXT_RETRY
    if health.reason_kind == FAILING:
        return FRESH_AFTER, FRESH_ANY, LEAST_UNCLEAR
    return FRESH_AFTER, FRESH_ANY, NEXT_RETRY


def _next(conn: Connection, name: str, lanes: tuple[sa.Select[Any], ...], turn: Turn, now: float) -> Any:
    """Return the row to send, None if none is due."""
    values = {"destination": name, "now": now, "source": turn.source}
    for lane in lanes:
        if row := conn.execute(locked_if_free(conn, lane), values).mappings().first():
            return row
    return None


def _start(
    conn: Connection, destination: Destination, health: Health, row: Any, now: float, probe: bool
) -> Claim:
    delivery = replace(delivery_of(row), state=SENDING)
    delivery = replace(delivery, fence=delivery.fence + 1, sends=delivery.sends + 1)
    lease_until = _lease(destination, now)
    conn.execute(
        START,
        {
            "this_receipt": delivery.receipt,
            "fence": delivery.fence,
            "sends": delivery.sends,
            "lease_until": lease_until,
        },
    )
    kind = "update" if delivery.is_update else "create"
    attempt = _take_slot(conn, destination, delivery.receipt, kind, now, probe)
    if probe:
        save_health(conn, destination.name, trying(health, now, lease_until), now)
    return Claim(delivery, attempt, lease_until, now, probe, row["payload"])


def _start_look(conn: Connection, destination: Destination, health: Health, now: float) -> Look:
    attempt = _take_slot(conn, destination, "", "look", now, probe=True)
    # Nobody else looks until this one is back.
    save_health(conn, destination.name, replace(health, hold_until=_lease(destination, now)), now)
    return Look(destination.name, attempt)


def _lease(destination: Destination, now: float) -> float:
    return now + destination.deadline + LEASE_GRACE_SECONDS


def _take_slot(
    conn: Connection, destination: Destination, receipt: str, kind: str, now: float, probe: bool
) -> int:
    values = {
        "receipt": receipt,
        "destination": destination.name,
        "started_at": now,
        "held_until": _lease(destination, now),
        "kind": kind,
        "probe": probe,
    }
    return int(conn.execute(ATTEMPT, values).scalar_one())


def _settled(decision: Decision, now: float) -> dict[str, Any]:
    delivery = decision.delivery
    values = {**changes_of(delivery), "changed_at": now, "lease_until": None}
    if decision.reply is not None:
        values["reply"] = json.dumps(decision.reply)
    if decision.box is not None:
        values["payload"] = decision.box
    elif delivery.state == DELIVERED and not delivery.dropped:
        values["payload"] = None
    return values


def _finish(
    conn: Connection,
    attempt: int,
    word: str,
    status: int | None,
    seconds: float,
    held_until: float | None,
    now: float,
) -> None:
    conn.execute(
        FINISH,
        {
            "this_attempt": attempt,
            "new_ended_at": now,
            "new_seconds": seconds,
            "new_outcome": word,
            "new_status": status,
            "new_held_until": held_until,
        },
    )
