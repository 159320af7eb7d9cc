"""Delivery: one profile's journey: its states, its attempts, when it is next due, how it settles."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from relay.destination import Destination
from relay.health import RARE_TRY_SECONDS
from relay.outcome import Delivered, Forbidden, Later, Misconfigured, NotSent, Outcome, Refused, Unclear, Wait

QUEUED = "queued"
SENDING = "sending"
DELIVERED = "delivered"
REFUSED = "refused"
PARKED = "parked"
DEAD = "dead"
HELD = "held"
INVALID = "invalid"
DISCARDED = "discarded"
STATES = (QUEUED, SENDING, DELIVERED, REFUSED, PARKED, DEAD, HELD, INVALID, DISCARDED)
KEPT = (HELD, INVALID, PARKED, REFUSED, DEAD)
"""States in which a person decides: the payload stays until then, or until ``retention`` is over."""

FRESH, RETRY, CHECK = 0, 1, 2
"""Lanes: new ones; those sent before or replayed; those that a captcha service is to be asked about."""

KEY_REUSED = "key_reused"
"""The reason of a submission whose key an earlier one with other content had."""
FORBIDDEN_SECONDS = 300.0
MAX_SILENT = 3
MAX_ERRORS = 6
MAX_UNCLEAR = 12
"""Unclear sends in all, those that did not count among them."""
RARE_FROM = 3
"""From so many unclear sends on a submission is tried hourly while upstream fails."""
NEW_SERIES: dict[str, Any] = {"attempts": 0, "silent": 0, "errors": 0, "unclear": 0}
"""What begins anew when it is replayed, and when its profile was created."""
_SILENT_SECONDS = 60.0
_ERROR_SECONDS = 5.0
_FASTEST, _SLOWEST = 0.8, 1.2


@dataclass(frozen=True)
class Delivery:
    """One submission on its way. Times are seconds since 1970.

    ``attempts`` counts the sends that used up the retry schedule, ``sends`` all of them;
    ``silent`` and ``errors`` the unclear ones without and with an answer while upstream did not fail,
    ``unclear`` all unclear ones.
    """

    receipt: str
    source: str
    destination: str
    state: str
    received_at: float
    due_at: float
    reason: str | None = None
    lane: int = FRESH
    fence: int = 0
    attempts: int = 0
    sends: int = 0
    silent: int = 0
    errors: int = 0
    unclear: int = 0
    forbidden_at: float | None = None
    may_be_duplicate: bool = False
    profile_id: str | None = None
    trace_id: str | None = None
    delivered_at: float | None = None
    replayed_at: float | None = None
    """When its present series of attempts began, if not when it was received."""
    dropped: tuple[str, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_update(self) -> bool:
        """Whether the profile is created and only its update is left to send."""
        return self.profile_id is not None and self.state in (QUEUED, SENDING)


def settle(
    delivery: Delivery,
    outcome: Outcome,
    destination: Destination,
    now: float,
    jitter: float,
    sendable_seconds: float,
    *,
    failing: bool = False,
) -> Delivery:
    """Return what becomes of a delivery whose attempt ended so.

    ``jitter`` is a number in [0, 1) that spreads the waits over × 0.8 to 1.2; ``sendable_seconds`` is
    its age without the time in which nothing could be sent. ``failing``: the destination fails, whatever
    is sent: an attempt that fails then is not held against this delivery.
    """
    settled = _settled(delivery, outcome, destination, now, jitter, sendable_seconds, failing)
    if not (delivery.reason or "").startswith(KEY_REUSED):
        return settled
    # A mark that was set at the door stays to the end, whatever else there is to say.
    return replace(settled, reason="; ".join(filter(None, (KEY_REUSED, settled.reason))))


def _settled(
    delivery: Delivery,
    outcome: Outcome,
    destination: Destination,
    now: float,
    jitter: float,
    sendable_seconds: float,
    failing: bool,
) -> Delivery:
    delivery = replace(delivery, trace_id=outcome.trace_id or delivery.trace_id)
    match outcome:
        case Delivered():
            return _delivered(delivery, outcome, now)
        case Refused(status=status):
            return _refused(delivery, status)
        case Wait() | NotSent():
            # With the time at which it was due already: it goes before those that came after it.
            return replace(delivery, state=QUEUED, reason=None, due_at=min(delivery.due_at, now))
        case Misconfigured(why=why):
            # To the end of the retries, so that the next probe takes another one.
            return _again(delivery, now, f"misconfigured: {why}")
        case Forbidden():
            later = replace(delivery, forbidden_at=now)
            again = _again(later, now + FORBIDDEN_SECONDS, "403")
            # It costs no attempt: the second one in a row stands for those.
            return again if delivery.forbidden_at is None else _or_dead(again, destination, sendable_seconds)
        case Later(after=after, why=why):
            wait = max(_wait(delivery, destination, jitter), after or 0)
            again = _again(_used_up(delivery, failing), now + wait, why)
            return _or_dead(again, destination, sendable_seconds)
        case Unclear(why=why) if delivery.is_update:
            # Sent twice it does no harm: it says how things are, not what to add. So it is tried on.
            wait = _wait(delivery, destination, jitter)
            again = _again(_used_up(delivery, failing), now + wait, f"unclear: {why}")
            return _or_dead(again, destination, sendable_seconds)
        case Unclear():
            return _unclear(delivery, outcome, destination, now, jitter, failing)
    raise AssertionError(f"no rule for {outcome!r}")


def _delivered(delivery: Delivery, outcome: Delivered, now: float) -> Delivery:
    reason = None if outcome.status == 201 else f"answered {outcome.status} instead of 201"
    if delivery.is_update:
        return replace(delivery, state=DELIVERED, reason=None, delivered_at=now)
    if delivery.payload.get("update"):
        if outcome.profile_id is None:
            return replace(delivery, state=PARKED, reason="created, but upstream named no id to update")
        # The schedule begins anew: the update is a call of its own.
        created = replace(delivery, profile_id=outcome.profile_id, **NEW_SERIES)
        return replace(
            created, state=QUEUED, lane=FRESH, reason="created, its update is to be sent", due_at=now
        )
    return replace(
        delivery,
        state=DELIVERED,
        reason=reason,
        delivered_at=now,
        profile_id=outcome.profile_id,
    )


def _refused(delivery: Delivery, status: int | None) -> Delivery:
    said = f"upstream answered {status}"
    if delivery.is_update:
        return replace(delivery, state=PARKED, reason=f"created, but its update was refused: {said}")
    if delivery.may_be_duplicate:
        return replace(delivery, state=PARKED, reason=f"probably delivered: {said} to a repeated attempt")
    return replace(delivery, state=REFUSED, reason=said)


def _unclear(
    delivery: Delivery, outcome: Unclear, destination: Destination, now: float, jitter: float, failing: bool
) -> Delivery:
    said = f"unclear: {outcome.why}"
    again = replace(_used_up(delivery, failing), may_be_duplicate=True, unclear=delivery.unclear + 1)
    if not failing:
        again = replace(
            again, errors=again.errors + outcome.answered, silent=again.silent + (not outcome.answered)
        )
    # Spread upwards only, but spread: what failed together must not come back together.
    least = (_ERROR_SECONDS if outcome.answered else _SILENT_SECONDS) * (1 + 0.2 * jitter)
    if failing and again.unclear >= RARE_FROM:
        least = RARE_TRY_SECONDS
    if _is_exhausted(again) or destination.ambiguous == "park":
        return replace(again, state=PARKED, reason=said)
    return _again(again, now + max(_wait(delivery, destination, jitter), least), said)


def _is_exhausted(delivery: Delivery) -> bool:
    """Whether a person must decide: it failed while others were delivered, or very often."""
    often = delivery.silent >= MAX_SILENT or delivery.errors >= MAX_ERRORS
    return often or delivery.unclear > MAX_UNCLEAR


def _used_up(delivery: Delivery, failing: bool) -> Delivery:
    return delivery if failing else replace(delivery, attempts=delivery.attempts + 1)


def _wait(delivery: Delivery, destination: Destination, jitter: float) -> float:
    """Return the seconds of the schedule; its last entry repeats."""
    step = min(delivery.attempts, len(destination.retry) - 1)
    return destination.retry[step] * (_FASTEST + (_SLOWEST - _FASTEST) * jitter)


def _again(delivery: Delivery, due_at: float, reason: str) -> Delivery:
    return replace(delivery, state=QUEUED, lane=RETRY, due_at=due_at, reason=reason)


def _or_dead(delivery: Delivery, destination: Destination, sendable_seconds: float) -> Delivery:
    is_tried = delivery.forbidden_at is not None or delivery.attempts >= _promised(destination)
    if sendable_seconds < destination.give_up_after or not is_tried:
        return delivery
    return replace(delivery, state=DEAD, reason=f"gave up: {delivery.reason}")


def _promised(destination: Destination) -> int:
    """Return how often one is tried at least before it is given up: once through the waits that fit.

    Its age says nothing of that where the relay was off, its destination removed, or the queue long.
    """
    slowest = accumulate(_SLOWEST * wait for wait in destination.retry)
    return 1 + sum(passed < destination.give_up_after for passed in slowest)
