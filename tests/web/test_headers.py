"""The headers of every answer."""

import pytest

from tests.kit.client import Raw, request
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess
from tests.web.hostile import CAP, EVIL, FORM_TYPE, HTML, SITE, check_headers, person
from tests.web.hostile import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- the headers of every answer ----------------------------------------------------------------------

EVERYWHERE: dict[str, tuple[str, str, dict[str, str], bytes | None, int]] = {
    "front page": ("GET", "/", {}, None, 200),
    "hosted form": ("GET", "/forms/form", {}, None, 200),
    "hosted form of nobody": ("GET", "/forms/nobody", {}, None, 404),
    "hosted form of a hook": ("GET", "/forms/hook", {}, None, 404),
    "unknown receipt": ("GET", "/receipts/" + "0" * 32, {}, None, 404),
    "nowhere": ("GET", "/nowhere", {}, None, 404),
    "wrong method": ("PUT", "/submit/form", {}, None, 405),
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


@pytest.mark.parametrize("accept", [{}, HTML], ids=["JSON", "HTML"])
@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_answer_has_its_headers(relay: RelayProcess, name: str, accept: dict[str, str]) -> None:
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
def test_good_answers_and_limits_have_their_headers_too(relay: RelayProcess, accept: dict[str, str]) -> None:
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
def test_what_is_no_request_is_answered_in_our_own_words(
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


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"OPTIONS"])
@pytest.mark.parametrize("path", [b"/readyz", b"/healthz", b"/"])
def test_only_http_1_1_must_name_a_host(relay: RelayProcess, method: bytes, path: bytes) -> None:
    """The checks of HAProxy, and of others, are HTTP/1.0 and name none: the relay would be taken for down."""
    for version, good in ((b"1.0", True), (b"1.1", False)):
        with Raw(relay.port) as raw:
            answer = raw.send(method + b" " + path + b" HTTP/" + version + b"\r\n\r\n").read(
                method=method.decode()
            )
        assert (answer.status != 400) == good, answer
        check_headers(answer)


def test_a_request_is_found_in_the_log_by_its_id(relay: RelayProcess) -> None:
    answer = relay.form({"email": person()}, "form")
    known = answer.header("X-Request-ID") or "?"
    lines = eventually(lambda: [line.raw for line in relay.log_lines() if known in line.raw], 5, "the log")
    assert answer.receipt and answer.receipt in lines[0]
