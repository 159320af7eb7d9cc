"""Telephone numbers in any text, compared with one that is looked for: whole, and never a part of one."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from relay.sources import telephone

_BLANK = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_GAP = rf"[{_BLANK}().\[\]/-]{{1,6}}"
_RUN = re.compile(rf"(?:\+[{_BLANK}(\[]{{0,2}})?[0-9](?:(?:{_GAP})?[0-9])*+")
_MOMENT = re.compile(
    r"(?<![0-9.:-])(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?"
    r"|(?:0?[1-9]|[12][0-9]|3[01])\.(?:0?[1-9]|1[0-2])\.(?:19|20)[0-9]{2}"
    r"|(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01]))(?![0-9:-]|\.[0-9])"
)
"""A day or a time, which may stand beside a number."""
_BEGINS_ANEW = re.compile(rf"{_GAP}(?=0)")
_LONG_RIGHT = re.compile(rf"(?:[0-9](?:{_GAP})?){{7}}")
_WORD_BEFORE = re.compile(r"([^\W\d_]+)[_-]?$")
_WORDS = frozenset(
    [
        *("tel", "telefon", "telephone", "phone", "ph", "fon", "mobile", "mobil", "cell", "cel", "handy"),
        *("m", "t", "p", "whatsapp", "sms", "nummer", "nr", "no"),
    ]
)
_WORD_AFTER = re.compile(r"(?!x ?[0-9]|ext)[-_]?[^\W_]|_|[:~*'=][0-9]", re.IGNORECASE)  # no extension
_GLUE_BEFORE = re.compile(r"[^\W_]$|_$|[0-9][:~*'=]$")
_NEAR = 12
_LONGEST = 20
"""Digits of the longest number: 15, a prefix to dial abroad, and a zero that is left out from there."""
_LONGEST_ALONE = 13
"""In a run with more digits a second number may begin; fewer are never cut, as a part is somebody else's."""
_FEW = 7
_FEWEST = 4


@dataclass
class Sought:
    """A number as its digits may stand in a text, each with the codes of the countries they mean then.

    None at all: of any country.
    """

    abroad: dict[str, set[str]] = field(default_factory=dict)
    home: dict[str, set[str]] = field(default_factory=dict)
    bare: dict[str, set[str]] = field(default_factory=dict)
    """Behind a plus or 00; behind one zero; behind neither."""

    def add(self, number: str) -> None:
        """Take a reading in E.164."""
        parts = telephone.parts(number)
        code, trunk, national = parts.code, parts.trunk, parts.national
        abroad = {code + zero + national for zero in ("", "0", trunk)}
        if code == "52":
            abroad.add("521" + national)  # as mobiles in Mexico were dialled
        home = {national, (trunk + national).lstrip("0")}
        _put(self.abroad, abroad, code)
        _put(self.bare, home | abroad, code)
        _put(self.home, home if parts.has_zero else (), code)
        _put(self.home, {"11" + one for one in abroad}, code)  # 011: dialled from North America

    def add_unread(self, text: str) -> None:
        """Take digits of which nobody knows the country: they only equal the same."""
        kind, digits = _reduced(text)
        self.bare[digits] = set()
        if kind != "home":
            self.abroad[digits] = set()
        if kind != "abroad":
            self.home[digits] = set()

    def is_in(self, text: str, codes: frozenset[str] = frozenset()) -> bool:
        """Whether a text holds the number; ``codes``: of the countries that stand beside it."""
        text = telephone.in_ascii(text)
        return any(
            self._is(one, codes)
            for written in dict.fromkeys((text, _MOMENT.sub(";", text)))
            for one in _numbers(written)
        )

    def _is(self, written: str, codes: frozenset[str]) -> bool:
        kind, digits = _reduced(written)
        if kind == "abroad":
            return digits in self.abroad
        whose = (self.home if kind == "home" else self.bare).get(digits)
        return whose is not None and (not whose or not codes or bool(whose & codes))


def _put(numbers: dict[str, set[str]], written: Iterable[str], code: str) -> None:
    for digits in written:
        numbers.setdefault(digits, set()).add(code)


def sought(text: str, readings: Iterable[str]) -> Sought:
    """Return what to look for; ``readings``: the contact in E.164, as each country would read it."""
    found = Sought()
    numbers = set(readings)
    for number in numbers:
        found.add(number)
    if not numbers:
        found.add_unread(telephone.in_ascii(text).strip())
    return found


def significant_digits(text: str) -> str:
    """Return the digits of a number without the zeros before it."""
    return _digits(telephone.in_ascii(text)).lstrip("0")


def _digits(text: str) -> str:
    return re.sub(r"[^0-9]", "", text)


def _reduced(written: str) -> tuple[str, str]:
    """Return how a number is written, and its significant digits.

    They do not say all: +1 512 345 6789 is not 0151 23456789.
    """
    digits = _digits(written)
    if "+" in written[:3] or digits.startswith("00"):
        return "abroad", digits.lstrip("0")
    return "home" if digits.startswith("0") else "bare", digits.lstrip("0")


def _numbers(text: str) -> Iterator[str]:
    """Yield every number in a text, as it is written."""
    for run in _RUN.finditer(text):
        begins = run[0].startswith("+") or _may_begin(text[max(0, run.start() - _NEAR) : run.start()])
        ends = not _WORD_AFTER.match(text, run.end())
        pieces = _pieces(run[0])
        if begins and ends and len(run[0]) <= 4 * _LONGEST:
            yield run[0]
        if len(pieces) > 1:
            yield from pieces[0 if begins else 1 : None if ends else -1]


def _may_begin(before: str) -> bool:
    """Whether a number may begin behind that, and not the rest of an order's id, like ORD-0151-…."""
    glued = _WORD_BEFORE.search(before)
    if glued:
        return glued[1].casefold() in _WORDS
    return not _GLUE_BEFORE.search(before)


def _pieces(run: str) -> list[str]:
    """Return the numbers in a run of digits: with a zero behind a blank or a slash another one begins."""
    if len(run) <= _LONGEST_ALONE or len(_digits(run)) <= _LONGEST_ALONE:
        return [run]
    cuts = [0]
    for gap in _BEGINS_ANEW.finditer(run):
        left = run[cuts[-1] : min(gap.start(), cuts[-1] + 4 * _LONGEST)]  # as much as tells
        if _LONG_RIGHT.match(run, gap.end()) and _is_whole(left, gap[0]):
            cuts.append(gap.end())
    return [run[begin:end] for begin, end in zip(cuts, [*cuts[1:], len(run)], strict=True)]


def _is_whole(left: str, gap: str) -> bool:
    """Whether what stands before a gap is a number, or something else by itself, and no dial code."""
    count = len(_digits(left))
    if left[:1] in "+0":
        return count >= _FEW and any(one in gap for one in _BLANK + "/")
    return count >= _FEWEST and any(one in gap for one in _BLANK)
