"""No text makes normalising sort a long run of marks, whatever its characters are made of."""

import sys
import unicodedata

import pytest

from relay.sources.text import MOST_MARKS, normal

HIDDEN = "\u0f73\u0f75\u0f81"
"""They have the class of letters, and each is two marks."""
MADE_OF_MARKS = [
    character
    for character in map(chr, range(sys.maxunicode + 1))
    if any(map(unicodedata.combining, unicodedata.normalize("NFKD", character)))
]


def longest_run(text: str) -> int:
    run = longest = 0
    for character in unicodedata.normalize("NFKD", text):
        run = run + 1 if unicodedata.combining(character) else 0
        longest = max(longest, run)
    return longest


def test_those_that_look_like_no_marks_are_among_them() -> None:
    assert set(HIDDEN) < set(MADE_OF_MARKS)
    assert not any(map(unicodedata.combining, HIDDEN))


@pytest.mark.parametrize("form", ["NFC", "NFKC"])
def test_no_character_makes_a_longer_run_than_any_language_needs(form: str) -> None:
    for character in MADE_OF_MARKS:
        assert longest_run(normal("e" + character * 100, form=form)) <= MOST_MARKS + 3, f"{ord(character):x}"
    mixed = "".join(character + HIDDEN[at % 3] for at, character in enumerate(MADE_OF_MARKS))
    assert longest_run(normal(mixed, form=form)) <= MOST_MARKS + 3


def test_what_people_write_stays() -> None:
    for text in ("Zoë", "Nguyễn", "དཀྱིལ", "e\u0301" * 50, "각" * 100, "ﷺ", "हिन्दी"):
        assert normal(text) == unicodedata.normalize("NFC", text)
