"""A request waits for upstream's verdict on what it sent in."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from relay.delivery import DELIVERED, REFUSED, Delivery
from relay.dispatch.verdict import Verdict
from relay.outbox.outbox import Outbox

_POLL_SECONDS = 0.1


class Patience:
    """Lets at most so many requests wait at a time, so that intake never starves."""

    def __init__(self, outbox: Outbox, waiting: int) -> None:
        self._outbox = outbox
        self._places = threading.BoundedSemaphore(max(1, waiting))

    def wait(
        self, delivery: Delivery, verdict: Verdict | None, seconds: float
    ) -> tuple[Delivery, Mapping[str, Any] | None]:
        """Wait at most so long, if a thread may be spared for it; return what it came to, and the answer."""
        if not self._places.acquire(blocking=False):
            return delivery, None
        try:
            if verdict is None:
                return self._poll(delivery, seconds)
            if verdict.wait(seconds) and verdict.decision is not None:
                return verdict.decision.delivery, verdict.profile
            return delivery, None
        finally:
            self._places.release()

    def _poll(self, delivery: Delivery, seconds: float) -> tuple[Delivery, Mapping[str, Any] | None]:
        """Look at the row until another process has sent it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            found = self._outbox.settled(delivery.receipt)
            if found is not None and found.delivery.state in (DELIVERED, REFUSED):
                return found.delivery, found.reply
        return delivery, None
