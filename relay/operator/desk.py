"""Desk: what all verbs of an operator share: who acts, on which rows, and the audit log."""

import re
from collections.abc import Iterator
from typing import Any

from relay.config.settings import Settings
from relay.operator import finding, shown
from relay.operator.actor import COMMAND_LINE, Actor
from relay.operator.errors import Changed, Missing, Unconfigured
from relay.operator.filter import MAX_ROWS, Filter, check_text, wanted
from relay.outbox import audit, listing
from relay.outbox.audit import Act
from relay.outbox.moves import Expected
from relay.outbox.outbox import Outbox
from relay.outbox.wanted import Wanted, newest_first, whole_newest_first
from relay.sources.source import Source

RECEIPT = re.compile(r"[0-9a-f]{32}")
"""How a whole receipt is written."""


class Desk:
    """Where somebody who looks after an outbox works."""

    def __init__(self, settings: Settings, outbox: Outbox, actor: Actor = COMMAND_LINE) -> None:
        self._settings = settings
        self._outbox = outbox
        self.actor = actor

    def _rows(self, filter_: Filter) -> list[dict[str, Any]]:
        meant, before = self._meant(filter_), filter_.place()
        return self._outbox.read(newest_first, meant, before, filter_.limit)

    def _meant(self, filter_: Filter) -> Wanted:
        hashes = filter_.hashes
        if filter_.contact is not None:
            check_text("contact", filter_.contact)
            hashes = finding.hashes(filter_.contact, self._settings, self._outbox.vault)
        return wanted(filter_, hashes)

    def _row(self, receipt: str) -> dict[str, Any]:
        """Return a row, with its own receipt, also by one that a repeat was given. Raises Missing."""
        is_one = RECEIPT.fullmatch(receipt)
        row = self._outbox.read(listing.row, receipt) if is_one else None
        if row is None:
            raise Missing("there is no such submission")
        return row

    def _seen(self, receipt: str, seen: Expected | None) -> dict[str, Any]:
        """Return a row, if it is still as it was seen. Raises Missing, Changed."""
        row = self._row(receipt)
        if seen is not None and seen != Expected(row["state"], row["fence"]):
            raise Changed(shown.shown(row, self._outbox.vault))
        return row

    def _note(self, action: str, count: int = 1, **more: Any) -> None:
        act = Act(self.actor.name, action, count, **more)
        self._outbox.write(lambda conn: audit.note(conn, act, self._outbox.now(conn)))

    def _source(self, name: str) -> Source:
        source = self._settings.sources.get(name)
        if source is None:
            raise Unconfigured(
                f"there is no source {name[:40]}; there are {', '.join(self._settings.sources)}"
            )
        return source

    def _all(self, filter_: Filter, *, whole: bool = False) -> Iterator[dict[str, Any]]:
        """Return every row of a filter, newest first, a page at a time. ``whole``: with their payloads."""
        meant = self._meant(filter_)
        read = whole_newest_first if whole else newest_first

        def pages() -> Iterator[dict[str, Any]]:
            before = filter_.place()
            while rows := self._outbox.read(read, wanted=meant, before=before, limit=MAX_ROWS):
                before = rows[-1]["seq"]
                yield from rows

        return pages()
