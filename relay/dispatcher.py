"""Dispatcher: claim (with a quota slot) → send → settle → record, until told to stop.

One lane per destination: a thread that claims, and a small pool that sends. A lane that is slow or
held delays no other.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from relay import delivery as states
from relay import destination as accounts
from relay import events, metrics, upstream
from relay import outcome as outcomes
from relay.clock import iso
from relay.config.settings import Settings, reread_token
from relay.database import Unavailable
from relay.delivery import Delivery
from relay.destination import Destination, Sent
from relay.entry import Claim, Decide, Decision, Known, NothingYet, Turn
from relay.outbox import Outbox
from relay.outcome import (
    NEVER_STORED,
    Delivered,
    Later,
    Misconfigured,
    NotSent,
    Outcome,
    Refused,
    Unclear,
    Wait,
)
from relay.sending import LEASE_GRACE_SECONDS
from relay.vault import KeyMissing

_IDLE_SECONDS = 2.0
_SWEEP_SECONDS = 5.0
_AFTER_FAULT_SECONDS = 1.0
_AFTER_YOU_SECONDS = 0.003
# A claim that could not be sent for so long is not sent: its lease may end before the call would.
_OVERTAKEN_SECONDS = LEASE_GRACE_SECONDS - 2


class Verdict:
    """What a request that waits is waiting for."""

    def __init__(self) -> None:
        self._known = threading.Event()
        self.decision: Decision | None = None
        self.profile: Mapping[str, Any] = {}

    def tell(self, decision: Decision) -> None:
        self.decision = decision
        self._known.set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long. Returns whether the verdict is there."""
        return self._known.wait(seconds)


def decide(
    outcome: Outcome,
    destination: Destination,
    *,
    probe: bool,
    jitter: float,
    vault: Any,
    keep: tuple[str, ...] = (),
) -> Decide:
    """Return what an outcome changes, as a function of what the outbox knows at that moment.

    ``keep``: fields of upstream's answer that repeats of this submission may be shown.
    """

    def of(delivery: Delivery, known: Known) -> Decision:
        health, now = known.health, known.now
        resolved = accounts.resolve(health, outcome, delivery.receipt, delivery.forbidden_at)
        if delivery.is_update and isinstance(resolved, Misconfigured) and resolved.status == 404:
            # The profile is gone upstream: that says nothing about our address.
            resolved = Refused(404, trace_id=resolved.trace_id)
        settled = states.settle(delivery, resolved, destination, now, jitter, known.sendable_seconds())
        asks = resolved.exhausted_for or isinstance(resolved, Wait)
        sent = Sent(delivery.receipt, probe, jitter, has_room=bool(asks) and known.has_room())
        changed = accounts.after(health, destination, resolved, sent, now)
        reply = _reply(resolved, keep)
        box = None
        if settled.is_update and not delivery.is_update and not delivery.dropped:
            # The profile exists: what is left to send is all that is still needed.
            rest = {"update": delivery.payload.get("update")}
            box = vault.seal(rest, delivery.receipt)
        return Decision(settled, changed, resolved, reply, box)

    return of


def _reply(outcome: Outcome, keep: tuple[str, ...]) -> dict[str, Any] | None:
    if not isinstance(outcome, Delivered):
        return None
    known = (name for name in keep if name not in NEVER_STORED and name != "id")
    kept = {name: outcome.profile[name] for name in known if name in outcome.profile}
    return kept or None


class Dispatcher:
    """Sends what is queued. ``outbox`` must be started."""

    def __init__(self, outbox: Outbox, settings: Settings) -> None:
        self._outbox = outbox
        self._settings = settings
        self._line = upstream.Line()
        self._lanes: dict[str, _Lane] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)

    def start(self) -> None:
        """Settle what a crash left behind, and begin to send."""
        self._recover(every=self._settings.is_sqlite)
        for destination in self._settings.destinations.values():
            self._open_lane(destination)
        self._sweeper.start()

    def stop(self, seconds: float) -> None:
        """Claim nothing more, and wait for the calls in flight to be recorded."""
        self._stopping.set()
        until = time.monotonic() + seconds
        for lane in self._lanes.values():
            lane.stop()
        for lane in self._lanes.values():
            lane.join(max(0.0, until - time.monotonic()))
        self._line.close()

    def reload(self, settings: Settings) -> None:
        """Go on with new settings, and try every destination that is held for a fault at once."""
        self._settings = settings
        for name, destination in settings.destinations.items():
            if name in self._lanes:
                self._lanes[name].change(destination)
            else:
                self._outbox.prepare({name: destination})
                self._open_lane(destination)
            self._outbox.probe_now(name)
            self.wake(name)
        for name in set(self._lanes) - set(settings.destinations):
            self._lanes.pop(name).stop()

    def wake(self, destination: str, *, arrival: bool = False) -> None:
        """Say that there may be something to send."""
        lane = self._lanes.get(destination)
        if lane is not None:
            lane.wake(arrival=arrival)

    def is_alive(self) -> bool:
        """Whether every lane is at work."""
        lanes = list(self._lanes.values())  # a reload may be changing them
        return all(lane.is_alive() for lane in lanes) and self._sweeper.is_alive()

    def latency(self, destination: str) -> float:
        """Return the usual seconds of one call."""
        lane = self._lanes.get(destination)
        return lane.latency if lane is not None else 0.3

    # --- verdicts -----------------------------------------------------------------------------------

    def expect(self, receipt: str) -> Verdict:
        """Register for the verdict on a delivery; before it is committed, so that none is missed."""
        verdict = self._verdicts[receipt] = Verdict()
        return verdict

    def forget(self, receipt: str) -> None:
        self._verdicts.pop(receipt, None)

    def told(self, decision: Decision) -> None:
        """Pass a decision on to the request that waits for it, if one does."""
        verdict = self._verdicts.get(decision.delivery.receipt)
        outcome = decision.outcome
        if verdict is None or decision.delivery.state == states.SENDING:
            return
        if isinstance(outcome, Delivered):
            verdict.profile = outcome.profile or verdict.profile  # to an update nothing is answered
            if decision.delivery.is_update:  # created only: its update is about to be sent
                return
        verdict.tell(decision)

    # --- inside -------------------------------------------------------------------------------------

    def _open_lane(self, destination: Destination) -> None:
        lane = _Lane(self, self._outbox, self._line, destination)
        lane.start()
        self._lanes[destination.name] = lane

    def kept_fields(self, source: str) -> tuple[str, ...]:
        """Return the fields of upstream's answer that a source's callers may see."""
        known = self._settings.sources.get(source)
        return known.reply if known is not None else ()

    def _recover(self, *, every: bool) -> None:
        def settled(delivery: Delivery, known: Known) -> Decision:
            destination = self._settings.destinations.get(delivery.destination)
            if destination is None:  # gone from the configuration: any schedule will do
                destination = next(iter(self._settings.destinations.values()))
            crash = Unclear(None, answered=False, why="crash")
            made = decide(crash, destination, probe=False, jitter=random.random(), vault=self._outbox.vault)
            # That we crashed says nothing about the destination: it would be held for all that was in flight.
            return replace(made(delivery, known), health=known.health)

        for decision in self._outbox.recover(settled, every=every):
            _note(decision, None)
            self.told(decision)

    def _sweep(self) -> None:
        """Find deliveries whose dispatcher has gone; on SQLite there is no other dispatcher."""
        while not self._stopping.wait(_SWEEP_SECONDS):
            if self._settings.is_sqlite:
                continue
            try:
                self._recover(every=False)
            except Unavailable as problem:
                events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))


class _Lane:
    """The way to one destination."""

    def __init__(
        self, dispatcher: Dispatcher, outbox: Outbox, line: upstream.Line, destination: Destination
    ) -> None:
        self._dispatcher = dispatcher
        self._outbox = outbox
        self._line = line
        self._destination = destination
        self._turn = Turn()
        self._woken = threading.Event()
        self._stopping = False
        self._arrived = False
        self._just_sent = False
        self._blocked_until = 0.0
        self._pool = ThreadPoolExecutor(64, thread_name_prefix=f"send-{destination.name}")
        self._thread = threading.Thread(target=self._run, name=f"lane-{destination.name}", daemon=True)
        self.latency = 0.3

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._woken.set()

    def join(self, seconds: float) -> None:
        """Wait for the calls in flight, at most so long."""
        until = time.monotonic() + seconds
        self._thread.join(seconds)
        self._pool.shutdown(wait=False)
        for sender in list(self._pool._threads):  # the library waits for ever or not at all
            sender.join(max(0.0, until - time.monotonic()))

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def change(self, destination: Destination) -> None:
        self._destination = destination

    def wake(self, *, arrival: bool = False) -> None:
        """Look for work. An arrival changes nothing while no slot is free."""
        if not arrival or time.monotonic() >= self._blocked_until:
            self._arrived = self._arrived or arrival
            self._woken.set()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            seconds = self._step()
            if seconds > 0:
                self._woken.wait(min(seconds, _IDLE_SECONDS))

    def _step(self) -> float:
        """Send one delivery, or return for how many seconds there is nothing to do."""
        destination = self._destination
        taken_at = time.monotonic()
        try:
            claimed = self._claim(destination)
            if isinstance(claimed, NothingYet):
                return self._wait_for(claimed)
        except Unavailable as problem:
            # What cannot be recorded as started is not sent.
            events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
            return _AFTER_FAULT_SECONDS
        self._blocked_until = 0.0
        self._just_sent = True
        self._pool.submit(self._send, claimed, destination, taken_at)
        return 0.0

    def _claim(self, destination: Destination) -> Claim | NothingYet:
        if self._just_sent and not self._arrived:
            # Let the call that was just handed out go ahead of this look for more.
            self._just_sent = False
            self._woken.wait(_AFTER_YOU_SECONDS)
        if not self._arrived:  # most claims after a claim find nothing, and need not wait for the writer
            idle_until = self._outbox.idle_until(destination.name)
            if idle_until is not None:
                return NothingYet(idle_until, "empty")
        self._arrived = False
        return self._outbox.claim(destination, self._turn)

    def _wait_for(self, nothing: NothingYet) -> float:
        seconds = math.inf
        if nothing.until < math.inf:
            # The outbox's clock may be the database's.
            seconds = max(0.001, nothing.until - self._outbox.read(self._outbox.now))
        blocked = nothing.why in ("quota", "held", "parallel")
        self._blocked_until = time.monotonic() + min(seconds, _IDLE_SECONDS) if blocked else 0.0
        if nothing.why == "held":
            self._watch_token()
        return seconds

    def _watch_token(self) -> None:
        """A token file that has changed may end the hold: try at once."""
        fresh = reread_token(self._destination)
        if fresh.token != self._destination.token:
            self._destination = fresh
            self._outbox.probe_now(fresh.name)

    def _send(self, claim: Claim, destination: Destination, taken_at: float) -> None:
        try:
            outcome, seconds = self._attempt(claim, destination, taken_at)
            self._record(claim, destination, outcome, seconds)
        except Exception as problem:  # noqa: BLE001 - the lane must live; the row is settled at the next start
            events.note("dispatcher.fault", level=logging.ERROR, error=events.where_from(problem))
        finally:
            self._woken.set()

    def _attempt(self, claim: Claim, destination: Destination, taken_at: float) -> tuple[Outcome, float]:
        try:
            return self._call(claim, destination, taken_at)
        except Exception as problem:  # noqa: BLE001 - a mistake of ours is settled like a crash
            events.note("dispatcher.fault", level=logging.ERROR, error=events.where_from(problem))
            return Unclear(None, answered=False, why="a fault of the relay"), 0.0

    def _call(self, claim: Claim, destination: Destination, taken_at: float) -> tuple[Outcome, float]:
        try:
            payload = self._outbox.vault.open(claim.box, claim.delivery.receipt) if claim.box else {}
        except (KeyMissing, ValueError) as problem:
            return Later(None, None, str(problem)), 0.0
        claim.delivery.payload.update(payload)  # type: ignore[attr-defined]
        started = time.monotonic()
        if started - taken_at > _OVERTAKEN_SECONDS:
            return NotSent(None), 0.0
        fresh = reread_token(destination)
        if claim.delivery.is_update:
            assert claim.delivery.profile_id is not None
            answer = upstream.update(self._line, fresh, claim.delivery.profile_id, payload["update"])
        else:
            answer = upstream.create(self._line, fresh, payload["profile"])
        seconds = time.monotonic() - started
        self.latency += (seconds - self.latency) * 0.2
        return outcomes.read(answer, time.time(), is_update=claim.delivery.is_update), seconds

    def _record(self, claim: Claim, destination: Destination, outcome: Outcome, seconds: float) -> None:
        made = decide(
            outcome,
            destination,
            probe=claim.probe,
            jitter=random.random(),
            vault=self._outbox.vault,
            keep=self._dispatcher.kept_fields(claim.delivery.source),
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
                destination=destination.name,
                outcome=outcome.word,
            )
            return
        _note(decision, seconds)
        self._dispatcher.told(decision)


def _note(decision: Decision, seconds: float | None) -> None:
    delivery, outcome = decision.delivery, decision.outcome
    metrics.count_delivery(delivery.destination, outcome.word, seconds)
    quiet = isinstance(outcome, Delivered)
    events.note(
        "delivery.attempted",
        level=logging.INFO if quiet else logging.WARNING,
        receipt=delivery.receipt,
        source=delivery.source,
        destination=delivery.destination,
        outcome=outcome.word,
        status=outcome.status,
        state=delivery.state,
        reason=delivery.reason,
        attempt=delivery.sends,
        seconds=None if seconds is None else round(seconds, 3),
        due_at=iso(delivery.due_at) if delivery.state == states.QUEUED else None,
        trace_id=outcome.trace_id,
    )
    if decision.health.hold_reason and not isinstance(outcome, Delivered):
        events.note(
            "destination.held",
            level=logging.WARNING,
            destination=delivery.destination,
            reason=decision.health.hold_reason,
            until=iso(decision.health.ends_at),
        )
