"""Intake: submission → proof → mapping → outbox → receipt. What each request came to, as a value."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from relay.config.settings import Settings
from relay.delivery import HELD, INVALID, KEY_REUSED, QUEUED
from relay.dispatch.captcha import Checker
from relay.dispatch.dispatcher import Dispatcher
from relay.intake import answering, telling, visitor
from relay.intake.entry import entry_of, header_key
from relay.intake.episodes import EPISODE_SECONDS, Crowds
from relay.intake.incoming import Incoming, Refusal, Taken
from relay.intake.limits import WHOLE, Doorkeeper
from relay.intake.mistakes import MAX_INVALID_FORMS, OF_MANY, OF_ONE
from relay.intake.onward import Onward
from relay.intake.parsed import Parsed
from relay.intake.receipt import is_silent
from relay.intake.refusals import Refusals
from relay.intake.suspects import Suspects
from relay.intake.suspicion import suspicion_of
from relay.intake.unmapped import Unmapped
from relay.intake.waiting import Patience
from relay.outbox import listing
from relay.outbox.errors import OverBudget
from relay.outbox.outbox import Outbox
from relay.outbox.records import Entry, Stored
from relay.sources.body import BadBody, Body, Submission
from relay.sources.mapping import Mapped
from relay.sources.source import Source
from relay.sources.text import usual
from relay.sources.unmapped import known_names

PROXIED = Fraction(20)
"""Everybody behind a proxy that is not trusted shares so many times the limits of one client."""
UNREADABLE = "unreadable"
UNKNOWN_SHAPE = "unknown shape"
TOO_FAST = "Too many submissions from here; try again a little later."


class Intake:
    """Takes submissions in for a set of settings; see ``receive``."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        doorkeeper: Doorkeeper,
        dispatcher: Dispatcher | None,
        clock: Callable[[], float],
        patience: Patience,
        refusals: Refusals,
        unmapped: Unmapped,
        crowds: Crowds,
        checker: Checker | None = None,
    ) -> None:
        """``dispatcher`` and ``checker`` are None where another process sends.

        ``patience``: shared with those who wait already, which other settings let in; so is ``crowds``, as an
        episode goes on.
        """
        self._onward = Onward(settings, outbox, dispatcher, checker, patience)
        self._refusals = refusals
        self._unmapped = unmapped
        self.settings = settings
        self._outbox = outbox
        self._doorkeeper = doorkeeper
        self._clock = clock
        self._crowds = crowds
        self._suspects = Suspects(doorkeeper, crowds)
        self._unclear = telling.Unclear()
        self._counting = threading.Lock()

    def receive(self, source: Source, incoming: Incoming) -> Taken | Refusal:
        """Take one request in; committed when this returns Taken with a receipt. Raises Unavailable."""
        started = time.perf_counter()
        result, word = self._receive(source, incoming)
        if isinstance(result, Refusal) and result.receipt is None:
            self._refusals.note(source.name, result.cause or result.detail)
        telling.result(source, incoming, result, word, time.perf_counter() - started)
        return result

    def _receive(self, source: Source, incoming: Incoming) -> tuple[Taken | Refusal, str]:
        is_whole = not incoming.flaw
        if is_whole and source.ping and source.ping.matches(incoming.raw, incoming.headers):
            return self._nothing_to_do(source), "excluded"
        parsed = Parsed(source, incoming)
        now = time.time()
        if not any(source.admits(evidence, now) for evidence in parsed.evidence()):
            if any(source.is_only_untimely(evidence, now) for evidence in parsed.evidence()):
                telling.skew(source, incoming)
            cause = next(source.why_not_admitted(evidence, now) for evidence in parsed.evidence())
            return Refusal(401, "The proof of the sender is missing or wrong.", cause=cause), "rejected"
        if not is_whole:
            return Refusal(400, incoming.flaw), "rejected"
        try:
            body = parsed.body()
        except BadBody as problem:
            return self._unreadable(source, incoming, parsed, problem)
        is_unknown = source.is_unknown(body.fields, incoming.headers)
        if not is_unknown and source.is_excluded(body.fields, incoming.headers):
            return self._nothing_to_do(source), "excluded"
        if wait := self._limited(source, incoming):
            return Refusal(429, TOO_FAST, retry_after=wait, typed=body.fields), "limited"
        sent = self._submission(source, incoming, body)
        if is_unknown:
            return self._keep(source, sent, UNKNOWN_SHAPE, "This is no message that is expected here.")
        result, word = self._map(source, incoming, sent)
        return answering.with_files(result, sent.ignored_files), word

    def _map(self, source: Source, incoming: Incoming, sent: Submission) -> tuple[Taken | Refusal, str]:
        mapped = source.mapping.apply(sent.fields)
        self._unclear.tell(source, mapped)
        if not mapped.ok:
            return self._unmappable(source, incoming, sent, mapped)
        if meant := visitor.better_address(source, sent.fields):
            detail = "Please look at your e-mail address once more."
            return Refusal(422, detail, suggestion=dict([meant]), typed=sent.fields), "rejected"
        client = None if incoming.is_proxied else incoming.client
        suspicion = suspicion_of(source, sent, mapped, client, self._too_many(), self._outbox.vault)
        if suspicion:
            result, word = self._hold(source, sent, mapped, suspicion, None if incoming.is_near else client)
        else:
            self._unmapped.note(source, sent.fields)
            result, word = self._store(source, self._entry(source, sent, mapped, QUEUED, None))
        if isinstance(result, Refusal):
            return replace(result, typed=sent.fields), word
        return _leading(result, visitor.next_page(source, sent.fields)), word

    def _unreadable(
        self, source: Source, incoming: Incoming, parsed: Parsed, problem: BadBody
    ) -> tuple[Taken | Refusal, str]:
        """Keep what a machine has proven and nobody can read; what is too large is never kept."""
        wait = self._limited(source, incoming)  # it cost work, and counts as any other
        if not source.keeps_unreadable or problem.status == 413:
            return Refusal(problem.status, str(problem)), "rejected"
        if wait:
            return Refusal(429, TOO_FAST, retry_after=wait), "limited"
        sent = self._submission(source, incoming, parsed.unread())
        return self._keep(source, sent, UNREADABLE, str(problem))

    @staticmethod
    def _nothing_to_do(source: Source) -> Taken:
        return Taken(source.success_status or 200, {"state": "ignored"})

    def _limited(self, source: Source, incoming: Incoming) -> float | None:
        if incoming.client is None:
            return None
        times = PROXIED if incoming.is_proxied else WHOLE
        key = ("client", source.name, incoming.client)
        return self._doorkeeper.retry_after(source.client_limits, *key, times=times)

    def _too_many(self) -> Callable[..., object]:
        """Return what asks the limits. Who tries again and again in vain must not be held for it later."""
        return self._doorkeeper.is_over if self._outbox.takes_nothing else self._doorkeeper.retry_after

    def _submission(self, source: Source, incoming: Incoming, body: Body) -> Submission:
        return Submission(
            fields=body.fields,
            raw=body.raw,
            content_type=incoming.content_type,
            received_at=self._clock(),
            key=header_key(source, incoming) or visitor.key_of(source, body.fields),
            page=visitor.page_of(incoming.headers, body.fields),
            wording=_wording(incoming, body.fields),
            ignored_files=body.ignored_files,
        )

    # --- storing ------------------------------------------------------------------------------------

    def _hold(
        self, source: Source, sent: Submission, mapped: Mapped, reason: str, client: str | None
    ) -> tuple[Taken | Refusal, str]:
        """Keep a suspect, while there is room. ``client``: None where it may stand for many."""
        entry = self._entry(source, sent, mapped, HELD, reason)
        size, no_room = len(entry.box or b""), Refusal(429, TOO_FAST, retry_after=EPISODE_SECONDS)
        if not self._suspects.may_keep(source, reason, client, size):
            return no_room, "limited"
        try:
            result, word = self._store(source, entry)
        except OverBudget:
            self._suspects.overflow(source)
            return no_room, "limited"
        if word == "held" or is_silent(source):
            self._suspects.kept(source, client, size, is_repeat=word == "repeat")
        return result, word

    def _store(self, source: Source, entry: Entry) -> tuple[Taken | Refusal, str]:
        state = entry.delivery.state
        with self._onward.heard(source, entry.delivery) as verdict:
            stored = self._outbox.put(entry)
            result = self._onward.answer(source, stored, verdict)
        if stored.delivery.reason == KEY_REUSED:
            telling.key_reused(source, stored)
        return result, "repeat" if stored.repeat else "held" if state == HELD else "accepted"

    def _entry(
        self, source: Source, sent: Submission, mapped: Mapped, state: str, reason: str | None
    ) -> Entry:
        return entry_of(source, sent, mapped, state, reason, self._outbox.vault)

    def _unmappable(
        self, source: Source, incoming: Incoming, sent: Submission, mapped: Mapped
    ) -> tuple[Taken | Refusal, str]:
        detail = "The submission could not be used; see errors."
        if source.is_form and (stored := self._owners_mistake(source, incoming, sent)):
            result = answering.taken(source, stored)
            return _leading(result, visitor.next_page(source, sent.fields)), "invalid"
        if not source.keeps_invalid:
            cause = f"missing or not usable: {_names(source, mapped)}"
            return Refusal(422, detail, mapped.errors, typed=sent.fields, cause=cause), "rejected"
        reason = f"unmappable: {_names(source, mapped)}".strip()
        return self._keep(source, sent, reason, detail, mapped.errors)

    def _keep(
        self,
        source: Source,
        sent: Submission,
        reason: str,
        detail: str,
        errors: dict[str, list[str]] | None = None,
    ) -> tuple[Taken | Refusal, str]:
        """Keep what a machine has proven, to be mapped again after the configuration was mended."""
        stored = self._outbox.put(self._entry(source, sent, Mapped(), INVALID, reason))
        word = "repeat" if stored.repeat else "invalid"
        if source.on_failure == "accept":
            return answering.taken(source, stored), word
        receipt = stored.delivery.receipt
        return Refusal(422, detail, errors or {}, receipt=receipt, repeat=stored.repeat, cause=reason), word

    def _owners_mistake(self, source: Source, incoming: Incoming, sent: Submission) -> Stored | None:
        """Keep a post of a form that has none of the mapped contact fields; None if it is no such post."""
        if visitor.is_empty(source, sent.fields) or source.mapping.has_contact_fields(sent.fields):
            return None
        own = "mistake", source.name, incoming.client or ""
        if self._doorkeeper.retry_after(OF_MANY if incoming.is_near else OF_ONE, *own):
            return None
        self._crowds.mistaken.note(source, incoming)
        stored = None
        with self._counting:  # else several at once would all be the last one
            kept = self._outbox.read(listing.count, source.name, INVALID)
            if kept < MAX_INVALID_FORMS:
                entry = self._entry(source, sent, Mapped(), INVALID, "no mapped field was posted")
                stored = self._outbox.put(entry)
        if self._crowds.misfit.note(source.name):
            telling.mistake(source, stored)
        return stored


def _wording(incoming: Incoming, fields: dict[str, Any]) -> Mapping[str, str]:
    """Return what stood beside the boxes, if the form stood on a page of ours."""
    language = visitor.shown_language(fields)
    return incoming.wording(language) if language and incoming.wording else {}


def _leading(result: Taken, page: str | None) -> Taken:
    """Lead whoever was taken in to the page that the form asks for."""
    return replace(result, next_page=page) if page else result


def _names(source: Source, mapped: Mapped) -> str:
    """Name what was wrong as the configuration does, else as the sender does if that can be shown."""
    known = {*known_names(source), *source.mapping.boxes}
    return ", ".join(sorted({name if name in known else usual(name) for name in mapped.errors}))[:200]
