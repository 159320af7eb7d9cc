"""What the sender is told of a stored submission."""

from dataclasses import replace
from typing import Any

from relay.delivery import HELD, INVALID, QUEUED, REFUSED, Delivery
from relay.intake import receipt
from relay.intake.incoming import Refusal, Taken
from relay.outbox.records import Stored
from relay.sources.source import Source


def answer(source: Source, stored: Stored, eta: float | None = None) -> Taken | Refusal:
    """Tell its state. ``eta``: in how many seconds it will be sent, where that is known."""
    if stored.delivery.state == REFUSED and not receipt.is_silent(source):
        return _refused(source, stored.delivery, stored.repeat)
    return taken(source, stored, eta)


def taken(source: Source, stored: Stored, eta: float | None = None) -> Taken:
    """Tell that it was taken, whatever became of it since."""
    told = stored.repeat and not stored.is_alias
    status, body = receipt.answer(source, stored.delivery, repeat=told, profile=stored.reply, eta_seconds=eta)
    waits = stored.delivery.state in (HELD, INVALID)
    cause = (stored.delivery.reason or "") if waits else ""
    return Taken(status, body, stored.delivery.receipt, told, cause=cause)


def with_files(result: Taken | Refusal, ignored: tuple[str, ...]) -> Taken | Refusal:
    """Tell a success also which fields were left out because they held a file."""
    if not ignored or not isinstance(result, Taken):
        return result
    body = {**result.body, "dropped": [*result.body.get("dropped", ()), *ignored]}
    return replace(result, body={**body, "ignored_files": list(ignored)})


def _refused(source: Source, delivery: Delivery, repeat: bool) -> Taken | Refusal:
    if source.on_failure == "accept":
        body: dict[str, Any] = {"receipt": delivery.receipt, "state": QUEUED, "eta_seconds": None}
        if repeat:
            body["repeat"] = True
        status = source.success_status or (200 if repeat else 202)
        return Taken(status, body, delivery.receipt, repeat)
    return Refusal(
        422,
        "Upstream does not take this sign-up.",
        receipt=delivery.receipt,
        state=REFUSED,
        trace_id=delivery.trace_id,
        repeat=repeat,
    )
