"""Why something was refused, said to whom it concerns: the operator, and never the sender."""

import hashlib
import hmac
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.kit.client import post_form, post_json, request
from tests.kit.people import email
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

SIGNED = {"scheme": "hmac-sha256", "header": "X-Signature", "signed": "{timestamp}.{body}"}
SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER | {"origins": ["https://www.example.com"]},
    "boxed": NEWSLETTER | {"consent": "news"},
    "flooded": NEWSLETTER | {"origins": ["https://www.example.com"]},
    "hook": HOOK | {"wait": 0},
    "signed": HOOK | {"verify": SIGNED | {"timestamp_header": "X-Time"}},
}


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES)) as process:
        yield process


def causes(relay: RelayProcess, source: str) -> dict[str, int]:
    return {one["cause"]: one["count"] for one in relay.api("GET", "/api/sources").json[source]["refusals"]}


def eventual(relay: RelayProcess, source: str, cause: str) -> int:
    found = eventually(lambda: causes(relay, source).get(cause), 10, f"{cause}, not {causes(relay, source)}")
    assert found is not None
    return found


def test_each_way_of_not_proving_has_its_cause_and_one_answer(relay: RelayProcess) -> None:
    body = b'{"email": "%s"}' % email("canary").encode()
    old = str(int(time.time()) - 4000)
    right = hmac.new(relay.hook_secret.encode(), f"{old}.".encode() + body, hashlib.sha256).hexdigest()
    now = str(int(time.time()))
    ways = {
        "no header X-Signature": {"X-Time": now},
        "no header X-Time": {"X-Signature": right},
        "wrong signature in X-Signature": {"X-Signature": "0" * 64, "X-Time": now},
        "its time is too far from ours": {"X-Signature": right, "X-Time": old},
    }

    answers = {post_json(relay.port, "signed", body, headers).text for headers in ways.values()}

    assert len(answers) == 1, "the sender learns nothing"
    for cause in ways:
        assert eventual(relay, "signed", cause) == 1
    eventually(lambda: reasons_logged(relay) >= set(ways), 5, "the log")


def reasons_logged(relay: RelayProcess) -> set[Any]:
    return {line.data.get("reason") for line in relay.log_lines() if line.data}


def test_a_wrong_token_is_told_from_none(relay: RelayProcess) -> None:
    post_json(relay.port, "hook", b"{}", {"Authorization": "Bearer wrong"})
    post_json(relay.port, "hook", b"{}")
    assert eventual(relay, "hook", "wrong token in header Authorization or ?token=") == 1
    assert eventual(relay, "hook", "no token in header Authorization or ?token=") == 1


def test_a_page_of_another_site_is_named_if_it_looks_like_one(relay: RelayProcess) -> None:
    for origin in ("https://evil.example", "https://evil.example", "<script>alert(1)</script>"):
        answer = post_form(relay.port, "newsletter", {"email": email("a")}, {"Origin": origin})
        assert answer.status == 403
    assert eventual(relay, "newsletter", "unknown origin https://evil.example") == 2
    assert eventual(relay, "newsletter", "unknown origin (unusual)") == 1


def test_a_script_that_only_came_to_ask_is_named_too(relay: RelayProcess) -> None:
    """Browsers ask before they post JSON, and where they may not, what was typed never comes."""
    for origin in ("https://shop.example", "null"):
        asks = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        assert request(relay.port, "OPTIONS", "/submit/newsletter", None, asks).status == 403
        assert eventual(relay, "newsletter", f"unknown origin {origin}") == 1


def test_a_form_that_forgot_to_post_is_told_of(relay: RelayProcess) -> None:
    """Browsers put what was typed into the address then, and nobody is signed up."""
    page = {"Accept": "text/html"}
    for path in ("?email=lost%40example.com&first_name=Ada", "?phone=", "?utm_source=letter", ""):
        answer = request(relay.port, "GET", f"/submit/newsletter{path}", headers=page)
        assert (answer.status, answer.header("Location")) == (303, "/forms/newsletter")
    assert eventual(relay, "newsletter", 'the form has no method="post"') == 2
    assert "lost" not in relay.output()


def test_what_visitors_got_wrong_is_told_by_the_names_of_the_fields(relay: RelayProcess) -> None:
    unticked, ticked = {"email": email("a")}, {"news": "on"}
    for typed in ({**ticked, "email": "broken@"}, {**ticked, "email": "broken@@"}, unticked):
        assert post_form(relay.port, "boxed", typed).status == 422
    assert eventual(relay, "boxed", "missing or not usable: email") == 2
    assert eventual(relay, "boxed", "missing or not usable: news") == 1
    assert "broken@" not in relay.output()


def test_causes_outlive_a_restart_and_are_bounded(relay: RelayProcess) -> None:
    for number in range(80):
        origin = {"Origin": f"https://site-{number}.example"}
        post_form(relay.port, "newsletter", {"email": email("a")}, origin)
    relay.restart()
    assert eventual(relay, "newsletter", "unknown origin https://evil.example") == 2
    assert len(causes(relay, "newsletter")) <= 20


def test_who_asks_from_ever_new_origins_does_not_fill_the_store(relay: RelayProcess) -> None:
    """Nothing limits how often a browser may ask."""
    for number in range(180):
        origin = {"Origin": f"https://made-up-{number}.example"}
        assert request(relay.port, "OPTIONS", "/submit/flooded", headers=origin).status == 403
        if number % 60 == 59:  # what was counted is taken to the store
            time.sleep(1.5)
    query = "SELECT count(*), sum(count) FROM refusals WHERE source = 'flooded'"
    with closing(sqlite3.connect(relay.database_path)) as conn:
        assert conn.execute(query).fetchone() == (51, 180)
