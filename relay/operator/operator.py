"""What an operator may see and do: the verbs that API, pages and commands call, and nothing else.

Each takes and returns values. Which role it needs stands in its first line; what it changed goes into the
audit log under the name of who acts.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from relay import clock
from relay.delivery import INVALID, QUEUED
from relay.health import Health, paused, resumed
from relay.operator import acting, actions, channels, figures, finding, jobs, shown, ticked
from relay.operator.actions import DISCARD, EDIT, POSSIBLE, REPLAY, why_not
from relay.operator.actor import ACT, REVEAL, VIEW
from relay.operator.clerk import Clerk
from relay.operator.correcting import corrected
from relay.operator.diagnosis import diagnosed, unread
from relay.operator.errors import CannotDo, Missing, Unconfigured
from relay.operator.files import Files
from relay.operator.filter import MAX_ROWS, Filter, wanted
from relay.operator.remap import opened, revealed
from relay.operator.status import status
from relay.operator.whole import Whole
from relay.outbox import audit, listing, notices
from relay.outbox import jobs as stored_jobs
from relay.outbox.audit import Act
from relay.outbox.moves import Expected
from relay.outbox.wanted import MANY, count, place
from relay.sources.source import Source

_FOLLOW_SECONDS = 0.2
_HOLDS: Mapping[str, Callable[[Health, float], Health]] = {
    "pause": lambda health, _: paused(health),
    "resume": resumed,
}


class Operator(Files, Whole):
    """Somebody who looks after an outbox."""

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
        found = self._outbox.read(count, meant)
        return min(found, MANY), found <= MANY

    def submission(self, receipt: str) -> dict[str, Any]:
        """Return one submission with every send, and of an invalid one what is wrong. Raises Missing."""
        self.actor.must(VIEW)
        row = self._row(receipt)
        found = shown.shown(row, self._outbox.vault)
        found["history"] = shown.sends(self._outbox.read(listing.history, receipt=row["receipt"]))
        source = self._settings.sources.get(row["source"])
        if row["state"] == INVALID and row["payload"] is not None and source is not None:
            found["diagnosis"] = self._diagnosis(row, source)
        return found

    def _diagnosis(self, row: Mapping[str, Any], source: Source) -> dict[str, Any]:
        try:
            payload = opened(row, self._outbox.vault)
        except CannotDo as problem:  # it can be looked at, and given up, all the same
            return unread(str(problem))
        return diagnosed(source, payload)

    def actions(self, receipt: str) -> dict[str, str | None]:
        """Return every action by name: None where it is possible for a row, else why it is not."""
        self.actor.must(VIEW)
        row = self._row(receipt)
        return {action: why_not(action, row, self._settings) for action in POSSIBLE}

    def find(
        self, text: str, by: str | None = None, *, before: str | None = None, limit: int = MAX_ROWS
    ) -> dict[str, Any]:
        """Return the submissions of a person, or of an id, as ``page`` does. Raises Nonsense.

        ``by``: what the text is, one of ``finding.WAYS``; None: whatever it may be.
        """
        return self.page(Filter(**finding.meant(text, by), before=before, limit=limit))

    def sought(self, text: str) -> finding.Sought:
        """Return by what a person, or an id, is found, without what was typed. Raises Nonsense."""
        self.actor.must(VIEW)
        meant = finding.meant(text, None)
        hashes = finding.hashes(text, self._settings, self._outbox.vault) if finding.CONTACT in meant else ()
        # A number may be an id as well as somebody's: only what is one here is kept as it was typed.
        named = meant.get("named", {})
        is_id = named and self._rows(Filter(named=named, limit=1))
        return finding.Sought(hashes, named if is_id else {})

    def found(self, sought: finding.Sought) -> dict[str, Any]:
        """Return the newest submissions of somebody, as ``page`` does."""
        return self.page(Filter(hashes=sought.hashes, named=sought.named, limit=MAX_ROWS))

    def way(self, receipt: str) -> tuple[str, str | None]:
        """Return where a submission is sent, and what keeps it waiting there. Raises Missing."""
        self.actor.must(VIEW)
        row = self._row(receipt)
        waits = self.status().get(row["destination"], {}) if row["state"] == QUEUED else {}
        return row["destination"], waits.get("hold_reason")

    def status(self) -> dict[str, Any]:
        """Return the state of every destination, by name."""
        self.actor.must(VIEW)
        return status(self._settings, self._outbox)

    def destinations(self) -> list[str]:
        """Return the names of destinations; while relay.toml, which has them, is broken, of all that were."""
        self.actor.must(VIEW)
        if self._settings.has_file:
            return list(self._settings.destinations)
        return self._outbox.read(listing.destinations_met)

    def sources_queued_for(self, destination: str) -> list[str]:
        """Return the sources of what is queued for a destination, also of one that was removed."""
        self.actor.must(VIEW)
        return self._outbox.read(lambda conn: listing.sources_queued_for(conn, destination))

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
        acts = self._outbox.read(audit.page, before, limit, receipt)
        following = place(acts[-1]["id"]) if len(acts) == limit else None
        return {"audit": [shown.act(one) for one in acts], "next": following}

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
        acting.carry_out(self._outbox, plan, Act(self.actor.name, EDIT, receipt=plan.receipt, detail=detail))
        return shown.shown(self._row(plan.receipt), self._outbox.vault)

    def reveal(self, receipt: str) -> dict[str, Any]:
        """Return what is personal in a submission, while it is still there. Raises CannotDo."""
        self.actor.must(REVEAL)
        row = self._row(receipt)
        acting.check_possible(actions.REVEAL, row, self._settings)
        payload = opened(row, self._outbox.vault)
        self._note(actions.REVEAL, receipt=row["receipt"], detail={"was": row["state"]})
        return revealed(row, payload, self._settings)

    def _move(self, action: str, receipt: str, seen: Expected | None) -> dict[str, Any]:
        self.actor.must(ACT)
        row = self._seen(receipt, seen)
        plan = acting.planned(action, row, self._settings, self._outbox.vault)
        act = Act(self.actor.name, action, receipt=plan.receipt, detail={"was": row["state"]})
        acting.carry_out(self._outbox, plan, act)
        return shown.shown(self._row(plan.receipt), self._outbox.vault)

    def hold(self, destination: str, verb: str) -> str | None:
        """``pause`` or ``resume`` a destination. Raises Missing.

        Returns until when a wait goes on that upstream asked for: no person can end it.
        """
        self.actor.must(ACT)
        if destination not in self.destinations():
            raise Unconfigured("there is no such destination")
        health = self._outbox.change_hold(destination, _HOLDS[verb])
        waits = clock.iso(health.ends_at) if health.is_held(self._outbox.time()) else None
        still = {"still_held": health.hold_reason} if waits else {}
        self._note(verb, detail={"destination": destination, **still})
        return waits

    def ticked(self) -> set[str]:
        """Return what people have ticked off of what is to be done once."""
        self.actor.must(VIEW)
        return ticked.ticked(self._outbox)

    def tick(self, name: str) -> None:
        """Tick off what only a person can know is done. Raises Missing."""
        self.actor.must(ACT)
        if name not in ticked.TICKS:
            raise Missing("there is nothing of that name to do")
        ticked.tick(self._outbox, name)
        self._note("tick", detail={"done": name})

    def test_alert(self) -> None:
        """Have an alert told through every channel, within seconds. Raises CannotDo without any."""
        self.actor.must(ACT)
        configured = channels.channels_of(self._settings)
        if not configured:
            raise CannotDo("there is no channel: set RELAY_ALERT_URL or RELAY_ALERT_MAIL")
        content = channels.trial(self._outbox.time())
        self._outbox.write(notices.add, configured, content)
        self._note("test alert", detail={"channels": configured})

    # --- acting on many ---------------------------------------------------------------------------

    def make_job(
        self, action: str, filter_: Filter, *, dry_run: bool = False, counted: str | None = None
    ) -> dict[str, Any]:
        """Have all rows of a filter replayed or discarded; return the job's name and how many there are.

        A dry run counts what would become of each. ``counted``: one whose rows are meant, and no later
        ones. Raises Nonsense, Unfitting, Missing.
        """
        self.actor.must(ACT)
        by = self.actor.name
        job = jobs.make(self._outbox, action, filter_, by, dry_run=dry_run, counted=counted)
        found = jobs.counted(job)
        return {"job": job.name, "count": found["total"], "more_than": found["more_than"]}

    def jobs(self, filter_: Filter) -> dict[str, Any]:
        """Return a page of jobs, newest first. Raises Nonsense."""
        self.actor.must(VIEW)
        wanted(filter_)
        before, limit = filter_.place(), filter_.limit
        found = self._outbox.read(stored_jobs.page, before, limit)
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
        try:
            while not (job := jobs.find(self._outbox, name)).is_over:
                yield jobs.shown(job)
                if not clerk.step():
                    time.sleep(_FOLLOW_SECONDS)
        finally:
            clerk.stop()  # also where it is interrupted: a server goes on at once
        yield jobs.shown(job)

    def would_replay(self, filter_: Filter) -> int:
        """Return how many of a filter would be queued again, counted no further than ``MANY``."""
        self.actor.must(ACT)
        return jobs.would_replay(self._outbox, self._settings, filter_)
