"""What is posted at the relay, and how its answers are read, for tests of bodies."""

import json
import uuid
from typing import Any

from tests.kit.client import Answer, encoded, multipart, request
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess
from tests.kit.upstream import ScriptedUpstream

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=kit-boundary"
CAP = 256 * 1024
WIDE = {"limits": "500/second; 100000/minute"}
NO_LIMITS = {"client_limits": "none", "source_limits": "none", "recipient_limits": "none"}
# Both sources wait for upstream's verdict, so that an answer names the profile that was made.
FORM_SOURCE = NEWSLETTER | NO_LIMITS | {"wait": 10, "reply": ["id"]}
HOOK_SOURCE = HOOK | {"region": "DE", "wait": 10}
LONG_SOURCE = FORM_SOURCE | {"max_field": "128KiB"}
SOURCES = {"newsletter": FORM_SOURCE, "hook": HOOK_SOURCE, "long": LONG_SOURCE}


def newest(relay: RelayProcess) -> str | None:
    rows = relay.api("GET", "/api/submissions?limit=1").json["submissions"]
    return rows[0]["receipt"] if rows else None


def person(tag: str = "") -> str:
    """An address nobody used before."""
    return f"ada-{tag}{uuid.uuid4().hex[:12]}@example.com"


def post(
    relay: RelayProcess,
    body: bytes,
    content_type: str | None = FORM,
    source: str = "newsletter",
    query: str = "",
    **headers: str,
) -> Answer:
    sent = {"Accept": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    if content_type is not None:
        sent["Content-Type"] = content_type
    if source == "hook":
        sent.setdefault("Authorization", f"Bearer {relay.hook_secret}")
    return request(relay.port, "POST", f"/submit/{source}{query}", body, sent)


def forwarded(answer: Answer, upstream: ScriptedUpstream) -> dict[str, Any]:
    """The profile that upstream was asked to create for this answer."""
    assert answer.status == 201, (answer.status, answer.text)
    made = answer.json["profile"]["id"]
    (call,) = [arrival for arrival in upstream.arrivals if arrival.profile_id == made]
    return dict(call.json)


def refused(answer: Answer, *statuses: int) -> dict[str, Any]:
    """The problem document of a refusal, which must be well-formed and short."""
    assert answer.status in statuses, (answer.status, answer.text[:500])
    assert answer.header("Content-Type") == "application/problem+json"
    assert answer.json["status"] == answer.status
    assert len(answer.body) < 4096
    return dict(answer.json)


def body_of(kind: str, fields: dict[str, Any]) -> tuple[bytes, str]:
    """The same fields as a body of this kind, and its content type."""
    if kind == "json":
        return json.dumps(fields).encode(), JSON
    if kind == "multipart":
        return multipart(fields)[0], MULTIPART
    return encoded(fields), FORM


KINDS = ["urlencoded", "multipart", "json"]


def largest(email: str) -> bytes:
    """JSON of exactly as many bytes as may be, in as many keys."""
    fields = {"email": email} | {f"f{n}": "x" * 1300 for n in range(198)}
    room = CAP - len(json.dumps(fields | {"rest": ""}))
    body = json.dumps(fields | {"rest": "x" * room}).encode()
    assert len(body) == CAP
    return body
