"""Who may what: every address of the API with every role, and with none."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from relay.config import settings as configuration
from relay.process.relay import Relay
from relay.web import create_app
from tests.kit.client import request
from tests.kit.people import SETTINGS, SOURCES, UNKNOWN, email, in_state
from tests.kit.relay import RelayProcess, config, toml
from tests.kit.upstream import ScriptedUpstream

ROLES = ("view", "act", "reveal")
ADDRESSES: dict[tuple[str, str], tuple[str, Any]] = {
    ("GET", "/api/submissions"): ("view", None),
    ("POST", "/api/find"): ("view", {"contact": "nobody@example.com"}),
    ("GET", "/api/submissions/<receipt>"): ("view", None),
    ("PATCH", "/api/submissions/<receipt>"): ("act", {"values": {"email": "right@example.com"}}),
    ("POST", "/api/submissions/<receipt>/replay"): ("act", None),
    ("POST", "/api/submissions/<receipt>/discard"): ("act", None),
    ("POST", "/api/submissions/<receipt>/reveal"): ("reveal", None),
    ("POST", "/api/replay"): ("act", {"state": "dead"}),
    ("POST", "/api/jobs"): ("act", {"action": "discard", "filter": {"state": "dead"}}),
    ("GET", "/api/jobs"): ("view", None),
    ("GET", "/api/jobs/<name>"): ("view", None),
    ("GET", "/api/jobs/<name>/file"): ("view", None),
    ("POST", "/api/jobs/<name>/cancel"): ("act", None),
    ("GET", "/api/export"): ("view", None),
    ("GET", "/api/audit"): ("view", None),
    ("GET", "/api/sources"): ("view", None),
    ("POST", "/api/sources/<name>/test"): ("act", None),
    ("GET", "/api/status"): ("view", None),
    ("POST", "/api/destinations/<name>/<any(pause,resume):verb>"): ("act", None),
}


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    tokens = {f"TOKEN_{role.upper()}": secrets.token_hex(20) for role in ROLES}
    operators = {f"o-{role}": {"token": f"env:TOKEN_{role.upper()}", "role": role} for role in ROLES}
    table = config(upstream.url, SOURCES, **SETTINGS) | {"operators": operators}
    with RelayProcess(table, env=tokens) as process:
        yield process


def asked(relay: RelayProcess, role: str | None, method: str, path: str, body: Any = None) -> Any:
    headers = {"Content-Type": "application/json"}
    if role is not None:
        headers["Authorization"] = f"Bearer {relay.env[f'TOKEN_{role.upper()}']}"
    return request(relay.port, method, path, json.dumps(body).encode() if body is not None else None, headers)


def address(path: str) -> str:
    """An address at which there is nothing to act on: who may gets to know that."""
    path = path.replace("<receipt>", UNKNOWN).replace("<any(pause,resume):verb>", "pause")
    return path.replace("<name>", "0" * 16)


def test_the_table_names_every_address(tmp_path: Any) -> None:
    file = tmp_path / "relay.toml"
    file.write_text(toml(config("http://127.0.0.1:9/")))
    settings = configuration.load({"RELAY_CONFIG": str(file)}, offline=True)
    app = create_app(Relay(settings, lambda: settings))
    found = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert found == set(ADDRESSES)


@pytest.mark.parametrize(("method", "path"), ADDRESSES, ids=" ".join)
@pytest.mark.parametrize("role", [None, *ROLES])
def test_a_role_may_what_it_includes(relay: RelayProcess, role: str | None, method: str, path: str) -> None:
    needed, body = ADDRESSES[method, path]
    answer = asked(relay, role, method, address(path), body)
    if role is None:
        assert answer.status == 401
    elif ROLES.index(role) < ROLES.index(needed):
        assert answer.status == 403 and needed in answer.json["detail"]
    else:
        assert answer.status in (200, 202, 404), answer.text


def test_with_a_role_too_small_nothing_is_done(relay: RelayProcess) -> None:
    receipt, _ = in_state(relay, "held")
    before, log = relay.submission(receipt), relay.api("GET", "/api/audit").json
    for method, path, body in [
        ("POST", f"/api/submissions/{receipt}/discard", None),
        ("POST", f"/api/submissions/{receipt}/replay", None),
        ("POST", "/api/jobs", {"action": "discard", "filter": {"state": "held"}}),
        ("POST", "/api/destinations/ocamba/pause", None),
    ]:
        assert asked(relay, "view", method, path, body).status == 403
    assert asked(relay, "act", "GET", "/api/export?people=true").status == 403
    refused = asked(relay, "view", "POST", f"/api/submissions/{receipt}/discard").json
    assert refused["title"] == "Not allowed"
    assert relay.submission(receipt) == before
    assert relay.status()["ocamba"]["hold_reason"] is None
    assert relay.api("GET", "/api/audit").json == log


def test_the_audit_log_names_who_did_it(relay: RelayProcess) -> None:
    receipt, _ = in_state(relay, "held")
    assert asked(relay, "act", "POST", f"/api/submissions/{receipt}/discard").status == 200
    (act,) = asked(relay, "view", "GET", f"/api/audit?receipt={receipt}").json["audit"]
    assert act["by"] == "o-act"


# --- sources and files --------------------------------------------------------------------------------


def test_sources_tell_what_came_and_what_needs_somebody(relay: RelayProcess) -> None:
    in_state(relay, "held")
    in_state(relay, "invalid")

    found = relay.api("GET", "/api/sources").json

    assert set(found) == set(SOURCES)
    assert found["newsletter"]["counts"]["24h"] >= 1 and found["newsletter"]["last"].endswith("Z")
    assert found["newsletter"]["needs_you"]["held"]["honeypot"] >= 1
    assert sum(found["hook"]["needs_you"]["invalid"].values()) >= 1
    assert found["other"]["last"] is None


@pytest.mark.parametrize("source", ["newsletter", "hook", "asking"])
def test_a_test_is_mapped_and_stored_and_not_sent(
    relay: RelayProcess, upstream: ScriptedUpstream, source: str
) -> None:
    sent = len(upstream.arrivals)
    answer = relay.api("POST", f"/api/sources/{source}/test")
    assert (answer.status, answer.json["state"], answer.json["reason"]) == (200, "discarded", "test")
    assert answer.json["profile"]["email"] == "test@example.com"
    row = relay.submission(answer.json["receipt"])
    assert (row["state"], row["reason"], row["contact_hint"]) == ("discarded", "test", None)
    assert len(upstream.arrivals) == sent


def test_a_test_is_sent_to_the_operators_own_address_only(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    own = email("own")
    assert relay.api("POST", "/api/sources/hook/test", {"send": True}).status == 422
    assert relay.api("POST", "/api/sources/hook/test", {"send": True, "email": "nonsense"}).status == 422
    answer = relay.api("POST", "/api/sources/hook/test", {"send": True, "email": own})
    assert (answer.status, answer.json["state"]) == (200, "queued")
    relay.wait_state(answer.json["receipt"], "delivered")
    assert upstream.creates[-1].json == {"email": own, "full_name": "Test"}
    assert relay.api("POST", "/api/sources/nowhere/test").status == 404


@pytest.mark.parametrize(
    ("format_", "kind"),
    [
        ("jsonl", "application/x-ndjson"),
        ("csv", "text/csv; charset=utf-8"),
        ("sheet", "text/csv; charset=utf-8"),
    ],
)
def test_what_a_filter_shows_is_streamed_as_a_file(relay: RelayProcess, format_: str, kind: str) -> None:
    receipt, address = in_state(relay, "held")
    path = f"/api/export?state=held&format={format_}"
    bare, full = relay.api("GET", path), relay.api("GET", f"{path}&people=true")
    assert bare.status == full.status == 200 and bare.header("Content-Type") == kind
    assert receipt in bare.text and address not in bare.text and address in full.text
    assert relay.api("GET", "/api/export?format=xls").status == 400
    assert relay.api("GET", "/api/export?people=perhaps").status == 400
