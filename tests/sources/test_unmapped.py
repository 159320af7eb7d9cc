"""Which names of a body nothing looks at, and how they are shown and kept."""

from typing import Any

import pytest

from relay.intake.unmapped import Unmapped
from relay.outbox.unmapped import MOST
from relay.sources.mapping import Mapping
from relay.sources.paths import Path
from relay.sources.rules import Rule
from relay.sources.source import Source
from relay.sources.text import UNUSUAL
from relay.sources.unmapped import is_mapped, unmapped


def source(*paths: str, **more: Any) -> Source:
    rules = {f"field{place}": Rule("text", first=(Path(text),)) for place, text in enumerate(paths)}
    return Source("form", "form", "ocamba", Mapping(rules), **more)


@pytest.mark.parametrize(
    ("paths", "body", "told"),
    [
        (["email"], {"email": "a@example.com"}, set()),
        (["email"], {"email": "a@example.com", "size": "L"}, {"size"}),
        (["contact.email"], {"contact": {"email": "x", "town": "y"}, "id": 1}, {"contact.town", "id"}),
        (["answers[?type=='email'].email | [0]"], {"answers": [], "form": 1}, {"form"}),
        (["person"], {"person": {"any": {"thing": 1}}}, set()),
        (["email"], {"relay_ts": "x", "relay_page": "x", "_next": "x", "h-captcha-response": "x"}, set()),
        (["email"], {"jane@example.com": "x", "4915112345678": "x"}, {UNUSUAL}),
        (["your.email"], {"your.email": "x"}, set()),
    ],
)
def test_a_name_that_nothing_looks_at_is_told(paths: list[str], body: dict[str, Any], told: set[str]) -> None:
    assert unmapped(source(*paths), body) == told


def test_the_trap_is_not_a_field_that_somebody_forgot() -> None:
    assert unmapped(source("email", honeypot="leave_empty"), {"leave_empty": ""}) == set()


def test_a_name_that_was_mapped_since_is_told_no_more() -> None:
    assert is_mapped(source("contact.town"), "contact.town")
    assert not is_mapped(source("contact.email"), "contact.town")


def test_names_are_few_however_many_are_posted_and_each_is_handed_out_once() -> None:
    names, one = Unmapped(), source("email")
    for number in range(3 * MOST):
        names.note(one, {f"name{number}": "x"})

    assert len(names.take()["form"]) == MOST
    names.note(one, {"name0": "x"})
    assert names.take() == {}
