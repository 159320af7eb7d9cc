"""Housekeeping: chores that are done at intervals, each whatever becomes of the others."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from relay import events
from relay.clock import boot
from relay.operator.alerts import Alert, found
from relay.operator.watch import Watch
from relay.outbox import audit, jobs, refusals, unmapped
from relay.outbox.errors import Unavailable
from relay.process.exits import EXIT_FAULT
from relay.sources.source import RETENTION_SECONDS

if TYPE_CHECKING:
    from relay.process.relay import Relay

_TIDY_SECONDS = 1.0
WATCH_SECONDS = 10.0
"""So often it is looked whether somebody must be told."""
_EXPIRE_SECONDS = 60.0
_LEAP_SECONDS = 366 * 86400.0
_DOUBT_SECONDS = 3600.0
"""A clock that leapt ahead by a year may be wrong: for an hour nothing is deleted on its word."""
GUESSING_SECONDS = 300.0
"""The alert about guesses is over when there were not too many for so long."""


class Housekeeping:
    """A thread that looks after a relay, its outbox and its disk."""

    def __init__(self, relay: "Relay") -> None:
        """``relay``: its outbox is open."""
        self._relay = relay
        self._watch = Watch(relay.outbox, lambda: relay.settings)
        self._stopping = threading.Event()
        self._expires_from = 0.0
        self._strays_after = 0

    def start(self) -> None:
        threading.Thread(target=self._run, name="housekeeping", daemon=True).start()

    def stop(self) -> None:
        """Begin no chore more."""
        self._stopping.set()

    def finish(self) -> None:
        """Do what must be done before the outbox is closed."""
        self._watch.stop()
        self._keep_what_was_seen()

    def untold(self) -> list[str]:
        """Return why alerts do not arrive, where they do not."""
        return self._watch.wrong()

    def doubt(self, leap: float) -> None:
        """Let retention wait if a clock went ahead by so much: somebody may be about to set it."""
        if leap > _LEAP_SECONDS:
            self._expires_from = time.monotonic() + _DOUBT_SECONDS

    def look_at_disk(self) -> None:
        """Say whether anything new can be taken."""
        if self._relay.disk is not None:
            self._relay.outbox.is_full = self._relay.disk.look()

    def _run(self) -> None:
        chores: list[tuple[float, Callable[[], object]]] = [
            (_TIDY_SECONDS, self._look_at_threads),
            (_TIDY_SECONDS, self._look_at_clock),
            (_TIDY_SECONDS, self.look_at_disk),
            (_TIDY_SECONDS, self._keep_what_was_seen),
            # Emptied soon after payloads were erased, so that they are gone from the WAL too.
            (_TIDY_SECONDS, self._relay.outbox.checkpoint),
            (WATCH_SECONDS, self._look_around),
            (WATCH_SECONDS, self._relay.next_start.look),
            (_EXPIRE_SECONDS, self._expire),
        ]
        due = [0.0] * len(chores)
        while not self._stopping.wait(_TIDY_SECONDS):
            for number, (every, chore) in enumerate(chores):
                if time.monotonic() >= due[number]:
                    due[number] = time.monotonic() + every
                    self._do(chore)

    def _do(self, chore: Callable[[], object]) -> None:
        try:
            chore()
        except Unavailable as problem:
            events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
        except Exception as problem:  # noqa: BLE001 - the other chores go on, and this one the next time
            events.note("housekeeping.failed", level=logging.ERROR, error=events.where_from(problem))

    # --- chores ---------------------------------------------------------------------------------------

    def _look_at_threads(self) -> None:
        """Leave if nothing would be sent any more; the next start settles what was under way."""
        relay = self._relay
        parts = (("dispatcher", relay.dispatcher), ("checker", relay.checker), ("clerk", relay.clerk))
        for name, part in parts:
            if part is not None and not part.is_alive() and not self._stopping.is_set():
                events.note("relay.died", level=logging.CRITICAL, problem=f"the {name} has died")
                relay.leave(EXIT_FAULT)

    def _look_at_clock(self) -> None:
        """On SQLite, follow a wall clock that was set."""
        relay = self._relay
        if relay.settings.is_sqlite and (moved := relay.clock.jump()):
            self.doubt(moved)
            relay.outbox.shift(relay.clock, moved, boot())
            events.note("clock.jumped", level=logging.WARNING, seconds=round(moved, 1))

    def _keep_what_was_seen(self) -> None:
        """Keep what was refused or not mapped since the last time; what cannot be kept now is kept later."""
        relay, outbox = self._relay, self._relay.outbox
        if counts := relay.refusals.take():
            try:
                outbox.write(lambda conn: refusals.add(conn, counts, outbox.now(conn)))
            except Unavailable:
                relay.refusals.put_back(counts)
        if names := relay.unmapped.take():
            try:
                outbox.write(lambda conn: unmapped.add(conn, names, outbox.now(conn)))
            except Unavailable:
                relay.unmapped.put_back(names)

    def _look_around(self) -> None:
        try:
            self._relay.agree_on_time()
            self._watch.look(self._alerts())
        except Unavailable as problem:
            self._watch.cannot_look(problem)
            raise

    def _alerts(self) -> list[Alert]:
        relay, crowds = self._relay, self._relay.crowds
        return list(
            found(
                relay.outbox,
                relay.settings,
                disk_is_low=relay.outbox.is_full,
                crowded=crowds.crowded.sources(),
                flooded=crowds.flooded.sources(),
                mistaken=crowds.mistaken.sources(),
                overfull=crowds.overfull.sources(),
                stuck=relay.stuck().items(),
                guessing=time.monotonic() - relay.guessed_at < GUESSING_SECONDS,
            )
        )

    def _expire(self) -> None:
        if time.monotonic() < self._expires_from:
            return
        outbox = self._relay.outbox
        retention = {source.name: source.retention for source in self._relay.settings.sources.values()}
        for source, count in outbox.expire(retention, RETENTION_SECONDS).items():
            events.note("retention.expired", source=source, count=count)
        outbox.write(lambda conn: jobs.forget(conn, outbox.now(conn)))
        outbox.write(lambda conn: audit.forget(conn, outbox.now(conn)))
        self._strays_after = outbox.forget_strays(self._strays_after)
