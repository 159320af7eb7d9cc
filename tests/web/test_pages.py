"""The pages as bytes: policies, colours, the script, and the command lines of the sandbox."""

import gzip
import re
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest

from relay.config import settings as configuration
from relay.config.presets import preset_names
from relay.config.settings import Settings
from relay.sources import stamp as timestamp
from relay.sources.proof import Evidence
from relay.sources.source import Source
from relay.web import front, pages
from tests.kit.client import Answer, request
from tests.kit.relay import NEWSLETTER, RelayProcess, config, toml
from tests.kit.upstream import ScriptedUpstream

HTML = {"Accept": "text/html"}
SHOP = "https://shop.example"
ALL_TYPES = {
    "email": {"from": "email", "required": True},
    "mobile_phone_number": "phone",
    "full_name": {"from": "name", "max_length": 9},
}
SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER | {"origins": [SHOP], "thanks": "https://www.shop.example:8443/thanks?x=1"},
    "french": NEWSLETTER | {"page": {"language": "fr", "accent": "#ffd400", "background": "#000000"}},
    "typed": NEWSLETTER | {"fields": ALL_TYPES, "region": None},
    "off": NEWSLETTER | {"enabled": False},
}


@pytest.fixture(scope="module")
def relay() -> Iterator[RelayProcess]:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES)) as process:
        yield process


# --- policies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "allowed"),
    [
        ([], "'self'"),
        ([None], "'self'"),
        (["https://a.example/thanks?x=1"], "'self' https://a.example"),
        (["https://b.example:8443/", "http://a.example"], "'self' http://a.example https://b.example:8443"),
        (["https://user:word@a.example/x"], "'self' https://a.example"),
        (["https://bücher.example/danke"], "'self' https://xn--bcher-kva.example"),
        (["https://a.example;script-src *"], "'self' https:"),
    ],
)
def test_a_policy_lets_forms_go_where_thanks_is_and_nowhere_else(
    targets: list[str | None], allowed: str
) -> None:
    directives = [part.strip() for part in pages.policy(targets).split(";")]
    assert f"form-action {allowed}" in directives
    assert len(directives) == 8


@pytest.mark.parametrize("path", ["form", "error"])
def test_both_pages_of_a_form_may_be_led_to_its_thanks(relay: RelayProcess, path: str) -> None:
    answer = relay.get("/forms/newsletter") if path == "form" else relay.form({"email": "x"}, headers=HTML)
    policy = answer.header("Content-Security-Policy") or ""
    assert "form-action 'self' https://www.shop.example:8443;" in policy
    assert answer.header("Cache-Control") == "no-store, no-transform"


def test_colours_come_as_a_style_sheet_only_where_there_are_some(relay: RelayProcess) -> None:
    assert "/forms/french/style.css" in relay.get("/forms/french").text
    assert "/forms/newsletter/style.css" not in relay.get("/forms/newsletter").text
    sheet = relay.get("/forms/french/style.css")
    assert sheet.status == 200 and (sheet.header("Content-Type") or "").startswith("text/css")
    assert "--accent: #ffd400; --on-accent: #1b1d22;" in sheet.text
    assert relay.get("/forms/nobody/style.css").status == 404


def test_the_front_page_tells_nothing_in_real_use(relay: RelayProcess) -> None:
    page = relay.get("/", {"Accept": "text/html"})
    assert page.status == 200 and "/dashboard" in page.text
    assert not any(word in page.text for word in ("newsletter", "sandbox", "ocamba"))
    assert "sandbox" not in relay.get("/forms/newsletter").text.lower()


@pytest.mark.parametrize("path", ["/forms/off", "/forms/off/timestamp"])
def test_a_form_that_is_switched_off_is_not_offered(relay: RelayProcess, path: str) -> None:
    answer = relay.get(path, HTML)
    assert answer.status == 503 and answer.header("Retry-After")
    assert "<form" not in answer.text


# --- the script -----------------------------------------------------------------------------------------


def test_the_script_is_small_and_any_page_may_load_it(relay: RelayProcess) -> None:
    answer = relay.get("/relay.js")
    assert len(gzip.compress(answer.body)) < 5000
    assert (answer.header("Content-Type") or "").startswith("text/javascript")
    assert answer.header("Cross-Origin-Resource-Policy") == "cross-origin"
    assert "max-age" in (answer.header("Cache-Control") or "")
    assert answer.header("Set-Cookie") is None


@pytest.mark.parametrize(
    ("origin", "readable"),
    [(SHOP, True), ("https://evil.example", False), ("null", False), (None, False)],
)
def test_only_pages_that_may_post_may_read_what_the_script_asks(
    relay: RelayProcess, origin: str | None, readable: bool
) -> None:
    answer = relay.get("/forms/newsletter/timestamp", {"Origin": origin} if origin else {})
    assert answer.status == 200
    assert answer.header("Access-Control-Allow-Origin") == (origin if readable else None)
    assert answer.header("Cache-Control") == "no-store, no-transform"


@pytest.mark.parametrize(
    ("source", "query", "header", "thanks"),
    [
        ("newsletter", "", "en", "We have received your sign-up."),
        ("newsletter", "?language=de-AT", "en", "Ihre Anmeldung ist bei uns eingegangen."),
        ("newsletter", "?language=", "es", "Hemos recibido su inscripción."),
        ("newsletter", "?language=%00%ff<b>", "de", "We have received your sign-up."),
        ("french", "?language=de", "en", "Nous avons bien reçu votre inscription."),
    ],
)
def test_the_script_is_given_the_words_of_its_page(
    relay: RelayProcess, source: str, query: str, header: str, thanks: str
) -> None:
    answer = relay.get(f"/forms/{source}/timestamp{query}", {"Accept-Language": header})
    assert answer.json["texts"]["thanks"] == thanks


def test_json_stays_english_whatever_the_language(relay: RelayProcess) -> None:
    answer = relay.form({"email": "x"}, headers={"Accept-Language": "de"})
    assert answer.json["errors"]["email"] == ["Enter a valid e-mail address, like name@example.com."]


# --- what people read ---------------------------------------------------------------------------------


def test_no_english_is_left_on_a_german_page_of_mistakes(relay: RelayProcess) -> None:
    german = HTML | {"Accept-Language": "de"}
    page = relay.form({"email": "x", "phone": "12", "name": "x" * 10}, "typed", german).text
    assert "Geben Sie eine gültige E-Mail-Adresse ein" in page
    assert "Geben Sie die Telefonnummer mit Ländervorwahl ein" in page
    assert "Höchstens 9 Zeichen sind möglich." in page
    assert not re.search(r"\b(Enter|Longer|field|the|Please)\b", re.sub("<[^>]*>", " ", page))


def test_a_form_shown_again_for_too_many_says_when_to_come_back(relay: RelayProcess) -> None:
    relay.configure(
        config("http://127.0.0.1:9/", SOURCES | {"newsletter": NEWSLETTER | {"client_limits": "1/hour"}})
    )
    relay.hup()

    def limited() -> Answer:
        return relay.form({"email": "", "phone": "<i>"}, headers=HTML)

    for _ in range(100):
        if (answer := limited()).status == 429:
            break
    assert int(answer.header("Retry-After") or 0) > 0
    assert 'value="&lt;i&gt;"' in answer.text and "<form" in answer.text


@pytest.mark.parametrize(("stamp", "kept"), [("", False), ("17.ab", False), ("<b>", False), ("fresh", True)])
def test_only_a_time_of_ours_is_given_back(relay: RelayProcess, stamp: str, kept: bool) -> None:
    if stamp == "fresh":
        stamp = relay.get("/forms/typed/timestamp").json[timestamp.FIELD]
    page = relay.form({"email": "x", timestamp.FIELD: stamp}, "typed", HTML).text
    found = re.search(r'name="relay_ts" value="([^"]*)"', page)
    assert found is not None
    assert found[1] == (stamp if kept else "")


def test_a_time_alone_is_an_empty_form(relay: RelayProcess) -> None:
    stamp = relay.get("/forms/typed/timestamp").json[timestamp.FIELD]
    assert relay.form({timestamp.FIELD: stamp}, "typed").status == 422


# --- the sandbox's command lines -----------------------------------------------------------------------


def _load(folder: Path, sources: dict[str, Any]) -> Settings:
    file = folder / "relay.toml"
    file.write_text(toml(config("https://api.example/", sources)), encoding="utf-8")
    return configuration.load({"RELAY_CONFIG": str(file)}, sandbox_url="http://127.0.0.1:9/")


def _request_of(line: str) -> tuple[str, dict[str, str], bytes]:
    """What curl would send for a line that a shell has split: address, headers, body."""
    command, url, *options = shlex.split(line)
    assert command == "curl"
    given = list(zip(options[::2], options[1::2], strict=True))
    headers = [value.partition(": ")[::2] for option, value in given if option == "-H"]
    fields = [value.partition("=")[::2] for option, value in given if option == "--data-urlencode"]
    data = [value for option, value in given if option == "--data-binary"]
    data += [f"{name}={quote_plus(value)}" for name, value in fields]
    assert len(headers) + len(data) == len(given)
    return url, {name.lower(): value for name, value in headers}, "&".join(data).encode()


@pytest.mark.parametrize("preset", [None, *preset_names()])
def test_the_line_for_a_webhook_would_be_taken(tmp_path: Path, preset: str | None) -> None:
    fields = {"email": "contact.email", "full_name": {"from": ["first", "last's"]}}
    table: dict[str, Any] = {"kind": "webhook", "fields": fields, "secret": "env:MISSING"}
    if preset is not None:
        table = {"preset": preset, "secret": "env:MISSING"}
    settings = _load(tmp_path, {"hook": table})
    source = settings.sources["hook"]
    line = front.curl_webhook(source, "http://127.0.0.1:8000/submit/hook", settings.made_up.get("hook"))
    assert line is not None
    url, headers, data = _request_of(line)
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    body = source.read(data, headers["content-type"]).fields
    assert source.admits(Evidence(headers, query, data, url=url, fields=lambda: body), time.time())
    assert set(source.mapping.apply(body).profile.values()) & {"jane@example.com", "+12025550123"}
    assert not source.is_excluded(body, headers)


def test_a_line_for_a_form_fits_odd_names_and_boxes(tmp_path: Path) -> None:
    table = {
        "kind": "form",
        "consent": "I agree & more",
        "fields": {"email": "your email+1", "full_name": {"from": ["it's", "b=c"]}},
    }
    source: Source = _load(tmp_path, {"form": table}).sources["form"]
    _, _, data = _request_of(front.curl_form(source, "http://127.0.0.1:8000/submit/form"))
    found = {name: values[0] for name, values in parse_qs(data.decode()).items()}
    assert found == {
        "your email+1": "jane@example.com",
        "it's": "Jane",
        "b=c": "Doe",
        "I agree & more": "yes",
    }
    assert source.mapping.apply(found).ok


def test_a_real_secret_is_on_no_page(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    table = {"kind": "webhook", "secret": "env:HOOK", "fields": {"email": "email"}}
    file.write_text(toml(config("https://api.example/", {"hook": table})), encoding="utf-8")
    environ = {"RELAY_CONFIG": str(file), "HOOK": "canary-hook-secret"}
    settings = configuration.load(environ, sandbox_url="http://127.0.0.1:9/")
    line = front.curl_webhook(settings.sources["hook"], "http://x/", settings.made_up.get("hook"))
    assert line is not None and "canary" not in line and "YOUR-SECRET" in line


def test_the_sandbox_is_shown_to_this_machine_only() -> None:
    table = NEWSLETTER | {"origins": ["*"]}
    with RelayProcess(
        config("https://api.example/", {"newsletter": table}), mode="serve", token=None
    ) as relay:
        assert relay.get("/", {"Host": "evil.example"}).status == 400
        assert relay.get("/", {"Host": f"localhost:{relay.port}"}).status == 200
        assert request(relay.port, "POST", "/", b"").status == 405


def test_the_sandbox_says_what_leaves_the_machine_all_the_same() -> None:
    form = NEWSLETTER | {"destination": "ocamba"}
    with ScriptedUpstream() as upstream:
        other = {"url": upstream.url, "token": "env:OTHER_TOKEN"}
        both = config("https://api.example/", {"mine": form, "theirs": form | {"destination": "other"}})
        both["destinations"]["other"] = other
        with RelayProcess(both, mode="serve", token=None, env={"OTHER_TOKEN": "canary-other"}) as relay:
            assert relay.form({"email": "ada@example.com"}, "theirs").status == 202
            upstream.wait_for(1)
            said = "Sandbox, but what is for other is really sent."
            for path in ("/forms/mine", "/dashboard/login"):
                assert said in relay.get(path, {"Accept": "text/html"}).text
            front_page = relay.get("/").text
            assert "<code>other</code>" in front_page and "nothing leaves" not in front_page
            assert "what is for other is REALLY SENT" in relay.output()
            assert "but other is really sent to" in relay.cli("check").stdout


def test_a_logo_beside_the_configuration_is_served_and_shown() -> None:
    drawn = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    sources = {"newsletter": NEWSLETTER | {"page": {"logo": "logo.svg"}}}
    with RelayProcess(config("http://127.0.0.1:9/", sources), start=False) as relay:
        (relay.config_path.parent / "logo.svg").write_bytes(drawn)
        relay.start()
        page = relay.get("/forms/newsletter", {"Accept": "text/html"})
        (address,) = re.findall(r'<img[^>]+src="([^"]+)"', page.text)
        served = relay.get(address)
        assert (served.status, served.body) == (200, drawn)
        assert (served.header("Content-Type") or "").startswith("image/svg+xml")
        policy = served.header("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy and "sandbox" in policy, "a picture runs nothing"
