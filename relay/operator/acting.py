"""One row is replayed, discarded or corrected, if it is still as it was seen.

In two parts: what is to become of it, which may take a while, and the move, in one short transaction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from relay.config.settings import Settings
from relay.delivery import DEAD, DELIVERED, DISCARDED, INVALID, PARKED, QUEUED, REFUSED, SENDING
from relay.intake.content import twin_window
from relay.operator.actions import DISCARD, REPLAY, why_not
from relay.operator.errors import CannotDo, Changed, Missing
from relay.operator.remap import lacking_keys, map_again, mended_by, opened, source_of
from relay.operator.shown import shown
from relay.outbox import moves
from relay.outbox.audit import Act
from relay.outbox.moves import EVER, NOTHING, Expected, Keys, Mended, Near
from relay.outbox.outbox import Outbox
from relay.vault import Vault

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
class Plan:
    """What is to become of a row that was read as ``expect`` says."""

    action: str
    receipt: str
    expect: Expected
    near: Near = EVER
    mended: Mended | None = None
    lacking: Keys = NOTHING

    def carry_out(self, conn: Any, now: float, act: Act | None) -> moves.Moved | moves.Changed | moves.Same:
        """Make the move, inside a transaction."""
        if self.action == DISCARD:
            return moves.discard(conn, self.receipt, self.expect, act, now)
        return moves.requeue(conn, self.receipt, self.expect, self.near, self.mended, act, now, self.lacking)

    def same(self, conn: Any) -> moves.Same | None:
        """Return what would keep the row from being queued again."""
        return moves.same_as(conn, self.receipt, self.near, self.mended, self.lacking)


def check_possible(action: str, row: Mapping[str, Any], settings: Settings) -> None:
    """Raise CannotDo with the reason why an action is not possible."""
    if reason := why_not(action, row, settings):
        raise CannotDo(reason)


def planned(action: str, row: Mapping[str, Any], settings: Settings, vault: Vault) -> Plan:
    """Return what an action makes of a row; an invalid one is mapped again first. Raises CannotDo."""
    check_possible(action, row, settings)
    mended = None
    if action == REPLAY and row["state"] == INVALID:
        source = source_of(row, settings)
        payload = opened(row, vault)
        mended = mended_by(row, source, payload, map_again(source, payload), vault)
    made = plan(action, row, settings, mended)
    return replace(made, lacking=lacking_keys(row, settings, vault)) if action == REPLAY else made


def plan(action: str, row: Mapping[str, Any], settings: Settings, mended: Mended | None) -> Plan:
    """Return the plan for a row as it was read. ``mended``: what its payload comes to now."""
    known = settings.sources.get(row["source"])
    near = Near(known.repeat_window, twin_window(known)) if known is not None else EVER
    return Plan(action, row["receipt"], Expected(row["state"], row["fence"]), near, mended)


def carry_out(outbox: Outbox, plan_: Plan, act: Act) -> None:
    """Make a move and write it down, in one commit. Raises CannotDo if the row is another by now."""
    match outbox.write(lambda conn: plan_.carry_out(conn, outbox.now(conn), act)):
        case moves.Changed(row=None):
            raise Missing("there is no such submission")
        case moves.Changed(row=dict() as row):
            raise Changed(shown(row, outbox.vault))
        case moves.Same(receipt=earlier, state=state):
            raise CannotDo(f"says the same as {earlier}, which {_WAS[state]}: discard it")
