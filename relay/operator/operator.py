"""What an operator may see and do: the verbs that API, pages and commands call, and nothing else.

Each takes and returns values. Which role it needs stands in its first line; what it changed goes into the
audit log under the name of who acts.
"""

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from relay.config.settings import Settings
from relay.operator import acting, erasure, figures, finding, shown, trial
from relay.operator.acting import Seen
from relay.operator.actions import DISCARD, POSSIBLE, REPLAY, why_not
from relay.operator.actor import ACT, COMMAND_LINE, REVEAL, VIEW, Actor
from relay.operator.erasure import Erased
from relay.operator.errors import CannotDo, Changed, Missing, Nonsense
from relay.operator.filter import MAX_ROWS, Filter, wanted
from relay.operator.remap import map_again, opened, source_of
from relay.operator.status import status
from relay.outbox import audit
from relay.outbox.audit import Act
from relay.outbox.outbox import Outbox
from relay.outbox.wanted import newest_first, place

_RECEIPT = re.compile(r"[0-9a-f]{32}")
_MANY = 100_000
_ROTATED_AT_ONCE = 200


class Operator:
    """Somebody who looks after an outbox."""

    def __init__(self, settings: Settings, outbox: Outbox, actor: Actor = COMMAND_LINE) -> None:
        self._settings = settings
        self._outbox = outbox
        self.actor = actor

    # --- looking ----------------------------------------------------------------------------------

    def page(self, filter_: Filter) -> dict[str, Any]:
        """Return a page of submissions, newest first, and where the next one begins. Raises Nonsense."""
        self.actor.must(VIEW)
        rows = self._rows(filter_)
        following = place(rows[-1]["seq"]) if len(rows) == filter_.limit else None
        vault = self._outbox.vault
        return {"submissions": [shown.shown(row, vault) for row in rows], "next": following}

    def submissions(self, filter_: Filter) -> list[dict[str, Any]]:
        """Return submissions, newest first. Raises Nonsense."""
        found: list[dict[str, Any]] = self.page(filter_)["submissions"]
        return found

    def submission(self, receipt: str) -> dict[str, Any]:
        """Return one submission with every send of it. Raises Missing."""
        self.actor.must(VIEW)
        row = self._row(receipt)
        history = shown.sends(self._outbox.history(receipt))
        return {**shown.shown(row, self._outbox.vault), "history": history}

    def actions(self, receipt: str) -> dict[str, str | None]:
        """Return every action by name: None where it is possible for a row, else why it is not."""
        self.actor.must(VIEW)
        row = self._row(receipt)
        return {action: why_not(action, row) for action in POSSIBLE}

    def find(self, contact: str) -> dict[str, Any]:
        """Return the newest submissions of a person, as ``page`` does. Raises Nonsense."""
        if not erasure.is_contact(contact):
            raise Nonsense(f"contact {erasure.NO_CONTACT}")
        return self.page(Filter(contact=contact, limit=MAX_ROWS))

    def status(self) -> dict[str, Any]:
        """Return the state of every destination, by name."""
        self.actor.must(VIEW)
        return status(self._settings, self._outbox)

    def needs_you(self) -> list[dict[str, Any]]:
        """Return what waits for a person, by state, source and reason."""
        self.actor.must(VIEW)
        return figures.needs_you(self._settings, self._outbox)

    def sources(self) -> list[dict[str, Any]]:
        """Return every source: its last sign-up, what came in each hour of a week, what needs somebody."""
        self.actor.must(VIEW)
        return figures.sources(self._settings, self._outbox)

    def audit(self, filter_: Filter) -> dict[str, Any]:
        """Return a page of what was done, newest first; of one row with ``receipt``. Raises Nonsense."""
        self.actor.must(VIEW)
        wanted(filter_)
        before, limit, receipt = filter_.place(), filter_.limit, filter_.receipt
        acts = self._outbox.read(lambda conn: audit.page(conn, before, limit, receipt))
        following = place(acts[-1]["id"]) if len(acts) == limit else None
        return {"audit": [shown.act(one) for one in acts], "next": following}

    def _rows(self, filter_: Filter) -> list[dict[str, Any]]:
        hashes = None
        if filter_.contact is not None:
            hashes = finding.hashes(filter_.contact, self._settings, self._outbox.vault)
        meant, before = wanted(filter_, hashes), filter_.place()
        found: list[dict[str, Any]] = self._outbox.read(
            lambda conn: newest_first(conn, meant, before, filter_.limit)
        )
        return found

    def _row(self, receipt: str) -> dict[str, Any]:
        rows = self._outbox.rows(receipt=receipt, limit=1) if _RECEIPT.fullmatch(receipt) else []
        if not rows:
            raise Missing("there is no such submission")
        return rows[0]

    def _seen(self, receipt: str, seen: Seen | None) -> dict[str, Any]:
        """Return a row, if it is still as it was seen. Raises Missing, Changed."""
        row = self._row(receipt)
        if seen is not None and not seen.fits(row):
            raise Changed(shown.shown(row, self._outbox.vault))
        return row

    # --- acting on one ----------------------------------------------------------------------------

    def replay(self, receipt: str, seen: Seen | None = None) -> dict[str, Any]:
        """Queue a submission again; an invalid one is mapped again first. Raises CannotDo."""
        self.actor.must(ACT)
        row = self._seen(receipt, seen)
        acting.replay(row, self._settings, self._outbox)
        return self._done(REPLAY, row)

    def discard(self, receipt: str, seen: Seen | None = None) -> dict[str, Any]:
        """Give a submission up, its payload erased. Raises CannotDo."""
        self.actor.must(ACT)
        row = self._seen(receipt, seen)
        acting.discard(row, self._outbox)
        return self._done(DISCARD, row)

    def _done(self, action: str, row: Mapping[str, Any]) -> dict[str, Any]:
        self._note(action, receipt=row["receipt"], detail={"was": row["state"]})
        return shown.shown(self._row(row["receipt"]), self._outbox.vault)

    def hold(self, destination: str, verb: str) -> None:
        """``pause`` or ``resume`` a destination. Raises Missing."""
        self.actor.must(ACT)
        if destination not in self._settings.destinations:
            raise Missing("there is no such destination")
        if verb == "pause":
            self._outbox.pause(destination)
        else:
            self._outbox.resume(destination)
        self._note(verb, detail={"destination": destination})

    def _note(self, action: str, count: int = 1, **more: Any) -> None:
        act = Act(self.actor.name, action, count, **more)
        self._outbox.write(lambda conn: audit.note(conn, act, self._outbox.now(conn)))

    # --- acting on many ---------------------------------------------------------------------------

    def replay_all(self, *, state: str, source: str | None, dry_run: bool = False) -> int:
        """Replay all that match and return how many; what cannot be mapped yet is left. Raises CannotDo."""
        self.actor.must(ACT)
        if state not in POSSIBLE[REPLAY]:
            raise Nonsense(f"state must be one of {', '.join(POSSIBLE[REPLAY])}")
        count = 0
        for row in self._all(Filter(state=state, source=source, limit=MAX_ROWS)):
            try:
                if not dry_run:
                    acting.replay(row, self._settings, self._outbox)
                elif state == "invalid":
                    self._would_map(row)
                count += 1
            except CannotDo:
                continue
        return count

    def _would_map(self, row: Mapping[str, Any]) -> None:
        source = source_of(row, self._settings)
        map_again(source, opened(self._outbox.vault, row["receipt"], row["payload"]))

    def _all(self, filter_: Filter) -> Iterator[dict[str, Any]]:
        before = None
        meant = wanted(filter_)
        while rows := self._outbox.read(partial(newest_first, wanted=meant, before=before, limit=MAX_ROWS)):
            before = rows[-1]["seq"]
            yield from rows

    # --- the database as a whole --------------------------------------------------------------------

    def rotate_keys(self) -> Iterator[int]:
        """Encrypt everything with the newest key; yields how many payloads are done so far."""
        self.actor.must(REVEAL)
        vault, done = self._outbox.vault, 0
        self._outbox.rewrap_hash_key()
        while stale := self._outbox.stale_boxes(_ROTATED_AT_ONCE):
            boxes = [(row, box, vault.seal(opened(vault, row, box), row)) for row, box in stale]
            self._outbox.reseal(boxes)
            done += len(stale)
            yield done
        self._note("rotate keys", count=done)

    def backup(self, target: Path) -> None:
        """Copy the database while it is in use. Raises FileExistsError, Unfit."""
        self.actor.must(REVEAL)
        self._outbox.backup(target)

    def erase(self, text: str) -> Erased:
        """Delete every submission of a person, also those that only decrypting can find. Raises CannotDo."""
        self.actor.must(REVEAL)
        if not erasure.is_contact(text):
            raise CannotDo(erasure.NO_CONTACT)
        hashes = finding.hashes(text, self._settings, self._outbox.vault)
        rows = self._outbox.rows(contact_hashes=hashes, limit=_MANY)
        rows += erasure.that_mention(self._with_payload(None), text, self._outbox.vault)
        found = {row["receipt"]: row for row in rows}
        gone = self._outbox.erase(list(found))
        self._outbox.checkpoint()
        self._note("erase", count=len(gone))
        ids = {row["profile_id"] for row in found.values()} | set(gone)
        return Erased(len(gone), len(found) - len(gone), tuple(sorted(one for one in ids if one)))

    def try_recorded(self, only: str | None) -> Iterator[trial.Change]:
        """Map what is stored with the present configuration, and say what would be different.

        Names fields, never values.
        """
        self.actor.must(VIEW)
        vault = self._outbox.vault
        return (trial.compared(row, self._settings, vault) for row in self._with_payload(only))

    def _with_payload(self, source: str | None) -> Iterator[dict[str, Any]]:
        before: str | None = None
        while rows := self._outbox.rows(source=source, with_payload=True, before=before, limit=MAX_ROWS):
            before = rows[-1]["receipt"]
            yield from rows
