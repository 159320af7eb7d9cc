"""Clerk: does the jobs, a batch at a time, in one process at once."""

import contextlib
import logging
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from relay import events
from relay.config.settings import Settings
from relay.operator.acting import Plan
from relay.operator.filter import Filter, wanted
from relay.operator.jobs import BATCH, CHANGED, MOVED, likely, outcome, plan
from relay.outbox import audit, jobs
from relay.outbox import wanted as rows
from relay.outbox.audit import Act
from relay.outbox.errors import Unavailable
from relay.outbox.jobs import COUNTED, DONE, FAILED, Job
from relay.outbox.outbox import Outbox

_IDLE_SECONDS = 1.0
_BETWEEN_SECONDS = 0.01


class Clerk:
    """Does the jobs, where nobody else does them."""

    def __init__(
        self, outbox: Outbox, settings: Callable[[], Settings], wake: Callable[[], None] = lambda: None
    ) -> None:
        """``settings`` returns those in force; ``wake`` is called when something was queued."""
        self._outbox = outbox
        self._settings = settings
        self._wake = wake
        self._owner = secrets.token_hex(8)
        self._called = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="clerk", daemon=True)

    def start(self) -> None:
        """Work in the background from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch and end; what is left is done after the next start, or by another process."""
        self._stopping = True
        self._called.set()
        if self._thread.ident is not None:
            self._thread.join()
        with contextlib.suppress(Unavailable):  # then its time runs out
            if self._outbox.read(jobs.any_open):
                self._outbox.write(jobs.give_back, self._owner)

    def call(self) -> None:
        """There is a new job."""
        self._called.set()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            if self._try():
                self._called.wait(_BETWEEN_SECONDS)  # others want to write, too
            else:
                self._called.wait(_IDLE_SECONDS)
            self._called.clear()

    def _try(self) -> bool:
        try:
            return self.step()
        except Unavailable as problem:
            events.note("job.waits", level=logging.WARNING, problem=str(problem))
            return False
        except Exception as fault:  # noqa: BLE001 - the thread must live; the process would end with it
            events.note("clerk.fault", level=logging.ERROR, error=events.where_from(fault))
            return False

    def step(self) -> bool:
        """Do a batch of the next job; return whether there was one."""
        if not self._outbox.read(jobs.any_open):
            return False
        job = self._outbox.write(lambda conn: jobs.take(conn, self._owner, self._outbox.now(conn)))
        if job is None:
            return False
        try:
            self._batch(job)
        except Unavailable:
            raise
        except Exception as fault:  # noqa: BLE001 - one job that cannot be done keeps no other from it
            where = events.where_from(fault)
            events.note("job.failed", level=logging.ERROR, error=events.where_from(fault))
            self._outbox.write(self._end, job=job, state=FAILED, problem=where)
        return True

    def _batch(self, job: Job) -> None:
        meant = wanted(Filter(**job.filter), upto=job.upto, seen_at=job.seen_at)
        found = self._outbox.read(rows.oldest_first, meant, job.after, BATCH)
        if not found:
            self._outbox.write(self._end, job=job, state=COUNTED if job.dry_run else DONE)
            return
        settings, vault = self._settings(), self._outbox.vault
        plans = [plan(job.action, row, settings, vault) for row in found]
        self._outbox.write(self._apply, job, plans, found[-1]["seq"])
        self._wake()

    def _apply(self, conn: Any, job: Job, plans: list[Plan | str], after: int) -> None:
        now = self._outbox.now(conn)
        if not jobs.is_ours(conn, job, self._owner):
            return
        became = [likely(conn, one) if job.dry_run else outcome(conn, one, now) for one in plans]
        if not job.dry_run:
            met = zip(plans, became, strict=True)
            moved = [one.receipt for one, is_so in met if isinstance(one, Plan) and is_so in MOVED]
            jobs.sign(conn, job, moved)
        jobs.progress(conn, job, Counter(became), after, now)

    def _end(self, conn: Any, job: Job, state: str, problem: str | None = None) -> None:
        now = self._outbox.now(conn)
        if not jobs.is_ours(conn, job, self._owner):
            return
        if state == DONE and (vanished := job.total - job.done) > 0 and job.total <= rows.MANY:
            jobs.progress(conn, job, {CHANGED: vanished}, job.after, now)
            job = jobs.get(conn, job.name) or job
        jobs.end(conn, job, state, now, problem)
        if not job.dry_run:
            detail = {"job": job.name, "state": state, **job.outcomes}
            audit.note(conn, Act(job.by, f"{job.action} many: {state}", job.done, detail=detail), now)
