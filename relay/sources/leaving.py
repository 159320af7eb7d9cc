"""Leaving: whether a sender tells of a person who left or said no."""

import re
from collections.abc import Mapping
from typing import Any

from relay.sources.text import is_blank

_LONG = 200
_WORDS = re.compile(
    r"delet|remov|erase|erasure|bounce|complain|cancel|revok|suppress|deactivat|archived|opt(?:ed)?[_-]?out|"
    r"unsubscri"
)
_ENDS = re.compile(
    r"(?:delet|remov|eras|bounc|complain|cancell?|revok|suppress|deactivat|archiv)ed$|opt(?:ed)?[ _-]?out$|"
    r"unsubscribed|^unsubscri|unsubscri\w*$"
)
"""In several words it must end as such kinds do: a title, or what a firm offers, may have such a word in it:
"Cancel culture, a talk", "Lower your unsubscribe rate", "Junk removal"."""
_FLAGS = ("unsubscribed", "opted_out", "deleted")
_TIMES = ("unsubscribed_at", "deleted_at")
_STATES = frozenset(
    [
        *("unsubscribed", "optedout", "suppressed", "deleted", "cleaned"),
        *("bounced", "complained", "canceled", "cancelled"),
    ]
)
_YES = frozenset(["true", "1", "yes"])
_NO = frozenset(["false", "0", "no"])


def tells_of_leaving(kind: Any) -> bool:
    """Whether the kind of an event, or one of several, speaks of leaving, like ``contact.deleted``."""
    if isinstance(kind, list):
        return any(map(tells_of_leaving, kind))
    if not isinstance(kind, str):
        return False
    words = kind[:_LONG].lower().split()
    found = _ENDS if len(words) > 1 else _WORDS
    return found.search(" ".join(words)) is not None


def has_left(person: Any) -> bool:
    """Whether a contact is marked as one who left: by a flag, a status, or the time of it."""
    if not isinstance(person, Mapping):
        return False
    return (
        any(_plain(person.get(name)) in _YES for name in _FLAGS)
        or _plain(person.get("subscribed")) in _NO
        or _plain(person.get("status")).translate({ord("_"): None, ord("-"): None}) in _STATES
        or any(_is_time(person.get(name)) for name in _TIMES)
    )


def _plain(value: Any) -> str:
    return str(value).strip().lower() if isinstance(value, str | bool | int | float) else ""


def _is_time(value: Any) -> bool:
    """Whether somebody left then; some databases write 0 for never, or a date of zeros."""
    return not is_blank(value) and _plain(value) not in (*_NO, "null") and not _plain(value).startswith("00")
