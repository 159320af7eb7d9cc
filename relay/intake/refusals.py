"""Refusals: how often a source refused what, and why; for who looks after it, never for the sender."""

import threading
import time
from collections import Counter

_MOST_CAUSES = 50
"""Per source, in a while: senders choose their origins, and must not fill the store with them."""
_WHILE_SECONDS = 600.0
OTHERS = "(other causes)"

Tally = Counter[tuple[str, str]]
"""How often, by source and cause."""


class Refusals:
    """Counted in memory until somebody takes the tally away to keep it. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Tally = Counter()
        self._known: dict[str, set[str]] = {}
        self._known_since = time.monotonic()

    def note(self, source: str, cause: str) -> None:
        """Count a refusal."""
        with self._lock:
            if time.monotonic() - self._known_since > _WHILE_SECONDS:
                self._known, self._known_since = {}, time.monotonic()
            known = self._known.setdefault(source, set())
            if len(known) < _MOST_CAUSES:
                known.add(cause)
            cause = cause if cause in known else OTHERS
            self._counts[source, cause] += 1

    def take(self) -> Tally:
        """Return what was counted since the last time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return counts

    def put_back(self, counts: Tally) -> None:
        """Count on from a tally that could not be kept."""
        with self._lock:
            self._counts += counts
