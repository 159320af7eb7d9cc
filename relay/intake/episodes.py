"""Episodes: what goes on at a source, told once when it begins, until nothing of it was seen for a while."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from relay.intake.mistakes import Mistakes

EPISODE_SECONDS = 300.0
"""An episode is over when nothing of it was seen for so long."""


class Episodes:
    """At which sources one thing goes on, as of the last submissions."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def note(self, source: str) -> bool:
        """Remember that it was seen just now. Whether an episode began with it."""
        now = self._clock()
        with self._lock:
            last = self._last.get(source)
            self._last[source] = now
        return last is None or now - last >= EPISODE_SECONDS

    def sources(self) -> set[str]:
        """Return the sources where it goes on."""
        now = self._clock()
        with self._lock:
            return {name for name, at in self._last.items() if now - at < EPISODE_SECONDS}


@dataclass(frozen=True)
class Crowds:
    """What goes on at the sources that their owner is told of."""

    crowded: Episodes = field(default_factory=Episodes)
    """Over their source_limits."""
    flooded: Episodes = field(default_factory=Episodes)
    """With more suspects than their source_limits."""
    overfull: Episodes = field(default_factory=Episodes)
    """With more suspects than their held_budget."""
    misfit: Episodes = field(default_factory=Episodes)
    """Whose form posts none of the mapped fields."""
    mistaken: Mistakes = field(default_factory=Mistakes)
    """The same, as several clients have shown."""
