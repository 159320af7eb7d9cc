"""Pages of other sites, cookies and the Host header."""

import re

import pytest

from tests.kit.client import Answer, Raw, encoded, request
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess
from tests.web.hostile import EVIL, FORM_TYPE, HTML, SITE, person
from tests.web.hostile import SOURCES as SOURCES

pytestmark = pytest.mark.usefixtures("no_faults")

# --- other sites ----------------------------------------------------------------------------------


def test_the_log_says_why_a_post_was_refused_before_its_body_was_read(relay: RelayProcess) -> None:
    refused = [
        relay.form({"email": person()}, "form", {"Origin": EVIL}),
        request(relay.port, "POST", "/submit/form", b"email", {"Content-Type": "text/csv"}),
        relay.get("/submit/form?email=a", HTML),
    ]
    assert [answer.status for answer in refused] == [403, 415, 303]

    asked = {answer.header("X-Request-ID") for answer in refused}

    def said() -> dict[int, str | None]:
        lines = [line.data or {} for line in relay.log_lines()]
        return {line["status"]: line.get("reason") for line in lines if line.get("request_id") in asked}

    eventually(lambda: len(said()) == 3, what="a line for each")
    assert "may not post here" in (said()[403] or "")
    assert "Send the form as" in (said()[415] or "")
    assert 'method="post"' in (said()[303] or "")


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


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize(("source", "origin"), [("form", SITE), ("anyones", EVIL), ("anyones", "null")])
def test_an_allowed_page_may_ask(relay: RelayProcess, source: str, origin: str) -> None:
    answer = preflight(relay, source, origin)
    assert answer.status == 204 and not answer.body
    assert answer.header("Access-Control-Allow-Origin") in (origin, "*" if source == "anyones" else origin)
    assert "POST" in (answer.header("Access-Control-Allow-Methods") or "")
    assert "content-type" in (answer.header("Access-Control-Allow-Headers") or "").lower()
    assert answer.header("Access-Control-Allow-Credentials") is None
    assert "Origin" in (answer.header("Vary") or "")


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("origin", [*FOREIGN, "null", None])
def test_a_foreign_page_may_not_ask(relay: RelayProcess, origin: str | None) -> None:
    answer = preflight(relay, "form", origin)
    assert answer.status == 403 and answer.header("Access-Control-Allow-Origin") is None
    assert preflight(relay, "hook", origin).header("Access-Control-Allow-Origin") is None


@pytest.mark.usefixtures("unharmed")
@pytest.mark.parametrize("origin", [origin for origin in FOREIGN if origin])
@pytest.mark.parametrize("headers", [{}, HTML], ids=["JSON", "HTML"])
def test_a_foreign_page_may_not_post(relay: RelayProcess, origin: str, headers: dict[str, str]) -> None:
    answer = relay.form({"email": person()}, "form", headers | {"Origin": origin})
    assert answer.status == 403
    assert not [name for name, _ in answer.headers if name.lower().startswith("access-control-allow")]


def test_the_owner_is_told_which_site_was_refused(relay: RelayProcess) -> None:
    for answer in (
        preflight(relay, "form", "https://other.example"),
        relay.form({"email": person()}, "form", {"Origin": "https://other.example"}),
        relay.form({"email": person()}, "form", {"Origin": "https://eve@other.example/?email=a@b.example"}),
    ):
        assert answer.status == 403
    told = ["https://other.example", "https://other.example", "(unusual)"]
    eventually(lambda: _origins(relay)[-3:] == told, 5, "the log")


def _origins(relay: RelayProcess) -> list[str]:
    return [line.data["origin"] for line in relay.log_lines() if line.data and "origin" in line.data]


@pytest.mark.parametrize("origin", [SITE, "null", None])
def test_allowed_and_nameless_pages_may_post(relay: RelayProcess, origin: str | None) -> None:
    answer = relay.form({"email": person()}, "form", {"Origin": origin} if origin else {})
    assert answer.status == 202
    assert answer.header("Access-Control-Allow-Origin") == (SITE if origin == SITE else None)
    assert answer.header("Access-Control-Allow-Credentials") is None
    refused = relay.form({"email": "x"}, "form", {"Origin": origin} if origin else {})
    assert refused.status == 422
    assert refused.header("Access-Control-Allow-Origin") == (SITE if origin == SITE else None)


def test_where_any_page_may_post_one_without_a_name_reads_the_answer_too(relay: RelayProcess) -> None:
    """Else the script of a page in a frame with ``sandbox`` is told that what was kept has failed."""
    for email, status in ((person(), 202), ("x", 422)):
        answer = relay.form({"email": email}, "anyones", {"Origin": "null"})
        assert (answer.status, answer.header("Access-Control-Allow-Origin")) == (status, "null")
    timestamp = relay.get("/forms/anyones/timestamp", {"Origin": "null"})
    assert timestamp.header("Access-Control-Allow-Origin") == "null"


@pytest.mark.parametrize("source", ["anyones", "thanked"])
def test_a_script_is_told_in_place_that_it_was_kept(relay: RelayProcess, source: str) -> None:
    """It asks for HTML, and may follow neither to the receipt nor back to its own site."""
    by_script = HTML | {"Origin": SITE, "Sec-Fetch-Mode": "cors"}
    answer = relay.form({"email": person()}, source, by_script)
    assert (answer.status, answer.json["state"]) == (202, "received")
    assert answer.header("Access-Control-Allow-Origin") == SITE
    for may_follow in ({"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Site": "same-origin"}):
        assert relay.form({"email": person()}, source, by_script | may_follow).status == 303


def test_the_relays_own_pages_may_post(relay: RelayProcess) -> None:
    assert relay.form({"email": person()}, "form", {"Origin": relay.url}).status == 202
    other_port = f"http://127.0.0.1:{relay.port + 1}"
    assert relay.form({"email": person()}, "form", {"Origin": other_port}).status == 403


def test_the_relays_own_pages_may_post_through_a_proxy_that_nobody_told_of(relay: RelayProcess) -> None:
    with_tls = relay.url.replace("http:", "https:")
    assert relay.form({"email": person()}, "form", {"Origin": with_tls}).status == 202


def test_the_relays_own_pages_may_post_through_a_proxy_that_calls_it_by_another_name(
    relay: RelayProcess,
) -> None:
    def status(site: str) -> int:
        named = {"Origin": "https://forms.example.net", "Host": "backend:8000", "Sec-Fetch-Site": site}
        return relay.form({"email": person()}, "form", named).status

    assert status("same-origin") == 202
    assert [status(other) for other in ("same-site", "cross-site", "none", "")] == [403] * 4


def test_machines_are_not_asked_where_they_come_from(relay: RelayProcess) -> None:
    assert relay.hook({"email": person()}, headers={"Origin": EVIL}).status == 202
    for path in ("/api/status", "/receipts/" + "0" * 32, "/healthz", "/readyz"):
        answer = relay.get(path, {"Origin": SITE})
        assert answer.header("Access-Control-Allow-Origin") is None, path


# --- cookies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cookie", ["session=1", "a=" + "x" * 4000, "=;;;=", '"\\', "email=eve@example.com"])
def test_cookies_are_neither_set_nor_read(relay: RelayProcess, cookie: str) -> None:
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


# --- the Host header ------------------------------------------------------------------------------


@pytest.mark.usefixtures("unharmed")
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
def test_a_host_that_is_none_is_refused(relay: RelayProcess, lines: bytes) -> None:
    body = encoded({"email": person()})
    start = b"POST /submit/form HTTP/1.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n" % (
        FORM_TYPE.encode(),
        len(body),
    )
    with Raw(relay.port) as raw:
        answer = raw.send(start + lines + b"\r\n" + body).read()
    assert answer.status in (400, 421) and "<script>" not in answer.text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1:1", "[::1]:8000"])
def test_no_link_is_built_from_the_host(relay: RelayProcess, host: str) -> None:
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
