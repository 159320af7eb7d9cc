"""Checker: asks a captcha service about a visitor before anything is sent, apart from the request.

An outage of that service delays submissions instead of blocking visitors. It is asked as soon as a
submission is stored, not when its turn comes: the visitor's token is good for a few minutes only.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable

from relay import events
from relay.config.settings import Settings
from relay.dispatch.line import Line
from relay.outbox.errors import Unavailable
from relay.outbox.moves import Near, hold_back, let_pass
from relay.outbox.outbox import Outbox
from relay.outbox.records import ToCheck
from relay.outcome import Answer
from relay.sources.source import Captcha

NOT_PASSED = "captcha"
TOO_LATE = "captcha: too late"
NO_ANSWER = "captcha: no answer"
"""Nothing came for the service to judge: a program, or a page without the widget, or one that was stopped."""
AGAIN_SECONDS = 15.0
"""After how long a submission is checked again about which the service said nothing."""
_IDLE_SECONDS = 2.0
_DEADLINE_SECONDS = 5.0
_LAST_SECONDS = _DEADLINE_SECONDS + 1
# While a service is away it is asked this seldom: others' submissions must not wait for its timeouts.
_AWAY_SECONDS = 10.0
# No token is good for so long: what is not known by then never will be.
_PATIENCE_SECONDS = 600.0
_LATE = frozenset({"timeout-or-duplicate", "expired-input-response", "already-seen-response"})
"""Codes of Turnstile, reCAPTCHA and hCaptcha for a token that was good once: also that of a person who
took long to correct a mistake on the relay's page."""
_USED_UP = _LATE | {"invalid-or-already-seen-response"}
_OUR_FAULT = frozenset({"missing-input-secret", "invalid-input-secret", "internal-error"})
"""Error codes of the siteverify protocol that say nothing about the visitor."""


class Checker:
    """A thread that checks what must be checked; ``settings`` may be replaced while it runs."""

    def __init__(self, outbox: Outbox, settings: Settings, passed: Callable[[str], None]) -> None:
        """``passed`` is told the destination of what may be sent now."""
        self.settings = settings
        self._passed = passed
        self._outbox = outbox
        self._line = Line()
        self._woken = threading.Event()
        self._stopping = False
        self._away: dict[Captcha, float] = {}
        self._thread = threading.Thread(target=self._run, name="checker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask about nobody more."""
        self._stopping = True
        self._woken.set()

    def join(self) -> None:
        """Wait for the verdict that is under way: it is told once only."""
        if self.is_alive():
            self._thread.join(_LAST_SECONDS)

    def wake(self) -> None:
        """Say that there is something to check."""
        self._woken.set()

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            self._woken.clear()
            try:
                busy = self._step()
            except Unavailable as problem:
                events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
                busy = False
            except Exception as problem:  # noqa: BLE001 - the thread must live; that one is due again
                events.note("checker.fault", level=logging.ERROR, error=events.where_from(problem))
                busy = False
            if not busy:
                self._woken.wait(_IDLE_SECONDS)

    def _step(self) -> bool:
        """Check one submission. Returns whether there was one."""
        taken = self._outbox.take_to_check(
            AGAIN_SECONDS,
            known=list(self.settings.sources),
            # A reload may be on its way to this process, where there are others.
            patience=0.0 if self.settings.is_sqlite else _PATIENCE_SECONDS,
            without=self._away_now(),
        )
        if taken is None:
            return False
        source = self.settings.sources.get(taken.source)
        verdict: bool | None = True
        reason = NOT_PASSED
        if source is None:  # and with it whom to ask
            verdict, reason = False, "captcha: source removed"
        elif source.captcha is not None:
            try:
                verdict, reason = self._ask(source.captcha, taken)
            except ValueError:  # nobody can ask about it, now or later
                verdict, reason = False, "captcha: unreadable"
        if verdict is None and not (taken.again and taken.age_seconds > _PATIENCE_SECONDS):
            events.note("captcha.unavailable", level=logging.WARNING, source=taken.source)
            return True  # it is due again by itself
        reason = "captcha: no verdict" if verdict is None else reason
        self._keep(taken, verdict, source.repeat_window if source is not None else None, reason)
        return True

    def _keep(self, taken: ToCheck, verdict: bool | None, window: float | None, reason: str) -> None:
        """Record a verdict; ``reason``: why it is held if that is not a good one.

        It is told once only: until it is recorded, nothing else is asked.
        """
        outbox, receipt, near = self._outbox, taken.receipt, Near(window, window)
        while True:
            try:
                if verdict:
                    outbox.write(lambda conn: let_pass(conn, receipt, near, outbox.now(conn)))
                    self._passed(taken.destination)
                    return
                outbox.write(lambda conn: hold_back(conn, receipt, reason, outbox.vault, outbox.now(conn)))
                events.note("submission.held", source=taken.source, receipt=receipt, reason=reason)
                return
            except Unavailable as problem:
                events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
                if self._stopping:
                    return
                self._woken.wait(_IDLE_SECONDS)
                self._woken.clear()

    def _away_now(self) -> list[str]:
        """Return the sources whose service is not to be asked yet."""
        away = {captcha for captcha, until in self._away.items() if time.monotonic() < until}
        return [source.name for source in self.settings.sources.values() if source.captcha in away]

    def _ask(self, captcha: Captcha, taken: ToCheck) -> tuple[bool | None, str]:
        """Return what the service says, None if it says nothing, and why it is held if it says no.

        Raises ValueError.
        """
        token = self._outbox.vault.open(taken.box, taken.receipt).get("captcha", "")
        body = {
            "secret": captcha.secret,
            "response": token,
            # Turnstile tells the first verdict again to who asks with the same; others pass over it.
            "idempotency_key": str(uuid.UUID(taken.receipt)),
        }
        answer = self._line.call("POST", captcha.url, body, _DEADLINE_SECONDS, form=True)
        verdict, reason = None, NOT_PASSED
        if isinstance(answer, Answer) and answer.status == 200:
            verdict, reason = verdict_of(answer, taken.again), reason_of(answer) if token else NO_ANSWER
        self._away[captcha] = time.monotonic() + _AWAY_SECONDS if verdict is None else 0
        return verdict, reason


def verdict_of(answer: Answer, again: bool) -> bool | None:
    """Return what the service says; None if it says nothing about the visitor."""
    success, named = _said(answer)
    unknown = named & _OUR_FAULT or (again and named & _USED_UP)
    return None if unknown and not success else success


def reason_of(answer: Answer) -> str:
    """Return why a visitor is held whom the service does not confirm."""
    return TOO_LATE if _said(answer)[1] & _LATE else NOT_PASSED


def _said(answer: Answer) -> tuple[bool | None, set[str]]:
    """Return whether a service confirms a visitor, None if it speaks of something else, and its codes."""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None, set()
    success = said.get("success") if isinstance(said, dict) else None
    if not isinstance(success, bool):
        return None, set()
    codes = said.get("error-codes")
    return success, {code for code in codes if isinstance(code, str)} if isinstance(codes, list) else set()
