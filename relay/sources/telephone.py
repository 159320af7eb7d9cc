"""Telephone numbers: read as E.164, or not at all. No guess makes a number.

A number is read only where its country is certain: it carries ``+``, ``00`` or the prefix its region
dials abroad with, a country or dial code stands beside it, or the source says which region it is for.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import phonenumbers
from phonenumbers import PhoneNumber

from relay.sources import notes
from relay.sources.numbering import NoNumber, in_region, international, lasting, vanity, with_or_without_plus
from relay.sources.text import says_nothing, visible

INVISIBLE_PLUS = "\u2064"
"""Stands for a ``+`` that a form did not encode, or that was a blank: only the number can tell."""

_LONGEST = 80
_FEW_DIGITS = 6  # as many in a note, and it is another number
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―−－ーｰ", "-"),
        "（": "(",
        "）": ")",
        "．": ".",
        "／": "/",
        "＋": "+",
        **{chr(0x1F1E6 + at): chr(ord("A") + at) for at in range(26)},  # of a flag
    }
)
_QUOTES = "'\"`’‘“”„!? "  # tables put one before a number, so that it stays a text
_FORMATTING = re.compile(r"[\w\s+().,;:|/\[\]*#~=-]+")
_BREAK = re.compile(r"[\x00-\x1f\x85\u2028\u2029]")
_WORDS_BEFORE = re.compile(
    r"(?:tel|telefon|telephone|téléphone|teléfono|telefono|phone|ph|mobile|mobil|cell|cel|handy|fon|m|t|p|"
    r"whatsapp|sms|callto|number|nummer|no|nr)(?:\b[\s.:]*)",
    re.IGNORECASE,
)
_PLACEHOLDERS = frozenset("xX_#*-.()/ +[]")
_TWICE = re.compile(r"\+\s*([1-9][0-9]{0,2})(?:[\s()./-]*(?=\+)|[\s()./-]+(?=00\s*\1))")
_DIAL_CODE = re.compile(r"[^+0-9]*(?:\+|00)\s*([1-9][0-9 -]{0,6})\)?[^+0-9]*")
_PICTURES = frozenset(["So", "Sk", "Mn", "Cn"])
_NO_TELEPHONE = re.compile(
    r"(?:19|20)[0-9]{2}-[0-9]{1,2}-[0-9]{1,2}(?:\D.*)?"  # a day, perhaps with a time
    r"|[0-9]{1,2}([./])[0-9]{1,2}\1(?:19|20)[0-9]{2}|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
)
"""What else consists of digits and dots: a day or a time."""
_FRACTION = re.compile(r"(\+?[1-9][0-9]{6,14})\.0")  # a table's number, written out as it counts
_COUNTED = re.compile(r"\+?[0-9]{7,}(?:\.0{1,3})+")
_MASKED = re.compile(r"[xX*•…_]{2,}")
_ZERO = re.compile(r"(?<=\d)[\s./-]*\(0\)")  # +49 (0)30: to be left out where the code stands before it
_SEPARATORS = re.compile(r"[/,;|]")
_LISTING = frozenset(",;|")  # these stand between numbers; a slash also stands inside one


def read(text: str, region: str | None = None) -> str:
    """Return a number in E.164 (``+4930123456``); ``region`` is its country where it names none.

    It is taken when it is *possible* for its country: numbering plans change more often than software.
    Raises NoNumber.
    """
    may_have_lost_plus = text.startswith(INVISIBLE_PLUS)
    text = _plain(text)
    if len(text) > _LONGEST or holds_none(text) or not _FORMATTING.fullmatch(text) or _BREAK.search(text):
        raise NoNumber
    text = _without_words(text)
    if _NO_TELEPHONE.fullmatch(text) or _MASKED.search(text) or _COUNTED.fullmatch(text):
        raise NoNumber  # a day, half of a number, or more than one
    if beside := _TWICE.match(text):  # a widget's dial code, and the number typed with its own
        region, text = region_of("+" + beside[1]), text[beside.end() :]
    return lasting(_number(_one_number(text, region), region, may_have_lost_plus))


def is_given_out(number: str) -> bool:
    """Whether a number in E.164 is one that its country gives out, as far as is known."""
    return phonenumbers.is_valid_number(phonenumbers.parse(number))


def holds_none(text: str) -> bool:
    """Whether there is no number at all: a mask left as it was, a dial code alone, a word for nothing."""
    text = _plain(text)
    if len(text) > _LONGEST:
        return False
    if says_nothing(text) or set(text) <= _PLACEHOLDERS:
        return True
    digits = _digits(text)
    if not digits:
        return not any(character.isalpha() for character in text) or is_region(text)
    return not digits.strip("0") or region_of(text) is not None


def region_of(text: str) -> str | None:
    """Return the country that a name, a country code or a dial code names: ``Austria``, ``DE``, ``+49``,
    ``0049``, ``49``, ``Germany (+49)``; None if it names none."""
    text = _plain(text)
    if len(text) > _LONGEST:
        return None
    code = {"UK": "GB"}.get(text.upper(), text.upper())
    if is_region(code):
        return code
    written = _DIAL_CODE.fullmatch(text)
    digits = _digits(written[1]) if written else text if text.isdigit() else ""
    return _regions_by_dial_code().get(digits) or notes.country_called(text)


def is_region(code: str) -> bool:
    """Whether ``code`` is a country whose numbering plan is known."""
    return code in phonenumbers.SUPPORTED_REGIONS


def dial_code(text: str) -> str | None:
    """Return the country's code (``49``) where a text is one, and nothing else: ``+49``, ``0049``, ``49``."""
    region = region_of(text) if _digits(_plain(text)) else None
    return str(phonenumbers.country_code_for_region(region)) if region else None


@dataclass(frozen=True)
class Parts:
    """A number's country code, what follows it without zeros, and what stands before that at home.

    ``has_zero``: whether a number begins with a zero there, be it its own or one that is dialled.
    """

    code: str
    national: str
    trunk: str
    has_zero: bool


def parts(number: str) -> Parts:
    """Return what a number in E.164 consists of."""
    parsed = phonenumbers.parse(number)
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
    has_zero = trunk.startswith("0") or bool(parsed.italian_leading_zero)
    return Parts(str(parsed.country_code), str(parsed.national_number), trunk, has_zero)


def in_ascii(text: str) -> str:
    """Return text with digits, brackets, dashes and plus as ASCII has them, and nothing that is invisible."""
    if text.isascii():
        return text
    text = visible(text).translate(_PLAIN)
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


@cache
def _regions_by_dial_code() -> dict[str, str]:
    """Return dial code → country; where several share a code, the chief one, and the others by their
    own digits after it (``1684``)."""
    found: dict[str, str] = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        if is_region(regions[0]):
            found[str(code)] = regions[0]
        for region in regions[1:]:
            metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
            leading = (metadata and metadata.leading_digits) or ""
            if leading.isdigit():
                found[f"{code}{leading}"] = region
    return found


# --- from what was typed to digits ----------------------------------------------------------------------


def _plain(text: str) -> str:
    """Return text without what cannot be seen, with digits, brackets, dashes and plus as ASCII has them."""
    text = visible(text).strip()[: _LONGEST + 1].translate(_PLAIN).strip(_QUOTES)
    if not text.isascii():
        text = _without_pictures(text)
    text = in_ascii(text)
    counted = _FRACTION.fullmatch(text)
    return counted[1] if counted else text


def _without_pictures(text: str) -> str:
    """Return text without the pictures that telephones put at its ends."""
    while text and unicodedata.category(text[0]) in _PICTURES:
        text = text[1:].lstrip()
    while text and unicodedata.category(text[-1]) in _PICTURES:
        text = text[:-1].rstrip()
    return text


def _digits(text: str) -> str:
    return "".join(character for character in text if character in "0123456789")


def _without_words(text: str) -> str:
    """Return text from its number on. Raises NoNumber for words that could change what it means."""
    before = re.match(r"[^\d+(]*", text)
    words = before[0].strip(" .:-") if before else ""
    while words and (known := _WORDS_BEFORE.match(words)):
        words = words[known.end() :].strip(" .:-")
    if words and "+" not in text:
        raise NoNumber
    return text[before.end() if before else 0 :]


def _one_number(text: str, region: str | None) -> str:
    """Return a number without what people write around it. Raises NoNumber where there are two."""
    rest = notes.without_mark(text)
    if rest != text and _is_valid(rest, region):
        text = rest
    text = notes.without_note(text, region)
    if any(_is_valid(left, region) for left in notes.doubtful(text)):
        raise NoNumber
    text = notes.without_words_behind(text, region)
    if "__" in text or text.endswith("_") or "+" in text.lstrip("(+ "):
        raise NoNumber
    for cut in _SEPARATORS.finditer(text):
        left, right = text[: cut.start()], text[cut.end() :]
        both_long = cut[0] in _LISTING and min(len(_digits(left)), len(_digits(right))) >= _FEW_DIGITS
        if _digits(right) and (both_long or _is_valid(left, region)):
            raise NoNumber
    for gap in re.finditer(r"\s+(?=[0(])", text):
        if _is_valid(text[: gap.start()], region) and _is_valid(text[gap.end() :], region):
            raise NoNumber
    return text


def _is_valid(text: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(_number(text, region))
    except NoNumber:
        return False


def _number(text: str, region: str | None, may_have_lost_plus: bool = False) -> PhoneNumber:
    """Return the one number a text can be. Raises NoNumber."""
    if any(character.isalpha() for character in text):
        return vanity(text, region)
    if set("#~=*") & set(text):
        raise NoNumber
    digits = _digits(text)
    zero = _ZERO.search(text)
    if "+" in text or (zero and digits.startswith("00")):
        without_zero = _digits(text[: zero.start()] + text[zero.end() :]) if zero else None
        return international(digits.removeprefix("00"), without_zero and without_zero.removeprefix("00"))
    if may_have_lost_plus:
        return with_or_without_plus(digits, region)
    if region is None:
        if not digits.startswith("00"):
            raise NoNumber
        return international(digits[2:])
    return in_region(digits, region)
