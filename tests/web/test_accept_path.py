"""The path on which submissions are taken answers like all the others."""

import sqlite3
import time

import pytest

from tests.kit.client import encoded, request
from tests.kit.relay import NEWSLETTER, RelayProcess, config

FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://www.example.com"}
SHARED = ("X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options", "Cache-Control")


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


def test_an_answer_made_straight_has_the_headers_of_every_other(relay):
    straight = _post(relay, "/submit/newsletter", "application/json", "straight@example.com")
    through_flask = _post(
        relay, "/submit/newsletter", "text/html;q=0.1, application/json", "flask@example.com"
    )
    assert (straight.status, through_flask.status) == (202, 202)
    own = ("Date", "X-Request-ID")
    assert sorted(pair for pair in straight.headers if pair[0] not in own) == sorted(
        pair for pair in through_flask.headers if pair[0] not in own
    )
    for name in SHARED:
        assert straight.header(name)


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
