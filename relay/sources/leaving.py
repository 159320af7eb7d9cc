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
_GONE = (
    r"unsub(?:scribed?|scription)?|opt(?:ed)?out|abgemeldet|abmeld(?:e|ung)|d[eé]s(?:inscri(?:t|te|ption)|"
    r"abonn(?:é|ée|e|ement))|disiscritt[oa]|uitgeschreven|dad[oa]debaja"
)
"""A subscription that has ended, as letters alone."""
_FLAGS = re.compile(
    rf"(?:is|has|hs)?(?:email)?(?:{_GONE}|blacklisted|blocklisted|optedoutofemail)(?:(?:from)?(?:all)?emails?)?|"
    r"(?:is)?(?:deleted|archived)|(?:emaildisabled|deactivated|deaktiviert)|donot(?:contact|email)"
)
_SUBSCRIBED = frozenset(["subscribed", "issubscribed", "subscribedtoemails"])
_TIMES = re.compile(
    rf"(?:{_GONE}|deleted|deactivated)(?:at|on|am|le|date|datum|time)|"
    rf"(?:date|datum|time)(?:of|der|de|d)?(?:{_GONE})|cleancampaign(?:id|title)"
)
_STATUS = frozenset(
    [
        *("status", "state", "subscriptionstatus", "emailstatus", "marketingstatus", "emailmarketingstatus"),
        *("contactstatus", "memberstatus", "subscriberstatus", "liststatus"),
    ]
)
"""As letters alone, since one program's ``unsubscribed_at`` is another's ``unsubscribedAt``."""
_ANY_STATUS = re.compile(
    r"(?!(?!.*mail).*(?:sms|phone|mobile|whatsapp|push))"
    r".*(?:status|statut|estado|stato|emailmarketingconsent)|state"
)
"""Who left one way of being told is still told the other ways, wherever in a name that way stands."""
_STATES = frozenset(
    [
        *("suppressed", "deleted", "removed", "archived", "cleaned", "hardbounce", "undeliverable"),
        *("bounced", "gebounced", "complained", "canceled", "cancelled", "redacted", "anonymized", "erased"),
        *("blacklisted", "blocklisted"),
    ]
)
"""What an order may be, too, where nothing says whose status it is."""
_ENDED = re.compile(_GONE)
_YES = frozenset(
    [
        *("true", "1", "yes", "y", "on", "x", "checked", "ja", "oui", "si", "sí"),
        *("wahr", "vrai", "vero", "verdadero", "verdadeiro", "waar"),
    ]
)
_NO = frozenset(
    [
        *("false", "0", "no", "n", "off", "unchecked", "nein", "non"),
        *("falsch", "faux", "falso", "onwaar"),
    ]
)
"""Also as spreadsheets write it that speak another language."""
_ASKED = frozenset(["acceptsmarketing", "acceptsemailmarketing"])
_NEVER = frozenset(["neversubscribed", "nonsubscribed", "notsubscribed"])
_UNSET = re.compile(r"00|[\W0]*$|.*\b(?:1899|1900|1969|1970|9999)\b")
"""How databases, PHP and Excel write a time that there never was; the last is one that never comes."""
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}")


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


def never_said_yes(person: Mapping[str, Any]) -> bool:
    """Whether the export of a list or of a shop's customers says of a contact that it never joined."""
    said = ((_letters(str(name)), _plain(value)) for name, value in person.items())
    return any(
        (name in _ASKED and value in _NO) or (_ANY_STATUS.fullmatch(name) and _letters(value) in _NEVER)
        for name, value in said
    )


def _says_left(name: str, value: Any) -> bool:
    plain = _plain(value)
    if _FLAGS.fullmatch(name):
        return plain in _YES or (_DATE.match(plain) is not None and _is_time(value))
    if _TIMES.fullmatch(name):
        return _is_time(value)
    if _ANY_STATUS.fullmatch(name) and _ENDED.fullmatch(_letters(plain)):
        return True
    return (name in _STATUS and _letters(plain) in _STATES) or (name in _SUBSCRIBED and plain in _NO)


def _letters(text: str) -> str:
    return _SIGNS.sub("", text[:_LONG]).lower()


def _plain(value: Any) -> str:
    return str(value).strip().lower() if isinstance(value, str | bool | int | float) else ""


def _is_time(value: Any) -> bool:
    """Whether somebody left then: a time has digits. For never people write a word or a dash."""
    text = str(value).strip().lower()
    return text in _YES or (any(map(str.isdigit, text)) and not _UNSET.match(text))
