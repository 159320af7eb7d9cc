"""The parts of a running relay, put together: start, reload, stop."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable

from relay import events, metrics
from relay.clock import JUMP_SECONDS, SteadyClock, boot
from relay.config import environment
from relay.config.settings import Settings, reloaded, stale_token
from relay.dispatch.captcha import Checker
from relay.dispatch.dispatcher import Dispatcher
from relay.intake.episodes import Crowds
from relay.intake.intake import Intake
from relay.intake.limits import Doorkeeper
from relay.intake.refusals import Refusals
from relay.intake.unmapped import Unmapped
from relay.intake.waiting import Patience
from relay.operator.alerts import cannot_send
from relay.operator.clerk import Clerk
from relay.operator.wording import duration
from relay.outbox import sqlite, timekeeping
from relay.outbox.disk import Disk
from relay.outbox.errors import Damaged, Unavailable, Unfit
from relay.outbox.rights import check_storing, risks
from relay.process.exits import EXIT_DAMAGED, EXIT_STORAGE, EXIT_UNFIT, leave
from relay.process.housekeeping import GUESSING_SECONDS, Housekeeping
from relay.process.keeping import NextStart, configuration_kept
from relay.process.opening import LOCK_SECONDS, lock, open_outbox
from relay.vault import CannotOpen

_LAST_WORDS_SECONDS = 0.5
_READY_SECONDS = 1.0
_PROMPT_SECONDS = 0.5
_APART_SECONDS = 30.0
"""So far a machine's clock may be from the database's before somebody should know."""


class Relay:
    """One server process: its settings, outbox, limits, and dispatcher."""

    def __init__(
        self, settings: Settings, load: Callable[[], Settings], leave: Callable[[int], None] = leave
    ) -> None:
        """``load`` reads the settings again, for a reload; ``leave`` ends the process with a status."""
        self.leave = leave
        self.settings = settings
        self._load = load
        self.next_start = NextStart(settings.config_file, load)
        self.clock = SteadyClock()
        self.doorkeeper = Doorkeeper(settings.limits_url)
        self.dispatcher: Dispatcher | None = None
        self.checker: Checker | None = None
        self.clerk: Clerk | None = None
        self.refusals = Refusals()
        self.unmapped = Unmapped()
        self.crowds = Crowds()
        self._lock: int | None = None
        self._ready: tuple[float, dict[str, str]] = (-_READY_SECONDS, {})
        self._away_at = -math.inf
        """When the database could not be used, the last time that was looked at."""
        self._reloading = threading.Lock()
        self.warned: set[str] = set()
        self.guessed_at = -GUESSING_SECONDS
        self.disk = Disk(settings.database_path) if settings.is_sqlite else None

    def start(self) -> None:
        """Open the outbox and begin to work. Raises Unfit, Unavailable, CannotOpen."""
        settings = self.settings
        events.configure(settings.log_level, background=True)
        metrics.prepare(settings.sources, settings.destinations)
        if settings.is_sqlite:
            self._lock = lock(settings.database_path, LOCK_SECONDS)
        self.outbox = open_outbox(settings, self.clock)
        self._house = Housekeeping(self)
        self.outbox.prepare(settings.destinations, sandbox=settings.is_sandbox, upgrading=_upgrading)
        self.warned.update(self.outbox.read(risks))
        if self.disk is not None:
            self.outbox.on_full = self.disk.release
        self.outbox.start(self._die)
        if settings.is_sqlite:
            self._keep_time()
        self.agree_on_time()
        self._house.look_at_disk()
        if settings.role != "web":
            self.dispatcher = Dispatcher(self.outbox, settings)
            self.checker = Checker(self.outbox, settings, self.dispatcher.wake)
            self.clerk = Clerk(self.outbox, lambda: self.settings, self.wake)
        # At most half of the threads may wait for verdicts.
        self._patience = Patience(self.outbox, settings.threads // 2, is_alone=settings.is_sqlite)
        self.intake = self._intake(settings)
        if self.dispatcher is not None:
            self.dispatcher.start()
        if self.checker is not None:
            self.checker.start()
        if self.clerk is not None:
            self.clerk.start()
        self._house.start()
        for warning in (*settings.warnings, *self.warned):
            events.note("relay.warning", level=logging.WARNING, warning=warning)
        events.note("relay.started", process=os.getpid(), version=sqlite_version(settings))

    def _keep_time(self) -> None:
        """Start no earlier than the newest stored time, whatever the machine's clock says."""
        ahead = self.outbox.keep_time(self.clock.offset, boot())
        self.clock.follow(self.clock.offset + ahead)
        if ahead >= JUMP_SECONDS:
            events.note("clock.behind", level=logging.WARNING, seconds=round(ahead, 1))
        if newest := self.outbox.read(timekeeping.newest):
            self._house.doubt(self.clock() - newest)

    def agree_on_time(self) -> None:
        """Go by the database's clock, as every process on it does: one reads the times that another signed.

        Raises Unavailable.
        """
        if self.settings.is_sqlite:
            return
        asked = time.monotonic()
        try:
            said = self.outbox.time()
        except Unavailable:
            self._away_at = time.monotonic()
            raise
        if time.monotonic() - asked < _PROMPT_SECONDS:  # a slow answer does not say what time it is now
            self.clock.follow(said - time.monotonic())

    def stop(self, seconds: float = 20.0) -> None:
        """Finish the calls in flight and close the outbox."""
        self._house.stop()
        if self.clerk is not None:
            self.clerk.stop()
        if self.checker is not None:
            self.checker.stop()
        if self.dispatcher is not None:
            self.dispatcher.stop(seconds)
        if self.checker is not None:
            self.checker.join()
        self._house.finish()
        self.outbox.stop()
        if self._lock is not None:
            os.close(self._lock)
        events.note("relay.stopped", process=os.getpid())
        events.flush()

    def reload(self) -> bool:
        """Read the configuration again; with a bad one the old stays in force. Returns whether it changed."""
        with self._reloading:
            try:
                settings, changed = reloaded(self.settings, self._load())
            except environment.Unusable as problem:
                configuration_kept(problem.problems)
                return False
            for name in changed:
                warning = f"{name} was changed: that needs a restart"
                events.note("relay.warning", level=logging.WARNING, warning=warning)
            self.crowds.mistaken.forget(self.settings.sources, settings.sources)
            metrics.prepare(settings.sources, settings.destinations)
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
            self.crowds,
            checker=self.checker,
        )

    def _die(self, death: BaseException) -> None:
        """The writer thread is gone: nothing can be stored any more, so leave."""
        events.note("outbox.died", level=logging.CRITICAL, error=events.where_from(death))
        time.sleep(_LAST_WORDS_SECONDS)  # the requests that waited for it are told
        self.leave(EXIT_STORAGE)

    # --- what a person began --------------------------------------------------------------------------

    def wake(self) -> None:
        """Have every destination looked at: something was queued."""
        if self.dispatcher is not None:
            for name in self.settings.destinations:
                self.dispatcher.wake(name)

    def call_clerk(self) -> None:
        """Have a new job begun at once."""
        if self.clerk is not None:
            self.clerk.call()

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
            self.outbox.write(check_storing)
        except Unavailable as problem:
            checks["outbox"] = str(problem)
            self._away_at = time.monotonic()
        if self.dispatcher is not None and not self.dispatcher.is_alive():
            checks["dispatcher"] = "has died"
        elif self.dispatcher is not None and (missing := self.dispatcher.missing()):
            checks["dispatcher"] = f"sends nothing to {', '.join(sorted(missing))} yet: see the log"
        if self.checker is not None and not self.checker.is_alive():
            checks["checker"] = "has died"
        self._ready = (time.monotonic(), checks)
        return checks

    def stuck(self) -> dict[str, str]:
        """Return the destinations to which nothing can be sent although submissions are stored, and why."""
        if self.dispatcher is None or "outbox" in self.failing_checks():
            return {}
        return self.dispatcher.stuck(self._away_at)

    def warnings(self) -> list[str]:
        """Return what an operator should know although the relay works."""
        found = [*self.settings.warnings, *sorted(self.warned)]
        found += filter(None, map(stale_token, self.settings.destinations.values()))
        found += filter(None, [self.next_start.warning])
        if self.settings.is_sqlite and sqlite.is_old_sqlite():
            found.append("this SQLite is older than 3.51.3, which fixed a corruption bug; install pysqlite3")
        if self.doorkeeper.degraded:
            found.append(
                "RELAY_LIMITS_URL cannot be used (limits.away in the log): clients are limited per process"
            )
        apart = time.time() - self.clock()
        if not self.settings.is_sqlite and abs(apart) >= _APART_SECONDS:
            how = f"{duration(abs(apart))} {'ahead of' if apart > 0 else 'behind'}"
            found.append(f"this machine's clock is {how} the database's: set it by NTP")
        found += [cannot_send(name, why) for name, why in self.stuck().items()]
        # Nothing tells of this: whoever looks is to see it.
        found += [f"alerts do not arrive: {why}" for why in self._house.untold()]
        return found


def _upgrading(before: int, after: int) -> None:
    """Say so: with very many rows it takes minutes, in which nobody is answered."""
    events.note("outbox.upgrading", version=f"{before} to {after}")


def sqlite_version(settings: Settings) -> str | None:
    """Return the SQLite that is used, or None."""
    return f"SQLite {sqlite.sqlite_module().sqlite_version}" if settings.is_sqlite else None


def start_or_explain(relay: Relay) -> tuple[str, int] | None:
    """Start; return what is wrong, and an exit status for it, if it cannot."""
    try:
        relay.start()
    except Damaged as problem:
        return str(problem), EXIT_DAMAGED
    except (Unfit, CannotOpen) as problem:
        return str(problem), EXIT_UNFIT
    except Unavailable as problem:
        # Neither says which database it means.
        where = relay.settings.database_path if relay.settings.is_sqlite else "RELAY_DATABASE_URL"
        return f"{where}: {problem}", EXIT_UNFIT
    return None
