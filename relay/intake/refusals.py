"""Refusals: how often a source refused what, and why; for who looks after it, never for the sender."""

import threading
from collections import Counter

_MOST_CAUSES = 50
"""Per source: senders choose their origins, and must not fill the store with them."""
OTHERS = "(other causes)"

Tally = Counter[tuple[str, str]]
"""How often, by source and cause."""


class Refusals:
    """Counted in memory until somebody takes the tally away to keep it. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Tally = Counter()

    def note(self, source: str, cause: str) -> None:
        """Count a refusal."""
        with self._lock:
            if (source, cause) not in self._counts:
                known = sum(name == source for name, _ in self._counts)
                cause = cause if known < _MOST_CAUSES else OTHERS
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
