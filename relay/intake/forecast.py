"""When a submission that waits will have been sent."""

import logging
import time
from collections.abc import Callable
from typing import Any

from relay import events, quota
from relay.delivery import Delivery
from relay.destination import Destination
from relay.health import Health
from relay.outbox import listing
from relay.outbox.due import slots
from relay.outbox.errors import Unavailable
from relay.outbox.holds import health_of, seconds_until
from relay.outbox.outbox import Outbox

_FRESH_SECONDS = 0.5


class Forecast:
    """When a source's newest submission will be sent, as far as could be told a moment ago."""

    def __init__(self, waiting: dict[str, int], eta_of: Callable[[int], float]) -> None:
        self.made_at = time.monotonic()
        self._waiting = waiting
        self._eta_of = eta_of

    def arrived(self, source: str) -> int:
        ahead = self._waiting.get(source, 0)
        self._waiting[source] = ahead + 1
        return ahead

    def eta(self, source: str, ahead_of_it: int | None) -> float:
        own = max(0, self._waiting.get(source, 0) - 1)
        if ahead_of_it is not None:  # others may have come since it was counted
            own = min(own, ahead_of_it)
        waiting = self._waiting.copy().items()  # at once, as other threads add to it; a list of pairs is not
        others = sum(min(count, own + 1) for name, count in waiting if name not in ("", source))
        ahead = own + others
        ahead += min(self._waiting.get("", 0), ahead // 9)
        return max(0.0, self._eta_of(ahead) - (time.monotonic() - self.made_at))


class Forecasts:
    """A forecast for each destination, made anew when it has become old."""

    def __init__(self, outbox: Outbox, latency: Callable[[str], float]) -> None:
        """``latency``: the usual seconds of one call to a destination."""
        self._outbox = outbox
        self._latency = latency
        self._known: dict[str, Forecast] = {}

    def arrived(self, destination: str, source: str) -> int | None:
        """Count one more; return how many of its source go before it, None if nobody counted."""
        known = self._known.get(destination)
        return known.arrived(source) if known is not None else None

    def eta(self, destination: Destination, delivery: Delivery, ahead: int | None = None) -> float | None:
        """Return in how many seconds a delivery with so many before it will be sent, not before it is due.

        None while its destination is held, and if that cannot be told: what is asked about is stored already.
        Without a number: as the newest of its source.
        """
        try:
            # A hold is never told from memory: the answer before this one may have begun it.
            not_before = self._outbox.read(
                lambda conn: seconds_until(conn, destination.name, delivery.due_at, self._outbox.now(conn))
            )
            if not_before is None:
                return None
            known = self._known.get(destination.name)
            if known is None or time.monotonic() - known.made_at > _FRESH_SECONDS:
                known = self._known[destination.name] = self._made(destination)
        except Unavailable as problem:
            events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
            return None
        return max(not_before, known.eta(delivery.source, ahead))

    def _made(self, destination: Destination) -> Forecast:
        health, waiting, held, now = self._outbox.read(self._looked_up, destination)
        latency, parallel = self._latency(destination.name), health.lane_width(destination)
        return Forecast(
            waiting,
            eta_of=quota.Timetable(destination.windows, held, latency, parallel, now).eta,
        )

    def _looked_up(
        self, conn: Any, destination: Destination
    ) -> tuple[Health, dict[str, int], list[float], float]:
        """Return what a forecast is made of, all of one moment."""
        name, now = destination.name, self._outbox.now(conn)
        return (
            health_of(conn, name),
            listing.waiting(conn, name, now),
            slots(conn, destination, now),
            now,
        )
