"""What the dashboard says after an act: only what was done, and on pages that can be gone back to."""

import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest

from tests.kit.people import Moods
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.web.browsing import Person
from tests.web.test_dashboard import TOKENS, held, seen, settings


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    env = {name.upper(): token for name, token in TOKENS.items()}
    with ScriptedUpstream(Moods()) as upstream, RelayProcess(settings(upstream.url), env=env) as running:
        yield running


def test_no_address_makes_a_page_say_that_something_was_done(relay: RelayProcess) -> None:
    person, row = Person(relay, TOKENS["actor"]), held(relay, "untouched")
    page = f"/dashboard/submissions/{row['receipt']}"

    for done in ("replayed", "discarded", "discarded.", "discarded.00000000000000000000000000000000"):
        assert 'class="notice"' not in person.get(f"{page}?done={done}").text
    led = person.post(f"{page}/discard", seen(row)).headers["Location"]
    assert "It is discarded" in person.get(led).text

    # What it said to one is said to nobody else, and of nothing else.
    assert 'class="notice"' not in Person(relay, TOKENS["revealer"]).get(led).text
    other = f"/dashboard/submissions/{held(relay, 'other')['receipt']}"
    assert 'class="notice"' not in person.get(led.replace(page, other)).text


def test_to_discard_one_is_asked_about_first(relay: RelayProcess) -> None:
    person, row = Person(relay, TOKENS["actor"]), held(relay, "asked.about")

    page = person.get(f"/dashboard/submissions/{row['receipt']}").text

    ask = re.findall(r"<details[^>]*><summary[^>]*>Discard it …</summary>(.*?)</details>", page, re.DOTALL)
    assert len(ask) == 1 and "cannot be had back" in ask[0] and "Yes, discard it" in ask[0]


@pytest.mark.parametrize(
    "contact", ["Looked.For@Example.com", "+49 151 1234 5670", "49 151 1234 5670", "nobody"]
)
def test_who_is_looked_for_stands_on_a_page_to_come_back_to(relay: RelayProcess, contact: str) -> None:
    row = held(relay, "looked.for")
    person = Person(relay, TOKENS["viewer"])

    answer = person.post("/dashboard/find", {"contact": contact})

    address = answer.headers["Location"]
    assert answer.status_code == 303
    plain = unquote(address).lower()
    assert "looked" not in plain and "1234" not in plain and "nobody" not in plain
    for _ in range(2):
        page = person.get(address)
        assert page.status_code == 200
        assert (row["receipt"] in page.text) is ("@" in contact)
    other = Person(relay, TOKENS["viewer"]).get(address)
    assert other.status_code == 404 and row["receipt"] not in other.text


def test_what_was_counted_stands_on_a_page_to_come_back_to(relay: RelayProcess) -> None:
    held(relay, "counted")
    person = Person(relay, TOKENS["actor"])

    answer = person.post("/dashboard/jobs", {"action": "replay", "state": "held"})

    assert answer.status_code == 303
    page = person.get(answer.headers["Location"])
    assert page.status_code == 200 and "Yes, replay" in page.text
    looks = Person(relay, TOKENS["viewer"]).get(answer.headers["Location"])
    assert looks.status_code == 200 and "Yes, replay" not in looks.text
