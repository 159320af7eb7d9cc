"""Watch: looks at the outbox now and then, and tells the operator what needs a person.

An alert is sent once when an episode begins and once when it is over. Episodes are kept in the outbox, so
that a restart does not repeat them, and of several processes only one sends them.
"""

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from relay import events
from relay.clock import iso
from relay.config.settings import Settings
from relay.delivery import DEAD, HELD, INVALID, PARKED, QUEUED
from relay.dispatch.line import Line
from relay.health import Health
from relay.outbox.outbox import Outbox
from relay.outcome import Answer

EVERY_SECONDS = 10.0
OLD_SECONDS = 30 * 60.0
HELD_SECONDS = 86400.0
_IN_A_ROW = 10
_POST_SECONDS = 10.0


@dataclass(frozen=True)
class Alert:
    """Something a person should know: ``key`` names the episode, ``detail`` says what to do."""

    key: str
    detail: str


def found(
    outbox: Outbox,
    settings: Settings,
    *,
    disk_is_low: bool,
    crowded: Collection[str] = (),
    mistaken: Collection[str] = (),
    overfull: Collection[str] = (),
    guessing: bool = False,
) -> Iterator[Alert]:
    """Yield what is the matter now.

    ``crowded``: sources over their source_limits; ``mistaken``: forms that post none of the mapped fields;
    ``overfull``: sources over their held_budget; ``guessing``: somebody tries operators' tokens out.
    """
    now = outbox.time()
    for name in settings.destinations:
        health = outbox.health(name)
        if health.is_held(now):
            yield Alert(
                f"held:{name}", f"destination {name} is held: {health.hold_reason}{_meanwhile(health)}"
            )
    for destination, state, count, oldest in outbox.backlog():
        yield from _about(destination, state, count, now - oldest)
    for source in mistaken:
        detail = f"{source} posts none of the mapped contact fields; check its fields"
        yield Alert(f"unmappable:{source}", detail)
    for source in outbox.sources_all_invalid(_IN_A_ROW):
        if source in settings.sources and settings.sources[source].is_form:
            continue  # one client can post anything: see ``mistaken``
        yield Alert(
            f"unmappable:{source}",
            f"the last {_IN_A_ROW} submissions of {source} could not be mapped; check its fields",
        )
    if disk_is_low:
        yield Alert("disk", "the disk is nearly full; nothing is accepted until there is room")
    if guessing:
        yield Alert("guessing", "somebody tries operators' tokens out; the log says who (operator.guessing)")
    for source in overfull:
        yield Alert(f"budget:{source}", f"{source} has as many suspects as its held_budget allows")
    for source in crowded:
        yield Alert(f"limit:{source}", f"{source} is over its source_limits; what comes now is held")


def _meanwhile(health: Health) -> str:
    """Say what is done while upstream fails: it may make duplicates."""
    if not health.is_failing:
        return ""
    return (
        "; it is looked at, and one submission is sent when it answers, or every 15 min whatever the looks "
        "say, hourly once each was sent twice; pause it if you want none sent"
    )


def _about(destination: str, state: str, count: int, age: float) -> Iterator[Alert]:
    if state in (PARKED, DEAD, INVALID):
        yield Alert(f"{state}:{destination}", f"{count} submissions are {state}; replay or discard them")
    if state == HELD and age > HELD_SECONDS:
        yield Alert(f"suspects:{destination}", f"{count} suspect submissions wait for a decision")
    if state == QUEUED and age > OLD_SECONDS:
        yield Alert(
            f"old:{destination}", f"the oldest of {count} queued submissions waits for {age / 60:.0f} min"
        )


class Watch:
    """Compares what is the matter with what was, and posts the difference."""

    def __init__(self, outbox: Outbox, url: str) -> None:
        self._outbox = outbox
        self._url = url
        self._line = Line()
        self._unsent: list[dict[str, Any]] = []

    def look(self, alerts: list[Alert]) -> None:
        """Note and post what began and what is over."""
        now = self._outbox.time()
        began, over = self._outbox.change_episodes({alert.key for alert in alerts})
        details = {alert.key: alert.detail for alert in alerts}
        for key in sorted(began):
            self._tell(key, "firing", details[key], now)
        for key in sorted(over):
            self._tell(key, "over", "over", now)
        self._post()

    def _tell(self, key: str, state: str, detail: str, now: float) -> None:
        events.note(f"alert.{state}", level=logging.WARNING, alert=key, problem=detail)
        if self._url:
            self._unsent.append({"alert": key, "state": state, "detail": detail, "at": iso(now)})

    def _post(self) -> None:
        """Post in order; what cannot be delivered is tried again the next time."""
        while self._unsent:
            answer = self._line.call("POST", self._url, self._unsent[0], _POST_SECONDS)
            if not isinstance(answer, Answer) or answer.status >= 500 or answer.status in (408, 429):
                events.note("alert.unsent", level=logging.ERROR, count=len(self._unsent))
                return
            if answer.status >= 300:
                events.note("alert.refused", level=logging.ERROR, status=answer.status)
            self._unsent.pop(0)
