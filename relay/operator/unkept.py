"""What is told although it cannot be kept: that the database cannot be used, as nothing is accepted then."""

import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from relay.clock import iso
from relay.operator.alerts import Alert

_LOOKS = 2
"""So many looks in vain are an episode: a database that is restarted is away for less."""
_MOST = 20


class Unkept:
    """One process's own: another one that cannot use the database either tells it, too."""

    def __init__(self) -> None:
        self._in_vain = 0
        self._key = ""
        self._queues: dict[str, deque[Mapping[str, Any]]] = {}
        """By channel, what is still to be told, the oldest first."""

    def begun(self, alert: Alert, channels: Iterable[str]) -> list[Mapping[str, Any]]:
        """Count a look in vain; return what is to be told if it makes an episode."""
        self._in_vain += 1
        self._key = alert.key
        return self._added("firing", alert.detail, channels) if self._in_vain == _LOOKS else []

    def ended(self, channels: Iterable[str]) -> list[Mapping[str, Any]]:
        """Note that a look was not in vain; return what is to be told if that ends an episode."""
        looks, self._in_vain = self._in_vain, 0
        return self._added("over", "over", channels) if looks >= _LOOKS else []

    def _added(self, state: str, detail: str, channels: Iterable[str]) -> list[Mapping[str, Any]]:
        content = {"alert": self._key, "state": state, "detail": detail, "at": iso(time.time())}
        for channel in channels:
            self._queues.setdefault(channel, deque(maxlen=_MOST)).append(content)
        return [content]

    def next(self, channel: str) -> Mapping[str, Any] | None:
        """Return what is to be told first."""
        queue = self._queues.get(channel)
        return queue[0] if queue else None

    def told(self, channel: str, content: Mapping[str, Any]) -> None:
        """Forget what was told."""
        if self.next(channel) is content:
            self._queues[channel].popleft()
