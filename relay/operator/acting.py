"""One row is replayed or discarded, if it is still as it was seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.config.settings import Settings
from relay.delivery import DEAD, DELIVERED, DISCARDED, INVALID, PARKED, QUEUED, REFUSED, SENDING
from relay.operator.actions import DISCARD, REPLAY, why_not
from relay.operator.errors import CannotDo, Changed, Missing
from relay.operator.remap import map_again, mended_by, opened, source_of
from relay.operator.shown import shown
from relay.outbox import moves
from relay.outbox.moves import Expected, Mended
from relay.outbox.outbox import Outbox

_WAS = {
    QUEUED: "is queued",
    SENDING: "is being sent",
    PARKED: "was perhaps delivered",
    DELIVERED: "was delivered",
    DEAD: "was created",
    DISCARDED: "was created",
    REFUSED: "was created",
}
"""What is said of another that says the same; one that ended otherwise has a profile all the same."""


@dataclass(frozen=True)
class Seen:
    """A row as somebody saw it, who acts on that."""

    state: str
    fence: int

    def fits(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is still so."""
        return bool(row["state"] == self.state and row["fence"] == self.fence)


def check_possible(action: str, row: Mapping[str, Any]) -> None:
    """Raise CannotDo with the reason why an action is not possible."""
    if reason := why_not(action, row):
        raise CannotDo(reason)


def replay(row: Mapping[str, Any], settings: Settings, outbox: Outbox) -> None:
    """Queue a row again; an invalid one is mapped again first. Raises CannotDo."""
    check_possible(REPLAY, row)
    mended = _mapped_again(row, settings, outbox) if row["state"] == INVALID else None
    source = settings.sources.get(row["source"])
    window = source.repeat_window if source is not None else None
    expect = Expected(row["state"], row["fence"])
    check_moved(outbox.requeue(row["receipt"], expect, window=window, mended=mended), outbox)


def discard(row: Mapping[str, Any], outbox: Outbox) -> None:
    """Give a row up, its payload erased. Raises CannotDo."""
    check_possible(DISCARD, row)
    check_moved(outbox.discard(row["receipt"], Expected(row["state"], row["fence"])), outbox)


def check_moved(result: moves.Moved | moves.Changed | moves.Same, outbox: Outbox) -> None:
    """Raise CannotDo with the reason why a row was not moved."""
    match result:
        case moves.Changed(row=row):
            raise Missing("there is no such submission") if row is None else Changed(shown(row, outbox.vault))
        case moves.Same(receipt=earlier, state=state):
            raise CannotDo(f"says the same as {earlier}, which {_WAS[state]}: discard it")


def _mapped_again(row: Mapping[str, Any], settings: Settings, outbox: Outbox) -> Mended:
    """Return what an invalid row comes to under the present configuration. Raises CannotDo."""
    source = source_of(row, settings)
    payload = opened(outbox.vault, row["receipt"], row["payload"])
    mapped = map_again(source, payload)
    return mended_by(row, source, payload, mapped, outbox.vault)
