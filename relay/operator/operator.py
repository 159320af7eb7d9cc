"""What an operator may see and do: the verbs that API, pages and commands call, and nothing else.

Each takes and returns values. Which role it needs stands in its first line; what it changed goes into the
audit log under the name of who acts.
"""

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from relay.config.settings import Settings
from relay.delivery import INVALID
from relay.operator import acting, actions, erasure, figures, finding, jobs, shown, trial
from relay.operator.actions import DISCARD, EDIT, POSSIBLE, REPLAY, why_not
from relay.operator.actor import ACT, COMMAND_LINE, REVEAL, VIEW, Actor
from relay.operator.clerk import Clerk
from relay.operator.correcting import corrected
from relay.operator.diagnosis import diagnosed
from relay.operator.erasure import Erased
from relay.operator.errors import CannotDo, Changed, Missing, Nonsense
from relay.operator.filter import MAX_ROWS, Filter, wanted
from relay.operator.remap import opened, revealed
from relay.operator.status import status
from relay.outbox import audit
from relay.outbox import jobs as stored_jobs
from relay.outbox.audit import Act
from relay.outbox.moves import Expected
from relay.outbox.outbox import Outbox
from relay.outbox.wanted import MANY, Wanted, count, newest_first, place

_RECEIPT = re.compile(r"[0-9a-f]{32}")
_MANY = 100_000
_ROTATED_AT_ONCE = 200
_FOLLOW_SECONDS = 0.2


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

    def count(self, filter_: Filter) -> tuple[int, bool]:
        """Return how many submissions are meant, and whether that is all: counting ends at ``MANY``."""
        self.actor.must(VIEW)
        meant = self._meant(filter_)
        found: int = self._outbox.read(lambda conn: count(conn, meant))
        return min(found, MANY), found <= MANY

    def submission(self, receipt: str) -> dict[str, Any]:
        """Return one submission with every send, and of an invalid one what is wrong. Raises Missing."""
        self.actor.must(VIEW)
        row = self._row(receipt)
        found = shown.shown(row, self._outbox.vault)
        found["history"] = shown.sends(self._outbox.history(receipt))
        source = self._settings.sources.get(row["source"])
        if row["state"] == INVALID and row["payload"] is not None and source is not None:
            found["diagnosis"] = diagnosed(source, opened(self._outbox.vault, receipt, row["payload"]))
        return found

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
        meant, before = self._meant(filter_), filter_.place()
        found: list[dict[str, Any]] = self._outbox.read(
            lambda conn: newest_first(conn, meant, before, filter_.limit)
        )
        return found

    def _meant(self, filter_: Filter) -> Wanted:
        if filter_.contact is None:
            return wanted(filter_)
        return wanted(filter_, finding.hashes(filter_.contact, self._settings, self._outbox.vault))

    def _row(self, receipt: str) -> dict[str, Any]:
        rows = self._outbox.rows(receipt=receipt, limit=1) if _RECEIPT.fullmatch(receipt) else []
        if not rows:
            raise Missing("there is no such submission")
        return rows[0]

    def _seen(self, receipt: str, seen: Expected | None) -> dict[str, Any]:
        """Return a row, if it is still as it was seen. Raises Missing, Changed."""
        row = self._row(receipt)
        if seen is not None and seen != Expected(row["state"], row["fence"]):
            raise Changed(shown.shown(row, self._outbox.vault))
        return row

    # --- acting on one ----------------------------------------------------------------------------

    def replay(self, receipt: str, seen: Expected | None = None) -> dict[str, Any]:
        """Queue a submission again; an invalid one is mapped again first. Raises CannotDo."""
        return self._move(REPLAY, receipt, seen)

    def discard(self, receipt: str, seen: Expected | None = None) -> dict[str, Any]:
        """Give a submission up, its payload erased. Raises CannotDo."""
        return self._move(DISCARD, receipt, seen)

    def edit(self, receipt: str, values: Mapping[str, Any], seen: Expected | None = None) -> dict[str, Any]:
        """Correct values of an invalid or refused submission, and queue it. Raises CannotDo, Unfitting."""
        self.actor.must(ACT)
        row = self._seen(receipt, seen)
        plan = corrected(row, values, self._settings, self._outbox.vault)
        detail = {"was": row["state"], "fields": sorted(values)}
        acting.carry_out(self._outbox, plan, Act(self.actor.name, EDIT, receipt=receipt, detail=detail))
        return shown.shown(self._row(receipt), self._outbox.vault)

    def reveal(self, receipt: str) -> dict[str, Any]:
        """Return what is personal in a submission, while it is still there. Raises CannotDo."""
        self.actor.must(REVEAL)
        row = self._row(receipt)
        acting.check_possible(actions.REVEAL, row)
        payload = opened(self._outbox.vault, receipt, row["payload"])
        self._note(actions.REVEAL, receipt=receipt, detail={"was": row["state"]})
        return revealed(row, payload, self._settings)

    def _move(self, action: str, receipt: str, seen: Expected | None) -> dict[str, Any]:
        self.actor.must(ACT)
        row = self._seen(receipt, seen)
        plan = acting.planned(action, row, self._settings, self._outbox.vault)
        act = Act(self.actor.name, action, receipt=receipt, detail={"was": row["state"]})
        acting.carry_out(self._outbox, plan, act)
        return shown.shown(self._row(receipt), self._outbox.vault)

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

    def make_job(self, action: str, filter_: Filter, *, dry_run: bool = False) -> dict[str, Any]:
        """Have all rows of a filter replayed or discarded; return the job's name and how many there are.

        A dry run counts what would become of each. Raises Nonsense, Unfitting.
        """
        self.actor.must(ACT)
        job = jobs.make(self._outbox, action, filter_, self.actor.name, dry_run=dry_run)
        counted = jobs.counted(job)
        return {"job": job.name, "count": counted["total"], "more_than": counted["more_than"]}

    def jobs(self, filter_: Filter) -> dict[str, Any]:
        """Return a page of jobs, newest first. Raises Nonsense."""
        self.actor.must(VIEW)
        wanted(filter_)
        before, limit = filter_.place(), filter_.limit
        found = self._outbox.read(lambda conn: stored_jobs.page(conn, before, limit))
        following = place(found[-1].id) if len(found) == limit else None
        return {"jobs": [jobs.shown(job) for job in found], "next": following}

    def job(self, name: str) -> dict[str, Any]:
        """Return a job: how far it has come, and what became of the rows. Raises Missing."""
        self.actor.must(VIEW)
        return jobs.shown(jobs.find(self._outbox, name))

    def cancel(self, name: str) -> dict[str, Any]:
        """End a job where it is; what it has done stays done. Raises Missing, CannotDo."""
        self.actor.must(ACT)
        jobs.cancel(self._outbox, name, self.actor.name)
        return self.job(name)

    def follow(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield a job now and then until it is over, working on it where no server does."""
        clerk = Clerk(self._outbox, lambda: self._settings)
        while not (job := jobs.find(self._outbox, name)).is_over:
            yield jobs.shown(job)
            if not clerk.step(name):
                time.sleep(_FOLLOW_SECONDS)
        yield jobs.shown(job)

    def would_replay(self, filter_: Filter) -> int:
        """Return how many of a filter would be queued again, counted no further than ``MANY``."""
        self.actor.must(ACT)
        return jobs.would_replay(self._outbox, self._settings, filter_)

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
