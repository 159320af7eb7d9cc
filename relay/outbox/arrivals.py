"""Arrivals by the hour. Of hours that are over only one question a minute is asked, however many look."""

import math
import threading
import time

from sqlalchemy.engine import Connection

from relay.outbox import figures
from relay.outbox.figures import HOUR

AGAIN_SECONDS = 60.0
"""What was committed late shows after so long."""
_LATE_HOURS = 2
"""So many of the last hours are counted again then. The others only erasing changes: with the next hour."""


class Arrivals:
    """What came to each source in hours that are over, as it was counted last. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._over: dict[str, tuple[float, float, list[int]]] = {}

    def by_hour(self, conn: Connection, source: str, now: float, hours: int) -> list[int]:
        """Return how many came in so many hours of the clock, the present one last."""
        began = now // HOUR * HOUR
        return [*self._before(conn, source, began, hours - 1), *figures.arrivals(conn, source, began, 1)]

    def _before(self, conn: Connection, source: str, until: float, hours: int) -> list[int]:
        with self._lock:  # who asks for the same meanwhile waits for the answer
            counted_at, counted_until, counts = self._over.get(source, (-math.inf, 0.0, []))
            is_known = counted_until == until and len(counts) == hours
            if is_known and time.monotonic() - counted_at < AGAIN_SECONDS:
                return counts
            again = min(hours, _LATE_HOURS) if is_known else hours
            fresh = figures.arrivals(conn, source, until - again * HOUR, again)
            counts = [*counts[: hours - again], *fresh] if is_known else fresh
            self._over[source] = time.monotonic(), until, counts
            return counts
