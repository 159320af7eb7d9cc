"""Texts that people typed: normalised, cleaned and joined."""

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Literal

from marshmallow import ValidationError

MOST_MARKS = 30
"""As many combining marks in a row are kept as Unicode's stream-safe format allows (UAX #15)."""

_NAME_PARTS = (
    ("first", "last"),
    ("first_name", "last_name"),
    ("firstName", "lastName"),
    ("firstname", "lastname"),
    ("First", "Last"),
    # Of a telephone number.
    ("full",),
    ("area", "phone"),
)
UNUSUAL = "(unusual name)"
_USUAL = re.compile(r"[\w .\[\]-]{1,64}")
_MOST_DIGITS = 5  # a name with more may be somebody's number
_SAYS_NOTHING = frozenset(
    [
        *("n/a", "na", "n.a.", "none", "null", "nil", "nan", "undefined", "unknown", "false"),
        *("no", "nein", "non", "nada", "keine", "keins", "k.a.", "k. a."),
    ]
)
_NO_NAMES = frozenset(
    ["undefined", "null", "NaN", "[object Object]", "n/a", "N/A", "-", "--", "–", ".", "...", "xxxxx"]
)
"""What programs and people write where nothing is; five x stand in the links that Typeform shows for hidden
fields. "Null" and "None" are people's names."""
_FILLERS = frozenset(["undefined", "null", "NaN"])
"""What a script writes for a part of a name that is not there: ``Jane undefined``."""
_UNFILLED = re.compile(
    r"\{+[^{}]*name[^{}]*\}+|\*\|\w*name\w*\|\*|%+\w*name\w*%+|\[[\w-]*name[\w-]*\]|<[^<>]*name[^<>]*>",
    re.IGNORECASE,
)
"""The place of a name in a letter or a link that no program filled in: ``{{first_name}}``, ``*|FNAME|*``,
or that a program filled with its name: ``<test lead: dummy data for full_name>``."""
_LONGEST_PLACE = 100
_ZEROS = re.compile(r"(?<=&#)0+(?=[0-9])")
_NO_CHARACTER = re.compile(r"&#[1-9][0-9]{7,};?")
"""Beyond the last one there is; Python refuses to read a number of thousands of digits."""
_ENTITY = re.compile(r"&(?:#[0-9]{1,6}|#[xX][0-9a-fA-F]{1,5}|amp|lt|gt|quot|apos|nbsp);")
_INVISIBLE = re.compile(
    "[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u115f\u1160\u180e\u3164\uffa0]"
)
_JOINERS = re.compile("[\u200c\u200d]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def normal(text: str, most: int | None = None, form: Literal["NFC", "NFKC", "NFKD"] = "NFC") -> str:
    """Return text in a Unicode normal form: the one way to get there for what a sender wrote.

    Cut to ``most`` characters first. Normalising sorts each run of combining marks, which takes the
    square of its length, so runs are shortened to what any language needs.
    """
    text = text[:most]
    return text if text.isascii() else unicodedata.normalize(form, _few_marks(text))


def _few_marks(text: str) -> str:
    kept: list[str] = []
    run = 0
    for character in text:
        begins_anew, marks = _marks(character)
        run = marks if begins_anew else run + marks
        if run <= MOST_MARKS:
            kept.append(character)
    return "".join(kept)


@lru_cache(4096)
def _marks(character: str) -> tuple[bool, int]:
    """Return whether a character ends a run of marks, and how many it ends in once it is taken apart.

    Some look like none and are two: U+0F81 has the class of a letter.
    """
    parts = [unicodedata.combining(part) for part in unicodedata.normalize("NFKD", character)]
    letters = [at for at, combining in enumerate(parts) if not combining]
    return bool(letters), len(parts) - 1 - letters[-1] if letters else len(parts)


def visible(text: str) -> str:
    """Return text without what cannot be seen and joins nothing: in addresses and numbers it is a slip."""
    return _JOINERS.sub("", _INVISIBLE.sub("", text))


def clean(text: str) -> str:
    """Return text on one line, without control and direction characters, in Unicode NFC."""
    return " ".join(normal(_INVISIBLE.sub("", _CONTROL.sub(" ", text))).split())


def says_nothing(text: str) -> bool:
    """Whether a text only says that there is no e-mail address or number."""
    return text.strip().lower() in _SAYS_NOTHING


def is_no_name(value: Any) -> bool:
    """Whether what stands for a name is what a program or a person writes where there is none."""
    text = value.strip() if isinstance(value, str) else None
    return text is not None and (
        text in _NO_NAMES
        or (len(text) <= _LONGEST_PLACE and (_UNFILLED.fullmatch(text) is not None or not name_of(text)))
    )


def name_of(text: str) -> str:
    """Return a name without what a script wrote for a part of it that is not there."""
    return " ".join(word for word in text.split() if word not in _FILLERS)


def unescaped(text: str) -> str:
    """Return text in which what was escaped for HTML is itself: ``O&#039;Brien``."""
    if not _ENTITY.search(text):
        return text
    return html.unescape(_NO_CHARACTER.sub("\N{REPLACEMENT CHARACTER}", _ZEROS.sub("", text)))


def is_blank(value: Any) -> bool:
    """Whether nothing was given: no value, only blanks, or a list of such."""
    if isinstance(value, list):
        return all(is_blank(entry) for entry in value)
    return value is None or (isinstance(value, str) and not value.strip())


def join(values: Iterable[Any]) -> str | None:
    """Return what is no blank, joined by one space. Raises ValidationError."""
    texts = [text_of(value) for value in values if not is_blank(value)]
    return " ".join(text.strip() for text in texts if text is not None) or None


def text_of(value: Any) -> str | None:
    """Return text for what senders put where a text belongs. Raises ValidationError."""
    if isinstance(value, list):
        return _one_text(value)
    if isinstance(value, dict):
        known = [names for names in _NAME_PARTS if any(name in value for name in names)]
        filled = (names for names in known if not is_blank([value.get(name) for name in names]))
        if known:
            return join(value.get(name) for name in next(filled, known[0]))
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValidationError("Expected a text.")
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _one_text(values: list[Any]) -> str | None:
    """Return what all of several are, without their blanks. Raises ValidationError."""
    texts = [text_of(value) or "" for value in values if not is_blank(value)]
    if len({clean(text) for text in texts}) > 1:
        raise ValidationError("Given more than once, with different values.")
    return texts[0] if texts else None


def usual(name: str) -> str:
    """Return the name of a key if it can be shown: a sender may have put a person's data there."""
    digits = sum(character.isdigit() for character in name)
    return name if _USUAL.fullmatch(name) and digits <= _MOST_DIGITS else UNUSUAL
