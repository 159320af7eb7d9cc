"""What people write around a telephone number: "(home)", "9-17 Uhr", "2nd floor", "Schweiz".

A note is left out. Where nothing tells whether digits belong to the number or to the note, it is the
caller who sees whether the number would be whole without them.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources

import phonenumbers

from relay.sources.numbering import NoNumber
from relay.sources.text import normal

_LONG_WORD = 40
_FEWEST_DIGITS = 7  # after as many a letter begins a note, and no number in letters
_FEW_DIGITS = 6  # as many in a note, and it is another number
_SLIP = re.compile(r"[OoQIl|]+(?![^\W\d_])|(?:(?![xX])[^\W\d_]|[~=*])[0-9]")
"""Behind a digit: what looks like another, or one letter or sign between two, save an extension's."""
_MARK = re.compile(r"\(?[1-9][.)]\s+(?=[0+])")
"""Of a list: ``1) 0170 …``"""
_BRACKETS = re.compile(r"\s*[(\[]([^)\]]*)[)\]]?")
_HOUR = r"(?:[01]?[0-9]|2[0-4])(?:[:.][0-5][0-9])?"
_DOUBTFUL = re.compile(
    # one digit by itself, or two and a word behind what is long for a part of a number
    r"(?<=[0-9]{2})(?:\s*:\s*|\s+(?:-\s*)?)[0-9](?=\s*$|\.?\s*[^\W\d_])"
    r"|(?<=[0-9]{5})(?:\s*:\s*|\s+(?:-\s*)?)[0-9]{2}(?=\.?\s*[^\W\d_])"
    rf"|\s{_HOUR}\s?-\s?{_HOUR}(?![0-9])"
    rf"|\s{_HOUR}\s?(?:h|uhr|am|pm|st|nd|rd|th|er|[ºª°])(?![^\W\d_])",
    re.IGNORECASE,
)


def without_mark(text: str) -> str:
    """Return text without the mark of a list before it."""
    mark = _MARK.match(text)
    return text[mark.end() :] if mark else text


def without_note(text: str, region: str | None) -> str:
    """Return text up to a note in brackets behind its number. Raises NoNumber for a second number there,
    or another country."""
    for found in _BRACKETS.finditer(text):
        left, note = text[: found.start()], found[1]
        if _count(left) < _FEWEST_DIGITS or _is_part(note):
            continue
        _look_at(note, left, region)
        return left
    return text


def _is_part(note: str) -> bool:
    return not note.strip(" 0123456789")


def doubtful(text: str) -> Iterator[str]:
    """Yield each beginning of a text behind which digits stand that may be a note's."""
    for found in _DOUBTFUL.finditer(text):
        if _count(text[: found.start()]) >= _FEWEST_DIGITS:
            yield text[: found.start()]
    for found in _BRACKETS.finditer(text):
        if _count(text[: found.start()]) >= _FEWEST_DIGITS:
            yield text[: found.start()]


def without_words_behind(text: str, region: str | None) -> str:
    """Return text up to the letter or sign behind its last digit. Raises NoNumber for a second number, or
    for another country."""
    for place, character in enumerate(text):
        if not (character.isalpha() or character in "#~=*") or _count(text[:place]) < _FEWEST_DIGITS:
            continue
        note = text[place:]
        if text[place - 1].isdigit() and _SLIP.match(note):
            raise NoNumber
        _look_at(note, text[:place], region)
        return text[:place].rstrip(" (/,;.:-")
    return text


def _look_at(note: str, number: str, region: str | None) -> None:
    """Raise NoNumber where a note changes what number is meant."""
    if _count(note) >= _FEW_DIGITS or "+" in note:
        raise NoNumber
    if "+" not in number and not number.startswith("00") and _country(note) not in (None, region):
        raise NoNumber


def _country(note: str) -> str | None:
    """Return the country that a note names: its code where that is all, or its name."""
    words = re.findall(r"[^\W\d_]+", note)
    if len(words) == 1 and words[0].upper() in phonenumbers.SUPPORTED_REGIONS:
        return str(words[0]).upper()
    return next((found for word in words if (found := _names().get(_bare(word)))), None)


def country_called(text: str) -> str | None:
    """Return the country that a whole text is the name of, as ``Austria`` or ``United States``."""
    words = re.findall(r"[^\W\d_]+", text)
    name = _bare("".join(words))
    return None if _count(text) else _names().get(name) or _names().get(f"={name}")


def _bare(word: str) -> str:
    """Return a word in lower case, without its accents."""
    parts = normal(word, _LONG_WORD, "NFKD").casefold()
    return "".join(character for character in parts if not unicodedata.combining(character))


@cache
def _names() -> dict[str, str]:
    lines = resources.files("relay.sources").joinpath("country_names.txt").read_text("utf-8").splitlines()
    listed = [line.split() for line in lines if line and not line.startswith("#")]
    return {name: code for code, *names in listed for name in names}


def _count(text: str) -> int:
    return sum(character in "0123456789" for character in text)
