"""How somebody is found in the dashboard, by whatever is at hand, and what a list that was filtered says."""

import re
from collections.abc import Callable, Iterator

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


def test_a_person_is_found_without_being_in_an_address(relay: RelayProcess) -> None:
    row = held(relay, "findable")
    person = Person(relay, TOKENS["viewer"])

    answer = person.led("/dashboard/find", {"contact": "Findable@Example.com"})

    assert answer.status_code == 200 and row["receipt"] in answer.text
    assert "findable@example.com" not in answer.text.lower()
    assert "findable@example.com" not in relay.output()


@pytest.mark.parametrize("as_typed", [str.upper, lambda text: f"{text[:10]}…", lambda text: f" {text[:10]} "])
def test_one_is_found_by_as_much_of_its_receipt_as_lists_show(
    relay: RelayProcess, as_typed: Callable[[str], str]
) -> None:
    receipt, person = held(relay, "by.its.receipt")["receipt"], Person(relay, TOKENS["viewer"])

    answer = person.post("/dashboard/find", {"contact": as_typed(receipt)})

    assert answer.headers["Location"] == f"/dashboard/submissions/{receipt}"


def test_the_list_that_an_alert_leads_to_says_what_to_do_about_it(relay: RelayProcess) -> None:
    held(relay, "alerted.of")
    person, honeypot = Person(relay, TOKENS["viewer"]), "A field that people do not see was filled in"
    page = person.get("/dashboard/submissions?state=held").text
    assert "If it is a real person, send it. If it is not, discard it." in page and honeypot not in page
    assert honeypot in person.get("/dashboard/submissions?state=held&reason=honeypot").text
    assert "sent by itself" not in person.get("/dashboard/submissions?state=queued").text


def test_who_is_not_found_may_be_among_those_that_could_not_be_mapped(relay: RelayProcess) -> None:
    relay.hook({"contact": {"mail": "where.nobody.looks@example.com"}})
    page = Person(relay, TOKENS["viewer"]).led(
        "/dashboard/find", {"contact": "where.nobody.looks@example.com"}
    )
    assert "0 submissions found" in page.text and "/dashboard/submissions?state=invalid" in page.text


@pytest.mark.parametrize("path", ["submissions/" + "0" * 32, "jobs/nothing", "sources/nothing"])
def test_an_old_link_leads_to_a_page_from_which_one_can_go_on(relay: RelayProcess, path: str) -> None:
    answer = Person(relay, TOKENS["viewer"]).get(f"/dashboard/{path}")
    assert answer.status_code == 404 and "<h1>Nothing to show</h1>" in answer.text
    assert 'href="/dashboard/needs-you"' in answer.text


def test_who_holds_a_repeats_receipt_is_found_where_the_row_is(relay: RelayProcess) -> None:
    row = held(relay, "bob.twice")
    again = held(relay, "bob.twice")
    assert again["receipt"] == row["receipt"]
    given = relay.form({"email": "bob.twice@example.com", "leave_empty": "x"}).json["receipt"]
    person = Person(relay, TOKENS["revealer"])

    found = person.post("/dashboard/find", {"contact": given})
    led = person.get(found.headers["Location"])

    assert (led.status_code, led.headers["Location"]) == (303, f"/dashboard/submissions/{row['receipt']}")
    assert "bob.twice@" in person.post(f"/dashboard/submissions/{given}/reveal", seen(row)).text


def test_the_filter_keeps_a_source_that_is_configured_no_more(relay: RelayProcess) -> None:
    page = Person(relay, TOKENS["viewer"]).get("/dashboard/submissions?source=gone&state=held").text

    sources = re.search(r'<select id="source".*?</select>', page, re.DOTALL)

    assert sources and "<option selected>gone</option>" in sources[0]


@pytest.mark.parametrize("wrong", ["since=28.11.2026", "until=soon"])
def test_a_filter_that_cannot_be_used_is_there_to_be_mended(relay: RelayProcess, wrong: str) -> None:
    address = f"/dashboard/submissions?source=hook&state=held&reason=honeypot&{wrong}"
    answer = Person(relay, TOKENS["viewer"]).get(address)

    assert answer.status_code == 400 and 'role="alert"' in answer.text
    for typed in (">hook", ">held"):
        assert f"<option selected{typed}</option>" in answer.text
    for typed in ("honeypot", wrong.partition("=")[2]):
        assert f'value="{typed}"' in answer.text
    assert "No submission is like that" not in answer.text, "nobody has looked"


def test_what_nobody_can_be_found_by_is_there_to_be_mended(relay: RelayProcess) -> None:
    answer = Person(relay, TOKENS["viewer"]).post("/dashboard/find", {"contact": "a<da example.com"})

    assert answer.status_code == 400 and "must be an e-mail address" in answer.text
    assert 'value="a&lt;da example.com"' in answer.text and "another session" not in answer.text
