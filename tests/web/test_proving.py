"""Clients that show a password only when they are asked for it: each sends first without, and reads why."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.people import email
from tests.kit.relay import HOOK, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

USER, PASSWORD = "shop", "a-password-of-the-shop"
CRM = HOOK | {"secret": "env:CRM_SECRET", "wait": 0}
SOURCES: dict[str, Any] = {
    "hook": HOOK,
    "hook-query": HOOK,
    "basic": CRM | {"verify": {"scheme": "basic"}},
    "signed": CRM | {"verify": {"scheme": "hmac-sha256", "header": "X-Signature", "signed": "{body}"}},
    "inside": CRM | {"verify": {"scheme": "token", "body": "token"}},
}


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    env = {"CRM_SECRET": f"{USER}:{PASSWORD}"}
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES), env=env) as process:
        yield process


def test_a_client_that_waits_to_be_asked_for_its_password_gets_in(relay: RelayProcess) -> None:
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, relay.url, USER, PASSWORD)
    client = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(passwords))
    body = json.dumps({"email": email("asked")}).encode()
    asked = urllib.request.Request(
        f"{relay.url}/submit/basic", body, {"Content-Type": "application/json"}, method="POST"
    )

    with client.open(asked, timeout=20) as answer:
        assert answer.status == 202


@pytest.mark.parametrize(
    ("source", "challenge"), [("basic", "Basic"), ("hook", "Bearer"), ("signed", None), ("inside", None)]
)
def test_who_is_not_proven_is_asked_for_what_would_prove_it(
    relay: RelayProcess, source: str, challenge: str | None
) -> None:
    answer = relay.hook({"email": email("nobody")}, source, {"Authorization": "Bearer wrong"})

    assert answer.status == 401
    assert (answer.header("WWW-Authenticate") or "").partition(" ")[0] == (challenge or "")


def test_the_description_says_how_a_source_is_proven_and_what_names_a_submission(relay: RelayProcess) -> None:
    described = relay.get("/openapi.json").json
    known = described["components"]["securitySchemes"]
    said = {name: described["paths"][f"/submit/{name}"]["post"] for name in SOURCES}
    proofs = {name: [known[one] for way in post["security"] for one in way] for name, post in said.items()}

    assert proofs["basic"] == [{"type": "http", "scheme": "basic"}]
    assert proofs["hook"] == [
        {"type": "http", "scheme": "bearer"},
        {"type": "apiKey", "in": "query", "name": "token"},
    ]
    assert [(one["in"], one["name"]) for one in proofs["signed"]] == [("header", "X-Signature")]
    assert proofs["inside"] == []
    named = {name: [one["name"] for one in post["parameters"]] for name, post in said.items()}
    assert named["hook"] == ["Idempotency-Key"] and named["signed"] == []
    refusals = said["hook"]["responses"]
    assert {status: [*refusals[status].get("headers", {})] for status in ("401", "429", "503")} == {
        "401": [],
        "429": ["Retry-After"],
        "503": ["Retry-After"],
    }
