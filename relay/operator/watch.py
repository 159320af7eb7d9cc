"""Watch: compares what is the matter with what was, and has the difference told.

An episode is told once when it begins, where there is another cause, and once when it is over. Episodes, and
what is still to be told, are kept in the outbox: a restart repeats and loses nothing, and of several
processes one tells. That the outbox itself cannot be used is told without it.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from relay import events
from relay.clock import iso
from relay.config.settings import Settings
from relay.operator import digest
from relay.operator.alerts import Alert, unusable
from relay.operator.channels import MAIL, channels_of
from relay.operator.telling import Teller
from relay.operator.unkept import Unkept
from relay.outbox import notices, upkeep
from relay.outbox.errors import Unavailable
from relay.outbox.outbox import Outbox


class Watch:
    """Looks, and tells through every channel that is configured. Without one it writes to the log only."""

    def __init__(self, outbox: Outbox, settings: Callable[[], Settings]) -> None:
        """``settings`` returns those in force."""
        self._outbox = outbox
        self._settings = settings
        self._unkept = Unkept()
        self._teller = Teller(outbox, settings, self._unkept)
        self._seen: dict[str, frozenset[str]] = {}

    def look(self, alerts: list[Alert]) -> None:
        """Note what began and what is over, and have it told."""
        changes = self._changes(alerts)
        _note([*self._unkept.ended(self._channels()), *changes])
        self._look_back()
        self._teller.learn()
        self._teller.begin()

    def cannot_look(self, problem: Unavailable) -> None:
        """Have it told, if it lasts, that the outbox cannot be used."""
        _note(self._unkept.begun(unusable(problem), self._channels()))
        self._teller.begin()

    def wrong(self) -> list[str]:
        """Return, of each channel through which the last alert was not told to all, why."""
        return self._teller.wrong()

    def stop(self) -> None:
        """Let what is being told end, or else be told after the next start, at once."""
        self._teller.stop()

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
