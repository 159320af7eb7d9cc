"""The state of every destination, as numbers."""

from typing import Any

from relay import clock
from relay.config.settings import Settings
from relay.destination import REMOVED, Destination
from relay.outbox import listing
from relay.outbox.due import slots
from relay.outbox.holds import health_of
from relay.outbox.outbox import Outbox
from relay.quota import USUAL_SECONDS, Timetable, used

_Waiting = tuple[int, float | None]
"""How many are to be sent, and since when the oldest of them waits."""
_NONE: _Waiting = (0, None)


def status(settings: Settings, outbox: Outbox) -> dict[str, Any]:
    """Return every destination by name, those too that were removed while something waits for them."""
    waiting = outbox.read(listing.to_send)
    found = {
        name: _configured(one, outbox, waiting.get(name, _NONE))
        for name, one in settings.destinations.items()
    }
    removed = sorted(waiting.keys() - found.keys())
    return found | {name: _removed(name, settings, outbox, waiting[name]) for name in removed}


def _configured(destination: Destination, outbox: Outbox, waiting: _Waiting) -> dict[str, Any]:
    now, health = outbox.time(), outbox.read(health_of, destination.name)
    held = outbox.read(slots, destination, now)
    count, oldest = waiting
    is_held = health.is_held(now)
    ahead, parallel = max(0, count - 1), health.lane_width(destination)
    eta = None
    if not is_held:
        last_due = outbox.read(listing.last_due, destination.name)
        timetable = Timetable(destination.windows, held, USUAL_SECONDS, parallel, now)
        eta = round(max(timetable.eta(ahead), last_due - now))
    return {
        "hold_until": clock.iso(health.ends_at) if is_held else None,
        "hold_reason": health.hold_reason if is_held else None,
        "backlog": count,
        "oldest_seconds": None if oldest is None else round(now - oldest, 1),
        "eta_seconds": eta if count else 0 if not is_held else None,
        "quota_used": {w.name: used(w, held, now) for w in destination.windows},
    }


def _removed(name: str, settings: Settings, outbox: Outbox, waiting: _Waiting) -> dict[str, Any]:
    """Return one that the configuration does not have; while that has no file, it is held as it was."""
    count, oldest = waiting
    now, health = outbox.time(), outbox.read(health_of, name)
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
