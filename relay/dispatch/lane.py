"""A lane: one destination, its small pool of senders, and when it looks again."""

import logging
import math
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import Any

from relay import events
from relay import outcome as outcomes
from relay.clock import iso
from relay.config.settings import reread_token
from relay.destination import Destination
from relay.dispatch import line, upstream
from relay.dispatch.decide import decide
from relay.dispatch.notes import note
from relay.health import at_once
from relay.outbox.claiming import LEASE_GRACE_SECONDS
from relay.outbox.due import idle_until
from relay.outbox.errors import Unavailable
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, Decision, Look, NothingYet, Turn
from relay.outcome import Forbidden, Misconfigured, NotSent, Outcome, Unclear, Unreadable
from relay.quota import USUAL_SECONDS
from relay.vault import CannotOpen

_IDLE_SECONDS = 2.0
_AFTER_FAULT_SECONDS = 1.0
_AFTER_YOU_SECONDS = 0.003
_STUCK_SECONDS = 30.0
# A claim that could not be sent for so long is not sent: its lease may end before the call would.
_OVERTAKEN_SECONDS = LEASE_GRACE_SECONDS - 2


class Lane:
    """The way to one destination."""

    def __init__(
        self,
        outbox: Outbox,
        line: line.Line,
        destination: Destination,
        *,
        told: Callable[[Decision], None],
        kept_fields: Callable[[str], tuple[str, ...]],
    ) -> None:
        """``told``: called with what was decided; ``kept_fields``: what a source's callers may see."""
        self._told = told
        self._kept_fields = kept_fields
        self._outbox = outbox
        self._line = line
        self._destination = destination
        self._latest = destination, destination
        """One as it is configured, and with the token that its file held last."""
        self._tried = _way(destination)
        """What upstream last said no to, or was tried since: anything else is worth a try at once."""
        self._turn = Turn()
        self._woken = threading.Event()
        self._stopping = False
        self._arrived = False
        self._just_sent = False
        self._blocked_until = 0.0
        self._pool = ThreadPoolExecutor(64, thread_name_prefix=f"send-{destination.name}")
        self._in_flight: set[Future[Any]] = set()
        self._thread = threading.Thread(target=self._run, name=f"lane-{destination.name}", daemon=True)
        self.latency = USUAL_SECONDS
        self._stuck: tuple[float, str] | None = None
        """Since when nothing can be handed out, and why."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    def join(self, seconds: float) -> None:
        """Wait for the calls in flight, at most so long."""
        until = time.monotonic() + seconds
        self._thread.join(seconds)
        wait(list(self._in_flight), max(0.0, until - time.monotonic()))

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def is_busy(self) -> bool:
        """Whether it is at work, or a call of its is under way."""
        return self._thread.is_alive() or bool(self._in_flight)

    def stuck(self, away_at: float) -> str | None:
        """Return why nothing can be handed out to it, where that lasts while the database can be used.

        ``away_at``: when it last could not; it may be back before anything was tried again.
        """
        since, problem = self._stuck or (math.inf, None)
        return problem if time.monotonic() - max(since, away_at) > _STUCK_SECONDS else None

    def change(self, destination: Destination) -> None:
        self._destination = destination
        self._tried = _way(destination)

    def wake(self, *, arrival: bool = False) -> None:
        """Look for work. An arrival changes nothing while no slot is free."""
        if not arrival or time.monotonic() >= self._blocked_until:
            self._arrived = self._arrived or arrival
            self._woken.set()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                seconds = self._step()
            except Exception as problem:  # noqa: BLE001 - the lane must live, also through a lack of memory
                events.note("dispatcher.fault", level=logging.ERROR, error=events.where_from(problem))
                seconds = _AFTER_FAULT_SECONDS
            if seconds > 0:
                self._woken.wait(min(seconds, _IDLE_SECONDS))
        self._pool.shutdown(wait=False)  # what is under way goes on

    def _step(self) -> float:
        """Send one delivery, or return for how many seconds there is nothing to do."""
        destination = self._destination
        taken_at = time.monotonic()
        try:
            claimed = self._claim(destination)
            self._stuck = None
            if isinstance(claimed, NothingYet):
                return self._wait_for(claimed)
        except Unavailable as problem:
            # What cannot be recorded as started is not sent.
            self._stuck = (self._stuck or (taken_at,))[0], str(problem)
            events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
            return _AFTER_FAULT_SECONDS
        self._blocked_until = 0.0
        self._just_sent = True
        if isinstance(claimed, Look):
            call = self._pool.submit(self._look, claimed, destination)
        else:
            call = self._pool.submit(self._send, claimed, destination, taken_at)
        self._in_flight.add(call)
        call.add_done_callback(self._in_flight.discard)
        return 0.0

    def _claim(self, destination: Destination) -> Claim | Look | NothingYet:
        if self._just_sent and not self._arrived:
            # Let the call that was just handed out go ahead of this look for more.
            self._just_sent = False
            self._woken.wait(_AFTER_YOU_SECONDS)
        if not self._arrived:  # most claims after a claim find nothing, and need not wait for the writer
            until = self._outbox.read(lambda conn: idle_until(conn, destination.name, self._outbox.now(conn)))
            if until is not None:
                return NothingYet(until, "empty")
        self._arrived = False
        return self._outbox.claim(destination, self._turn)

    def _wait_for(self, nothing: NothingYet) -> float:
        seconds = math.inf
        if nothing.until < math.inf:
            # The outbox's clock may be the database's.
            seconds = max(0.001, nothing.until - self._outbox.time())
        blocked = nothing.why in ("quota", "held", "parallel")
        self._blocked_until = time.monotonic() + min(seconds, _IDLE_SECONDS) if blocked else 0.0
        if nothing.why == "held":
            self._watch_way()
        return seconds

    def _watch_way(self) -> None:
        """A token or an address that upstream did not say no to may end the hold: try at once."""
        tried, way = self._tried, _way(self._fresh(self._destination))
        if way != tried:
            self._outbox.change_hold(self._destination.name, at_once)
            if self._tried is tried:  # else one more call by an old way was said no to meanwhile
                self._tried = way

    def _fresh(self, destination: Destination) -> Destination:
        """Return it with the token its file holds now, or held last: that of the start may be long dead."""
        configured, latest = self._latest
        latest = reread_token(latest if configured is destination else destination)
        self._latest = destination, latest
        return latest

    def _look(self, look: Look, destination: Destination) -> None:
        """See whether a destination that fails answers again, before a submission is risked."""
        try:
            started = time.monotonic()
            seen = outcomes.read_look(upstream.look(self._line, self._fresh(destination)), time.time())
            seconds = time.monotonic() - started
            health = self._outbox.looked(look, destination, seen, seconds, random.random())
            events.note(
                "destination.looked",
                destination=destination.name,
                outcome=seen.word,
                status=seen.status,
                seconds=round(seconds, 3),
                until=iso(health.ends_at),
            )
        except Unavailable as problem:  # the next look comes when the lease of this one is over
            events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
        except Exception as problem:  # noqa: BLE001 - the lane must live
            events.note("dispatcher.fault", level=logging.ERROR, error=events.where_from(problem))
        finally:
            self._woken.set()

    def _send(self, claim: Claim, destination: Destination, taken_at: float) -> None:
        try:
            opened = self._opened(claim)
            if isinstance(opened, Unreadable):
                self._record(claim, opened, 0.0)
            else:
                fresh = self._fresh(destination)
                outcome, seconds = self._attempt(opened, fresh, taken_at)
                self._record(opened, outcome, seconds)
                if isinstance(outcome, Misconfigured | Forbidden):
                    # Perhaps long after the token or the address was mended; now all is held again.
                    self._tried = _way(fresh)
        except Exception as problem:  # noqa: BLE001 - the lane must live; the row is settled after its lease
            events.note("dispatcher.fault", level=logging.ERROR, error=events.where_from(problem))
        finally:
            self._woken.set()

    def _opened(self, claim: Claim) -> Claim | Unreadable:
        """Return a claim with its payload, or why that cannot be read now."""
        try:
            payload = self._outbox.vault.open(claim.box, claim.delivery.receipt) if claim.box else {}
        except CannotOpen as problem:
            return Unreadable(None, None, str(problem))
        return replace(claim, delivery=replace(claim.delivery, payload=payload))

    def _attempt(self, claim: Claim, destination: Destination, taken_at: float) -> tuple[Outcome, float]:
        try:
            return self._call(claim, destination, taken_at)
        except Exception as problem:  # noqa: BLE001 - a mistake of ours is settled like a crash
            events.note("dispatcher.fault", level=logging.ERROR, error=events.where_from(problem))
            return Unclear(None, answered=False, why="a fault of the relay"), 0.0

    def _call(self, claim: Claim, destination: Destination, taken_at: float) -> tuple[Outcome, float]:
        payload = claim.delivery.payload
        started = time.monotonic()
        if started - taken_at > _OVERTAKEN_SECONDS:
            return NotSent(None), 0.0
        if claim.delivery.is_update:
            assert claim.delivery.profile_id is not None
            answer = upstream.update(self._line, destination, claim.delivery.profile_id, payload["update"])
        else:
            answer = upstream.create(self._line, destination, payload["profile"])
        seconds = time.monotonic() - started
        self.latency += (seconds - self.latency) * 0.2
        return outcomes.read(answer, time.time(), is_update=claim.delivery.is_update), seconds

    def _record(self, claim: Claim, outcome: Outcome, seconds: float) -> None:
        made = decide(
            outcome,
            self._destination,  # what a reload said since it was sent counts
            probe=claim.probe,
            started_at=claim.started_at,
            jitter=random.random(),
            vault=self._outbox.vault,
            keep=self._kept_fields(claim.delivery.source),
        )
        end_known = not isinstance(outcome, Unclear) or outcome.answered
        while True:
            try:
                decision = self._outbox.record(claim, seconds, made, end_known=end_known)
                break
            except Unavailable as problem:
                # The result is known and must not be lost: until it is recorded this sender waits.
                events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
                if self._stopping:
                    return
                time.sleep(_AFTER_FAULT_SECONDS)
        if decision is None:
            events.note(
                "delivery.overtaken",
                level=logging.WARNING,
                receipt=claim.delivery.receipt,
                destination=self._destination.name,
                outcome=outcome.word,
            )
            return
        note(decision, seconds)
        self._told(decision)


def _way(destination: Destination) -> tuple[str, str]:
    """Return what upstream may say no to for our fault."""
    return destination.url, destination.token
