"""What a person wants to know in the morning: what arrived, and what needs them."""

from collections.abc import Mapping
from typing import Any

from relay import clock
from relay.config.settings import Settings
from relay.delivery import KEPT
from relay.outbox import figures, refusals, unmapped
from relay.outbox.figures import HOUR
from relay.outbox.outbox import Outbox
from relay.sources.source import RETENTION_SECONDS
from relay.sources.unmapped import is_mapped

DAY_HOURS, WEEK_HOURS = 24, 7 * 24


def needs_you(settings: Settings, outbox: Outbox) -> list[dict[str, Any]]:
    """Return what waits for a person, by state, source and reason; ``kept_seconds``: for how long."""
    found = outbox.read(figures.waiting, KEPT)
    return [
        {
            **group,
            "newest": clock.iso(group["newest"]),
            "kept_seconds": kept_seconds(settings, group["source"]),
        }
        for group in found
    ]


def kept_seconds(settings: Settings, source: str) -> float:
    """Return for how long what waits for a person is kept, also of a source that is gone."""
    known = settings.sources.get(source)
    return known.retention if known else RETENTION_SECONDS


def sources(settings: Settings, outbox: Outbox) -> list[dict[str, Any]]:
    """Return every source: its last sign-up, its counts, what needs somebody, by state and reason."""
    groups = needs_you(settings, outbox)
    now = outbox.time()
    known = {name: (source.kind, source.enabled) for name, source in settings.sources.items()}
    gone = {group["source"]: (None, False) for group in groups if group["source"] not in known}
    return [
        {
            "source": name,
            "kind": kind,
            "enabled": enabled,
            **_arrived(outbox, name, now),
            "refusals": _refused(outbox, name, now),
            "unmapped": _unmapped(settings, outbox, name),
            "needs_you": _by_state([group for group in groups if group["source"] == name]),
        }
        for name, (kind, enabled) in {**known, **gone}.items()
    ]


def _arrived(outbox: Outbox, source: str, now: float) -> dict[str, Any]:
    """Return when the last one came, how many lately, and how many in each hour of a week."""
    hours = outbox.arrivals(source, WEEK_HOURS, now)
    return {
        "last": clock.iso(outbox.read(figures.last_received, source)),
        "counts": {
            "1h": _lately(outbox, source, now, hours[-1:]),
            "24h": _lately(outbox, source, now, hours[-DAY_HOURS:]),
            "7d": sum(hours),
        },
        "hours": hours,
    }


def _lately(outbox: Outbox, source: str, now: float, hours: list[int]) -> int:
    """Return how many came in so many hours until now: in these of the clock, and in a part of one before."""
    began, seconds = now // HOUR * HOUR, len(hours) * HOUR
    since, until = now - seconds, began + HOUR - seconds
    return sum(hours) + outbox.read(figures.arrived, source, since, until)


def _refused(outbox: Outbox, source: str, now: float) -> list[dict[str, Any]]:
    """Return what was refused within a week, and why, the most frequent cause first."""
    since = now - WEEK_HOURS * HOUR
    found = outbox.read(refusals.recent, source, since)
    return [
        {"cause": one["cause"], "count": one["count"], "last": clock.iso(one["last_at"])} for one in found
    ]


def _unmapped(settings: Settings, outbox: Outbox, source: str) -> list[str]:
    """Return the names that a source posts and that nothing looks at, as it is configured now."""
    known = settings.sources.get(source)
    found = outbox.read(unmapped.recent, source)
    return [name for name in found if known is None or not is_mapped(known, name)]


def _by_state(groups: list[dict[str, Any]]) -> Mapping[str, Mapping[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for group in groups:
        found.setdefault(group["state"], {})[group["reason"] or ""] = group["count"]
    return found
