"""Digest: once a day, what arrived, what needs a person, and what waits; numbers, and nobody's name."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from relay.config.settings import Settings
from relay.operator import figures
from relay.operator.leading import link
from relay.operator.status import status
from relay.operator.wording import count_of, moment
from relay.outbox.outbox import Outbox

AT_HOUR = 8
"""In RELAY_TIME_ZONE."""


def day(settings: Settings, now: float) -> str | None:
    """Return the day whose digest is due by now, None before its hour."""
    local = datetime.fromtimestamp(now, settings.time_zone)
    return local.date().isoformat() if local.hour >= AT_HOUR else None


def made(settings: Settings, outbox: Outbox) -> dict[str, str]:
    """Return the digest as a letter."""
    needs = figures.needs_you(settings, outbox)
    waiting = sum(group["count"] for group in needs)
    subject = f"[relay] {count_of(waiting, 'submission')} {'needs' if waiting == 1 else 'need'} you"
    lines = [
        *_as_of(settings, outbox),
        *_needs(needs),
        "",
        *_arrived(settings, outbox),
        "",
        *_destinations(settings, outbox),
    ]
    return {
        "subject": subject if waiting else "[relay] nothing needs you",
        "text": "\n".join([*lines, "", link(settings, "needs-you")]),
    }


def _as_of(settings: Settings, outbox: Outbox) -> Iterator[str]:
    """Yield when this was so: where no mail can be sent for days, the digests of those days come at once."""
    at = datetime.fromtimestamp(outbox.time(), settings.time_zone).isoformat()
    yield f"As it was at {moment(at, settings.time_zone)} ({settings.time_zone})."
    yield ""


def _needs(needs: list[dict[str, Any]]) -> Iterator[str]:
    yield "What needs you:" if needs else "Nothing needs you."
    for group in needs:
        reason = f": {group['reason']}" if group["reason"] else ""
        yield f"  {group['count']} {group['state']} of {group['source']}{reason}"


def _arrived(settings: Settings, outbox: Outbox) -> Iterator[str]:
    zone = settings.time_zone
    yield "What arrived in the 24 hours before:"
    for source in figures.sources(settings, outbox):
        last = moment(source["last"], zone) if source["last"] else "never"
        yield f"  {source['source']}: {source['counts']['24h']}; the last one: {last}"


def _destinations(settings: Settings, outbox: Outbox) -> Iterator[str]:
    yield "What waits to be sent:"
    for name, one in status(settings, outbox).items():
        held = f", held: {one['hold_reason']}" if one["hold_reason"] else ""
        yield f"  {name}: {one['backlog']}{held}"
