"""The operators' pages and lists on a large database: ``python -m benchmarks.pages [--only sqlite]``.

With a million rows that are done and 100,000 that wait: p95 of every page and list, of finding somebody, and
what five people who click do to those who sign up meanwhile. Loopback; files in a temporary folder.
The rows come all at once, so PostgreSQL is told to tidy up after them, as it does by itself while they come
in the course of a year.
"""

import argparse
import http.client
import multiprocessing
import re
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from benchmarks.load import at
from benchmarks.rows import fill, outbox
from benchmarks.run import Figure
from relay import vault as vaults
from tests.kit.relay import RelayProcess, config
from tests.kit.services import postgres
from tests.kit.stored import rows_of

DELIVERED, WAITING = 1_000_000, 100_000
TARGET, FINDING_TARGET = 300.0, 100.0
PAGES = (
    "/dashboard",
    "/dashboard/needs-you",
    "/dashboard/submissions",
    "/dashboard/submissions?state=held",
    "/dashboard/submissions?state=queued&source=hook",
    "/dashboard/submissions?state=delivered&source=newsletter",
    "/dashboard/submissions?source=hook&reason=reason+1",
    "/dashboard/submissions?since=2020-01-01&until=2020-02-01",
    "/dashboard/submissions?reason=nothing+has+it",
    "/dashboard/submissions?duplicate=1",
    "/dashboard/submissions/{waiting}",
    "/dashboard/submissions/{delivered}",
    "/dashboard/sources",
    "/dashboard/sources/newsletter",
    "/dashboard/destinations",
    "/dashboard/jobs",
    "/dashboard/audit",
    "/dashboard/live/overview",
    "/dashboard/live/needs-you",
    "/dashboard/live/destinations",
    "/api/status",
    "/api/sources",
    "/api/submissions",
    "/api/submissions?limit=1000",
    "/api/submissions?state=discarded",
    "/api/submissions?state=parked&reason=reason+2&limit=1000",
    "/api/submissions?state=delivered&until={middle}",
    "/api/submissions?since={middle}&source=hook&reason=none",
    "/api/submissions/{waiting}",
    "/api/jobs",
    "/api/audit",
)
FOUND = (
    "waiting1@example.com",
    "nobody@example.com",
    "+4915112345678",
    "{delivered}",
    "17430000000000000007",
)
_PEOPLE, _CLICK_SECONDS, _POSTS_A_SECOND, _TURNS = 5, 0.5, 40, 5


class Browser:
    """Somebody who is logged in, on one connection; /api is asked with a token instead."""

    def __init__(self, relay: RelayProcess) -> None:
        self._relay = relay
        self._web = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=60)
        self._cookie = ""
        fields = urllib.parse.urlencode({"token": relay.admin_token}).encode()
        self._ask("POST", "/dashboard/login", fields)
        page = self.get("/dashboard/needs-you")[1]
        found = re.search(rb'name="csrf_token" value="([^"]+)"', page)
        self.csrf = found[1].decode() if found else ""

    def get(self, path: str) -> tuple[float, bytes]:
        """Return how many seconds a page took, and the page."""
        return self._timed("GET", path)

    def find(self, contact: str) -> tuple[float, bytes]:
        """Return how many seconds finding took, and the page."""
        fields = {"contact": contact, "csrf_token": self.csrf}
        return self._timed("POST", "/dashboard/find", urllib.parse.urlencode(fields).encode())

    def _timed(self, method: str, path: str, body: bytes | None = None) -> tuple[float, bytes]:
        begun = time.perf_counter()
        status, found = self._ask(method, path, body)
        taken = time.perf_counter() - begun
        if status not in (200, 303):
            raise SystemExit(f"{path} answered {status}")
        return taken, found

    def _ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"Cookie": self._cookie} if self._cookie else {}
        if path.startswith("/api"):
            headers = {"Authorization": f"Bearer {self._relay.admin_token}"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self._web.request(method, path, body, headers)
        answer = self._web.getresponse()
        if given := answer.getheader("Set-Cookie"):
            self._cookie = given.partition(";")[0]
        return answer.status, answer.read()


# --- pages --------------------------------------------------------------------------------------------


def paths(url: str, key: str) -> dict[str, str]:
    """Return what the addresses of the pages are filled with."""
    with outbox(url, key) as box:
        newest = {state: rows_of(box, state=state, limit=1)[0]["receipt"] for state in ("held", "delivered")}
    middle = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 15 * 86400))
    return {"waiting": newest["held"], "delivered": newest["delivered"], "middle": middle}


def measured(
    relay: RelayProcess, names: dict[str, str], rounds: int, *, tell: bool = True
) -> dict[str, float]:
    """Return the p95 of every page, list and search, in milliseconds."""
    browser = Browser(relay)
    asked = {path: partial(browser.get, path.format(**names)) for path in PAGES}
    asked |= {f"find {text}": partial(browser.find, text.format(**names)) for text in FOUND}
    found = {}
    for name, ask in asked.items():
        ask()  # the first one compiles its template
        found[name] = at(sorted(ask()[0] for _ in range(rounds)), 0.95)
        if tell:
            print(f"  {found[name]:7.1f} ms  {name}", flush=True)
    return found


# --- people who sign up while others click --------------------------------------------------------------


def posting(relay: RelayProcess, seconds: float) -> float:
    """Post at an even pace from four connections; return the p99 in milliseconds."""
    taken: list[float] = []

    def post(number: int) -> None:
        web = http.client.HTTPConnection("127.0.0.1", relay.port, timeout=60)
        begun, every = time.perf_counter(), 4 / _POSTS_A_SECOND
        for turn in range(int(seconds / every)):
            time.sleep(max(0.0, begun + turn * every - time.perf_counter()))
            body = urllib.parse.urlencode({"email": f"p{number}.{time.time_ns()}@example.com"})
            sent = time.perf_counter()
            web.request("POST", "/submit/newsletter", body, _FORM)
            answer = web.getresponse()
            answer.read()
            taken.append(time.perf_counter() - sent)
            if answer.status != 202:
                raise SystemExit(f"a submission was answered {answer.status}")

    together(post, 4)
    return at(sorted(taken), 0.99)


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def together(work: Callable[[int], None], count: int) -> None:
    """Do some work in so many threads."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def clicking(relay: RelayProcess, names: dict[str, str]) -> Iterator[None]:
    """Have five people go from page to page meanwhile, in a process of their own."""
    context = multiprocessing.get_context("fork")
    over = context.Event()

    def click(number: int) -> None:
        browser, turn = Browser(relay), number * 5
        while not over.wait(_CLICK_SECONDS):
            browser.get(PAGES[turn % len(PAGES)].format(**names))
            turn += 1

    people = context.Process(target=together, args=(click, _PEOPLE))
    people.start()
    try:
        yield
    finally:
        over.set()
        people.join()


def beside(relay: RelayProcess, names: dict[str, str], seconds: float) -> tuple[float, str]:
    """Return the p99 of signing up with five people clicking ÷ without, in turns."""
    posting(relay, 2)
    alone, crowded = [], []
    for _ in range(_TURNS):
        alone.append(posting(relay, seconds))
        with clicking(relay, names):
            crowded.append(posting(relay, seconds))
    without, meanwhile = statistics.median(alone), statistics.median(crowded)
    return meanwhile / without, f"p99 {without:.1f} → {meanwhile:.1f} ms, medians of {_TURNS} turns"


# --- all of it ------------------------------------------------------------------------------------------


def on(url: str, asked: argparse.Namespace) -> list[Figure]:
    """Measure on one database."""
    key, kind = vaults.new_key(), url.partition(":")[0].partition("+")[0]
    begun = time.perf_counter()
    fill(url, key, asked.rows, asked.waiting)
    print(f"{kind}: filled in {time.perf_counter() - begun:.0f} s", flush=True)
    names = paths(url, key)
    how = f"{kind}, {asked.rows:,} delivered and {asked.waiting:,} waiting, {asked.rounds} rounds"
    settings = config("http://127.0.0.1:9/", limits="10/second; 150/minute")
    with RelayProcess(settings, database_url=url, env={"RELAY_SECRET_KEYS": key}) as relay:
        relay.api("POST", "/api/destinations/ocamba/pause")
        taken = measured(relay, names, asked.rounds)
        ratio, said = beside(relay, names, asked.seconds)
    pages = {name: one for name, one in taken.items() if not name.startswith("find ")}
    slowest, finding = max(pages, key=pages.__getitem__), max(taken[f"find {text}"] for text in FOUND)
    return [
        Figure(
            f"slowest page or list, p95, {kind}", pages[slowest], TARGET, False, " ms", f"{slowest}; {how}"
        ),
        Figure(f"finding somebody, p95, {kind}", finding, FINDING_TARGET, False, " ms", how),
        Figure(f"accept p99 with five people clicking ÷ without, {kind}", ratio, 1.2, False, "×", said),
    ]


def main() -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--rows", type=int, default=DELIVERED)
    parser.add_argument("--waiting", type=int, default=WAITING)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20, help="of signing up in each turn")
    asked = parser.parse_args()
    figures: list[Figure] = []
    with ExitStack() as stack:
        urls = []
        if asked.only != "postgresql":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="relay-pages-")))
            urls.append(f"sqlite:///{folder / 'large.db'}")
        if asked.only != "sqlite":
            urls.append(stack.enter_context(postgres()).create_database())
        for url in urls:
            found = on(url, asked)
            print(*found, sep="\n", flush=True)
            figures += found
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
