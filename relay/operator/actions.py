"""Which action is possible in which state. API, pages and commands ask here, and say the same why not."""

from collections.abc import Mapping
from typing import Any

from relay.delivery import DEAD, DELIVERED, DISCARDED, HELD, INVALID, PARKED, QUEUED, REFUSED, SENDING

REPLAY, DISCARD, EDIT, REVEAL = "replay", "discard", "edit", "reveal"

WAITING = (HELD, INVALID, PARKED, REFUSED, DEAD)
"""States in which a person decides."""
POSSIBLE: Mapping[str, tuple[str, ...]] = {
    REPLAY: WAITING,
    DISCARD: WAITING,
    EDIT: (INVALID, REFUSED),
    REVEAL: (QUEUED, SENDING, DELIVERED, *WAITING),
}
"""By action, the states in which it is possible."""
NEEDS_PAYLOAD = (REPLAY, EDIT, REVEAL)
"""Actions on what the sender sent, which is erased when it is delivered or discarded."""

_WHY_NOT = {
    QUEUED: "it is queued already, and is sent when its turn comes",
    SENDING: "it is being sent at this moment",
    DELIVERED: "it was delivered",
    DISCARDED: "it was discarded, and what it held is gone",
}
_EDITED_ONLY = "only what could not be mapped, or was refused, can be corrected"
_GONE = "its payload is gone"


def why_not(action: str, row: Mapping[str, Any]) -> str | None:
    """Return why an action is not possible for a row, None if it is. A row has ``state`` and ``payload``."""
    state = row["state"]
    if state not in POSSIBLE[action]:
        return _WHY_NOT.get(state, f"it is {state}; {_EDITED_ONLY}")
    if action in NEEDS_PAYLOAD and row["payload"] is None:
        return _GONE
    return None


def possible(row: Mapping[str, Any]) -> list[str]:
    """Return the actions that are possible for a row, in the order they are offered."""
    return [action for action in POSSIBLE if why_not(action, row) is None]
