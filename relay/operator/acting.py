"""One row is replayed or discarded, if it is still as it was seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.config.settings import Settings
from relay.delivery import INVALID, PARKED
from relay.operator.actions import DISCARD, REPLAY, why_not
from relay.operator.errors import CannotDo
from relay.operator.remap import map_again, mapped_columns, opened, source_of
from relay.outbox.outbox import Outbox

_CHANGED = "changed at this very moment; look again"


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
    values, window = _mapped_again(row, settings, outbox) if row["state"] == INVALID else ({}, None)
    if values and (earlier := outbox.free_key(values["repeat_key"], window)):
        raise CannotDo(f"says the same as {earlier}, which its sender sent since: discard it")
    if row["state"] == PARKED or row["may_be_duplicate"]:
        values["may_be_duplicate"] = True
    if not outbox.requeue(row["receipt"], row["state"], values):
        raise CannotDo(_CHANGED)


def discard(row: Mapping[str, Any], outbox: Outbox) -> None:
    """Give a row up, its payload erased. Raises CannotDo."""
    check_possible(DISCARD, row)
    if not outbox.discard(row["receipt"], row["state"]):
        raise CannotDo(_CHANGED)


def _mapped_again(
    row: Mapping[str, Any], settings: Settings, outbox: Outbox
) -> tuple[dict[str, Any], float | None]:
    """Return the columns of an invalid row under the present configuration, and the time in which
    the same content counts as its repeat. Raises CannotDo."""
    source = source_of(row, settings)
    payload = opened(outbox.vault, row["receipt"], row["payload"])
    mapped = map_again(source, payload)
    values = mapped_columns(row, source, payload, mapped, outbox.vault)
    return values, None if payload.get("key") else source.repeat_window
