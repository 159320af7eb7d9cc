"""The address of a source, and who else may ask there."""

import sqlite3
import time

import pytest

from tests.kit.client import encoded, request
from tests.kit.relay import NEWSLETTER, RelayProcess, config

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://www.example.com"}


@pytest.fixture(scope="module")
def relay():
    with RelayProcess(config("http://127.0.0.1:9/", {"newsletter": NEWSLETTER})) as running:
        yield running


def _post(relay, path: str, accept: str, email: str):
    return request(relay.port, "POST", path, encoded({"email": email}), FORM | {"Accept": accept})


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/submit/newsletter", 202),
        ("/submit/newsletter/", 202),
        ("/submit/newsletter?from=ad", 202),
        ("/submit/news%6Cetter", 202),
        ("//submit/newsletter", 202),  # RELAY_PUBLIC_URL or a sender's setting ended with a slash
        ("/submit/newsletter//", 404),
        ("/submit/newsletter/more", 404),
        ("/submit//newsletter", 404),
        ("/submit/Newsletter", 404),
        ("/submit/", 404),
        ("/submit/%FF", 404),
    ],
)
def test_a_source_has_one_address_with_small_liberties(relay, path, status):
    assert _post(relay, path, "application/json", f"p{len(path)}.{time.time()}@example.com").status == status


@pytest.mark.parametrize(
    ("accept", "status", "place"),
    [
        ("text/html", 303, "/forms/newsletter"),
        ("text/*;q=0.5, image/*", 303, "/forms/newsletter"),
        ("text/plain, */*", 405, None),
        ("text/html;q=0.1, application/json", 405, None),
        ("application/json", 405, None),
        ("*/*", 405, None),
    ],
)
def test_a_person_who_opens_the_address_is_shown_the_form(relay, accept, status, place):
    answer = relay.get("/submit/newsletter", {"Accept": accept})
    assert (answer.status, answer.header("Location")) == (status, place)


def test_a_page_may_send_the_headers_that_its_browser_asks_for(relay):
    for wanted, allowed in (("x-trace, content-type", "x-trace, content-type"), ("a b", "Content-Type")):
        headers = {"Origin": FORM["Origin"], "Access-Control-Request-Headers": wanted}
        answer = request(relay.port, "OPTIONS", "/submit/newsletter", None, headers)
        assert answer.status == 204
        assert allowed in answer.header("Access-Control-Allow-Headers")


def test_a_page_elsewhere_can_read_that_nothing_was_stored(relay):
    other = sqlite3.connect(relay.database_path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        answer = _post(relay, "/submit/newsletter", "application/json", "locked@example.com")
    finally:
        other.close()
    assert answer.status == 503
    assert answer.header("Retry-After") == "30"
    assert answer.header("Access-Control-Allow-Origin") == FORM["Origin"]
    assert answer.receipt is None
