"""For machines that watch: health, readiness, metrics."""

import hmac
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request

from relay import metrics, quota
from relay.delivery import KEPT, QUEUED, SENDING
from relay.operator import actor
from relay.outbox import listing
from relay.outbox.due import slots
from relay.outbox.holds import health_of
from relay.process.relay import Relay
from relay.web import guesses
from relay.web.application import as_json, the_relay
from relay.web.clients import shown_token
from relay.web.problems import problem, unproven

blueprint = Blueprint("operations", __name__)

Gauge = tuple[str, str, dict[str, str], float]
"""A name, what it says, its labels, its value."""


@blueprint.get("/healthz")
def healthz() -> Response:
    """200 while the process works."""
    return _json({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """200 when a submission could be committed now and the dispatcher is alive; strangers learn no more."""
    relay = the_relay()
    failing = relay.failing_checks()
    body: dict[str, Any] = {"status": "failing" if failing else "ok"}
    if _is_trusted(relay):
        body |= {
            "failing": failing,
            "warnings": relay.warnings(),
            "sandbox": relay.settings.is_sandbox,
        }
    return _json(body, 503 if failing else 200)


def _is_trusted(relay: Relay) -> bool:
    """Whether the token of the metrics or of an operator is shown, by a client that does not guess."""
    token = shown_token(request.environ)
    if token is None or guesses.are_too_many(relay, "readyz"):
        return False
    if _is_metrics_token(relay, token) or actor.recognise(relay.settings, token) is not None:
        return True
    guesses.note_wrong(relay, "readyz")
    return False


def _is_metrics_token(relay: Relay, token: str) -> bool:
    known = relay.settings.metrics_token
    if not known or known == "public":
        return False
    return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), known.encode())


@blueprint.get("/metrics")
def exposition() -> Response:
    """Prometheus text, behind a token of its own unless that is ``public``."""
    relay = the_relay()
    is_public, shown = relay.settings.metrics_token == "public", shown_token(request.environ)
    if not is_public and guesses.are_too_many(relay, "metrics"):
        return problem(429, "Too many wrong tokens came from here.")
    if not is_public and not (shown and _is_metrics_token(relay, shown)):
        if "Authorization" in request.headers:
            guesses.note_wrong(relay, "metrics")
        return unproven("Send Authorization: Bearer with the metrics token.")
    text, content_type = metrics.exposition(_gauges(relay))
    return Response(text, content_type=content_type)


def _gauges(relay: Relay) -> list[Gauge]:
    """Return what is counted in the outbox itself, and so is the same from every process."""
    found: list[Gauge] = []
    backlog, now = relay.outbox.read(listing.backlog), relay.outbox.time()
    for name, destination in relay.settings.destinations.items():
        held = relay.outbox.read(slots, destination=destination, now=now)
        own = {"destination": name}
        found += _waiting_for(name, backlog, now)
        for window in destination.windows:
            labels = {**own, "window": window.name}
            found.append(("relay_quota_used", _QUOTA, labels, quota.used(window, held, now)))
        is_held = relay.outbox.read(health_of, name).is_held(now)
        found.append(("relay_destination_held", _HELD, own, float(is_held)))
    for name in sorted({row[0] for row in backlog} - relay.settings.destinations.keys()):
        found += _waiting_for(name, backlog, now)  # it was removed, and they wait on
        found.append(("relay_destination_held", _HELD, {"destination": name}, 1.0))
    return found


def _waiting_for(name: str, backlog: list[tuple[str, str, int, float]], now: float) -> Iterator[Gauge]:
    own, mine = {"destination": name}, [row for row in backlog if row[0] == name]
    counts = {row[1]: row[2] for row in mine}
    for state in (QUEUED, SENDING, *KEPT):
        yield "relay_backlog", _BACKLOG, {**own, "state": state}, counts.get(state, 0)
    waiting = [now - row[3] for row in mine if row[1] == QUEUED]
    yield "relay_oldest_queued_seconds", _OLDEST, own, max(waiting, default=0.0)


_BACKLOG = "Submissions that are not finished"
_OLDEST = "Seconds that the oldest queued submission has waited since it came or was replayed"
_QUOTA = "Calls that count in a window of upstream's quota now"
_HELD = "1 while nothing but probes is sent"


def _json(body: object, status: int = 200) -> Response:
    response = as_json(body, status)
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response
