"""A request waits for upstream's verdict on what it sent in."""

import logging
import threading
import time
from dataclasses import replace

from relay import events
from relay.delivery import DELIVERED, REFUSED
from relay.dispatch.verdict import Verdict
from relay.outbox.errors import Unavailable
from relay.outbox.outbox import Outbox
from relay.outbox.records import Stored
from relay.outbox.storing import settled

_POLL_SECONDS = 0.1
"""How often the row is looked at: another process may have sent it."""


class Patience:
    """Lets at most so many requests wait at a time, so that intake never starves."""

    def __init__(self, outbox: Outbox, waiting: int, *, is_alone: bool) -> None:
        """``is_alone``: nobody but this process sends, so that a verdict comes by no other way."""
        self._outbox = outbox
        self._is_alone = is_alone
        self._places = threading.BoundedSemaphore(max(1, waiting))

    def wait(self, stored: Stored, verdict: Verdict | None, seconds: float) -> Stored:
        """Wait at most so long, if a thread may be spared for it; return what it has come to."""
        if not self._places.acquire(blocking=False):
            return stored
        try:
            until = time.monotonic() + seconds
            while (left := until - time.monotonic()) > 0:
                if found := self._look(stored, verdict, left):
                    return found
            return stored
        finally:
            self._places.release()

    def _look(self, stored: Stored, verdict: Verdict | None, left: float) -> Stored | None:
        """Wait for a moment; return the verdict if it is there."""
        if verdict is None:
            time.sleep(min(left, _POLL_SECONDS))
        elif verdict.wait(left if self._is_alone else min(left, _POLL_SECONDS)) and verdict.decision:
            return replace(stored, delivery=verdict.decision.delivery, reply=dict(verdict.profile))
        return None if self._is_alone else self._settled(stored)

    def _settled(self, stored: Stored) -> Stored | None:
        try:
            found = self._outbox.read(settled, stored.delivery.receipt)
        except Unavailable as problem:  # it is stored: that it cannot be looked at now changes nothing
            events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
            return None
        done = found is not None and found.delivery.state in (DELIVERED, REFUSED)
        return replace(found, repeat=stored.repeat) if found is not None and done else None
