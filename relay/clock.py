"""The clock: seconds since 1970 that do not jump while the process lives."""

import time
from datetime import UTC, datetime
from pathlib import Path

JUMP_SECONDS = 2.0
"""A wall clock that is so far from where it was expected was set, not adjusted."""


class SteadyClock:
    """Wall time read once, then carried on by the monotonic clock.

    Steps of the wall clock would open or close quota windows, end leases and skip waits.
    """

    def __init__(self) -> None:
        self._offset = self.wall = time.time() - time.monotonic()
        """What the wall clock was seen to be ahead of the monotonic one; ``offset`` may be more."""

    def __call__(self) -> float:
        return time.monotonic() + self._offset

    @property
    def offset(self) -> float:
        """This clock's time less monotonic time, in seconds."""
        return self._offset

    def jump(self) -> float:
        """Return by how many seconds the wall clock was set, 0 if it was not."""
        moved = time.time() - time.monotonic() - self.wall
        return moved if abs(moved) >= JUMP_SECONDS else 0.0

    def follow(self, offset: float) -> None:
        """Go on with another offset; what was stored must be moved along, see ``Outbox.shift``."""
        self._offset = offset


def boot() -> str:
    """Return an id of the machine's present run: monotonic clocks compare within one only."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def iso(at: float | None) -> str | None:
    """Return a time in UTC as ISO 8601, or None."""
    if at is None:
        return None
    text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
