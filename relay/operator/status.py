"""The state of every destination, as numbers."""

from typing import Any

from relay import clock, quota
from relay.config.settings import Settings
from relay.delivery import QUEUED, SENDING
from relay.destination import Destination
from relay.outbox.outbox import Outbox

REMOVED = "removed from the configuration"

Backlog = list[tuple[str, str, int, float]]


def status(settings: Settings, outbox: Outbox) -> dict[str, Any]:
    """Return every destination by name, those too that were removed while something waits for them."""
    backlog = outbox.backlog()
    found = {name: _configured(one, outbox, backlog) for name, one in settings.destinations.items()}
    removed = sorted({row[0] for row in backlog} - found.keys())
    return found | {name: _removed(name, settings, outbox, backlog) for name in removed}


def _configured(destination: Destination, outbox: Outbox, backlog: Backlog) -> dict[str, Any]:
    health = outbox.health(destination.name)
    now, held = outbox.ledger(destination)
    count, oldest = _waiting(destination.name, backlog)
    is_held = health.is_held(now)
    ahead, parallel = max(0, count - 1), health.lane_width(destination)
    eta = None if is_held else round(quota.eta(destination.windows, held, ahead, 0.3, parallel, now))
    return {
        "hold_until": clock.iso(health.ends_at) if is_held else None,
        "hold_reason": health.hold_reason if is_held else None,
        "backlog": count,
        "oldest_seconds": None if oldest is None else round(now - oldest, 1),
        "eta_seconds": eta if count else 0 if not is_held else None,
        "quota_used": {w.name: quota.used(w, held, now) for w in destination.windows},
    }


def _removed(name: str, settings: Settings, outbox: Outbox, backlog: Backlog) -> dict[str, Any]:
    """Return one that the configuration does not have; while that has no file, it is held as it was."""
    count, oldest = _waiting(name, backlog)
    now, health = outbox.time(), outbox.health(name)
    is_known = not settings.has_file and health.is_held(now)
    removed = REMOVED if settings.has_file else None
    return {
        "hold_until": clock.iso(health.ends_at) if is_known else None,
        "hold_reason": health.hold_reason if is_known else removed,
        "backlog": count,
        "oldest_seconds": None if oldest is None else round(now - oldest, 1),
        "eta_seconds": None,
        "quota_used": {},
    }


def _waiting(name: str, backlog: Backlog) -> tuple[int, float | None]:
    mine = [row for row in backlog if row[0] == name and row[1] in (QUEUED, SENDING)]
    return sum(row[2] for row in mine), min((row[3] for row in mine), default=None)
