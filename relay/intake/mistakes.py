"""The owner's mistake: a form whose posts hold none of the fields that are mapped."""

import threading
import time
from collections.abc import Mapping

from relay.intake.incoming import Incoming
from relay.sources.source import Source

MAX_INVALID_FORMS = 100
"""So many of a source are kept."""
OF_ONE = "20/30 days"
"""How many of them one client may use up."""
OF_MANY = "80/30 days"
"""The same for a peer nearby, behind which there may be many: a fifth is left for others."""
SEVERAL = 3
"""One client can post anything; so many different ones show that the form itself is wrong."""
_REMEMBERED_SECONDS = 3600.0


class Mistakes:
    """Who posted such forms lately, by source."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, float]] = {}
        self._lock = threading.Lock()

    def note(self, source: Source, incoming: Incoming) -> None:
        """Remember who did it; a page of the owner's own sites is believed at once."""
        origin = incoming.headers.get("origin", "")
        is_own = bool(origin) and source.names(origin)
        names = [f"{origin} {number}" for number in range(SEVERAL)] if is_own else [incoming.client or "?"]
        with self._lock:
            seen = self._seen.setdefault(source.name, {})
            seen.update(dict.fromkeys(names, time.monotonic()))
            for name in sorted(seen, key=seen.__getitem__)[: -2 * SEVERAL]:
                del seen[name]

    def forget(self, before: Mapping[str, Source], after: Mapping[str, Source]) -> None:
        """Begin anew with sources that a new configuration maps otherwise, or has no more."""
        with self._lock:
            for name in before:
                if name not in after or _reading(after[name]) != _reading(before[name]):
                    self._seen.pop(name, None)

    def sources(self) -> set[str]:
        """Return the sources whose form is wrong."""
        since = time.monotonic() - _REMEMBERED_SECONDS
        with self._lock:
            return {
                name
                for name, seen in self._seen.items()
                if sum(at > since for at in seen.values()) >= SEVERAL
            }


def _reading(source: Source) -> tuple[object, ...]:
    """Return all that decides on where a source looks for a contact."""
    mapping = source.mapping
    return mapping.rules, mapping.entries, source.json_fields, source.outlined
