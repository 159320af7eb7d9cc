"""What the description of the API says is what the API answers."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

import relay as package
from relay.web import api, operations, pages, script, submit
from tests.kit.people import SETTINGS, SOURCES, email, in_state
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as process:
        yield process


def schema_of(described: Any, method: str, path: str, status: int) -> Any:
    answer = described["paths"][path][method]["responses"][str(status)]
    found = answer["content"]["application/json"]["schema"]
    while "$ref" in found:
        found = described["components"]["schemas"][found["$ref"].rpartition("/")[2]]
    return found


def test_every_address_is_described(relay: RelayProcess) -> None:
    app = Flask(__name__)
    for face in (submit, pages, script, operations, api):
        app.register_blueprint(face.blueprint)
    described = relay.get("/openapi.json").json
    known = {re.sub(r"\{\w+\}|newsletter|hook|ocamba", "*", path) for path in described["paths"]}
    for rule in app.url_map.iter_rules():
        for verb in ("pause", "resume") if "verb" in rule.arguments else ("",):
            path = re.sub(r"<any[^>]*>", verb, rule.rule)
            path = re.sub(r"<\w+>", "*", path)
            assert path in known or path in ("/static/*", "/forms/*/logo", "/static/<path:filename>"), path
    assert described["info"]["version"] == package.__version__


def test_the_address_of_a_jobs_file_says_where_files_are(relay: RelayProcess) -> None:
    operation = relay.get("/openapi.json").json["paths"]["/api/jobs/{name}/file"]["get"]
    job = relay.api("POST", "/api/jobs", {"action": "discard", "filter": {"state": "dead"}}).json["job"]

    answer = relay.api("GET", f"/api/jobs/{job}/file")

    assert answer.status == 404 and "/api/export" in answer.json["detail"]
    assert operation["deprecated"] and "/api/export" in operation["responses"]["404"]["description"]
    assert "200" not in operation["responses"]


def test_every_address_answers_with_the_fields_that_are_described(relay: RelayProcess) -> None:
    described = relay.get("/openapi.json").json
    receipt, _ = in_state(relay, "invalid")
    job = relay.api("POST", "/api/jobs", {"action": "discard", "filter": {"state": "dead"}})
    asked: list[tuple[str, str, str, Any]] = [
        ("get", "/api/submissions", "/api/submissions", None),
        ("post", "/api/find", "/api/find", {"contact": "nobody@example.com"}),
        ("get", "/api/submissions/{receipt}", f"/api/submissions/{receipt}", None),
        ("post", "/api/submissions/{receipt}/reveal", f"/api/submissions/{receipt}/reveal", None),
        ("post", "/api/replay", "/api/replay", {"state": "dead"}),
        ("get", "/api/jobs", "/api/jobs", None),
        ("get", "/api/jobs/{name}", f"/api/jobs/{job.json['job']}", None),
        ("get", "/api/audit", "/api/audit", None),
        ("post", "/api/sources/{name}/test", "/api/sources/hook/test", None),
        ("post", "/api/destinations/{name}/resume", "/api/destinations/ocamba/resume", None),
        (
            "patch",
            "/api/submissions/{receipt}",
            f"/api/submissions/{receipt}",
            {"values": {"email": email("x")}},
        ),
    ]
    assert set(job.json) == set(schema_of(described, "post", "/api/jobs", 202)["properties"])
    for method, path, address, body in asked:
        answer = relay.api(method.upper(), address, body)
        assert answer.status == 200, (path, answer.text)
        assert set(answer.json) <= set(schema_of(described, method, path, 200)["properties"]), path
    for path, name in (("/api/status", "DestinationStatus"), ("/api/sources", "SourceStatus")):
        known = set(described["components"]["schemas"][name]["properties"])
        for one in relay.api("GET", path).json.values():
            assert set(one) == known
