"""The parts of a running relay, put together: start, reload, stop."""

import logging
import os
import threading
import time
from collections.abc import Callable

from relay import events, metrics
from relay.clock import JUMP_SECONDS, SteadyClock, boot
from relay.config import environment
from relay.config.settings import Settings
from relay.dispatch.captcha import Checker
from relay.dispatch.dispatcher import Dispatcher
from relay.intake.episodes import Crowds
from relay.intake.intake import Intake
from relay.intake.limits import Doorkeeper
from relay.intake.refusals import Refusals
from relay.intake.unmapped import Unmapped
from relay.intake.waiting import Patience
from relay.operator.alerts import EVERY_SECONDS as WATCH_SECONDS
from relay.operator.alerts import Alert, found
from relay.operator.clerk import Clerk
from relay.operator.watch import Watch
from relay.outbox import refusals, sqlite, unmapped
from relay.outbox.disk import Disk
from relay.outbox.errors import Damaged, Unavailable, Unfit
from relay.process.exits import EXIT_DAMAGED, EXIT_FAULT, EXIT_STORAGE, EXIT_UNFIT, leave
from relay.process.keeping import configuration_kept
from relay.process.opening import LOCK_SECONDS, lock, open_outbox
from relay.sources.source import RETENTION_SECONDS
from relay.vault import KeyMissing

_LAST_WORDS_SECONDS = 0.5
_READY_SECONDS = 1.0
_TIDY_SECONDS = 1.0
_EXPIRE_SECONDS = 60.0
_LEAP_SECONDS = 366 * 86400.0
_DOUBT_SECONDS = 3600.0
"""A clock that leapt ahead by a year may be wrong: for an hour nothing is deleted on its word."""
GUESSING_SECONDS = 300.0
"""The alert about guesses is over when there were not too many for so long."""


class Relay:
    """One server process: its settings, outbox, limits, and dispatcher."""

    def __init__(
        self, settings: Settings, load: Callable[[], Settings], leave: Callable[[int], None] = leave
    ) -> None:
        """``load`` reads the settings again, for a reload; ``leave`` ends the process with a status."""
        self._leave = leave
        self.settings = settings
        self._load = load
        self.clock = SteadyClock()
        self.doorkeeper = Doorkeeper(settings.limits_url)
        self.dispatcher: Dispatcher | None = None
        self.checker: Checker | None = None
        self.clerk: Clerk | None = None
        self._watch: Watch | None = None
        self.refusals = Refusals()
        self.unmapped = Unmapped()
        self._crowds = Crowds()
        self._lock: int | None = None
        self._stopping = threading.Event()
        self._ready: tuple[float, dict[str, str]] = (-_READY_SECONDS, {})
        self._expires_from = 0.0
        self._reloading = threading.Lock()
        self.warned: set[str] = set()
        self.guessed_at = -GUESSING_SECONDS
        self.disk = Disk(settings.database_path) if settings.is_sqlite else None

    def start(self) -> None:
        """Open the outbox and begin to work. Raises Unfit, Unavailable, KeyMissing."""
        settings = self.settings
        events.configure(settings.log_level, background=True)
        metrics.prepare()
        if settings.is_sqlite:
            self._lock = lock(settings.database_path, LOCK_SECONDS)
        self.outbox = open_outbox(settings, self.clock)
        self.outbox.prepare(settings.destinations, sandbox=settings.is_sandbox)
        if self.disk is not None:
            self.outbox.on_full = self.disk.release
        self.outbox.start(self._die)
        if settings.is_sqlite:
            self._keep_time()
        self._look_at_disk()
        if settings.role != "web":
            self.dispatcher = Dispatcher(self.outbox, settings)
            self.checker = Checker(self.outbox, settings, self.dispatcher.wake)
            self.clerk = Clerk(self.outbox, lambda: self.settings, self._wake)
        # At most half of the threads may wait for verdicts.
        self._patience = Patience(self.outbox, settings.threads // 2, is_alone=settings.is_sqlite)
        self.intake = self._intake(settings)
        if self.dispatcher is not None:
            self.dispatcher.start()
        if self.checker is not None:
            self.checker.start()
        if self.clerk is not None:
            self.clerk.start()
        threading.Thread(target=self._keep_house, name="housekeeping", daemon=True).start()
        for warning in settings.warnings:
            events.note("relay.warning", level=logging.WARNING, warning=warning)
        events.note("relay.started", process=os.getpid(), version=sqlite_version(settings))

    def _keep_time(self) -> None:
        """Start no earlier than the newest stored time, whatever the machine's clock says."""
        ahead = self.outbox.keep_time(self.clock.offset, boot())
        self.clock.follow(self.clock.offset + ahead)
        if ahead >= JUMP_SECONDS:
            events.note("clock.behind", level=logging.WARNING, seconds=round(ahead, 1))
        if newest := self.outbox.newest():
            self._doubt(self.clock() - newest)

    def _doubt(self, leap: float) -> None:
        """Let retention wait if a clock went ahead by so much: somebody may be about to set it."""
        if leap > _LEAP_SECONDS:
            self._expires_from = time.monotonic() + _DOUBT_SECONDS

    def stop(self, seconds: float = 20.0) -> None:
        """Finish the calls in flight and close the outbox."""
        self._stopping.set()
        if self.clerk is not None:
            self.clerk.stop()
        if self.checker is not None:
            self.checker.stop()
        if self.dispatcher is not None:
            self.dispatcher.stop(seconds)
        if self.checker is not None:
            self.checker.join()
        if self._watch is not None:
            self._watch.stop()
        self._keep_what_was_seen()
        self.outbox.stop()
        if self._lock is not None:
            os.close(self._lock)
        events.note("relay.stopped", process=os.getpid())
        events.flush()

    def reload(self) -> bool:
        """Read the configuration again; with a bad one the old stays in force. Returns whether it changed."""
        with self._reloading:
            try:
                settings = self._load()
            except environment.Unusable as problem:
                configuration_kept(problem.problems)
                return False
            self._crowds.mistaken.forget(self.settings.sources, settings.sources)
            # One assignment: a request sees the old settings or the new, never a mixture.
            self.settings = settings
            self.intake = self._intake(settings)
            if self.checker is not None:
                self.checker.settings = settings
            if self.dispatcher is not None:
                self.dispatcher.reload(settings)
            events.note("config.reloaded", count=len(settings.sources))
            return True

    def _intake(self, settings: Settings) -> Intake:
        return Intake(
            settings,
            self.outbox,
            self.doorkeeper,
            self.dispatcher,
            self.clock,
            self._patience,
            self.refusals,
            self.unmapped,
            self._crowds,
            checker=self.checker,
        )

    def _wake(self) -> None:
        """Have every destination looked at: something was queued."""
        if self.dispatcher is not None:
            for name in self.settings.destinations:
                self.dispatcher.wake(name)

    def _die(self, death: BaseException) -> None:
        """The writer thread is gone: nothing can be stored any more, so leave."""
        events.note("outbox.died", level=logging.CRITICAL, error=events.where_from(death))
        time.sleep(_LAST_WORDS_SECONDS)  # the requests that waited for it are told
        self._leave(EXIT_STORAGE)

    # --- health -------------------------------------------------------------------------------------

    def failing_checks(self) -> dict[str, str]:
        """Return what keeps the relay from working now, by check; asked once a second at most."""
        at, checks = self._ready
        if time.monotonic() - at < _READY_SECONDS:
            return checks
        checks = {}
        if self.outbox.is_full:
            checks["disk"] = "is nearly full; free some space"
        try:
            self.outbox.ping()
        except Unavailable as problem:
            checks["outbox"] = str(problem)
        if self.dispatcher is not None and not self.dispatcher.is_alive():
            checks["dispatcher"] = "has died"
        elif self.dispatcher is not None and (missing := self.dispatcher.missing()):
            checks["dispatcher"] = f"sends nothing to {', '.join(sorted(missing))} yet: see the log"
        if self.checker is not None and not self.checker.is_alive():
            checks["checker"] = "has died"
        self._ready = (time.monotonic(), checks)
        return checks

    def warnings(self) -> list[str]:
        """Return what an operator should know although the relay works."""
        found = [*self.settings.warnings, *sorted(self.warned)]
        if self.settings.is_sqlite and sqlite.is_old_sqlite():
            found.append("this SQLite is older than 3.51.3, which fixed a corruption bug; install pysqlite3")
        if self.doorkeeper.degraded:
            found.append("RELAY_LIMITS_URL cannot be reached: clients are limited per process")
        return found

    # --- housekeeping ---------------------------------------------------------------------------------

    def _keep_house(self) -> None:
        """Look after the disk and the WAL every second, after alerts and retention less often."""
        watch = self._watch = Watch(self.outbox, lambda: self.settings)
        chores: list[tuple[float, Callable[[], None]]] = [
            (_TIDY_SECONDS, self._tidy),
            (WATCH_SECONDS, lambda: watch.look(self._alerts())),
            (_EXPIRE_SECONDS, self._expire),
        ]
        due = [0.0] * len(chores)
        while not self._stopping.wait(_TIDY_SECONDS):
            for number, (every, chore) in enumerate(chores):
                if time.monotonic() >= due[number]:
                    due[number] = time.monotonic() + every
                    self._do(chore)

    def _do(self, chore: Callable[[], None]) -> None:
        try:
            chore()
        except Exception as problem:  # noqa: BLE001 - the other chores go on, and this one the next time
            events.note("housekeeping.failed", level=logging.ERROR, error=events.where_from(problem))

    def _look_at_threads(self) -> None:
        """Leave if nothing would be sent any more; the next start settles what was under way."""
        parts = (("dispatcher", self.dispatcher), ("checker", self.checker), ("clerk", self.clerk))
        for name, part in parts:
            if part is not None and not part.is_alive() and not self._stopping.is_set():
                events.note("relay.died", level=logging.CRITICAL, problem=f"the {name} has died")
                self._leave(EXIT_FAULT)

    def _tidy(self) -> None:
        self._look_at_threads()
        if self.settings.is_sqlite and (moved := self.clock.jump()):
            self._doubt(moved)
            self.outbox.shift(self.clock, moved, boot())
            events.note("clock.jumped", level=logging.WARNING, seconds=round(moved, 1))
        self._look_at_disk()
        self._keep_what_was_seen()
        # Emptied soon after payloads were erased, so that they are gone from the WAL too.
        self.outbox.checkpoint()

    def _keep_what_was_seen(self) -> None:
        """Keep what was refused or not mapped since the last time; what cannot be kept now is kept later."""
        if counts := self.refusals.take():
            try:
                self.outbox.write(lambda conn: refusals.add(conn, counts, self.outbox.now(conn)))
            except Unavailable:
                self.refusals.put_back(counts)
        if names := self.unmapped.take():
            try:
                self.outbox.write(lambda conn: unmapped.add(conn, names, self.outbox.now(conn)))
            except Unavailable:
                self.unmapped.put_back(names)

    def _look_at_disk(self) -> None:
        if self.disk is None:
            return
        self.outbox.is_full = self.disk.look()

    def _alerts(self) -> list[Alert]:
        return list(
            found(
                self.outbox,
                self.settings,
                disk_is_low=self.outbox.is_full,
                crowded=self._crowds.crowded.sources(),
                flooded=self._crowds.flooded.sources(),
                mistaken=self._crowds.mistaken.sources(),
                overfull=self._crowds.overfull.sources(),
                guessing=time.monotonic() - self.guessed_at < GUESSING_SECONDS,
            )
        )

    def _expire(self) -> None:
        if time.monotonic() < self._expires_from:
            return
        retention = {source.name: source.retention for source in self.settings.sources.values()}
        for source, count in self.outbox.expire(retention, RETENTION_SECONDS).items():
            events.note("retention.expired", source=source, count=count)
        self.outbox.forget()


def sqlite_version(settings: Settings) -> str | None:
    """Return the SQLite that is used, or None."""
    return f"SQLite {sqlite.sqlite_module().sqlite_version}" if settings.is_sqlite else None


def start_or_explain(relay: Relay) -> tuple[str, int] | None:
    """Start; return what is wrong, and an exit status for it, if it cannot."""
    try:
        relay.start()
    except Damaged as problem:
        return str(problem), EXIT_DAMAGED
    except (Unfit, KeyMissing) as problem:
        return str(problem), EXIT_UNFIT
    except Unavailable as problem:
        # SQLite does not say which file it means.
        where = f"{relay.settings.database_path}: " if relay.settings.is_sqlite else ""
        return f"{where}{problem}", EXIT_UNFIT
    return None
