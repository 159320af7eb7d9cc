"""What the dashboard says after an act: only what was done, and on pages that can be gone back to."""

import re
from collections.abc import Iterator

import pytest

from tests.kit.people import Moods
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.web.test_dashboard import TOKENS, Person, held, seen, settings


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
