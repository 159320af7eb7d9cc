"""From an answer to a decision: the outcome, the next delivery, what is kept of the payload."""

import math
from typing import Any

from relay import delivery as states
from relay import health as accounts
from relay.delivery import Delivery
from relay.destination import Destination
from relay.health import Health, Sent
from relay.outbox.records import Decide, Decision, Known
from relay.outcome import (
    NEVER_STORED,
    Delivered,
    Forbidden,
    Misconfigured,
    Outcome,
    Refused,
    Unreadable,
    Wait,
)


def decide(
    outcome: Outcome,
    destination: Destination,
    *,
    probe: bool,
    jitter: float,
    vault: Any,
    started_at: float = math.inf,
    keep: tuple[str, ...] = (),
) -> Decide:
    """Return what an outcome changes, as a function of what the outbox knows at that moment.

    ``started_at``: when it was sent, where that matters. ``keep``: fields of upstream's answer that repeats
    of this submission may be shown.
    """

    def of(delivery: Delivery, known: Known) -> Decision:
        health, now = known.health, known.now
        resolved = resolve(health, outcome, delivery.receipt, delivery.forbidden_at)
        # An outage is no reason why something cannot be read: else it would be the next probe for ever.
        failing = health.is_failing and not isinstance(resolved, Unreadable)
        settled = states.settle(
            delivery, resolved, destination, now, jitter, known.sendable_seconds(), failing=failing
        )
        asks = resolved.exhausted_for or isinstance(resolved, Wait)
        has_room = bool(asks) and known.has_room()
        sent = Sent(delivery.receipt, probe, jitter, started_at, has_room)
        changed = _changed(health, destination, delivery, resolved, sent, now)
        reply = _reply(resolved, keep)
        box = None
        if settled.is_update and not delivery.is_update and not delivery.dropped:
            # The profile exists: what is left to send is all that is still needed.
            rest = {"update": delivery.payload.get("update")}
            box = vault.seal(rest, delivery.receipt)
        return Decision(settled, changed, resolved, reply, box)

    return of


def _changed(
    health: Health, destination: Destination, delivery: Delivery, outcome: Outcome, sent: Sent, now: float
) -> Health:
    """Return what an outcome says about the destination."""
    if isinstance(outcome, Unreadable):  # nothing was sent: another one is the probe
        return accounts.at_once(health, now) if sent.probe else health
    if not (delivery.is_update and outcome.status == 404):
        return accounts.after(health, destination, outcome, sent, now)
    # A profile that is not known yet, or gone, is no failure: to a probe, upstream answers. Where our
    # address is wrong it says so too, and proves nothing.
    if not sent.probe:
        return health
    is_wrong = f"{accounts.MISCONFIGURED}: 404" in (health.misconfigured, health.hold_reason)
    return accounts.after(health, destination, outcome if is_wrong else Refused(404), sent, now)


def resolve(health: Health, outcome: Outcome, receipt: str, forbidden_at: float | None) -> Outcome:
    """Turn Forbidden, which depends on the others, into an outcome that stands for itself.

    The first 403 of a submission may be about that person or about us: later. On two different
    submissions in a row it is about us; twice on one, with another delivered between, about them.
    """
    if not isinstance(outcome, Forbidden):
        return outcome
    if health.forbidden_receipt not in (None, receipt):
        return Misconfigured(outcome.status, "403", trace_id=outcome.trace_id)
    delivered = health.delivered_at
    if forbidden_at is not None and delivered is not None and delivered > forbidden_at:
        return Refused(outcome.status, trace_id=outcome.trace_id)
    return outcome


def _reply(outcome: Outcome, keep: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(outcome, Delivered):
        return None
    known = (name for name in keep if name not in NEVER_STORED and name != "id")
    kept = {name: outcome.profile[name] for name in known if name in outcome.profile}
    return kept or None
