"""Moods: how the sandbox is asked to misbehave."""

import re
from dataclasses import dataclass, replace

MAX_DELAY = 60.0


MOODS = {
    "status 500": "answer with this status, 400 to 599; nothing is created",
    "limit -1": "answer 429 with this Retry-After (-1: too many at once); nothing is created",
    "unsubscribed": "answer 400, as for a person who once unsubscribed; nothing is created",
    "redirect": "answer 307 to another path; nothing is created",
    "drop": "close the connection without an answer; nothing is created",
    "create drop": "create the profile, then close the connection without an answer",
    "empty": "create the profile, answer 201 without a body",
    "garbage": "create the profile, answer 201 with a body that is not JSON",
    "delay 3": "think for so many seconds (at most 60) before answering",
}


_TAKES_NUMBER = {re.sub(r" -?\d+$", "", words): words[-1].isdigit() for words in MOODS}


_MOOD_WORDS = re.compile(r"(?P<kind>[a-z ]+?)(?: (?P<number>-?\d{1,6}(?:\.\d{1,3})?))?")


@dataclass(frozen=True)
class Mood:
    """How to treat one call: `kind` is a key of MOODS without its number, "" for the usual way."""

    kind: str = ""
    number: int = 0
    delay: float = 0.0


def mood_of(full_name: str) -> Mood:
    """The mood asked for by a name such as "Jane Doe, delay 1, status 500"; the last one wins."""
    mood = Mood()
    for part in full_name.split(","):
        words = understood(part)
        if words and words[0] == "delay":
            mood = replace(mood, delay=min(words[1], MAX_DELAY))
        elif words:
            mood = replace(mood, kind=words[0], number=int(words[1]))
    return mood


def understood(part: str) -> tuple[str, float] | None:
    match = _MOOD_WORDS.fullmatch(" ".join(part.lower().split()))
    if not match or _TAKES_NUMBER.get(match["kind"]) is not bool(match["number"]):
        return None
    kind, number = match["kind"], float(match["number"] or 0)
    sensible = {
        "status": number in range(400, 600),
        "limit": number.is_integer(),
        "delay": number >= 0,
    }
    return (kind, number) if sensible.get(kind, True) else None
