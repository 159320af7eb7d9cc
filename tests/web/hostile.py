"""Sources and people for tests of attacks from the web, and the headers that every answer has."""

import re
import uuid
from typing import Any

from tests.kit.client import Answer
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess
from tests.kit.upstream import Arrival, Reaction, created, problem_json, status

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM_TYPE = "application/x-www-form-urlencoded"
CAP = 256 * 1024
SITE, EVIL = "https://www.example.com", "https://evil.example"
FORM = NEWSLETTER | {"origins": [SITE], "recipient_limits": "none"}
SOURCES: dict[str, Any] = {
    "form": FORM,
    "anyones": FORM | {"origins": ["*"]},
    "thanked": FORM | {"thanks": f"{SITE}/thanks", "origins": ["*"]},
    "patient": FORM | {"wait": 8, "reply": ["id"]},
    "limited": FORM | {"client_limits": "2/hour"},
    "hook": HOOK | {"wait": 0},
    "off": FORM | {"enabled": False},
    "hook-off": HOOK | {"enabled": False, "wait": 0},
    "hook-limited": HOOK | {"wait": 0, "client_limits": "1/hour"},
    "off-limited": FORM | {"enabled": False, "client_limits": "1/hour"},
    "hook-off-limited": HOOK | {"enabled": False, "wait": 0, "client_limits": "1/hour"},
    "one": FORM | {"client_limits": "1/hour"},
    "echo": HOOK | {"handshake": {"kind": "echo", "query": "c", "token_query": "t"}},
}
WIDE = {"limits": "500/second; 100000/minute"}


def mood(arrival: Arrival) -> Reaction:
    """Upstream refuses those who once unsubscribed."""
    if str((arrival.json or {}).get("email", "")).startswith("unsubscribed"):
        return status(400, json=problem_json(400))
    return created()


def newest(relay: RelayProcess) -> str | None:
    rows = relay.api("GET", "/api/submissions?limit=1").json["submissions"]
    return rows[0]["receipt"] if rows else None


def person(tag: str = "ada") -> str:
    return f"{tag}-{uuid.uuid4().hex[:12]}@example.com"


def check_headers(answer: Answer) -> None:
    names = [name.lower() for name, _ in answer.headers]
    assert len(names) == len(set(names)), "a header is there twice"
    assert re.fullmatch(r"[0-9a-f-]{16,36}", answer.header("X-Request-ID") or "")
    cache = {part.strip() for part in (answer.header("Cache-Control") or "").split(",")}
    assert {"no-store", "no-transform"} <= cache
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Referrer-Policy") == "same-origin"
    policy = answer.header("Content-Security-Policy") or ""
    assert re.search(f"frame-ancestors ('none'|{SITE})$", policy), "nobody, or the form's own site"
    assert "unsafe" not in policy and "*" not in policy
    assert "default-src" in policy and "base-uri" in policy
    assert answer.header("Set-Cookie") is None
    assert not re.search(r"\d", answer.header("Server") or "")
    assert "<script>" not in answer.text and "style=" not in answer.text and "<style" not in answer.text
    assert not re.search(r"\son[a-z]+=", answer.text)
