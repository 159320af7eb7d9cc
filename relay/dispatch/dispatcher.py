"""Dispatcher: claim (with a quota slot) → send → settle → record, until told to stop.

One lane per destination: a thread that claims, and a small pool that sends. A lane that is slow or
held delays no other.
"""

import logging
import random
import threading
import time
from dataclasses import replace

from relay import delivery as states
from relay import events
from relay.config.settings import Settings
from relay.delivery import Delivery
from relay.destination import Destination
from relay.dispatch import line
from relay.dispatch.decide import decide
from relay.dispatch.lane import Lane
from relay.dispatch.notes import note
from relay.dispatch.verdict import Verdict
from relay.health import at_once
from relay.outbox.errors import Unavailable
from relay.outbox.outbox import Outbox
from relay.outbox.records import Decision, Known
from relay.outcome import Delivered, Unclear
from relay.quota import USUAL_SECONDS

_SWEEP_SECONDS = 5.0


class Dispatcher:
    """Sends what is queued. ``outbox`` must be started."""

    def __init__(self, outbox: Outbox, settings: Settings) -> None:
        self._outbox = outbox
        self._settings = settings
        self._line = line.Line()
        self._lanes: dict[str, Lane] = {}
        self._closed: list[Lane] = []
        """Lanes to destinations that were removed: what they were sending goes on."""
        self._owed: set[str] = set()
        self._paying = threading.Lock()
        self._verdicts: dict[str, Verdict] = {}
        self._stopping = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)

    def start(self) -> None:
        """Settle what a crash left behind, and begin to send."""
        self._recover(every=self._settings.is_sqlite)
        for destination in self._settings.destinations.values():
            if self._outbox.meet(destination):  # what was wrong with its token or address may be right now
                self._outbox.change_hold(destination.name, at_once)
            self._open_lane(destination)
        self._sweeper.start()

    def stop(self, seconds: float) -> None:
        """Claim nothing more, and wait for the calls in flight to be recorded."""
        self._stopping.set()
        until = time.monotonic() + seconds
        lanes = [*self._lanes.values(), *self._closed]
        for lane in lanes:
            lane.stop()
        for lane in lanes:
            lane.join(max(0.0, until - time.monotonic()))
        self._line.close()

    def reload(self, settings: Settings) -> None:
        """Go on with new settings, and try every destination that is held for a fault at once."""
        with self._paying:  # what an earlier reload owes is being done, maybe
            self._settings = settings
            self._closed = [lane for lane in self._closed if lane.is_busy()]
            for name in set(self._lanes) - set(settings.destinations):
                lane = self._lanes.pop(name)
                lane.stop()
                self._closed.append(lane)
            for name, lane in self._lanes.items():
                lane.change(settings.destinations[name])
            self._owed = set(settings.destinations)
        self._pay()

    def _pay(self) -> None:
        """Do what a reload owes the outbox; what cannot be done while it is away is tried again."""
        with self._paying:
            for name in sorted(self._owed):
                if self._stopping.is_set():  # the next start knows what is configured
                    return
                destination = self._settings.destinations.get(name)
                try:
                    if destination is not None:
                        self._meet(destination)
                except Unavailable as problem:
                    events.note(
                        "config.owed", level=logging.ERROR, destination=name, problem=f"reload: {problem}"
                    )
                    return
                self._owed.discard(name)

    def _meet(self, destination: Destination) -> None:
        self._outbox.meet(destination)
        self._outbox.change_hold(destination.name, at_once)
        if destination.name not in self._lanes:
            self._open_lane(destination)
        self.wake(destination.name)

    def missing(self) -> set[str]:
        """Return the destinations that are configured, and that nothing is sent to yet."""
        return set(self._settings.destinations) - set(self._lanes)

    def wake(self, destination: str, *, arrival: bool = False) -> None:
        """Say that there may be something to send."""
        lane = self._lanes.get(destination)
        if lane is not None:
            lane.wake(arrival=arrival)

    def is_alive(self) -> bool:
        """Whether every lane is at work."""
        lanes = list(self._lanes.values())  # a reload may be changing them
        return all(lane.is_alive() for lane in lanes) and self._sweeper.is_alive()

    def stuck(self, away_at: float) -> dict[str, str]:
        """Return the destinations to which nothing can be sent although the database answers, and why.

        ``away_at``: when it last did not.
        """
        found = {name: lane.stuck(away_at) for name, lane in list(self._lanes.items())}
        return {name: problem for name, problem in found.items() if problem is not None}

    def latency(self, destination: str) -> float:
        """Return the usual seconds of one call."""
        lane = self._lanes.get(destination)
        return lane.latency if lane is not None else USUAL_SECONDS

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
            if decision.delivery.profile_id and not verdict.profile:
                return  # another process created it: what was said of it stands in the row
        verdict.tell(decision)

    # --- inside -------------------------------------------------------------------------------------

    def _open_lane(self, destination: Destination) -> None:
        lane = Lane(self._outbox, self._line, destination, told=self.told, kept_fields=self._kept_fields)
        lane.start()
        self._lanes[destination.name] = lane

    def _kept_fields(self, source: str) -> tuple[str, ...]:
        """Return the fields of upstream's answer that a source's callers may see."""
        known = self._settings.sources.get(source)
        return known.reply if known is not None else ()

    def _recover(self, *, every: bool) -> None:
        def settled(delivery: Delivery, known: Known) -> Decision:
            destination = self._settings.destinations.get(delivery.destination)
            if destination is None:  # gone from the configuration: what it wanted done is not known
                destination = replace(next(iter(self._settings.destinations.values())), ambiguous="park")
            crash = Unclear(None, answered=False, why="crash")
            made = decide(crash, destination, probe=False, jitter=random.random(), vault=self._outbox.vault)
            # That we crashed says nothing about the destination: it would be held for all that was in flight.
            return replace(made(delivery, known), health=known.health)

        for decision in self._outbox.recover(settled, every=every):
            note(decision, None)
            self.told(decision)

    def _sweep(self) -> None:
        """Find deliveries whose sender has gone, and do what a reload still owes."""
        while not self._stopping.wait(_SWEEP_SECONDS):
            try:
                self._recover(every=False)
                if self._owed:
                    self._pay()
            except Unavailable as problem:
                events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
            except Exception as problem:  # noqa: BLE001 - the next round finds what this one did not
                events.note("dispatcher.fault", level=logging.ERROR, error=events.where_from(problem))
