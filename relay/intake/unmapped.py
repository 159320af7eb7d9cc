"""Unmapped names that senders used lately, kept in memory until somebody takes them to the outbox."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from relay.outbox.unmapped import MOST
from relay.sources.source import Source
from relay.sources.unmapped import unmapped

_AGAIN_SECONDS = 600.0

Names = dict[str, set[str]]
"""By source."""


class Unmapped:
    """Which names no rule looked at. Each is handed out once in a while. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._new: Names = {}
        self._told: Names = {}
        self._told_since = time.monotonic()

    def note(self, source: Source, fields: Mapping[str, Any]) -> None:
        """Remember the names of a body that nothing looks at."""
        names = unmapped(source, fields)
        with self._lock:
            fresh = names - self._told.get(source.name, set())
            if fresh:
                kept = self._new.setdefault(source.name, set())
                kept.update(sorted(fresh)[: max(0, MOST - len(kept))])

    def take(self) -> Names:
        """Return what is new since the last time; what goes on being posted is new again after a while."""
        with self._lock:
            if time.monotonic() - self._told_since > _AGAIN_SECONDS:
                self._told, self._told_since = {}, time.monotonic()
            found, self._new = self._new, {}
            for source, names in found.items():
                told = self._told.setdefault(source, set())
                told.update(sorted(names)[: max(0, MOST - len(told))])
        return found

    def put_back(self, names: Names) -> None:
        """Hand out again what could not be kept."""
        with self._lock:
            for source, some in names.items():
                self._new.setdefault(source, set()).update(some)
