"""Intake: submission → proof → mapping → outbox → receipt. What each request came to, as a value."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from relay import events, metrics, quota
from relay.config.settings import Settings
from relay.delivery import (
    CHECK,
    DELIVERED,
    FRESH,
    HELD,
    INVALID,
    KEY_REUSED,
    QUEUED,
    REFUSED,
    SENDING,
    Delivery,
)
from relay.dispatch.captcha import Checker
from relay.dispatch.dispatcher import Dispatcher
from relay.dispatch.verdict import Verdict
from relay.intake import receipt as receipts
from relay.intake.entry import (
    _original,
    _page,
    consent_proof,
    contact_hash,
    content_key,
    sender_key,
    update_body,
)
from relay.intake.forecast import _FORECAST_SECONDS, _Forecast
from relay.intake.incoming import Incoming, Refusal, Taken
from relay.intake.limits import Doorkeeper
from relay.intake.suspicion import _is_disposable, _is_filled, _mailbox
from relay.outbox.outbox import Outbox
from relay.outbox.records import Entry, Stored
from relay.sources import body as submission
from relay.sources import stamp as timestamp
from relay.sources.body import BadBody, Submission
from relay.sources.mapping import CONTACTS, Mapped
from relay.sources.proof import Evidence
from relay.sources.source import Source

MAX_INVALID_FORMS = 100
_POLL_SECONDS = 0.1
# An episode of too many submissions is over when none was too many for so long.
_EPISODE_SECONDS = 300.0


class Intake:
    """Takes submissions in for a set of settings; see ``receive``."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        doorkeeper: Doorkeeper,
        dispatcher: Dispatcher | None,
        clock: Callable[[], float],
        checker: Checker | None = None,
    ) -> None:
        """``dispatcher`` and ``checker`` are None where another process sends."""
        self._checker = checker
        self.settings = settings
        self._outbox = outbox
        self._doorkeeper = doorkeeper
        self._dispatcher = dispatcher
        self._clock = clock
        # At most half of the request threads may wait for verdicts, so that intake never starves.
        self._patience = threading.BoundedSemaphore(max(1, settings.threads // 2))
        self._forecasts: dict[str, _Forecast] = {}
        self._crowded: dict[str, float] = {}
        self._counting = threading.Lock()

    def forget_forecasts(self) -> None:
        """Called when a destination is paused or resumed: what was forecast a moment ago is wrong."""
        self._forecasts.clear()

    def crowded(self) -> set[str]:
        """Return the sources that are over their source_limits, as of the last submissions."""
        return {name for name, at in self._crowded.items() if time.monotonic() - at < _EPISODE_SECONDS}

    def receive(self, source: Source, incoming: Incoming) -> Taken | Refusal:
        """Take one request in; committed when this returns Taken with a receipt. Raises Unavailable."""
        started = time.perf_counter()
        result, word = self._receive(source, incoming)
        seconds = time.perf_counter() - started
        metrics.count_submission(source.name, word, seconds)
        events.note(
            f"submission.{word}",
            level=logging.INFO if word in ("accepted", "repeat", "excluded") else logging.WARNING,
            source=source.name,
            receipt=result.receipt,
            status=result.status,
            request_id=incoming.request_id,
            client=incoming.client if word in ("rejected", "limited") else None,
            seconds=round(seconds, 4),
            reason="it repeats an earlier one, so it is not sent again" if word == "repeat" else None,
        )
        return result

    def _receive(self, source: Source, incoming: Incoming) -> tuple[Taken | Refusal, str]:
        is_whole = not incoming.flaw
        if is_whole and source.ping and source.ping.matches(incoming.raw, incoming.headers):
            return self._nothing_to_do(source), "excluded"
        parsed = _Parsed(source, incoming)
        evidence = self._evidence(incoming, parsed)
        if not source.admits(evidence, time.time()):
            if source.is_only_untimely(evidence, time.time()):
                _note_skew(source, incoming)
            return Refusal(401, "The proof of the sender is missing or wrong."), "rejected"
        if not is_whole:
            return Refusal(400, incoming.flaw), "rejected"
        try:
            fields = parsed.fields()
        except BadBody as problem:
            return Refusal(problem.status, str(problem)), "rejected"
        if source.is_excluded(fields, incoming.headers):
            return self._nothing_to_do(source), "excluded"
        if wait := self._limited(source, incoming):
            detail = "Too many submissions from here; try again a little later."
            return Refusal(429, detail, retry_after=wait, typed=fields), "limited"
        sent = self._submission(source, incoming, fields)
        mapped = source.mapping.apply(fields)
        if not mapped.ok:
            return self._unmappable(source, sent, mapped)
        return self._store(source, sent, mapped, self._suspicion(source, sent, mapped))

    @staticmethod
    def _nothing_to_do(source: Source) -> Taken:
        return Taken(source.success_status or 200, {"state": "ignored"})

    @staticmethod
    def _evidence(incoming: Incoming, parsed: "_Parsed") -> Evidence:
        return Evidence(
            headers=incoming.headers,
            query=incoming.query,
            body=incoming.raw,
            url=incoming.url,
            fields=parsed.fields_or_none,
        )

    def _limited(self, source: Source, incoming: Incoming) -> float | None:
        if incoming.client is None:
            return None
        return self._doorkeeper.retry_after(source.client_limits, "client", source.name, incoming.client)

    def _submission(self, source: Source, incoming: Incoming, fields: dict[str, Any]) -> Submission:
        return Submission(
            source=source.name,
            fields=fields,
            raw=incoming.raw,
            content_type=incoming.content_type,
            received_at=self._clock(),
            key=sender_key(source, incoming, fields),
            page=_page(incoming.headers),
        )

    def _suspicion(self, source: Source, sent: Submission, mapped: Mapped) -> str | None:
        """Return why a submission is held back, or None."""
        if source.honeypot and _is_filled(sent.fields.get(source.honeypot)):
            return "honeypot"
        if source.is_form and (odd := self._odd_time(source, sent)):
            return odd
        if _is_disposable(str(mapped.profile.get("email", "")), source.disposable):
            return "disposable address"
        if self._doorkeeper.retry_after(source.source_limits, "source", source.name):
            self._crowded[source.name] = time.monotonic()
            return "source limit"
        for name in CONTACTS if source.recipient_limits else ():
            contact = mapped.profile.get(name)
            key = self._outbox.vault.hash("recipient", _mailbox(contact)).hex() if contact else ""
            if key and self._doorkeeper.retry_after(source.recipient_limits, "recipient", key):
                return "recipient limit"
        return None

    def _odd_time(self, source: Source, sent: Submission) -> str | None:
        """Return what is odd about when the form was handed out, if it says that at all."""
        key = self._outbox.vault.hash(timestamp.KEY)
        shown = sent.fields.get(timestamp.FIELD)
        return timestamp.suspicion(key, source.name, shown, source.min_seconds, time.time())

    # --- storing ------------------------------------------------------------------------------------

    def _store(
        self, source: Source, sent: Submission, mapped: Mapped, suspicion: str | None
    ) -> tuple[Taken | Refusal, str]:
        state = HELD if suspicion else QUEUED
        entry = self._entry(source, sent, mapped, state, suspicion)
        waiting = state == QUEUED and source.wait > 0 and self._dispatcher is not None
        verdict = None
        if waiting and self._dispatcher is not None:
            verdict = self._dispatcher.expect(entry.delivery.receipt)
        try:
            stored = self._outbox.put(entry)
            ahead = self._arrived(stored.delivery) if stored.delivery.state == QUEUED else None
            result = self._answer(source, stored, verdict, ahead)
        finally:
            if verdict is not None and self._dispatcher is not None:
                self._dispatcher.forget(entry.delivery.receipt)
        if stored.delivery.reason == KEY_REUSED:
            events.note(
                "submission.key_reused",
                level=logging.WARNING,
                source=source.name,
                receipt=stored.delivery.receipt,
            )
        return result, "repeat" if stored.repeat else "held" if suspicion else "accepted"

    def _entry(
        self, source: Source, sent: Submission, mapped: Mapped, state: str, reason: str | None
    ) -> Entry:
        vault = self._outbox.vault
        receipt = vault.receipt()
        payload: dict[str, Any] = {"profile": mapped.profile, **_original(sent)}
        if mapped.extra:
            payload["update"] = update_body(mapped.extra, source)
        if source.captcha:
            payload["captcha"] = str(sent.fields.get(source.captcha.field, ""))[:4096]
        if state == INVALID:  # what is needed beside the body when it is mapped again
            payload.pop("profile")
            payload |= {"key": sent.key, "page": sent.page}
        delivery = Delivery(
            receipt=receipt,
            source=source.name,
            destination=source.destination,
            state=state,
            received_at=sent.received_at,
            due_at=sent.received_at,
            reason=reason,
            dropped=mapped.dropped,
            payload=payload,
            lane=CHECK if source.captcha and state == QUEUED else FRESH,
        )
        key = sent.key or ""
        by_content = content_key(vault, source.name, key, mapped)
        by_bytes = vault.hash("bytes", source.name, key, timestamp.without(sent.raw))
        plain = by_bytes if state == INVALID else by_content
        email, phone = (mapped.profile.get(name) for name in CONTACTS)
        return Entry(
            delivery=delivery,
            box=vault.seal(payload, receipt),
            repeat_key=vault.hash("held", plain) if state == HELD else plain,
            plain_key=plain if state == HELD else None,
            raw_key=by_bytes if state == QUEUED else None,
            id_hash=vault.hash("key", source.name, key) if key else None,
            window=None if key else source.repeat_window,
            email_hash=contact_hash(vault, email),
            phone_hash=contact_hash(vault, phone),
            consent=consent_proof(mapped, sent.page, sent.received_at),
        )

    def _unmappable(self, source: Source, sent: Submission, mapped: Mapped) -> tuple[Taken | Refusal, str]:
        detail = "The submission could not be used; see errors."
        if source.is_form and (stored := self._owners_mistake(source, sent)):
            events.note(
                "source.misconfigured",
                level=logging.ERROR,
                source=source.name,
                receipt=stored.delivery.receipt,
                problem="a form posts none of the mapped contact fields; check [sources.x.fields]",
            )
            return self._taken(source, stored), "invalid"
        if not source.keeps_invalid:
            return Refusal(422, detail, mapped.errors, typed=sent.fields), "rejected"
        entry = self._entry(source, sent, Mapped(), INVALID, _reason(mapped))
        stored = self._outbox.put(entry)
        if source.on_failure == "accept":
            return self._taken(source, stored), "repeat" if stored.repeat else "invalid"
        refusal = Refusal(422, detail, mapped.errors, receipt=stored.delivery.receipt, repeat=stored.repeat)
        return refusal, "repeat" if stored.repeat else "invalid"

    def _owners_mistake(self, source: Source, sent: Submission) -> Stored | None:
        """Keep a post of a form that has none of the mapped contact fields; None if it is no such post."""
        if not set(sent.fields) - {timestamp.FIELD} or source.mapping.has_contact_fields(sent.fields):
            return None
        with self._counting:  # else several at once would all be the last one
            if self._outbox.count(source.name, INVALID) >= MAX_INVALID_FORMS:
                return None
            entry = self._entry(source, sent, Mapped(), INVALID, "no mapped field was posted")
            return self._outbox.put(entry)

    # --- answering ------------------------------------------------------------------------------------

    def _taken(
        self,
        source: Source,
        stored: Stored,
        profile: Mapping[str, Any] | None = None,
        eta: float | None = None,
    ) -> Taken:
        known = profile if profile is not None else stored.reply
        status, body = receipts.answer(
            source, stored.delivery, repeat=stored.repeat, profile=known, eta_seconds=eta
        )
        return Taken(status, body, stored.delivery.receipt, stored.repeat)

    def _answer(
        self, source: Source, stored: Stored, verdict: Verdict | None, ahead: int | None
    ) -> Taken | Refusal:
        delivery, profile = stored.delivery, None
        eta = None
        if delivery.state in (QUEUED, SENDING, HELD) and not receipts.is_silent(source):
            eta = self._eta(source, ahead)
        if delivery.state == QUEUED and source.wait and not stored.repeat:
            if eta is not None and eta < source.wait:
                delivery, profile = self._wait(source, delivery, verdict)
                eta = self._eta(source) if delivery.state == QUEUED else None
        if delivery.state == REFUSED and not receipts.is_silent(source):
            return self._refused(source, delivery, stored.repeat)
        return self._taken(source, Stored(delivery, stored.repeat, stored.reply), profile, eta)

    def _refused(self, source: Source, delivery: Delivery, repeat: bool) -> Taken | Refusal:
        if source.on_failure == "accept":
            body: dict[str, Any] = {"receipt": delivery.receipt, "state": QUEUED, "eta_seconds": None}
            if repeat:
                body["repeat"] = True
            status = source.success_status or (200 if repeat else 202)
            return Taken(status, body, delivery.receipt, repeat)
        return Refusal(
            422,
            "Upstream does not take this sign-up.",
            receipt=delivery.receipt,
            state=REFUSED,
            trace_id=delivery.trace_id,
            repeat=repeat,
        )

    def _wait(
        self, source: Source, delivery: Delivery, verdict: Verdict | None
    ) -> tuple[Delivery, Mapping[str, Any] | None]:
        """Wait for the verdict as long as the source says, if a thread may be spared for it."""
        if not self._patience.acquire(blocking=False):
            return delivery, None
        try:
            if verdict is None:
                return self._poll(source, delivery)
            until = time.monotonic() + source.wait
            if verdict.wait(until - time.monotonic()) and verdict.decision is not None:
                return verdict.decision.delivery, verdict.profile
            return delivery, None
        finally:
            self._patience.release()

    def _poll(self, source: Source, delivery: Delivery) -> tuple[Delivery, Mapping[str, Any] | None]:
        """Look at the row until another process has sent it."""
        until = time.monotonic() + source.wait
        while time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
            found = self._outbox.settled(delivery.receipt)
            if found is not None and found.delivery.state in (DELIVERED, REFUSED):
                return found.delivery, found.reply
        return delivery, None

    def _arrived(self, delivery: Delivery) -> int | None:
        """Have a new delivery sent; return how many of its source go before it, None if nobody counted."""
        forecast = self._forecasts.get(delivery.destination)
        ahead = forecast.arrived(delivery.source) if forecast is not None else None
        if self._checker is not None and delivery.lane == CHECK:
            self._checker.wake()
        if self._dispatcher is not None:
            self._dispatcher.wake(delivery.destination, arrival=True)
        return ahead

    def _eta(self, source: Source, ahead: int | None = None) -> float | None:
        """Return in how many seconds a submission with so many before it will be sent; None while held.

        Without a number: the newest submission of its source.
        """
        known = self._forecasts.get(source.destination)
        if known is None or time.monotonic() - known.made_at > _FORECAST_SECONDS:
            known = self._forecasts[source.destination] = self._forecast(source)
        return known.eta(source.name, ahead)

    def _forecast(self, source: Source) -> "_Forecast":
        destination = self.settings.destinations[source.destination]
        health = self._outbox.health(destination.name)
        now, held = self._outbox.ledger(destination)
        latency = self._dispatcher.latency(destination.name) if self._dispatcher else 0.3
        parallel = health.lane_width(destination)
        return _Forecast(
            waiting=self._outbox.waiting(destination.name),
            is_held=health.is_held(now),
            eta_of=lambda ahead: quota.eta(destination.windows, held, ahead, latency, parallel, now),
        )


class _Parsed:
    """The fields of a body, parsed once: a proof in the body needs them before anything else does."""

    def __init__(self, source: Source, incoming: Incoming) -> None:
        self._source = source
        self._incoming = incoming
        self._fields: dict[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        if self._fields is None:
            source, incoming = self._source, self._incoming
            if not incoming.raw and not incoming.content_type:
                self._fields = {}
            else:
                self._fields = submission.parse(
                    incoming.raw, incoming.content_type, source.limits, source.json_fields
                )
        return self._fields

    def fields_or_none(self) -> dict[str, Any] | None:
        try:
            return self.fields()
        except BadBody:
            return None


def _note_skew(source: Source, incoming: Incoming) -> None:
    """Say why a right signature was refused; the sender is told no more than others."""
    events.note(
        "clock.skew",
        level=logging.WARNING,
        source=source.name,
        request_id=incoming.request_id,
        problem="the signature is right and its time is not: the clock of this machine or of the sender is "
        "wrong, or an old message was sent again",
    )


def _reason(mapped: Mapped) -> str:
    """Name the fields that were wrong, by the configuration's names for them: no values."""
    return "unmappable: " + ", ".join(sorted(mapped.errors))[:200]
