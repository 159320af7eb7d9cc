"""Receipt: everything an outsider may know about a submission."""

from collections.abc import Mapping
from typing import Any

from relay.delivery import DELIVERED, INVALID, QUEUED, REFUSED, Delivery
from relay.sources.source import Source

RECEIVED = "received"
KEPT = "kept"


def public_state(state: str, *, silent: bool) -> str:
    """Return the state an outsider sees. ``silent``: forms that do not wait learn ``received`` only,

    because whether upstream took an address is the owner's business.
    """
    if silent:
        return RECEIVED
    if state == INVALID:
        return KEPT
    return state if state in (DELIVERED, REFUSED) else QUEUED


def is_silent(source: Source | None) -> bool:
    """Whether a source's receipts tell nothing; one that is gone from the configuration does not."""
    return source is None or (source.is_form and source.wait == 0)


def answer(
    source: Source,
    delivery: Delivery,
    *,
    repeat: bool = False,
    profile: Mapping[str, Any] | None = None,
    eta_seconds: float | None = None,
) -> tuple[int, dict[str, Any]]:
    """Return status and JSON body for a stored submission that was not refused."""
    state = public_state(delivery.state, silent=is_silent(source))
    body: dict[str, Any] = {"receipt": delivery.receipt, "state": state}
    status = 202
    if state == DELIVERED:
        status = 201
        body["profile"] = reply_fields(source, delivery, profile or {})
    elif state == QUEUED:
        body["eta_seconds"] = None if eta_seconds is None else max(0, round(eta_seconds))
    if delivery.dropped and state != RECEIVED:
        body["dropped"] = list(delivery.dropped)
    if repeat:
        status, body["repeat"] = 200, True
    return source.success_status or status, body


def reply_fields(source: Source, delivery: Delivery, profile: Mapping[str, Any]) -> dict[str, Any]:
    """Return the profile fields the caller may see."""
    known = {**profile, "id": delivery.profile_id}
    return {name: known[name] for name in source.reply if known.get(name) is not None}
