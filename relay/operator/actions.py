"""Which action is possible in which state. API, pages and commands ask here, and say the same why not."""

from collections.abc import Mapping
from typing import Any

from relay.config.settings import Settings
from relay.delivery import DELIVERED, DISCARDED, INVALID, KEPT, QUEUED, REFUSED, SENDING

REPLAY, DISCARD, EDIT, REVEAL = "replay", "discard", "edit", "reveal"

POSSIBLE: Mapping[str, tuple[str, ...]] = {
    REPLAY: KEPT,
    DISCARD: KEPT,
    EDIT: (INVALID, REFUSED),
    REVEAL: (QUEUED, SENDING, DELIVERED, *KEPT),
}
"""By action, the states in which it is possible."""
NEEDS_PAYLOAD = (REPLAY, EDIT, REVEAL)
"""Actions on what the sender sent, which is erased when it is delivered or discarded."""

_WHY_NOT = {
    QUEUED: "is queued already, and goes out when its turn comes",
    SENDING: "is being sent at this moment",
    DELIVERED: "is delivered",
    DISCARDED: "is discarded, and what it held is gone",
}
_EDITED_ONLY = "only what could not be mapped, or was refused, can be corrected"
_STRANDED = "is for a destination that was removed from the configuration: put that back, or discard it"
_SOURCELESS = "is of a source that was removed from the configuration: put that back, or discard it"
_GONE = "is without its payload, which was erased"
_GONE_BY_DELIVERY = "is without its payload: what is personal is erased once upstream has it"


def why_not(action: str, row: Mapping[str, Any], settings: Settings) -> str | None:
    """Return why an action is not possible for a row, None if it is: what follows its name."""
    state = row["state"]
    if action != REVEAL and is_stranded(row, settings):
        return None if action == DISCARD else _STRANDED
    if action == DISCARD and is_in_doubt(row):
        return None
    if state not in POSSIBLE[action]:
        return _WHY_NOT.get(state, f"is {state}; {_EDITED_ONLY}")
    if action in NEEDS_PAYLOAD and not row["has_payload"]:
        return _GONE_BY_DELIVERY if state == DELIVERED else _GONE
    return _SOURCELESS if is_sourceless(action, row, settings) else None


def is_sourceless(action: str, row: Mapping[str, Any], settings: Settings) -> bool:
    """Whether an action maps what was sent, by a source that was removed."""
    does_map = action == EDIT or (action == REPLAY and row["state"] == INVALID)
    return does_map and settings.has_file and row["source"] not in settings.sources


def is_stranded(row: Mapping[str, Any], settings: Settings) -> bool:
    """Whether a row waits, or would, for a destination that was removed: nobody will ever send it."""
    removed = settings.has_file and row["destination"] not in settings.destinations
    return removed and row["state"] in (QUEUED, *KEPT)


def is_in_doubt(row: Mapping[str, Any]) -> bool:
    """Whether a row waits that upstream may have already: who looked there can keep it from being sent."""
    return row["state"] == QUEUED and bool(row["may_be_duplicate"])
