"""A file for a spreadsheet holds no formula, wherever its cells are divided, and comes in again unchanged."""

import csv
import io
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.config.settings import Settings
from relay.delivery import INVALID
from relay.intake.entry import entry_of
from relay.operator.exports import as_text, as_typed
from relay.operator.filter import Filter
from relay.operator.imports import submission_of
from relay.operator.operator import Operator
from relay.outbox.outbox import Outbox
from relay.sources.mapping import Mapped
from tests.kit.inside import offline
from tests.kit.relay import HOOK, NEWSLETTER

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
TYPED = st.text(st.sampled_from("ab=+-@'\" \t\r\n,;|\u00a0\uff1d"))
DIVIDED = list(itertools.product(",;|\t", (True, False)))
"""How programs divide cells: at what, and whether they know of quotes."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    sources: dict[str, Any] = {"newsletter": NEWSLETTER, "again": NEWSLETTER, "hook": HOOK | {"wait": 0}}
    return offline(tmp_path, sources)


def take(operator: Operator, first_name: str, phone: str = "") -> None:
    """Have somebody stored with this very name."""
    cells = io.StringIO()
    csv.writer(cells).writerows(
        [["email", "phone", "first_name"], ["a@example.com", phone, as_text(first_name)]]
    )
    found = operator.import_table("newsletter", io.BytesIO(cells.getvalue().encode()), {})
    assert found.queued == 1, found


def sheet(operator: Operator, **which: Any) -> str:
    return "".join(operator.export(Filter(**which), "sheet", people=True)).removeprefix("\ufeff")


def cells_of(text: str) -> Iterator[tuple[str, str, bool]]:
    """Every cell that any program would see, with how it divides."""
    for delimiter, knows_quotes in DIVIDED:
        file = io.StringIO(text, newline="")
        # Who knows of no quotes is given one that is never there.
        table = csv.reader(file, delimiter=delimiter, quotechar='"' if knows_quotes else "\1")
        for row in table:
            yield from ((cell, delimiter, knows_quotes) for cell in row)


def formulas(text: str) -> list[tuple[str, str, bool]]:
    return [found for found in cells_of(text) if found[0].lstrip().startswith(FORMULA)]


def in_file(*values: str) -> str:
    """These values as cells of a row, as a sheet has them."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(["receipt", *map(as_text, values), "end"])
    return text.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "Ann;=HYPERLINK(A1)",
        "Ann; =HYPERLINK(A1)",
        "Ann;\u00a0@SUM(A1)",
        "Ann|+1",
        "Ann,-1",
        'Ann;"=HYPERLINK(A1)',
        'Ann; " =1',
        "Ann;\uff1d1+1",
        " =1+1",
        "=1;=2;=3",
    ],
)
def test_no_program_finds_a_formula_wherever_it_divides_a_name(operator: Operator, name: str) -> None:
    take(operator, name)

    text = sheet(operator)

    assert formulas(text) == []
    assert '"receipt","source"' in text and ",," not in text, "all cells are in quotes"


@given(st.lists(TYPED, min_size=1, max_size=3))
def test_no_program_finds_a_formula_wherever_it_divides_whatever_was_typed(values: list[str]) -> None:
    assert formulas(in_file(*values)) == []


@given(TYPED)
def test_a_cell_that_comes_in_again_is_as_it_was_typed(typed: str) -> None:
    assert as_typed(as_text(typed)) == typed


@given(TYPED)
def test_marks_are_all_that_is_added(typed: str) -> None:
    assert as_text(typed).replace("'", "") == typed.replace("'", "")


@pytest.mark.parametrize("name", ["Ann;=HYPERLINK(A1)", "=Ann;'=x", "''-Ann", "Ann, +1", "Ann|'t Hooft"])
def test_a_sheet_that_comes_in_again_has_the_same_values(operator: Operator, name: str) -> None:
    take(operator, name, "+49 171 1234567")

    operator.import_table("again", io.BytesIO(sheet(operator).encode()), {})

    lines = [
        json.loads(line) for line in "".join(operator.export(Filter(), "jsonl", people=True)).splitlines()
    ]
    assert [line["source"] for line in lines] == ["again", "newsletter"]
    assert {line["full_name"] for line in lines} == {lines[1]["full_name"]}
    assert {line["mobile_phone_number"] for line in lines} == {"+491711234567"}
    assert lines[1]["full_name"] == name


def test_a_number_stays_a_text_in_one_piece(operator: Operator) -> None:
    take(operator, "Ada", "+49 171 1234567")

    assert '"\'+491711234567"' in sheet(operator)


def test_what_was_sent_stays_json(operator: Operator, settings: Settings, outbox: Outbox) -> None:
    source = settings.sources["hook"]
    body = {"a": "x", "=1+1": ["x", "=2", 'y;"=3'], "+b": {"-c": "@d"}}
    sent = submission_of(body, time.time())
    outbox.put(entry_of(source, sent, Mapped(), INVALID, "no contact", outbox.vault))

    text = sheet(operator, state=INVALID)

    assert formulas(text) == []
    (row,) = csv.DictReader(io.StringIO(text))
    assert json.loads(row["body"]) == body


@pytest.mark.parametrize(
    "harmless", ["", "Ada", "a-b", "1", "Smith, Ada", "a; b", "two\n\nlines", "5 - 3", "'s"]
)
def test_what_is_harmless_is_left_alone(harmless: str) -> None:
    assert as_text(harmless) == as_typed(harmless) == harmless
