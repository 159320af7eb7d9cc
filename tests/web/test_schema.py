"""Schemathesis asks a running relay whatever its own description allows, and what it forbids."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.people import SETTINGS, SOURCES, in_state
from tests.kit.relay import HOOK, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

EXAMPLES = os.environ.get("TEST_SCHEMA", "2")
"""Of each address."""
TOKEN = "one-token-for-every-door-there-is"
GREETED = {
    "greeted": HOOK | {"handshake": {"kind": "ok"}},
    "challenged": HOOK | {"handshake": {"kind": "hmac", "query": "crc_token"}},
}
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method"
)


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    doors = dict.fromkeys(("RELAY_ADMIN_TOKEN", "RELAY_METRICS_TOKEN", "HOOK_SECRET"), TOKEN)
    settings = config("http://127.0.0.1:9", SOURCES | GREETED, **SETTINGS)
    with ScriptedUpstream() as upstream:
        settings["destinations"]["ocamba"]["url"] = upstream.url
        with RelayProcess(settings, env=doors) as process:
            process.admin_token = process.hook_secret = TOKEN
            yield process


def described(relay: RelayProcess) -> dict[str, Any]:
    """The description, with names of things that are there: few would be met by chance."""
    found: dict[str, Any] = relay.get("/openapi.json").json
    receipts = [in_state(relay, state)[0] for state in ("held", "invalid", "delivered")]
    job = relay.api("POST", "/api/jobs", {"action": "discard", "filter": {"state": "dead"}}).json["job"]
    known = {"receipts": receipts, "submissions": receipts, "jobs": [job]}
    known |= {"sources": ["hook", "newsletter"], "destinations": ["ocamba"]}
    for path, operations in found["paths"].items():
        for parameter in operations.get("parameters", []):
            kind = next(word for word in path.split("/") if word in known)
            parameter["schema"] = {"enum": [*known[kind], "0" * 32]}
    return found


@pytest.mark.slow
def test_every_address_answers_as_it_is_described(relay: RelayProcess, tmp_path: Path) -> None:
    (tmp_path / "openapi.json").write_text(json.dumps(described(relay)), encoding="utf-8")
    words = ["-m", "schemathesis.cli", "run", "openapi.json", "--url", relay.url, "--no-color"]
    words += ["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--max-examples", EXAMPLES]
    words += ["--seed", os.environ.get("TEST_SEED", "1"), "--no-shrink", "--continue-on-failure"]
    words += ["--header", f"Authorization: Bearer {TOKEN}"]
    asked = subprocess.run(
        [sys.executable, *words], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert asked.returncode == 0, asked.stdout[-8000:] + asked.stderr[-2000:]
