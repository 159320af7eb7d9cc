"""Onward: what follows the commit. A submission is sent on, its verdict awaited, and its sender answered."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from relay import events
from relay.config.settings import Settings
from relay.delivery import CHECK, HELD, QUEUED, SENDING, Delivery
from relay.dispatch.captcha import Checker
from relay.dispatch.dispatcher import Dispatcher
from relay.dispatch.verdict import Verdict
from relay.intake import answering
from relay.intake.forecast import Forecasts
from relay.intake.incoming import Refusal, Taken
from relay.intake.receipt import is_silent
from relay.intake.waiting import Patience
from relay.outbox.outbox import Outbox
from relay.outbox.records import Stored
from relay.quota import USUAL_SECONDS
from relay.sources.source import Source


class Onward:
    """Sends on what is stored. ``dispatcher`` and ``checker`` are None where another process does."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        dispatcher: Dispatcher | None,
        checker: Checker | None,
        patience: Patience,
    ) -> None:
        self._settings = settings
        self._dispatcher = dispatcher
        self._checker = checker
        self._patience = patience
        self._forecasts = Forecasts(outbox, self._latency)

    @contextmanager
    def heard(self, source: Source, delivery: Delivery) -> Iterator[Verdict | None]:
        """Have the verdict on a delivery heard, where its source waits for one: from before it is stored."""
        dispatcher = self._dispatcher if delivery.state == QUEUED and source.wait > 0 else None
        if dispatcher is None:
            yield None
            return
        try:
            yield dispatcher.expect(delivery.receipt)
        finally:
            dispatcher.forget(delivery.receipt)

    def answer(self, source: Source, stored: Stored, verdict: Verdict | None) -> Taken | Refusal:
        """Tell what it has come to. It is committed: whatever fails from here on does not undo that."""
        try:
            return answering.answer(source, *self._come_to(source, stored, verdict))
        except Exception as problem:  # noqa: BLE001 - "nothing was accepted" would be a lie
            events.note("intake.fault", level=logging.ERROR, error=events.where_from(problem))
            return answering.taken(source, stored)

    def _come_to(
        self, source: Source, stored: Stored, verdict: Verdict | None
    ) -> tuple[Stored, float | None]:
        """Have it sent, wait for the verdict where the source says so; return its state and its ETA."""
        state = stored.delivery.state
        ahead = self._arrived(stored.delivery) if state == QUEUED else None
        if state not in (QUEUED, SENDING, HELD) or is_silent(source):
            return stored, None
        eta = self._eta(source, stored.delivery, ahead)
        if state != QUEUED or stored.repeat or eta is None or eta >= source.wait:
            return stored, eta
        stored = self._patience.wait(stored, verdict, source.wait)
        return stored, self._eta(source, stored.delivery) if stored.delivery.state == QUEUED else None

    def _arrived(self, delivery: Delivery) -> int | None:
        """Have a new delivery sent; return how many of its source go before it, None if nobody counted."""
        ahead = self._forecasts.arrived(delivery.destination, delivery.source)
        if self._checker is not None and delivery.lane == CHECK:
            self._checker.wake()
        if self._dispatcher is not None:
            self._dispatcher.wake(delivery.destination, arrival=True)
        return ahead

    def _eta(self, source: Source, delivery: Delivery, ahead: int | None = None) -> float | None:
        return self._forecasts.eta(self._settings.destinations[source.destination], delivery, ahead)

    def _latency(self, destination: str) -> float:
        return self._dispatcher.latency(destination) if self._dispatcher else USUAL_SECONDS
