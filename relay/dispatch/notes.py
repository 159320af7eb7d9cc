"""What is said of an attempt: one event, one count."""

import logging

from relay import delivery as states
from relay import events, metrics
from relay.clock import iso
from relay.outbox.records import Decision
from relay.outcome import Delivered


def note(decision: Decision, seconds: float | None) -> None:
    delivery, outcome = decision.delivery, decision.outcome
    metrics.count_delivery(delivery.destination, outcome.word, seconds)
    as_ever = delivery.state == states.QUEUED or delivery.reason in (None, states.KEY_REUSED)
    quiet = isinstance(outcome, Delivered) and as_ever
    events.note(
        "delivery.attempted",
        level=logging.INFO if quiet else logging.WARNING,
        receipt=delivery.receipt,
        source=delivery.source,
        destination=delivery.destination,
        outcome=outcome.word,
        status=outcome.status,
        state=delivery.state,
        reason=delivery.reason,
        attempt=delivery.sends,
        seconds=None if seconds is None else round(seconds, 3),
        due_at=iso(delivery.due_at) if delivery.state == states.QUEUED else None,
        trace_id=outcome.trace_id,
    )
    if decision.health.hold_reason and not isinstance(outcome, Delivered):
        events.note(
            "destination.held",
            level=logging.WARNING,
            destination=delivery.destination,
            reason=decision.health.hold_reason,
            until=iso(decision.health.ends_at),
        )
