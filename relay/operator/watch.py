"""Watch: compares what is the matter with what was, and tells the difference until it was told.

An episode is told once when it begins, where there is another cause, and once when it is over. Episodes, and
what is still to be told, are kept in the outbox: a restart repeats and loses nothing, and of several
processes one tells. That the outbox itself cannot be used is told without it.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from relay import events
from relay.clock import iso
from relay.config.settings import Settings
from relay.dispatch.line import Line
from relay.operator import digest, leading, mail
from relay.operator.alerts import Alert, unusable
from relay.operator.channels import MAIL, URL, channels_of
from relay.operator.unkept import Unkept
from relay.operator.wording import moment
from relay.outbox import notices, upkeep
from relay.outbox.errors import Unavailable
from relay.outbox.notices import Notice
from relay.outbox.outbox import Outbox
from relay.outcome import Answer

_POST_SECONDS = 30.0
"""Some answer only when they have done all that an alert sets off."""
_GATEWAY_TIMEOUT = 504
_MOST_UNANSWERED = 10
"""So often something is told to which nothing is answered, each time a lease later: it may have arrived."""
_RESTS = (0.0, 0.0, 0.0, 0.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""After so many failures in a row a channel is let be for so long: a mail provider that hears a wrong
password every few seconds locks the account, or our address out."""
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


class Watch:
    """Looks, and tells through every channel that is configured. Without one it writes to the log only."""

    def __init__(self, outbox: Outbox, settings: Callable[[], Settings]) -> None:
        """``settings`` returns those in force."""
        self._outbox = outbox
        self._settings = settings
        self._line = Line()
        self._unkept = Unkept()
        self._seen: dict[str, frozenset[str]] = {}
        self._teller: threading.Thread | None = None
        self._telling: Notice | None = None
        self._unanswered: Counter[int] = Counter()
        """By notice, how often it may have arrived."""
        self._rests: dict[str, _Rest] = {}
        self._wrong: Mapping[str, str | None] = {}
        self._stopping = False

    def look(self, alerts: list[Alert]) -> None:
        """Note what began and what is over, and have it told."""
        changes = self._changes(alerts)
        _note([*self._unkept.ended(self._channels()), *changes])
        self._look_back()
        self._wrong = self._outbox.read(notices.wrong, self._channels())
        self._begin_telling()

    def cannot_look(self, problem: Unavailable) -> None:
        """Have it told, if it lasts, that the outbox cannot be used."""
        _note(self._unkept.begun(unusable(problem), self._channels()))
        self._begin_telling()

    def wrong(self) -> list[str]:
        """Return, of each channel through which the last alert was not told to all, why."""
        return [f"{channel}: {why}" for channel, why in sorted(self._wrong.items()) if why]

    def stop(self) -> None:
        """Let what is being told end, or else be told after the next start, at once."""
        self._stopping = True
        if self._teller is not None:
            self._teller.join(_LAST_SECONDS)
        if (notice := self._telling) is None:
            return
        try:
            self._outbox.write(notices.give_back, notice)
        except Unavailable as problem:
            events.note("alert.unsent", level=logging.ERROR, problem=str(problem))

    def _changes(self, alerts: list[Alert]) -> list[dict[str, Any]]:
        causes = {alert.key: alert.causes for alert in alerts}
        details = {alert.key: alert.detail for alert in alerts}
        channels = self._channels()
        if not channels:  # another process may have one: what it is to tell must not be taken from it
            before = self._seen
            self._seen, began = upkeep.firing(before, causes)
            over = before.keys() - self._seen.keys()
            return _contents(began, over, details, self._outbox.time())

        def change(conn: Any) -> list[dict[str, Any]]:
            now = self._outbox.now(conn)
            began, over = upkeep.change_episodes(conn, now, causes)
            contents = _contents(began, over, details, now)
            for content in contents:
                notices.add(conn, channels, content)
            return contents

        return self._outbox.write(change)

    def _channels(self) -> list[str]:
        return channels_of(self._settings())

    def _look_back(self) -> None:
        """Once a day, have the digest mailed."""
        settings = self._settings()
        day = digest.day(settings, self._outbox.time()) if settings.alert_mail else None
        if day is None:
            return
        if self._outbox.read(notices.is_day, day):
            return
        content = digest.made(settings, self._outbox)

        def begin(conn: Any) -> None:  # in one step: a day that counts as told is told
            if notices.begin_day(conn, day):
                notices.add(conn, [MAIL], content)

        self._outbox.write(begin)

    # --- telling ------------------------------------------------------------------------------------

    def _begin_telling(self) -> None:
        """Tell in a thread of its own: a mail server that answers slowly must not keep the house waiting."""
        if not self._stopping and (self._teller is None or not self._teller.is_alive()):
            self._teller = threading.Thread(target=self._tell_all, name="teller", daemon=True)
            self._teller.start()

    def _tell_all(self) -> None:
        for channel in self._channels():
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
        outbox = self._outbox
        notice = outbox.write(lambda conn: notices.take(conn, channel, outbox.now(conn)))
        if notice is None:
            return False
        self._telling = notice
        problem = self._send(channel, notice.content)
        is_over = problem is None or (problem.may_have_arrived and self._is_tried_enough(notice))
        if is_over:
            self._rests.pop(channel, None)
            self._unanswered.pop(notice.id, None)
            outbox.write(notices.told, notice)
        elif problem is not None and not problem.may_have_arrived:
            self._let_be(channel, self._waiting(channel))
            outbox.write(notices.give_back, notice)
        self._telling = None
        if problem is not None:  # said last: who reads it may take it that the next try is free
            name = "alert.refused" if is_over else "alert.unsent"
            alert = notice.content.get("alert") if is_over else None
            events.note(name, level=logging.ERROR, alert=alert, problem=f"{channel}: {problem.why}")
        return is_over

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
            refused = mail.send(settings, content if "subject" in content else letter(settings, content))
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
        url, is_slack = address_of(settings.alert_url)
        body = {"text": f"{sentence(content)}\n{_when(settings, content)}"} if is_slack else content
        answer = self._line.call("POST", url, body, _POST_SECONDS)
        if not isinstance(answer, Answer):
            return _Untold(answer.why, answer.may_have_arrived)
        if answer.status >= 500 or answer.status in (408, 429):
            return _Untold(f"answered {answer.status}", answer.status == _GATEWAY_TIMEOUT)
        self._tried(URL, f"answered {answer.status}" if answer.status >= 300 else None)
        if answer.status >= 300:
            events.note("alert.refused", level=logging.ERROR, status=answer.status)
        return None


def _note(contents: Iterable[Mapping[str, Any]]) -> None:
    for content in contents:
        name = f"alert.{content['state']}"
        events.note(name, level=logging.WARNING, alert=content["alert"], problem=content["detail"])


def _contents(
    began: set[str], over: set[str], details: Mapping[str, str], now: float
) -> list[dict[str, Any]]:
    firing = [(key, "firing", details[key]) for key in sorted(began)]
    ended = [(key, "over", "over") for key in sorted(over)]
    at = iso(now)
    return [{"alert": key, "state": state, "detail": said, "at": at} for key, state, said in firing + ended]


def address_of(url: str) -> tuple[str, bool]:
    """Return where to post, and whether as Slack wants it: ``format=slack`` is ours and goes no further."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if ("format", "slack") not in query:
        return url, False
    rest = urlencode([pair for pair in query if pair != ("format", "slack")])
    return urlunsplit(parts._replace(query=rest)), True


def sentence(content: Mapping[str, Any]) -> str:
    """Return an alert in one line."""
    said = "is over" if content["state"] == "over" else content["detail"]
    return f"Signup relay, {content['alert']}: {said}"


def _when(settings: Settings, content: Mapping[str, Any]) -> str:
    """Return when something began or ended: it may be told much later."""
    return f"At {moment(content['at'], settings.time_zone)} ({settings.time_zone})."


def letter(settings: Settings, content: Mapping[str, Any]) -> dict[str, str]:
    """Return an alert as a letter."""
    said = sentence(content)
    seen = leading.address(settings, leading.page_of(content["alert"]))
    text = [said, _when(settings, content)]
    if seen is None or seen not in said:
        text.append(leading.link(settings, leading.page_of(content["alert"])))
    begins = "over" if content["state"] == "over" else "alert"
    return {"subject": f"[relay] {begins}: {content['alert']}", "text": "\n\n".join(text)}
