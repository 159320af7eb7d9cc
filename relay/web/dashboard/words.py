"""States, outcomes and holds in plain words: what it means, and what to do about it."""

from dataclasses import dataclass

from relay.delivery import DEAD, DELIVERED, DISCARDED, HELD, INVALID, PARKED, QUEUED, REFUSED, SENDING
from relay.destination import REMOVED
from relay.health import (
    ASKED_FOR,
    FAILING,
    MISCONFIGURED,
    PAUSED,
    RATE_LIMITED,
    REFUSALS,
    RESTORED,
    UNAVAILABLE,
)
from relay.operator import jobs


@dataclass(frozen=True)
class State:
    """How a state is told: a word, what it means, what the person who reads it can do."""

    title: str
    meaning: str
    advice: str = ""
    tone: str = "quiet"


STATES: dict[str, State] = {
    QUEUED: State("queued", "Waits for its turn.", "It is sent by itself."),
    SENDING: State("sending", "Is being sent at this moment."),
    DELIVERED: State("delivered", "Upstream has created the profile.", tone="good"),
    HELD: State(
        "held",
        "Is suspect, so it was kept and not sent.",
        "If it is a real person, send it. If it is not, discard it.",
        "warn",
    ),
    INVALID: State(
        "invalid",
        "No profile could be made of what was sent: the mapping found no usable contact.",
        "Mend the source's fields in relay.toml, reload, and map these again; or correct one by hand.",
        "bad",
    ),
    REFUSED: State(
        "refused",
        "Upstream will not take it. Often the person has unsubscribed before.",
        "Correct what was mistyped and send it again, or discard it.",
        "bad",
    ),
    PARKED: State(
        "parked",
        "It was sent, and nobody knows whether upstream took it.",
        "Look the person up in Ocamba. If they are there, discard it; if not, send it again.",
        "bad",
    ),
    DEAD: State(
        "dead",
        "It could not be sent for as long as give_up_after says.",
        "When upstream works again, send it.",
        "bad",
    ),
    DISCARDED: State("discarded", "A person has given it up; what it held is gone."),
}

REASONS: dict[str, str] = {
    "honeypot": "A field that people do not see was filled in: mostly by a program, at times by a browser. "
    "If real people are among them, send them and rename the source's honeypot; discard the others.",
    "too fast": "The form came back sooner than a person types. Send real people; if they are many, lower "
    "the source's min_seconds.",
    "stale form": "The form was older than a day, or its time is not ours. Send real people; if they are "
    "many, do not cache the page with the form.",
    "disposable address": "Its address is one that relay.toml lists as disposable. Send it or discard it, as "
    "you decided then.",
    "captcha": "The captcha service says that it is no person. Discard it, unless you know better.",
    "captcha: no answer": "It came without an answer to the captcha. Where the widget was blocked, or not "
    "there yet, it may be a person; if all are so, the page shows none, or captcha.field is not its field.",
    "captcha: too late": "The answer to the captcha had run out, or was used before, often by a person who "
    "took minutes to correct a mistake. Send real people.",
    "captcha: no verdict": "The captcha service did not answer in time. Send real people; look at the "
    "service and its secret.",
    "captcha: unreadable": "It was damaged, or its key is gone, before its captcha was checked. Give the key "
    "back and send it, or discard it.",
    "captcha: source removed": "Its source was removed before its captcha was checked. Give the source back "
    "and send it, or discard it.",
    "source limit": "More came than the source's source_limits allow, so it was kept and not sent. Send real "
    "people; if they are many, raise the limits.",
    "more than one client's share": "One address sent more than a fifth of what the source's source_limits "
    "allow. Send real people; discard the others.",
    "recipient limit": "The same person signed up too often. Discard it.",
    "unreadable": "What came can be read neither as JSON nor as a form. Ask the sender; the bytes are kept.",
    "unknown shape": "What tells this sender's events apart was missing. Compare the source's shape in "
    "relay.toml with what the sender sends now, reload, and map these again.",
}
"""What a reason means and what to do about it, where it is not what is said of every one in that state."""

OUTCOMES: dict[str, str] = {
    "delivered": "upstream created the profile",
    "refused": "upstream refused it",
    "later": "upstream could not be reached; it is tried again",
    "wait": "upstream asked us to wait",
    "unclear": "no clear answer: upstream may have taken it",
    "misconfigured": "upstream does not accept our token or address",
}


BECAME: dict[str, str] = {
    jobs.SAME: "another that says the same was sent, or will be; discard these",
    jobs.CHANGED: "somebody, or the relay, did something else with them since they were counted",
    jobs.UNMAPPABLE: "relay.toml, as it is now, finds no usable contact in them; mend the source's fields, "
    "reload, and do it again",
    jobs.IMPOSSIBLE: "the page of each says why; mostly what it held is gone, or its source or destination. "
    "What is queued and may be there already is discarded on its page alone, once it was looked for upstream",
}
"""What it means that rows of a job came to something, where the word does not say it all."""


def state(name: str) -> State:
    """Return how a state is told."""
    return STATES.get(name, State(name, ""))


def told(state_: str, reason: str | None) -> str:
    """Return what it means that a row is in a state for a reason, and what to do about it."""
    said = state(state_)
    own = REASONS.get(reason or "") if state_ in (HELD, INVALID) else None
    return own or f"{said.meaning} {said.advice}".strip()


def outcome(kind: str, word: str | None) -> str:
    """Return what an outcome means; an attempt without one is under way, or ended with the process."""
    if (kind, word) == ("update", DELIVERED):
        return "upstream took the update"
    return OUTCOMES.get(word, word) if word else "under way, or cut off by a restart"


_ASKED_TO_WAIT = "Upstream asked for this wait, and it is kept; it ends by itself."
HOLDS: dict[str, str] = {
    MISCONFIGURED: "Upstream does not take our token, or is not at this address. Put the right one where "
    "relay.toml takes it from, then reload or restart: it is tried at once.",
    FAILING: "Upstream does not work. It is looked at now and then, and sending goes on by itself; "
    "pause it if you want nobody sent twice.",
    REFUSALS: "Upstream refuses everybody, so it is hardly their fault; mostly it no longer takes a field. "
    "Look at those that are refused. One is tried now and then.",
    PAUSED: "Somebody paused it. Nothing is sent until somebody resumes it.",
    RESTORED: "The server was started on a backup. Discard what upstream has by now, then resume.",
    RATE_LIMITED: _ASKED_TO_WAIT,
    UNAVAILABLE: _ASKED_TO_WAIT,
    REMOVED: "Nobody will send what waits for it: put it back into relay.toml, or discard that.",
}
"""What a hold means and what to do about it, by the kind of its reason."""


def hold(reason: str) -> str:
    """Return what a hold means, and what to do about it."""
    return HOLDS.get(reason.partition(":")[0], "")


def is_asked_for(hold_reason: str) -> bool:
    """Whether upstream asked for a hold: then it ends by itself, and no person can end it."""
    return hold_reason.partition(":")[0] in ASKED_FOR


FORMATS = {"jsonl": "lines of JSON", "csv": "CSV for programs", "sheet": "CSV for a spreadsheet"}
"""What the formats of a file are for."""


def ago(seconds: float | None) -> str:
    """Return an age as a person says it."""
    if seconds is None:
        return "never"
    for size, one, many in ((86400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {one if count == 1 else many} ago"
    return "just now"


def lasting(seconds: float | None) -> str:
    """Return how long something will take, as a person says it."""
    if seconds is None:
        return "unknown while it is held"
    for size, one, many in ((86400, "day", "days"), (3600, "hour", "hours"), (60, "minute", "minutes")):
        if seconds >= size:
            count = round(seconds / size)
            return f"about {count} {one if count == 1 else many}"
    return f"{max(0, round(seconds))} s"


def number(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def days(hours: list[int]) -> list[int]:
    """Return how many there were in each day of 24 hours, from how many there were in each hour."""
    return [sum(hours[start : start + 24]) for start in range(0, len(hours), 24)]
