"""When a submission that waits will have been sent."""

import logging
import time
from collections.abc import Callable

from relay import events, quota
from relay.destination import Destination
from relay.outbox.errors import Unavailable
from relay.outbox.outbox import Outbox

_FRESH_SECONDS = 0.5


class Forecast:
    """When a source's newest submission will be sent, as far as could be told a moment ago."""

    def __init__(self, waiting: dict[str, int], is_held: bool, eta_of: Callable[[int], float]) -> None:
        self.made_at = time.monotonic()
        self._waiting = waiting
        self._is_held = is_held
        self._eta_of = eta_of

    def arrived(self, source: str) -> int:
        ahead = self._waiting.get(source, 0)
        self._waiting[source] = ahead + 1
        return ahead

    def eta(self, source: str, ahead_of_it: int | None) -> float | None:
        if self._is_held:
            return None
        own = max(0, self._waiting.get(source, 0) - 1)
        if ahead_of_it is not None:  # others may have come since it was counted
            own = min(own, ahead_of_it)
        others = sum(min(count, own + 1) for name, count in self._waiting.items() if name not in ("", source))
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

    def forget(self) -> None:
        self._known.clear()

    def arrived(self, destination: str, source: str) -> int | None:
        """Count one more; return how many of its source go before it, None if nobody counted."""
        known = self._known.get(destination)
        return known.arrived(source) if known is not None else None

    def eta(self, destination: Destination, source: str, ahead: int | None = None) -> float | None:
        """Return in how many seconds a submission with so many before it will be sent.

        None while it is held, and if that cannot be told: what is asked about is stored already. Without a
        number: the newest submission of its source.
        """
        known = self._known.get(destination.name)
        if known is None or time.monotonic() - known.made_at > _FRESH_SECONDS:
            try:
                known = self._known[destination.name] = self._made(destination)
            except Unavailable as problem:
                events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
                return None
        return known.eta(source, ahead)

    def _made(self, destination: Destination) -> Forecast:
        health = self._outbox.health(destination.name)
        now, held = self._outbox.ledger(destination)
        latency, parallel = self._latency(destination.name), health.lane_width(destination)
        return Forecast(
            waiting=self._outbox.waiting(destination.name),
            is_held=health.is_held(now),
            eta_of=quota.Timetable(destination.windows, held, latency, parallel, now).eta,
        )
