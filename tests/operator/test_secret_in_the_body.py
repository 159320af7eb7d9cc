"""A secret that a sender shows in the body stays unseen by those who may see people."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.client import post_form, post_json
from tests.kit.relay import HOOK, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

SHOWN = "(the sender's secret)"
SOURCES: dict[str, Any] = {
    "ads": {"kind": "webhook", "preset": "google-ads", "secret": "env:HOOK_SECRET"},
    "nested": HOOK | {"verify": {"scheme": "token", "body": "meta.secret"}},
}


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES)) as process:
        yield process


def kept(relay: RelayProcess, body: dict[str, Any], source: str) -> str:
    """The receipt of a body that could not be mapped."""
    receipt = post_json(relay.port, source, body).receipt
    assert receipt is not None and relay.state(receipt) == "invalid"
    return receipt


def revealed(relay: RelayProcess, receipt: str) -> Any:
    answer = relay.api("POST", f"/api/submissions/{receipt}/reveal")
    assert answer.status == 200
    return answer.json["body"]


def test_revealing_shows_the_person_and_not_the_secret(relay: RelayProcess) -> None:
    column = {"column_id": "EMAIL", "string_value": "ada(at)example.com"}
    lead = {"lead_id": "1", "google_key": relay.hook_secret, "user_column_data": [column]}

    assert revealed(relay, kept(relay, lead, "ads")) == lead | {"google_key": SHOWN}


def test_it_is_unseen_under_each_name_that_a_form_gives_it(relay: RelayProcess) -> None:
    form = {"email": "ada(at)example.com", "meta[secret]": relay.hook_secret}
    receipt = post_form(relay.port, "nested", form).receipt
    assert receipt is not None

    found = revealed(relay, receipt)

    assert found == {"email": form["email"], "meta[secret]": SHOWN, "meta": {"secret": SHOWN}}


def test_a_file_with_people_holds_no_secret(relay: RelayProcess) -> None:
    body = {"email": "bob(at)example.com", "meta": {"secret": relay.hook_secret}, "list": [relay.hook_secret]}
    receipt = kept(relay, body, "nested")

    files = [relay.api("GET", f"/api/export?people=true&format={kind}").text for kind in ("jsonl", "sheet")]

    assert not [file for file in files if relay.hook_secret in file]
    rows = {row["receipt"]: row["body"] for row in map(json.loads, files[0].splitlines())}
    assert rows[receipt] == body | {"meta": {"secret": SHOWN}, "list": [SHOWN]}


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param({"renamed": SOURCES["ads"]}, id="renamed"),
        pytest.param({"ads": HOOK}, id="proven otherwise"),
        pytest.param({"ads": SOURCES["ads"] | {"max_fields": 2}}, id="too long by now"),
    ],
)
def test_it_is_unseen_also_after_its_source_has_changed(sources: dict[str, Any]) -> None:
    lead = {
        "lead_id": "1",
        "user_column_data": [{"column_id": "EMAIL", "string_value": "ada(at)example.com"}],
    }
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES)) as relay:
        receipt = kept(relay, lead | {"google_key": relay.hook_secret}, "ads")
        relay.configure(config(upstream.url, sources))
        relay.restart()

        found = str(revealed(relay, receipt))

    assert "ada(at)example.com" in found and SHOWN in found and relay.hook_secret not in found
