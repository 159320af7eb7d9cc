"""A real browser, a relay for it to talk to, and sites of other people beside it."""

import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.kit.client import HOST
from tests.kit.processes import free_port
from tests.kit.relay import NEWSLETTER, ROOT, RelayProcess, config
from tests.kit.services import Missing, lacking
from tests.kit.upstream import ScriptedUpstream

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE = 20_000  # milliseconds until an expectation counts as disappointed; the machine may be busy
expect.set_options(timeout=PATIENCE)
Pages = dict[str, tuple[dict[str, str], str]]


class Site:
    """Somebody's web site on a port of its own: path → headers and HTML. Counts what is asked of it."""

    def __init__(self) -> None:
        self.pages: Pages = {}
        self.visits: list[str] = []
        self.port = free_port()
        self.url = f"http://{HOST}:{self.port}"
        self._server = ThreadingHTTPServer((HOST, self.port), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def serve(self, path: str, html: str, headers: Mapping[str, str] | None = None) -> str:
        """Put a page there; returns its address."""
        self.pages[path] = (dict(headers or {}), f"<!doctype html>{html}")
        return self.url + path

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.visits.append(self.path)
            headers, html = site.pages.get(self.path, ({}, ""))
            self.send_response(200 if self.path in site.pages else 404)
            for name, value in {"Content-Type": "text/html; charset=utf-8", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test says what went wrong."""

    return Handler


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for the whole run."""
    if not CHROMIUM.exists():
        lacking(Missing("apt-get install -y chromium"))
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address as a new visitor (`language`, `javascript`, `width`); returns the page."""
    contexts: list[BrowserContext] = []

    def open_page(url: str, *, language: str = "en-US", javascript: bool = True, width: int = 1200) -> Page:
        context = browser.new_context(
            locale=language, java_script_enabled=javascript, viewport={"width": width, "height": 800}
        )
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def phone(browser: Browser) -> Iterator[Page]:
    """A page as wide as a phone, for tests that only look: a new one takes a quarter of a second."""
    with browser.new_context(locale="en-US", viewport={"width": 375, "height": 800}) as context:
        context.set_default_timeout(PATIENCE)
        yield context.new_page()


@pytest.fixture
def said(phone: Page) -> Iterator[list[str]]:
    """What the phone's console says meanwhile: broken rules of the policy, above all."""
    found: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        found.append(message.text)

    phone.on("console", listen)
    yield found
    phone.remove_listener("console", listen)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A web site that the relay's sources know."""
    made = Site()
    yield made
    made.close()


@pytest.fixture(scope="session")
def stranger() -> Iterator[Site]:
    """A web site that no source knows."""
    made = Site()
    yield made
    made.close()


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as made:
        yield made


@pytest.fixture(scope="session")
def relay(upstream: ScriptedUpstream, site: Site) -> Iterator[RelayProcess]:
    """A relay as in production, with a source for every kind of form."""
    limits = {"limits": "1000/second"}
    with RelayProcess(config(upstream.url, sources(site), **limits)) as process:
        yield process


CAME_BY = (
    *("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content", "utm_id"),
    *("gclid", "facebook", "landing_page", "referrer"),
)
"""The hidden fields of the source `tracked`."""


def sources(site: Site) -> dict[str, Any]:
    """What the relay of these tests is configured with."""
    plain = NEWSLETTER | {"origins": [site.url], "honeypot": "relay_leave_empty", "min_seconds": 0}
    email = {"email": "email"}
    choices = {"from": "plan", "choices": ["small", "large"]}
    return {
        "newsletter": plain,
        "brisk": plain | {"min_seconds": "300ms"},
        "patient": plain | {"min_seconds": "60s"},
        "forgetful": plain | {"repeat_window": "1s"},
        "elsewhere": plain | {"thanks": site.url + "/thanks"},
        "club": plain
        | {
            "thanks": None,
            "page": {
                "title": "Join the club",
                "intro": "One letter a month, no more.",
                "button": "Count me in",
                "thanks_title": "Welcome!",
                "thanks_text": "You are one of us now.",
                "language": "de",
                "accent": "#ffd400",
                "background": "#1b3a2f",
                "labels": {"email": "Your best address"},
            },
        },
        "consenting": plain | {"consent": "agree"},
        "choosy": plain
        | {
            "consent": {"email": "news_mail", "mobile_phone_number": "news_sms"},
            "region": None,
            "fields": {
                "email": {"from": "your-email", "required": True},
                "mobile_phone_number": "phone",
                "full_name": choices,
            },
        },
        "tracked": plain
        | {
            "utm": {"fbclid": "facebook", "utm_term": "", "utm_id": "utm_id"},
            "update": {"custom_properties": {name: name for name in CAME_BY}},
        },
        "short": plain | {"fields": email, "client_limits": "2/hour"},
        "off": plain | {"enabled": False},
    }


@pytest.fixture(scope="session")
def sandbox(site: Site) -> Iterator[RelayProcess]:
    """The relay as a new user starts it: no token, the configuration that is shipped, their site in it."""
    shipped = (ROOT / "relay.toml").read_text(encoding="utf-8").replace("http://127.0.0.1:8000", site.url)
    extra = '\n[sources.paused]\nkind = "form"\nenabled = false\nfields = { email = "email" }\n'
    with RelayProcess(shipped + extra, mode="serve", token=None) as process:
        yield process


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which finds what is wrong for people who cannot see or click."""
    if not AXE.exists():
        lacking(Missing("apt-get install -y npm && npm ci --prefix tests/browser"))
    return AXE.read_text(encoding="utf-8")
