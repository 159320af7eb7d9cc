"""Leaving: whether a sender tells of a person who left or said no."""

import re
from collections.abc import Mapping
from typing import Any

_LONG = 200
_SIGNS = re.compile(r"[\W_]+")
_WORDS = re.compile(
    r"delet|remov|erase|erasure|bounce|complain|cancel|revok|suppress|deactivat|archived|opt(?:ed)?[_-]?out|"
    r"unsub|redact|anonymi[sz]ed|purged|destroyed|withdrawn|declined|rejected|spam[_-]?(?:report|complain)|"
    r"abmeld|abgemeldet|abbestell|d[eé]s(?:inscri|abonn)|desuscri|disiscri|afmeld|uitgeschreven"
)
_ENDS = re.compile(
    r"(?:delet|remov|eras|bounc|complain|cancell?|revok|suppress|deactivat|archiv|redact|anonymi[sz]|purg|"
    r"destroy|declin|reject)ed$|opt(?:ed)?[ _-]?out$|withdrawn$|as spam$|"
    r"unsubscribed|^unsubscri|unsubscri\w*$|ab(?:ge)?meld\w*$|abbestell\w*$|d[eé]s(?:inscri|abonn)\w*$|"
    r"desuscri\w*$|disiscri\w*$|afgemeld$|uitgeschreven$"
)
"""In several words it must end as such kinds do: a title, or what a firm offers, may have such a word in it:
"Cancel culture, a talk", "Lower your unsubscribe rate", "Junk removal". And what begins a title by itself
("Spamalot", "Destroyer") counts in the past only."""
_FLAGS = frozenset(
    [
        *("unsubscribed", "isunsubscribed", "unsubscribedfromemails", "emailblacklisted", "donotcontact"),
        *("optedout", "optout", "emailoptedout", "emailoptout", "hsemailoptout", "hasoptedoutofemail"),
        *("deleted", "isdeleted", "archived", "isarchived", "donotemail"),
    ]
)
_SUBSCRIBED = frozenset(["subscribed", "issubscribed"])
_TIMES = frozenset(
    [
        *("unsubscribedat", "unsubscribedon", "unsubscribedate", "dateunsubscribed"),
        *("optedoutat", "optedouton", "deletedat", "deletedon"),
    ]
)
_STATUS = frozenset(
    [
        *("status", "state", "subscriptionstatus", "emailstatus", "marketingstatus", "emailmarketingstatus"),
        *("contactstatus", "memberstatus", "subscriberstatus", "liststatus"),
    ]
)
"""As letters alone, since one program's ``unsubscribed_at`` is another's ``unsubscribedAt``."""
_STATES = frozenset(
    [
        *(
            "unsubscribed",
            "optedout",
            "suppressed",
            "deleted",
            "removed",
            "archived",
            "cleaned",
            "hardbounce",
        ),
        *("bounced", "complained", "canceled", "cancelled", "redacted", "anonymized", "erased"),
        *("abgemeldet", "désinscrit", "desinscrit", "désabonné", "desabonné", "disiscritto", "uitgeschreven"),
    ]
)
_YES = frozenset(["true", "1", "yes", "y", "on", "checked", "ja", "oui", "si", "sí"])
_NO = frozenset(["false", "0", "no", "n", "off", "unchecked", "nein", "non"])


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
    return isinstance(person, Mapping) and any(
        _says_left(_letters(str(name)), value) for name, value in person.items()
    )


def _says_left(name: str, value: Any) -> bool:
    return (
        (name in _FLAGS and _plain(value) in _YES)
        or (name in _SUBSCRIBED and _plain(value) in _NO)
        or (name in _STATUS and _letters(_plain(value)) in _STATES)
        or (name in _TIMES and _is_time(value))
    )


def _letters(text: str) -> str:
    return _SIGNS.sub("", text[:_LONG]).lower()


def _plain(value: Any) -> str:
    return str(value).strip().lower() if isinstance(value, str | bool | int | float) else ""


def _is_time(value: Any) -> bool:
    """Whether somebody left then: a time has digits. For never people write a word or a dash, and some
    databases 0, or a date of zeros."""
    text = str(value).strip().lower()
    return text in _YES or (any(map(str.isdigit, text)) and text not in _NO and not text.startswith("00"))
