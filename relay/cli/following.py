"""The command tail: what arrives and what becomes of it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import click

from relay.cli.filtering import known_filter, narrowed
from relay.cli.opening import note, open_to_look
from relay.cli.wording import columns
from relay.delivery import QUEUED, SENDING
from relay.operator.wording import count_of

Row = dict[str, Any]
WINDOW = 500
"""So many of the newest are followed; what comes is shown, however many that are."""
_PAGES = 40
_FIRST = 10
_LOOK_SECONDS = 1.0


@click.command()
@narrowed
def tail(**chosen: Any) -> None:
    """Follow what arrives, and what becomes of the newest 500, until Ctrl-C."""
    operator, settings = open_to_look()
    filter_ = known_filter(operator, settings, {**chosen, "limit": WINDOW})
    zone = settings.time_zone
    window = Window(lambda before: operator.page(replace(filter_, before=before)))
    try:
        while True:
            for row in window.look():
                received, receipt, source, state, hint, why = columns(row, zone)
                click.echo(f"{received}  {receipt}  {source:14} {state:9} {hint}  {why}".rstrip())
            if window.lost and filter_.state is None:
                many = count_of(window.lost, "submission")
                note(f"{many} yet to be sent, older than the newest {WINDOW}: no more is said of them")
            time.sleep(_LOOK_SECONDS)
    except KeyboardInterrupt:
        return


class Window:
    """The newest rows of a filter, looked at again and again."""

    def __init__(self, page: Callable[[str | None], dict[str, Any]]) -> None:
        """``page`` returns rows, newest first, from a place on, and the place of the ``next``."""
        self._page = page
        self._known: dict[str, str] | None = None
        self._had_all = True
        self.lost = 0
        """How many were not done yet when they became too old to be followed, at the last look."""

    def look(self) -> list[Row]:
        """Return what is new, or in another state than at the last look, oldest first; at first a few."""
        known, had_all = self._known, self._had_all
        rows, has_more = self._rows()
        followed = {row["receipt"]: row["state"] for row in rows[:WINDOW]}
        self._known, self._had_all = followed, not has_more and len(rows) <= WINDOW
        if known is None:
            return rows[:_FIRST][::-1]
        seen = known | {row["receipt"]: row["state"] for row in rows}
        left = [state for receipt, state in seen.items() if receipt not in followed]
        self.lost = 0 if self._had_all else sum(state in (QUEUED, SENDING) for state in left)
        # What moves up from below the window, as others leave the filter, is no news.
        places = [place for place, row in enumerate(rows) if row["receipt"] in known]
        end = len(rows) if had_all or not places else places[-1] + 1
        return [row for row in reversed(rows[:end]) if known.get(row["receipt"]) != row["state"]]

    def _rows(self) -> tuple[list[Row], bool]:
        """Return the newest, at least until one that was known, and whether there are more."""
        rows: list[Row] = []
        for page in self._pages():
            rows += page["submissions"]
            is_known = any(row["receipt"] in (self._known or ()) for row in page["submissions"])
            if self._known is None or is_known or not page["next"]:
                return rows, bool(page["next"])
        note(f"more came than can be shown; these are the newest {len(rows):,}")
        return rows, True

    def _pages(self) -> Iterator[dict[str, Any]]:
        before = None
        for _ in range(_PAGES):
            page = self._page(before)
            yield page
            before = page["next"]
