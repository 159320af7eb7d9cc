"""Alerts: what needs a person now. Each names the source, the number, and what to do."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from relay.config.settings import Settings, stale_token
from relay.delivery import DEAD, HELD, INVALID, PARKED, QUEUED
from relay.destination import REMOVED
from relay.health import ASKED_FOR, BY_A_PERSON, Health
from relay.operator import figures
from relay.operator.leading import look
from relay.operator.wording import count_of, duration, is_or_are
from relay.outbox import figures as stored
from relay.outbox import heard, listing, refusals
from relay.outbox.holds import health_of
from relay.outbox.outbox import Outbox

OLD_SECONDS = 30 * 60.0
HELD_SECONDS = 86400.0
_IN_A_ROW = 10
_STILL = 5
"""What is told of the last ten goes on while it is so of half of them."""
_REFUSED = 20
_DAY_SECONDS = 86400.0
_SOON_SECONDS = 300.0
"""A wait that upstream asked for and that ends within so long is none of a person's business."""
_HEARD_SECONDS = 60.0
"""What was heard of a source is kept once a minute at most."""


@dataclass(frozen=True)
class Alert:
    """Something a person should know: ``key`` names the episode, ``detail`` says what to do.

    ``causes``: where there is another one, that is told as well; None: an episode goes on, and none begins
    by this.
    """

    key: str
    detail: str
    causes: frozenset[str] | None = frozenset()


def found(
    outbox: Outbox,
    settings: Settings,
    *,
    disk_is_low: bool,
    crowded: Collection[str] = (),
    flooded: Collection[str] = (),
    mistaken: Collection[str] = (),
    overfull: Collection[str] = (),
    stuck: Collection[tuple[str, str]] = (),
    guessing: bool = False,
) -> Iterator[Alert]:
    """Yield what is the matter now.

    ``crowded``: sources over their source_limits, ``flooded``: with more suspects than those allow;
    ``mistaken``: forms that post none of the mapped fields;
    ``overfull``: sources over their held_budget; ``stuck``: destinations to which nothing can be sent, and
    why; ``guessing``: somebody tries tokens out.
    """
    now = outbox.time()
    yield from _on_the_way(outbox, settings, now)
    sources = _by_state(settings, outbox)
    for destination, state, count, oldest in outbox.read(listing.backlog):
        whose = _to(settings, destination, sources.get(state, ()))
        yield from _about(settings, destination, state, count, now - oldest, whose)
    yield from _silent(outbox, settings, now, may_keep=not disk_is_low)
    if disk_is_low:
        yield Alert("disk", "the disk is nearly full; nothing is accepted until there is room")
    if guessing:
        yield Alert("guessing", "somebody tries tokens out; the log says who (operator.guessing)")
    for destination, why in stuck:
        yield Alert(f"stuck:{destination}", cannot_send(destination, why))
    for seen_at, kind, said in (
        (mistaken, "unmappable", "posts none of the mapped contact fields; check its fields"),
        (overfull, "budget", "has as many suspects as its held_budget allows"),
        (flooded, "flood", "has more suspects than its source_limits; people go through"),
        (crowded, "limit", "is over its source_limits; what comes now is held"),
    ):
        for source in seen_at:
            yield Alert(f"{kind}:{source}", f"{source} {said}")


def unusable(problem: Exception) -> Alert:
    """Return the one alert that is told without the database."""
    return Alert("outbox", f"the database cannot be used, so that nothing is accepted: {problem}")


def cannot_send(destination: str, why: str) -> str:
    """Say that sign-ups are taken and none goes out."""
    return f"nothing can be sent to {destination}, though sign-ups are taken: {why}"


def _on_the_way(outbox: Outbox, settings: Settings, now: float) -> Iterator[Alert]:
    """Yield what keeps, or may soon keep, anything from being sent."""
    for name, destination in settings.destinations.items():
        health = outbox.read(health_of, name)
        if health.is_held(now):
            yield _held(name, health, now)
        if said := stale_token(destination):
            yield Alert(f"token:{name}", said)


def _held(name: str, health: Health, now: float) -> Alert:
    said = f"destination {name} is held: {health.hold_reason}{_meanwhile(health)}"
    cause = _cause(health, now)
    return Alert(f"held:{name}", said, None if cause is None else frozenset([cause]))


def _cause(health: Health, now: float) -> str | None:
    """Return why nothing is sent, in a word: an outage that ends in a wrong token is another matter.

    Where upstream is often asked for more than it takes, short waits follow each other all day.
    """
    kind, fault = health.reason_kind, health.fault
    if kind in BY_A_PERSON:
        return kind
    if fault is None and kind in ASKED_FOR and (health.ends_at or 0) - now <= _SOON_SECONDS:
        return None
    return fault.partition(":")[0] if fault else kind


def _meanwhile(health: Health) -> str:
    """Say what is done while upstream fails: it may make duplicates."""
    if not health.is_failing or health.reason_kind in BY_A_PERSON:
        return ""
    return (
        "; it is looked at, and one submission is sent when it answers, or every 15 min whatever the looks "
        "say, hourly once each was sent twice; pause it if you want none sent"
    )


def _by_state(settings: Settings, outbox: Outbox) -> dict[str, dict[str, None]]:
    """Return, by state, of which sources what waits is."""
    names: dict[str, dict[str, None]] = {}
    for group in figures.needs_you(settings, outbox):
        names.setdefault(group["state"], {})[group["source"]] = None
    return names


def _to(settings: Settings, destination: str, names: Collection[str]) -> Collection[str]:
    """Return those of some sources that send there, as far as the configuration tells."""
    known = settings.sources
    own = [name for name in names if name not in known or known[name].destination == destination]
    return own or names


def _about(
    settings: Settings, destination: str, state: str, count: int, age: float, names: Collection[str]
) -> Iterator[Alert]:
    many, waiting = count_of(count, "submission"), count_of(count, "queued submission")
    sources = ", ".join(names)
    if state in (PARKED, DEAD, INVALID):
        them = "it" if count == 1 else "them"
        said = f"{many} of {sources} {is_or_are(count)} {state}; replay or discard {them}"
        seen = _seen(settings, f"{state}:{destination}", said, f"submissions list --state {state}")
        # What waits of one source may do so for weeks, in which another one breaks.
        yield replace(seen, causes=frozenset(names))
    if state == HELD and age > HELD_SECONDS:
        wait = "waits" if count == 1 else "wait"
        said = f"{count_of(count, 'suspect submission')} of {sources} {wait} for a decision"
        yield _seen(settings, f"suspects:{destination}", said, "submissions list --state held")
    if state == QUEUED and destination not in settings.destinations:
        said = f"destination {destination} is held: {REMOVED}; put it back, or discard the {waiting}"
        yield Alert(f"held:{destination}", said, frozenset([REMOVED]))
    elif state == QUEUED and age > OLD_SECONDS:
        said = f"the oldest of {waiting} has waited for {duration(age)}"
        yield _seen(settings, f"old:{destination}", said, "status")


def _seen(settings: Settings, key: str, said: str, command: str) -> Alert:
    """Return an alert that says where to look: at a page, or by a command."""
    return Alert(key, f"{said}: {look(settings, key, command)}")


def _heard_of(outbox: Outbox, settings: Settings, now: float, *, may_keep: bool) -> dict[str, float]:
    """Return of each source that is on when a sign-up was last accepted, else when it was first known.

    That is kept: the rows themselves are gone after their retention, and a source that was never wired up
    has none.
    """
    known = outbox.read(heard.known)
    found = {name: known.get(name, now) for name, source in settings.sources.items() if source.enabled}
    for name, since in found.items():
        last = outbox.read(heard.last_accepted, source=name, since=since)
        found[name] = last or since
    news = {name: at for name, at in found.items() if at - known.get(name, 0.0) >= _HEARD_SECONDS}
    gone = known.keys() - found.keys()
    if may_keep and (news or gone):
        outbox.write(heard.keep, news, gone)
    return found


def _silent(outbox: Outbox, settings: Settings, now: float, *, may_keep: bool) -> Iterator[Alert]:
    """Yield the sources from which somebody expects to hear and does not, and those that try in vain."""
    for name, at in _heard_of(outbox, settings, now, may_keep=may_keep).items():
        within = settings.sources[name].expect_within
        if within is not None and now - at > within:
            said = f"no sign-up from {name} was accepted for {duration(now - at)}"
            yield Alert(f"silent:{name}", f"{said}; post to it yourself and see")
    yield from _in_vain(outbox, settings, now)


def _in_vain(outbox: Outbox, settings: Settings, now: float) -> Iterator[Alert]:
    """Yield the sources from which nothing is sent, though something comes."""
    for name, source in settings.sources.items():
        states = outbox.read(stored.last_states, source=name, count=_IN_A_ROW)
        if states.count(HELD) >= _STILL:
            said = f"the last {_IN_A_ROW} submissions of {name} were all held, perhaps real people among them"
            command = f"submissions list --state held --source {name}"
            yield _of_all(states, HELD, _seen(settings, f"all-held:{name}", said, command))
        if states.count(INVALID) >= _STILL and not source.is_form:  # one client can post anything to a form
            said = f"the last {_IN_A_ROW} submissions of {name} could not be mapped; check its fields"
            yield _of_all(states, INVALID, Alert(f"unmappable:{name}", said))
        last = outbox.read(stored.last_received, source=name)
        if last is None:
            yield from _all_refused(outbox, name, now, "has taken nothing yet")
        elif now - last > _DAY_SECONDS:
            yield from _all_refused(outbox, name, now, "took nothing for a day")


def _of_all(states: list[str], state: str, alert: Alert) -> Alert:
    """Return an alert that begins only where all are in a state: one person among bots does not end it."""
    return alert if states.count(state) == _IN_A_ROW else replace(alert, causes=None)


def _all_refused(outbox: Outbox, source: str, now: float, what: str) -> Iterator[Alert]:
    since = now - _DAY_SECONDS
    causes = outbox.read(refusals.recent, source, since)
    count = sum(one["count"] for one in causes)
    if count >= _REFUSED:
        said = f"{source} {what} and refused {count}, mostly: {causes[0]['cause']}"
        yield Alert(f"all-refused:{source}", said)
