"""What an outbox holds, for those who look at it from within the process."""

from typing import Any

from relay.outbox.outbox import Outbox
from relay.outbox.wanted import Wanted, newest_first


def rows_of(outbox: Outbox, *, limit: int = 100, **wanted: Any) -> list[dict[str, Any]]:
    """Return rows without payloads, newest first. ``wanted``: as ``Wanted`` has it."""
    found: list[dict[str, Any]] = outbox.read(newest_first, Wanted(**wanted), None, limit)
    return found
