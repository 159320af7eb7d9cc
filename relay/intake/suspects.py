"""Suspects: what they use up. It is counted apart, so that bots take nothing from real people."""

from relay.intake import telling
from relay.intake.episodes import Crowds
from relay.intake.limits import Doorkeeper
from relay.intake.suspicion import SHARE, SOURCE_LIMIT, SUSPECTS
from relay.sources.source import Budget, Source


class Suspects:
    """Counts what suspects take of their source's budget where the outbox cannot: it knows no clients."""

    def __init__(self, doorkeeper: Doorkeeper, crowds: Crowds) -> None:
        self._doorkeeper = doorkeeper
        self._crowds = crowds

    def may_keep(self, source: Source, reason: str, client: str | None, size: int) -> bool:
        """Count one of so many bytes as seen. Whether it may be kept, if its source has room.

        A fifth of the budget a day is one client's (None: it may stand for many); what is the most by
        rows or by bytes counts. Where repeats were given too many receipts, new ones are refused too:
        else the difference would tell who was there before.
        """
        if reason == SOURCE_LIMIT:
            self._crowds.crowded.note(source.name)
        elif self._doorkeeper.retry_after(source.source_limits, SUSPECTS, source.name):
            self._crowds.flooded.note(source.name)
        rule = _a_day(source.held_budget)
        if self._doorkeeper.is_over(rule, "held again", source.name):
            return False
        if client is None or not source.is_form:
            return True
        key, cost = ("held", source.name, client), _rows(source.held_budget, size)
        return not self._doorkeeper.is_over(rule, *key, times=SHARE, cost=cost)

    def kept(self, source: Source, client: str | None, size: int, *, is_repeat: bool) -> None:
        """Count what was kept: a repeat's receipt takes room, too, though it is no row of the budget."""
        rule = _a_day(source.held_budget)
        if is_repeat:
            self._doorkeeper.retry_after(rule, "held again", source.name)
        if client is not None and source.is_form:
            cost = 1 if is_repeat else _rows(source.held_budget, size)
            self._doorkeeper.retry_after(rule, "held", source.name, client, times=SHARE, cost=cost)

    def overflow(self, source: Source) -> None:
        """Say that there is no room for more: what was acknowledged is never pushed out."""
        if self._crowds.overfull.note(source.name):
            telling.over_budget(source)


def _a_day(budget: Budget) -> str:
    return f"{budget.rows}/day"


def _rows(budget: Budget, size: int) -> int:
    """Return as how many rows of its budget one counts: a large one as several; one client may have one."""
    most = max(1, int(budget.rows * SHARE))
    return max(1, min(most, -(-size * budget.rows // budget.size)))
