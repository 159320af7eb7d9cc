"""Telling: what waits to be told goes out through each channel, in order, until it was told."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any

from relay import events
from relay.config.settings import Settings
from relay.dispatch.line import Line
from relay.operator import letters, mail
from relay.operator.channels import MAIL, URL, channels_of
from relay.operator.unkept import Unkept
from relay.outbox import notices
from relay.outbox.errors import Unavailable
from relay.outbox.notices import Notice
from relay.outbox.outbox import Outbox
from relay.outcome import Answer

_POST_SECONDS = 30.0
"""Some answer only when they have done all that an alert sets off."""
_GATEWAY_TIMEOUT = 504
_NOT_UNDERSTOOD = (400, 422)
_MOST_UNANSWERED = 10
"""So often something is told to which nothing is answered, each time a lease later: it may have arrived."""
_RESTS = (0.0, 0.0, 0.0, 0.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""After so many failures in a row a channel is let be for so long: a mail provider that hears a wrong
password every few seconds locks the account, or our address out."""
_FEW = 5
"""So many are letters of their own; more that wait at one time are one."""
_MOST_AT_ONCE = 100
_LAST_SECONDS = 1.0
"""How long a stop waits for what is being told."""


@dataclass(frozen=True)
class _Untold:
    """Why something could not be told, and whether it may have arrived all the same."""

    why: str
    may_have_arrived: bool = False


@dataclass(frozen=True)
class _Rest:
    """A channel is let be after so many failures, until then or until more waits to be told."""

    failures: int
    ends: float
    waiting: int


class Teller:
    """Tells in a thread of its own: a mail server that answers slowly must not keep the house waiting."""

    def __init__(self, outbox: Outbox, settings: Callable[[], Settings], unkept: Unkept) -> None:
        """``settings`` returns those in force; ``unkept`` has what is told first, and kept nowhere else."""
        self._outbox = outbox
        self._settings = settings
        self._unkept = unkept
        self._line = Line()
        self._thread: threading.Thread | None = None
        self._telling: Sequence[Notice] = ()
        self._unanswered: Counter[int] = Counter()
        """By the oldest notice, how often it may have arrived."""
        self._rests: dict[str, _Rest] = {}
        self._wrong: Mapping[str, str | None] = {}
        self._stopping = False

    def begin(self) -> None:
        """Have told what waits, unless that is being done."""
        if not self._stopping and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._tell_all, name="teller", daemon=True)
            self._thread.start()

    def learn(self) -> None:
        """Learn what became of the last alerts: another process may have told them. Raises Unavailable."""
        self._wrong = self._outbox.read(notices.wrong, channels_of(self._settings()))

    def wrong(self) -> list[str]:
        """Return, of each channel through which the last alert was not told to all, why."""
        return [f"{channel}: {why}" for channel, why in sorted(self._wrong.items()) if why]

    def stop(self) -> None:
        """Let what is being told end, or else be told after the next start, at once."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join(_LAST_SECONDS)
        if not (taken := self._telling):
            return
        try:
            self._outbox.write(notices.give_back, taken)
        except Unavailable as problem:
            events.note("alert.unsent", level=logging.ERROR, problem=str(problem))

    def _tell_all(self) -> None:
        for channel in channels_of(self._settings()):
            try:
                self._tell_unkept(channel)
                while not self._stopping and self._is_due(channel):
                    if not self._tell_next(channel):
                        break
            except Unavailable as problem:  # it says nothing of the channel
                events.note("outbox.unavailable", level=logging.ERROR, problem=str(problem))
            except Exception as fault:  # noqa: BLE001 - the other channels are told, and this one the next time
                events.note("alert.fault", level=logging.ERROR, error=events.where_from(fault))

    def _tell_unkept(self, channel: str) -> None:
        """Tell what cannot be kept; what did not arrive is tried again as other alerts are."""
        while not self._stopping and (content := self._unkept.next(channel)):
            if not self._may_tell(channel, 0):
                return
            problem = self._send(channel, content)
            if problem is not None and not problem.may_have_arrived:
                self._let_be(channel, 0)
                events.note("alert.unsent", level=logging.ERROR, problem=f"{channel}: {problem.why}")
                return
            self._rests.pop(channel, None)
            self._unkept.told(channel, content)

    def _is_due(self, channel: str) -> bool:
        """Whether something waits to be told through a channel that is not let be."""
        waiting = self._waiting(channel)
        return waiting > 0 and self._may_tell(channel, waiting)

    def _may_tell(self, channel: str, waiting: int) -> bool:
        rest = self._rests.get(channel)
        return rest is None or rest.ends <= monotonic() or rest.waiting < waiting

    def _waiting(self, channel: str) -> int:
        return self._outbox.read(notices.waiting, channel=channel)

    def _let_be(self, channel: str, waiting: int) -> None:
        earlier = self._rests.get(channel)
        failures = earlier.failures + 1 if earlier else 1
        seconds = _RESTS[min(failures, len(_RESTS)) - 1]
        self._rests[channel] = _Rest(failures, monotonic() + seconds, waiting)

    def _tell_next(self, channel: str) -> bool:
        """Tell the oldest of a channel, in order; what cannot be told is tried again the next time.

        What may have arrived keeps its lease, so that copies of it come slowly, and not for ever.
        """
        outbox, most = self._outbox, self._at_once(channel)
        taken = outbox.write(lambda conn: notices.take(conn, channel, outbox.now(conn), most))
        if not taken:
            return False
        self._telling = taken
        content = letters.together(self._settings(), [notice.content for notice in taken])
        problem = self._send(channel, content)
        is_over = problem is None or (problem.may_have_arrived and self._is_tried_enough(taken[0]))
        if is_over:
            self._rests.pop(channel, None)
            self._unanswered.pop(taken[0].id, None)
            outbox.write(notices.told, taken)
        elif problem is not None and not problem.may_have_arrived:
            self._let_be(channel, self._waiting(channel))
            outbox.write(notices.give_back, taken)
        self._telling = ()
        if problem is not None:  # said last: who reads it may take it that the next try is free
            name = "alert.refused" if is_over else "alert.unsent"
            alert = content.get("alert") if is_over else None
            events.note(name, level=logging.ERROR, alert=alert, problem=f"{channel}: {problem.why}")
        return is_over

    def _at_once(self, channel: str) -> int:
        """Return how many are told at once: nobody reads forty letters of one night."""
        waiting = self._waiting(channel)
        return min(waiting, _MOST_AT_ONCE) if channel == MAIL and waiting > _FEW else 1

    def _is_tried_enough(self, notice: Notice) -> bool:
        """Whether a notice that nobody answers was told often enough: the next ones wait behind it."""
        self._unanswered[notice.id] += 1
        return self._unanswered[notice.id] >= _MOST_UNANSWERED

    def _send(self, channel: str, content: Mapping[str, Any]) -> _Untold | None:
        problem = self._mail(content) if channel == MAIL else self._post(content)
        if problem is not None:
            self._tried(channel, problem.why)
        return problem

    def _tried(self, channel: str, why: str | None) -> None:
        """Keep why the last one did not arrive, or that it did: the next may be told by another process."""
        self._wrong = {**self._wrong, channel: why}
        with suppress(Unavailable):
            self._outbox.write(notices.tried, channel, why)

    def _mail(self, content: Mapping[str, Any]) -> _Untold | None:
        settings = self._settings()
        try:
            refused = mail.send(settings, letters.letter(settings, content))
        except mail.Unsent as problem:
            return _Untold(str(problem), isinstance(problem, mail.Unanswered))
        codes = ", ".join(map(str, sorted(set(refused))))
        said = f"addresses were refused with {codes}" if codes else None
        self._tried(MAIL, said)
        if said is not None:
            events.note(
                "alert.refused",
                level=logging.ERROR,
                alert=content.get("alert"),
                count=len(refused),
                problem=f"mail: {said}",
            )
        return None

    def _post(self, content: Mapping[str, Any]) -> _Untold | None:
        settings = self._settings()
        url, is_slack = letters.address_of(settings.alert_url)
        body = {"text": letters.note(settings, content)} if is_slack else content
        answer = self._line.call("POST", url, body, _POST_SECONDS)
        if not isinstance(answer, Answer):
            return _Untold(answer.why, answer.may_have_arrived)
        if answer.status >= 500 or answer.status in (408, 429):
            return _Untold(f"answered {answer.status}", answer.status == _GATEWAY_TIMEOUT)
        said = _refusal(answer.status, is_slack=is_slack) if answer.status >= 300 else None
        self._tried(URL, said)
        if said is not None:
            alert = content.get("alert")
            events.note("alert.refused", level=logging.ERROR, alert=alert, problem=f"{URL}: {said}")
        return None


def _refusal(status: int, *, is_slack: bool) -> str:
    """Return what an address that takes no alert answered, and what helps where that is known."""
    if status < 400:
        return f"answered {status}: it leads elsewhere, which is not followed; name the address it leads to"
    if status in _NOT_UNDERSTOOD and not is_slack:
        return f"answered {status}: a chat takes alerts with format=slack in the query of RELAY_ALERT_URL"
    return f"answered {status}"
