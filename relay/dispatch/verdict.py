"""A verdict: what upstream said of one submission, handed to the request that waits for it."""

import threading
from collections.abc import Mapping
from typing import Any

from relay.outbox.records import Decision


class Verdict:
    """What a request that waits is waiting for."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self.decision: Decision | None = None
        self.profile: Mapping[str, Any] = {}

    def tell(self, decision: Decision) -> None:
        self.decision = decision
        self._known.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long. Returns whether the verdict is there."""
        return self._known.wait(seconds)
