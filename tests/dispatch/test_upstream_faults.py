"""Groups D (61-63) and F of the catalogue of faults: what upstream and the way to it can do to us.

One relay serves the file; each test opens a door of its own in it: a destination with its scripted
upstream and two sources, taken in by a reload. After every test the judge looks at
all that went through the door.
"""

import itertools
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from tests.kit.client import Answer, Sent, Submitters, get, heard
from tests.kit.judge import judge
from tests.kit.processes import eventually, free_port
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.tls import KINDS
from tests.kit.upstream import (
    PATH,
    Arrival,
    Reaction,
    ScriptedUpstream,
    big_body,
    create_then_close,
    create_then_reset,
    created,
    delay,
    drip,
    drop,
    endless_chunks,
    endless_interim,
    garbage,
    gzip_bomb,
    hold,
    raw,
    redirect,
    silent,
    status,
    truncated,
    wrong_length,
)

WIDE = "100/second; 2000/minute"
WIDE_LIMITS = ((100, 1.0), (2000, 60.0))
LATE = 1.0
"""Seconds by which a busy machine may be later than it should."""
TRACE = "99a84211-f73d-4ff8-acdf-eb3e06bb9d62"
ID = "17430755068336100383"


# --- one relay, a door for each test ------------------------------------------------------------------


@dataclass
class Door:
    """A destination, the upstream behind it, and the sources `f…` (a form) and `h…` (a webhook)."""

    site: "Site"
    name: str
    upstream: ScriptedUpstream
    options: dict[str, Any]
    hook_options: Mapping[str, Any] = field(default_factory=dict)
    form_options: Mapping[str, Any] = field(default_factory=dict)
    limits: tuple[tuple[int, float], ...] = WIDE_LIMITS
    sent: list[Sent] = field(default_factory=list)
    closing: ExitStack = field(default_factory=ExitStack)

    @property
    def relay(self) -> RelayProcess:
        return self.site.relay

    @property
    def calls(self) -> list[Arrival]:
        """What the relay sent upstream, without its looks; tests may call it too."""
        return [arrival for arrival in self.arrivals if not arrival.is_look]

    @property
    def arrivals(self) -> list[Arrival]:
        """What reached upstream from the relay."""
        return [arrival for arrival in self.upstream.arrivals if "authorization" in arrival.headers]

    @property
    def form(self) -> str:
        return f"f{self.name}"

    @property
    def hook(self) -> str:
        return f"h{self.name}"

    def submit(self, name: str = "", more: Mapping[str, str] | None = None) -> str:
        """One person signs up, `more` fields filled in; returns the receipt."""
        fields, profile = self.person(name)
        answer = self.relay.form(fields | dict(more or {}), self.form)
        assert answer.status == 202, (answer.status, answer.text)
        assert answer.receipt is not None
        self.sent.append(heard(Sent(0, self.form, fields, profile), answer))
        return answer.receipt

    def call(self, name: str = "") -> Answer:
        """A machine posts one; returns the answer, which may have waited for the verdict."""
        fields, profile = self.person(name)
        answer = self.relay.hook(fields, self.hook)
        self.sent.append(heard(Sent(0, self.hook, fields, profile), answer))
        return answer

    def many(self, count: int, **more: Any) -> list[str]:
        """`count` people sign up, a few at a time; returns the receipts."""
        crowd = Submitters(self.relay.port, self.form, count=count, make=self.numbered, **more)
        crowd.start().join()
        self.sent += crowd.ledger
        return [sent.receipt for sent in crowd.ledger if sent.receipt]

    @staticmethod
    def person(name: str = "") -> tuple[dict[str, str], dict[str, str]]:
        email = f"{name or 'ada'}-{uuid.uuid4().hex[:12]}@example.com"
        return {"email": email}, {"email": email}

    def numbered(self, number: int) -> tuple[dict[str, Any], dict[str, str]]:
        return self.person(f"n{number}")

    def attempted(self, receipt: str, times: int = 1, timeout: float = 15.0) -> dict[str, Any]:
        """Waits until so many of its sends have ended; returns the submission."""

        def ended() -> dict[str, Any] | None:
            found = self.relay.submission(receipt)
            done = [entry for entry in found["history"] if entry["outcome"]]
            return found if len(done) >= times and found["state"] != "sending" else None

        found = eventually(ended, timeout, f"{times} sends of {receipt}")
        assert found is not None
        return found

    def rows(self, **query: str) -> list[dict[str, Any]]:
        return [row for source in (self.form, self.hook) for row in self.relay.rows(source=source, **query)]

    def states(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for source in (self.form, self.hook):
            for row in self.relay.rows(history=False, source=source):
                found[row["state"]] = found.get(row["state"], 0) + 1
        return found

    def wait_delivered(self, count: int, timeout: float = 20.0) -> None:
        eventually(lambda: self.states().get("delivered", 0) == count, timeout, f"{count} delivered", 0.1)

    def standing(self) -> dict[str, Any]:
        found: dict[str, Any] = self.relay.status()[self.name]
        return found

    def held(self) -> tuple[str, float] | None:
        """Why the destination is held and for how many seconds from now; None if it is not."""
        found = self.standing()
        if found["hold_reason"] is None:
            return None
        return found["hold_reason"], seconds_until(found["hold_until"])

    def wait_held(self, timeout: float = 10.0) -> tuple[str, float]:
        found = eventually(self.held, timeout, "a hold")
        assert found is not None
        return found

    def change(self, **options: Any) -> None:
        """Reloads with other options of this destination."""
        self.options |= options
        self.site.reload()

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The log lines of an event about this destination."""
        return [
            line.data
            for line in self.relay.log_lines()
            if line.data and line.data.get("event") == event and line.data.get("destination") == self.name
        ]


class Site:
    """The relay and the doors that are open at the moment."""

    def __init__(self, relay: RelayProcess) -> None:
        self.relay = relay
        self.doors: dict[str, Door] = {}
        self._names = (f"d{n}" for n in itertools.count())

    def open(
        self,
        upstream: ScriptedUpstream,
        url: str | None = None,
        hook: Mapping[str, Any] | None = None,
        form: Mapping[str, Any] | None = None,
        reload: bool = True,
        **options: Any,
    ) -> Door:
        given = {"url": url or upstream.url, "token": "env:OCAMBA_TOKEN", "limits": WIDE} | options
        name = next(self._names)
        door = self.doors[name] = Door(self, name, upstream, given, hook or {}, form or {})
        if reload:
            self.reload()
        return door

    def close(self, door: Door) -> None:
        """Takes it out with the next reload."""
        del self.doors[door.name]

    def reload(self) -> None:
        before = self._reloads()
        self.relay.configure(self.config())
        self.relay.hup()
        eventually(lambda: self._reloads() > before, 10, "the reload", 0.02)

    def config(self) -> dict[str, Any]:
        destinations = {"idle": {"url": f"http://127.0.0.1:9{PATH}", "token": "env:OCAMBA_TOKEN"}}
        sources: dict[str, Any] = {"idle": NEWSLETTER | {"destination": "idle"}}
        for door in self.doors.values():
            destinations[door.name] = door.options
            sources[door.form] = NEWSLETTER | {"destination": door.name} | door.form_options
            sources[door.hook] = HOOK | {"destination": door.name} | door.hook_options
        return {"destinations": destinations, "sources": sources}

    def _reloads(self) -> int:
        return self.relay.output().count('"config.reloaded"')


Open = Callable[..., Door]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with RelayProcess(config("http://127.0.0.1:9", {"idle": NEWSLETTER})) as relay:
        yield Site(relay)


@pytest.fixture
def door(site: Site) -> Iterator[Open]:
    """Opens a door: `door(script, options of the upstream, url=, hook=, options of the destination…)`."""
    with ExitStack() as stack:
        opened: list[Door] = []

        def open_(
            script: Any = None,
            server: Mapping[str, Any] | None = None,
            url: str | None = None,
            hook: Mapping[str, Any] | None = None,
            **options: Any,
        ) -> Door:
            upstream = stack.enter_context(ScriptedUpstream(script, **(server or {})))
            made = site.open(upstream, url, hook, **options)
            stack.callback(site.close, made)
            opened.append(made)
            return made

        yield open_
        for one in opened:
            assert judge(one.sent, one.arrivals, one.rows(), limits=one.limits) == []
        assert "dispatcher.fault" not in site.relay.output()


# --- what mostly waits, all at once -------------------------------------------------------------------

Scenario = Callable[[Door], None]


class Scenarios:
    """Tests of what happens at one door, which run at the same time: they mostly wait.

    `open_door` makes a door, without a reload, from the options a test is marked with; `copies` of it.
    """

    def __init__(self, open_door: Callable[..., Door], finished: bool = False) -> None:
        self._open = open_door
        self._finished = finished
        self._known: dict[str, tuple[Scenario, int, dict[str, Any]]] = {}

    def __call__(self, copies: int = 1, **options: Any) -> Callable[[Scenario], Callable[..., None]]:
        def made(run: Scenario) -> Callable[..., None]:
            self._known[run.__name__] = run, copies, options

            def test(together: Callable[[str], None]) -> None:
                together(run.__name__)

            test.__name__, test.__doc__ = run.__name__, run.__doc__
            return test

        return made

    def run(self, site: Site, asked: set[str]) -> Iterator[Callable[[str], None]]:
        """Starts those that are asked for; what it yields waits for one of them to end."""
        ready = [
            (name, run, self._open(site, **options))
            for name, (run, copies, options) in self._known.items()
            for _ in range(copies)
            if name in asked
        ]
        site.reload()
        with ThreadPoolExecutor(64) as pool:
            running = [(name, pool.submit(self._judged, run, way)) for name, run, way in ready]

            def wait(name: str) -> None:
                for one in [one for of, one in running if of == name]:
                    one.result(180)

            yield wait

    def _judged(self, run: Scenario, way: Door) -> None:
        with way.closing:
            run(way)
            rows = way.rows()
            assert judge(way.sent, way.arrivals, rows, limits=way.limits, finished=self._finished) == []


def _with_script(
    site: Site, script: Any = None, server: Mapping[str, Any] | None = None, **options: Any
) -> Door:
    upstream = ScriptedUpstream(script, **(server or {}))
    way = site.open(upstream, reload=False, **options)
    way.closing.enter_context(upstream)
    return way


scenario = Scenarios(_with_script)


@pytest.fixture(scope="module", autouse=True)
def together(request: pytest.FixtureRequest, site: Site) -> Iterator[Callable[[str], None]]:
    yield from scenario.run(site, {item.name for item in request.session.items})


def seconds_until(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp() - time.time()


def due_after_the_answer(row: Mapping[str, Any]) -> float:
    """The seconds between the end of the last send and the next one's due time."""
    last = row["history"][-1]
    ended = datetime.fromisoformat(last["started_at"]).timestamp() + last["seconds"]
    return datetime.fromisoformat(row["due_at"]).timestamp() - ended


def in_a_row(*reactions: Reaction) -> Callable[[Arrival], Reaction]:
    """One after the other; the last one for ever."""
    left = list(reactions)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


# --- D 61-63: secrets on the way ----------------------------------------------------------------------


def test_61_netrc_and_proxies_of_the_environment_are_ignored() -> None:
    with ScriptedUpstream() as upstream, ScriptedUpstream() as proxy:
        through = f"http://user:password@127.0.0.1:{proxy.port}"
        names = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        proxies = dict.fromkeys(names, through) | {"no_proxy": None, "NO_PROXY": None}
        with RelayProcess(config(upstream.url), start=False, env=proxies) as relay:
            netrc = relay.folder / ".netrc"
            netrc.write_text(
                "machine 127.0.0.1 login eve password stolen\ndefault login eve password stolen\n"
            )
            netrc.chmod(0o600)
            relay.env["NETRC"] = str(netrc)
            relay.start()
            assert relay.hook({"email": "ada@example.com"}).status == 201
            assert upstream.arrivals[0].headers["authorization"] == f"Bearer {relay.token}"
        assert proxy.connections == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_62_redirects_are_not_followed(door: Open, code: int) -> None:
    with ScriptedUpstream() as elsewhere:
        way = door(lambda _: redirect(elsewhere.url, code))
        row = way.attempted(way.submit())
        assert elsewhere.connections == 0
    expect_misconfigured(way, row, str(code))


@pytest.mark.parametrize("location", ["http://[", "http://\x80", "//", "https://user@:x:/", ""])
def test_62_nonsense_in_a_redirect_changes_nothing(door: Open, location: str) -> None:
    way = door(lambda _: redirect(location))
    expect_misconfigured(way, way.attempted(way.submit()), "302")


def test_62_the_body_of_a_redirect_is_not_read(door: Open) -> None:
    heads = {"Location": "http://127.0.0.1:9/"}
    way = door(lambda _: Reaction("big redirect", lambda talk: _endless(talk, 302, heads)), deadline=10)
    before = way.relay.rss()
    began = time.monotonic()
    expect_misconfigured(way, way.attempted(way.submit()), "302")
    assert time.monotonic() - began < 5
    assert way.relay.rss() - before < 20_000_000


def _endless(talk: Any, code: int, headers: dict[str, str]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    talk.raw(f"HTTP/1.1 {code} Odd\r\n{lines}Content-Length: 900000000\r\n\r\n".encode(), status=code)
    while True:
        talk.raw(b" " * 65536)


@pytest.mark.parametrize("kind", KINDS)
def test_63_nothing_is_sent_to_an_upstream_with_a_bad_certificate(door: Open, kind: str) -> None:
    """The fourth kind is sound in itself, but of an authority that nobody trusts."""
    way = door(server={"tls": kind})
    row = way.attempted(way.submit())
    assert way.upstream.arrivals == []
    assert way.upstream.failed_handshakes >= 1
    expect_misconfigured(way, row, "certificate")
    assert way.logged("destination.held")[0]["level"] == "warning"


def expect_misconfigured(way: Door, row: Mapping[str, Any], why: str) -> None:
    """Held for the next probe in five minutes; the submission is as it was."""
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 0, False)
    assert row["history"][-1]["outcome"] == "misconfigured"
    reason, left = way.wait_held()
    assert reason == f"misconfigured: {why}"
    assert 300 - 15 <= left <= 300 + LATE


# --- F 79: every way of saying yes --------------------------------------------------------------------

YES = {
    "object": (created(ID), ID),
    "empty body": (created(ID, body=b""), None),
    "id as a number": (created(ID, body={"id": int(ID)}), ID),
    "id alone": (created(ID, body={"id": ID}), ID),
    "id that is none": (created(ID, body={"id": {"a": 1}}), None),
    "not JSON": (created(ID, body=b"<html>Created</html>"), None),
    "JSON, but no object": (created(ID, body=[1, 2]), None),
    "invalid UTF-8": (created(ID, body=b'{"id": "\xff\xfe"}'), None),
    "deep JSON": (created(ID, body=b'{"id":' + b"[" * 20000), None),
    "longer than it is": (wrong_length(+10), ...),
    "shorter than it is": (wrong_length(-10), None),
    "200": (created(ID, code=200), ID),
    "202": (created(ID, code=202), ID),
    "204": (status(204, creates=True), None),
    "after 100 Continue": (raw(b"HTTP/1.1 100 Continue\r\n\r\n"), "then"),
    "after 103 Early Hints": (raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), "then"),
}


@pytest.mark.parametrize("kind", YES)
def test_79_every_way_of_saying_yes_is_delivered(door: Open, kind: str) -> None:
    reaction, profile_id = YES[kind]
    if profile_id == "then":
        first = reaction
        reaction, profile_id = Reaction(kind, lambda talk: (first.play(talk), created(ID).play(talk))[0]), ID
    way = door([reaction])
    answer = way.call()
    assert answer.status == 201, answer.text
    row = way.attempted(str(answer.receipt))
    assert row["state"] == "delivered"
    assert (row["attempts"], row["may_be_duplicate"]) == (0, False)
    if profile_id is ...:
        profile_id = way.upstream.arrivals[0].profile_id
    assert row["profile_id"] == profile_id
    assert answer.json["profile"] == ({"id": profile_id} if profile_id else {})
    if way.upstream.arrivals[0].status != 201:
        assert str(way.upstream.arrivals[0].status) in row["reason"]
    assert len(way.upstream.arrivals) == 1


# --- F 80, 81: nobody knows ---------------------------------------------------------------------------

SILENCES = {
    "silence": silent(),
    "reset": create_then_reset(),
    "close": create_then_close(),
    "cut status line": truncated(),
    "dropped unread": drop(),
    "dropped with a reset": drop(reset=True),
    "HTTP/0.9": garbage(),
    "binary": garbage(b"\x00\x01\x02\xff" * 100),
    "an endless line": garbage(b"HTTP/1.1 201 " + b"x" * 100_000),
}


@pytest.mark.parametrize("ambiguous", ["retry", "park"])
@pytest.mark.parametrize("kind", SILENCES)
def test_80_silence_after_sending_is_unclear(door: Open, kind: str, ambiguous: str) -> None:
    way = door(lambda _: SILENCES[kind], deadline=1, ambiguous=ambiguous, retry=["1s"])
    row = way.attempted(way.submit())
    assert row["history"][-1]["outcome"] == "unclear"
    assert (row["attempts"], row["may_be_duplicate"]) == (1, True)
    if ambiguous == "park":
        assert row["state"] == "parked"
    else:
        assert row["state"] == "queued"
        assert 60 <= due_after_the_answer(row) <= 75
    assert len(way.upstream.arrivals) == 1


@pytest.mark.slow
def test_80_after_three_silences_a_submission_is_parked(door: Open) -> None:
    way = door(lambda _: silent(), deadline=1, retry=["1s"])
    row = way.attempted(way.submit(), times=3, timeout=200)
    times = [arrival.at for arrival in way.upstream.arrivals]
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(times))
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("parked", 3, True)
    time.sleep(5)
    assert len(way.upstream.arrivals) == 3


def test_81_every_call_has_a_connection_of_its_own(door: Open) -> None:
    """On a kept one "never sent" cannot be told from "processed", and libraries send again."""
    way = door([created(), created(), create_then_close()])
    for _ in range(2):
        assert way.call().status == 201
    row = way.attempted(way.submit())
    assert row["history"][-1]["outcome"] == "unclear"
    arrivals = way.upstream.arrivals
    assert len(arrivals) == len({arrival.connection_id for arrival in arrivals}) == 3


# --- F 82: no way there -------------------------------------------------------------------------------


@scenario(retry=["1s"])
def test_82_a_refused_connection_is_tried_again_by_the_schedule(way: Door) -> None:
    way.upstream.refuse()
    receipts = [way.submit() for _ in range(3)]
    for receipt in receipts:
        row = way.attempted(receipt)
        assert row["history"][0]["outcome"] == "later"
        assert (row["state"], row["may_be_duplicate"]) == ("queued", False)
    way.upstream.listen_again()
    way.wait_delivered(3)
    assert len(way.upstream.arrivals) == 3


def test_82_an_outage_holds_the_destination_and_uses_up_nobody(door: Open) -> None:
    way = door(retry=["1s"])
    way.upstream.refuse()
    receipts = way.many(30)
    reason, left = way.wait_held()
    assert reason == "failing"
    assert 30 - 10 <= left <= 30 + LATE
    time.sleep(2)
    rows = [way.relay.submission(receipt) for receipt in receipts]
    tried = sum(len(row["history"]) for row in rows)
    assert 5 <= tried <= 5 + 8, "five in a row, and what was in flight beside them"
    assert all(row["state"] == "queued" and not row["may_be_duplicate"] for row in rows)
    assert way.submit(), "taking submissions in goes on"
    way.upstream.listen_again()
    way.change()
    way.wait_delivered(31)


@pytest.mark.slow
def test_82_probes_come_at_growing_intervals_and_the_backlog_drains(door: Open) -> None:
    way = door(lambda _: status(500), retry=["1s"])
    way.many(30)
    way.wait_held()
    began, before = time.monotonic(), len(way.upstream.arrivals)
    time.sleep(100)  # probes after 30 s and after 60 s more
    probes = [arrival.at - began for arrival in way.upstream.arrivals[before:]]
    assert len(probes) == 2, probes
    assert 28 <= probes[0] <= 33 and 88 <= probes[1] <= 97, probes
    assert len({arrival.body for arrival in way.upstream.arrivals[before:]}) == 2
    way.upstream.script = None
    way.change()
    way.wait_delivered(30)


def test_82_an_unknown_host_is_tried_again(door: Open) -> None:
    way = door(url="https://upstream.invalid/v1/hood/profiles", retry=["20s"])
    row = way.attempted(way.submit(), timeout=30)
    assert row["history"][0]["outcome"] == "later"
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 1, False)
    assert 16 <= due_after_the_answer(row) <= 24 + LATE


def test_82_a_connection_that_never_comes_about_was_surely_not_taken(door: Open) -> None:
    with BlackHole() as port:
        way = door(url=f"http://127.0.0.1:{port}{PATH}", deadline=1, retry=["20s"])
        row = way.attempted(way.submit())
    last = row["history"][-1]
    assert last["outcome"] == "later"
    assert 0.2 <= last["seconds"] <= 1 + LATE
    assert (row["state"], row["may_be_duplicate"]) == ("queued", False)


class BlackHole:
    """A port that takes no connection and refuses none: its queue is full."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.socket(family)
        if family == socket.AF_INET6:
            self._listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self._listener.bind((host, port))
        self._listener.listen(0)
        self._address = self._listener.getsockname()
        self._waiting: list[socket.socket] = []

    def __enter__(self) -> int:
        for _ in range(4):
            waiting = socket.socket(self._listener.family)
            waiting.setblocking(False)
            waiting.connect_ex(self._address)
            self._waiting.append(waiting)
        time.sleep(0.1)
        return int(self._address[1])

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._listener):
            one.close()


# --- F 83, 84: answers without end --------------------------------------------------------------------

SLOW = {
    "drip in the head": (drip(0.2, "head"), "delivered"),
    "half a head": (raw(b"HTTP/1.1 201 Created\r\nContent-Ty", creates=True, code=201), "delivered"),
    "drip in the body": (drip(0.2, "body"), "delivered"),
    "endless 100": (endless_interim(100), "unclear"),
    "endless 103": (endless_interim(103), "unclear"),
    "endless slow chunks": (endless_chunks(b"  ", 0.2), "delivered"),
}


@pytest.mark.parametrize("kind", SLOW)
def test_83_a_call_ends_at_its_deadline_and_delays_no_other(door: Open, kind: str) -> None:
    """Once the status line is there, what is missing changes nothing."""
    reaction, outcome = SLOW[kind]
    way = door([reaction], deadline=0.6)
    slow = way.submit()
    way.upstream.wait_for(1)
    began = time.monotonic()
    assert way.call().status == 201
    assert time.monotonic() - began < 0.5
    row = way.attempted(slow)
    last = row["history"][-1]
    assert last["outcome"] == outcome
    assert last["seconds"] <= 0.6 + LATE
    assert len(way.upstream.arrivals) == 2


BIG = {
    "gzip bomb": gzip_bomb(50_000_000),
    "200 MB": big_body(200_000_000),
    "endless chunks": endless_chunks(),
    "bomb in a 400": gzip_bomb(50_000_000, code=400),
}


@pytest.mark.parametrize("kind", BIG)
def test_84_of_a_huge_answer_only_the_beginning_is_read(door: Open, kind: str) -> None:
    way = door([BIG[kind]], deadline=8)
    before = way.relay.rss()
    row = way.attempted(way.submit())
    assert row["state"] == ("refused" if "400" in kind else "delivered")
    assert row["history"][-1]["seconds"] < 5
    assert way.relay.rss() - before < 20_000_000


# --- F 85, 86: errors ---------------------------------------------------------------------------------

TRACED = {"code": 500, "title": "Internal server error.", "trace_id": TRACE}


@pytest.mark.parametrize("creates", [False, True])
@pytest.mark.parametrize("code", [500, 501, 502, 504, 520])
def test_85_an_error_of_upstream_is_unclear(door: Open, code: int, creates: bool) -> None:
    body = TRACED if creates else TRACED | {"message": "Something went wrong."}
    way = door([status(code, json=body, creates=creates)], retry=["10s"])
    row = way.attempted(way.submit())
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 1, True)
    assert row["history"][-1]["outcome"] == "unclear"
    assert (row["history"][-1]["status"], row["trace_id"]) == (code, TRACE)
    assert 8 <= due_after_the_answer(row) <= 12 + LATE


def test_85_a_short_schedule_does_not_bring_errors_closer_than_five_seconds(door: Open) -> None:
    way = door([status(500)], retry=["100ms"])
    assert 5 <= due_after_the_answer(way.attempted(way.submit())) <= 6 + LATE


@scenario(script=[status(503)], retry=["1s"])
def test_85_503_is_surely_not_taken(way: Door) -> None:
    receipt = way.submit()
    row = way.attempted(receipt, times=2)
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("delivered", 1, False)
    assert [entry["outcome"] for entry in row["history"]] == ["later", "delivered"]
    first, second = way.upstream.arrivals
    assert 0.8 <= second.at - first.at <= 1.2 + LATE


def test_85_no_two_waits_are_equal(door: Open) -> None:
    """Every second call fails, so that no five in a row do."""
    turns = itertools.count()
    way = door(lambda _: status(503) if next(turns) % 2 else created(), parallel=1, retry=["100s"])
    way.many(40)
    eventually(lambda: way.states() == {"delivered": 20, "queued": 20}, 20, "the first attempts")
    waits = [due_after_the_answer(row) for row in way.rows() if row["state"] == "queued"]
    assert len({round(wait, 2) for wait in waits}) > 17, waits
    assert min(waits) >= 80 - 0.1
    assert max(waits) <= 120 + LATE
    assert max(waits) - min(waits) > 10


@pytest.mark.slow
def test_85_after_six_errors_a_submission_is_parked(door: Open) -> None:
    way = door(lambda _: status(500), retry=["1s", "2s", "8s"])
    row = way.attempted(way.submit(), times=6, timeout=90)
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("parked", 6, True)
    waits = [b.at - a.at for a, b in itertools.pairwise(way.upstream.arrivals)]
    assert all(wait >= 5 for wait in waits[:2])
    assert all(6.4 <= wait <= 9.6 + LATE for wait in waits[2:])
    time.sleep(10)
    assert len(way.upstream.arrivals) == 6


@scenario(script=[status(503, {"Retry-After": "120"})], retry=["1s"])
def test_86_retry_after_of_a_503_is_obeyed_by_all(way: Door) -> None:
    row = way.attempted(way.submit())
    assert 120 <= due_after_the_answer(row) <= 125
    reason, left = way.wait_held()
    assert reason == "unavailable"
    assert 115 <= left <= 121
    way.many(5)
    time.sleep(1.5)
    assert len(way.upstream.arrivals) == 1


@scenario(script=[status(503, {"Retry-After": "2"})], retry=["100ms"])
def test_86_after_the_time_that_a_503_named_all_goes_on(way: Door) -> None:
    way.attempted(way.submit())
    way.many(5)
    way.wait_delivered(6)
    first, second, *_ = way.upstream.arrivals
    assert 2 <= second.at - first.at <= 2 + 2 * LATE


# --- F 87: 429 ----------------------------------------------------------------------------------------

NAMED = {
    "seconds": ({"Retry-After": "7"}, 7, 7),
    "blanks": ({"Retry-After": "  7  "}, 7, 7),
    "a date": (
        {"Date": "Tue, 03 Mar 2026 10:00:00 GMT", "Retry-After": "Tue, 03 Mar 2026 10:00:30 GMT"},
        30,
        30,
    ),
    "a date that has passed": (
        {"Date": "Tue, 03 Mar 2026 10:00:00 GMT", "Retry-After": "Tue, 03 Mar 2026 09:00:00 GMT"},
        0,
        60,
    ),
    "too many parallel calls": ({"Retry-After": "-1"}, 1, 5),
    "nought": ({"Retry-After": "0"}, 0, 60),
    "nothing": ({}, 0, 60),
    "nonsense": ({"Retry-After": "abc"}, 0, 60),
    "a fraction": ({"Retry-After": "1.5"}, 0, 60),
    "a minus": ({"Retry-After": "-7"}, 0, 60),
    "for ever": ({"Retry-After": "1000000000"}, 6 * 3600, 6 * 3600),
    "beyond numbers": ({"Retry-After": "9" * 400}, 0, 6 * 3600),
    "two headers": ({"Retry-After": "7", "retry-after": "20"}, 20, 20),
    "rate limit headers": (
        {"Retry-After": "7", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "50"},
        7,
        7,
    ),
}


@pytest.mark.parametrize("kind", NAMED)
def test_87_a_429_holds_the_whole_account(door: Open, kind: str) -> None:
    headers, shortest, longest = NAMED[kind]
    way = door(lambda _: status(429, headers))
    receipt = way.submit()
    row = way.attempted(receipt)
    reason, left = way.wait_held()
    others = way.many(3)
    assert reason.startswith("rate limited")
    assert shortest - 2 <= left <= longest + LATE
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 0, False)
    assert row["history"][0]["outcome"] == "wait"
    if left > 1:
        assert len(way.upstream.arrivals) == 1
        assert all(not way.relay.submission(other)["history"] for other in others)


@scenario(script=[created(), status(429, {"Retry-After": "2"})], parallel=1)
def test_87_after_a_429_all_goes_on_and_no_attempt_is_used_up(way: Door) -> None:
    way.many(20)
    way.wait_delivered(20)
    arrivals = way.upstream.arrivals
    assert arrivals[2].at - arrivals[1].at >= 2
    assert all(row["attempts"] == 0 for row in way.rows())
    assert len(arrivals) == 21


@pytest.mark.parametrize("code", [429, 503])
def test_87_neither_a_reload_nor_a_person_shortens_what_upstream_asked_for(door: Open, code: int) -> None:
    way = door([status(code, {"Retry-After": "100"})], retry=["100ms"])
    way.attempted(way.submit())
    way.change()
    assert way.relay.api("POST", f"/api/destinations/{way.name}/resume").status == 200
    way.submit()
    time.sleep(0.7)
    assert len(way.upstream.arrivals) == 1
    assert way.wait_held()[1] > 90


@scenario(script=lambda _: delay(0.2), server={"parallel": 3}, parallel=6)
def test_87_too_many_parallel_calls_halve_the_parallelism(way: Door) -> None:
    way.many(20)
    way.wait_delivered(20, timeout=40)
    rows = way.rows()
    assert all(row["attempts"] == 0 and not row["may_be_duplicate"] for row in rows)
    too_many = sum(entry["outcome"] == "wait" for row in rows for entry in row["history"])
    assert 1 <= too_many <= 20, "it was learnt from"


# --- F 88, 89: the token ------------------------------------------------------------------------------


@pytest.mark.parametrize("remedy", ["the file changes", "a reload"])
def test_88_a_token_that_dies_in_mid_run_costs_nobody_anything(door: Open, remedy: str) -> None:
    """Whoever was in flight comes back; a new token in the file drains everything by itself."""
    way = door(lambda _: delay(0.02), {"token": "old-token"}, limits="50/second", parallel=2)
    file = way.relay.folder / f"token-{way.name}"
    file.write_text("old-token\n")
    file.chmod(0o600)
    way.change(token=f"file:{file}")
    way.limits = ((50, 1.0),)
    receipts = way.many(60)
    way.upstream.wait_for(10, creates=True)
    way.upstream.token = "new-token"
    reason, left = way.wait_held()
    assert reason == "misconfigured: 401"
    assert 280 <= left <= 301
    time.sleep(0.5)
    refused = [arrival for arrival in way.upstream.arrivals if arrival.status == 401]
    assert 1 <= len(refused) <= 2
    time.sleep(1.0)
    assert len([arrival for arrival in way.upstream.arrivals if arrival.status == 401]) == len(refused)
    waiting = [row for row in way.rows() if row["state"] != "delivered"]
    assert len(waiting) >= 30
    assert all(row["state"] == "queued" and row["attempts"] == 0 for row in waiting)
    assert way.logged("destination.held")[0]["reason"] == "misconfigured: 401"
    file.write_text("new-token")
    if remedy == "a reload":
        way.change()
    way.wait_delivered(len(receipts), timeout=20)
    assert all(row["attempts"] == 0 for row in way.rows())


def test_88_an_answer_to_a_call_from_before_ends_no_hold(door: Open) -> None:
    release = threading.Event()
    way = door(in_a_row(hold(release), status(401)))
    before = way.submit()
    way.upstream.wait_for(1)
    way.submit()
    way.wait_held()
    release.set()
    way.relay.wait_state(before, "delivered")
    way.submit()
    time.sleep(0.7)
    assert way.wait_held()[0] == "misconfigured: 401"
    assert len(way.upstream.arrivals) == 2


@pytest.mark.slow
def test_88_an_alert_is_sent_when_a_hold_begins_and_when_it_is_over() -> None:
    with ScriptedUpstream(lambda _: status(401)) as upstream, ScriptedUpstream() as pager:
        url = f"http://127.0.0.1:{pager.port}/alerts"
        with RelayProcess(config(upstream.url), env={"RELAY_ALERT_URL": url}) as relay:
            relay.form({"email": "ada@example.com"})
            pager.wait_for(1, timeout=15)
            time.sleep(25)
            upstream.script = None
            relay.hup()
            pager.wait_for(2, timeout=15)
            time.sleep(12)
            told = [(arrival.json["alert"], arrival.json["state"]) for arrival in pager.arrivals]
            assert told == [("held:ocamba", "firing"), ("held:ocamba", "over")]
            assert "401" in pager.arrivals[0].json["detail"]
            assert all("authorization" not in arrival.headers for arrival in pager.arrivals)


@pytest.mark.parametrize("code", [401, 404, 405])
def test_89_a_probe_in_vain_takes_another_submission_and_holds_on(door: Open, code: int) -> None:
    way = door(lambda _: status(code), parallel=1)
    way.many(5)
    way.wait_held()
    for probes in (2, 3, 4):
        way.change()  # a reload probes at once
        way.upstream.wait_answered(probes)
        eventually(lambda: (way.held() or ("", 0))[1] > 280, 5, "the next five minutes")
    time.sleep(0.5)
    arrivals = way.upstream.arrivals
    assert len(arrivals) == len({arrival.body for arrival in arrivals}) == 4
    assert all(row["state"] == "queued" and row["attempts"] == 0 for row in way.rows())
    way.upstream.script = None
    way.change()
    way.wait_delivered(5)


def test_88_403_on_two_submissions_in_a_row_is_about_us(door: Open) -> None:
    way = door(lambda _: status(403), parallel=1)
    first = way.attempted(way.submit())
    assert (first["state"], first["history"][0]["outcome"]) == ("queued", "later")
    assert 300 <= due_after_the_answer(first) <= 305
    assert way.held() is None
    second = way.attempted(way.submit())
    expect_misconfigured(way, second, "403")
    third = way.submit()
    time.sleep(0.5)
    assert way.relay.submission(third)["history"] == []
    assert len(way.upstream.arrivals) == 2


def test_88_403_on_one_submission_is_about_that_one(door: Open) -> None:
    way = door(lambda arrival: status(403) if b"banned" in arrival.body else created())
    banned = way.attempted(way.submit("banned"))
    assert (banned["state"], banned["attempts"]) == ("queued", 0)
    assert way.call().status == 201
    assert way.held() is None


@pytest.mark.slow
def test_88_a_second_403_with_another_one_delivered_between_is_a_refusal(door: Open) -> None:
    way = door(lambda arrival: status(403) if b"banned" in arrival.body else created())
    banned = way.submit("banned")
    way.attempted(banned)
    assert way.call().status == 201
    row = way.attempted(banned, times=2, timeout=330)
    first, second = [arrival.at for arrival in way.upstream.arrivals if b"banned" in arrival.body]
    assert 300 <= second - first <= 310
    assert row["state"] == "refused"


@pytest.mark.slow
def test_88_there_is_one_probe_in_five_minutes(door: Open) -> None:
    way = door(lambda _: status(401), parallel=1)
    way.many(5)
    way.wait_held()
    way.upstream.wait_for(2, timeout=330)
    time.sleep(30)
    first, second = way.upstream.arrivals
    assert 298 <= second.at - first.at <= 306
    assert first.body != second.body


# --- F 90, 91: no ------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [400, 409, 413, 415, 422])
def test_90_a_refusal_is_final(door: Open, code: int) -> None:
    way = door(lambda _: status(code))
    receipt = way.submit()
    row = way.attempted(receipt)
    assert (row["state"], row["trace_id"], row["attempts"]) == ("refused", TRACE, 0)
    assert row["history"][0]["outcome"] == "refused"
    assert way.relay.get(f"/receipts/{receipt}").json["state"] == "received"
    assert way.held() is None
    assert len(way.upstream.arrivals) == 1


def test_90_a_caller_who_waits_learns_of_the_refusal(door: Open) -> None:
    way = door(lambda _: status(400))
    answer = way.call()
    assert answer.status == 422
    said = answer.json
    assert (said["state"], said["trace_id"]) == ("refused", TRACE)
    assert way.relay.state(said["receipt"]) == "refused"


def test_90_twenty_refusals_in_a_row_hold_the_destination(door: Open) -> None:
    """A mapping gone wrong must not turn a whole day's people into dead letters."""
    way = door(lambda _: status(400), parallel=1)
    way.many(30)
    reason, left = way.wait_held()
    assert reason.startswith("refusals")
    assert left > 280
    time.sleep(0.5)
    assert way.states() == {"refused": 20, "queued": 10}
    way.upstream.script = None
    way.change()
    eventually(lambda: way.states() == {"refused": 20, "delivered": 10}, 15, "the rest")


@scenario(script=[status(500, creates=True), status(400)], retry=["1s"])
def test_91_a_refusal_after_an_unclear_attempt_is_probably_delivered(way: Door) -> None:
    row = way.attempted(way.submit(), times=2)
    assert (row["state"], row["may_be_duplicate"]) == ("parked", True)
    first, second = way.upstream.arrivals
    assert 5 <= second.at - first.at <= 6 + LATE
    assert row["reason"].startswith("probably delivered")


# --- F 92: everything else ----------------------------------------------------------------------------

OTHERS = {
    "304": (status(304), "misconfigured", 0),
    "300": (status(300), "misconfigured", 0),
    "404": (status(404), "misconfigured", 0),
    "402": (status(402), "unclear", 5),
    "408": (status(408), "unclear", 5),
    "418": (status(418), "unclear", 5),
    "999": (status(999), "unclear", 5),
    "099": (raw(b"HTTP/1.1 099 Odd\r\nConnection: close\r\n\r\n"), "unclear", 60),
    "1000": (raw(b"HTTP/1.1 1000 Odd\r\nConnection: close\r\n\r\n"), "unclear", 60),
    "HTTP/3.7": (raw(b"HTTP/3.7 201 Odd\r\nConnection: close\r\n\r\n"), "unclear", 60),
    "no version": (raw(b"201 Created\r\n\r\n"), "unclear", 60),
    "500 headers": (
        Reaction("500 headers", lambda talk: talk.answer(500, {f"X-{n}": "y" for n in range(500)}, b"")),
        "unclear",
        5,
    ),
    "an empty answer": (drop(), "unclear", 60),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_92_every_other_answer_has_its_class(door: Open, kind: str) -> None:
    reaction, outcome, wait = OTHERS[kind]
    way = door(lambda _: reaction, retry=["1s"], deadline=2)
    row = way.attempted(way.submit())
    assert row["history"][0]["outcome"] == outcome
    assert row["state"] == "queued"
    assert row["may_be_duplicate"] == (outcome == "unclear")
    if wait:
        assert wait <= due_after_the_answer(row) <= 75
    assert len(way.upstream.arrivals) == 1


def test_92_a_server_that_speaks_no_tls_gets_nothing(door: Open) -> None:
    with ScriptedUpstream() as plain:
        way = door(url=f"https://127.0.0.1:{plain.port}{PATH}", deadline=1, retry=["20s"])
        row = way.attempted(way.submit())
        assert plain.arrivals == []
    assert row["history"][0]["outcome"] == "later"
    assert (row["state"], row["may_be_duplicate"]) == ("queued", False)


# --- F 93-96: in the crowd ----------------------------------------------------------------------------


@scenario(script=lambda a: status(500) if b"poison" in a.body else created(), retry=["1s"])
def test_93_one_poison_submission_delays_no_other(way: Door) -> None:
    poison = way.submit("poison")
    way.many(50, threads=2)
    way.wait_delivered(50)
    assert way.held() is None
    row = way.attempted(poison)
    assert (row["state"], row["attempts"]) == ("queued", 1)


@scenario(script=lambda _: status(503), retry=["500ms"], give_up_after="2s")
def test_93_what_is_never_taken_is_given_up_by_age(way: Door) -> None:
    receipt = way.submit()
    row = way.relay.wait_state(receipt, "dead", timeout=10)
    assert row["reason"].startswith("gave up")
    assert 3 <= len(row["history"]) <= 6
    first, *_, last = way.upstream.arrivals
    assert last.at - first.at >= 1.5
    assert way.relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    way.upstream.script = None
    way.relay.wait_state(receipt, "delivered")


@scenario(script=[status(503)], retry=["500ms"], give_up_after="2s")
def test_93_time_in_which_nothing_could_be_sent_makes_nobody_older(way: Door) -> None:
    account = f"/api/destinations/{way.name}"
    assert way.relay.api("POST", f"{account}/pause").status == 200
    receipt = way.submit()
    time.sleep(2.5)
    assert way.relay.api("POST", f"{account}/resume").status == 200
    row = way.relay.wait_state(receipt, "dead", "delivered")
    assert row["state"] == "delivered"


@pytest.mark.slow
def test_94_a_flapping_upstream_loses_nobody(door: Open) -> None:
    """Ten seconds up, ten seconds down, for two minutes."""
    way = door(retry=["1s", "5s"], limits="10/second; 150/minute")
    way.limits = ((10, 1.0), (150, 60.0))
    crowd = Submitters(way.relay.port, way.form, rate=2, seconds=120, make=way.numbered).start()
    for _ in range(6):
        time.sleep(10)
        way.upstream.refuse()
        time.sleep(10)
        way.upstream.listen_again()
    way.sent += crowd.join().ledger
    way.wait_delivered(len(crowd.ledger), timeout=120)
    assert len(way.logged("destination.held")) < 60


TWO_ADDRESSES = """
import socket
ask = socket.getaddrinfo
def getaddrinfo(host, *more, **named):
    if host != "localhost":
        return ask(host, *more, **named)
    return ask("::1", *more, **named) + ask("127.0.0.1", *more, **named)
socket.getaddrinfo = getaddrinfo
"""


def test_95_a_black_hole_on_one_address_is_no_obstacle() -> None:
    """The relay's own Python is told that localhost has an IPv6 address first; many machines have none."""
    port = free_port()
    try:
        hole = BlackHole("::1", port)
    except OSError:
        pytest.skip("there is no IPv6 here")
    with hole, ScriptedUpstream(port=port) as upstream:
        options = config(f"http://localhost:{port}{PATH}", deadline=3)
        with RelayProcess(options, start=False) as relay:
            (relay.folder / "sitecustomize.py").write_text(TWO_ADDRESSES)
            relay.env["PYTHONPATH"] = str(relay.folder)
            relay.start()
            answer = relay.hook({"email": "ada@example.com"})
            assert answer.status == 201
            took = relay.submission(str(answer.receipt))["history"][0]["seconds"]
    assert 0.9 <= took <= 3
    assert len(upstream.arrivals) == 1


@scenario(script=lambda _: delay(0.3), parallel=4)
def test_96_a_slow_upstream_gets_no_more_at_once_than_allowed(way: Door) -> None:
    began = time.monotonic()
    way.many(24, threads=8)
    way.wait_delivered(24)
    assert way.upstream.worst(0.3) == 4, "a call lasts that long"
    assert time.monotonic() - began < 24 / 4 * 0.3 * 1.3 + LATE


@pytest.mark.slow
def test_96_three_seconds_of_latency_cost_little_of_the_quota(door: Open) -> None:
    way = door(lambda _: delay(3), limits="10/second; 150/minute")
    way.limits = ((10, 1.0), (150, 60.0))
    way.many(520, threads=8)
    began = way.upstream.wait_for(1)[0].at
    time.sleep(max(0.0, began + 190 - time.monotonic()))
    counted = [arrival for arrival in way.upstream.arrivals if 0 <= arrival.at - began < 180]
    assert way.upstream.worst(3.0) <= 8, "a call lasts that long"
    assert len(counted) >= 0.9 * 450
    way.wait_delivered(520, timeout=120)


# --- what callers see meanwhile -----------------------------------------------------------------------


def test_a_caller_has_the_verdict_as_soon_as_it_is_there(door: Open) -> None:
    way = door(lambda _: delay(0.7))
    began = time.monotonic()
    answer = way.call()
    took = time.monotonic() - began
    assert (answer.status, answer.json["state"]) == (201, "delivered")
    assert 0.7 <= took <= 0.7 + LATE


@scenario(script=lambda _: delay(2), hook={"wait": 1})
def test_a_caller_whose_patience_ends_is_told_that_it_is_kept(way: Door) -> None:
    began = time.monotonic()
    answer = way.call()
    took = time.monotonic() - began
    assert (answer.status, answer.json["state"]) == (202, "queued")
    assert 1 <= took <= 1 + LATE
    assert way.relay.wait_state(str(answer.receipt), "delivered")["attempts"] == 0


def test_a_caller_does_not_wait_for_a_destination_that_is_held(door: Open) -> None:
    way = door([status(429, {"Retry-After": "100"})])
    way.attempted(way.submit())
    began = time.monotonic()
    answer = way.call()
    assert time.monotonic() - began < 1
    assert (answer.status, answer.json["state"], answer.json["eta_seconds"]) == (202, "queued", None)


@scenario(script=[status(503)], retry=["1s"])
def test_a_caller_learns_of_a_later_attempt_within_its_patience(way: Door) -> None:
    began = time.monotonic()
    answer = way.call()
    assert time.monotonic() - began < 5
    assert answer.status in (201, 202)
    way.wait_delivered(1)


def test_waiting_callers_do_not_starve_the_door(door: Open) -> None:
    """At most half of the sixteen request threads wait."""
    release = threading.Event()
    way = door(lambda _: hold(release), parallel=32, deadline=20)
    proof = {"Authorization": f"Bearer {way.relay.hook_secret}"}
    callers = Submitters(
        way.relay.port, way.hook, threads=24, count=24, kind="json", make=way.numbered, headers=proof
    ).start()
    way.upstream.wait_for(8)
    for _ in range(10):
        began = time.monotonic()
        way.submit()
        assert get(way.relay.port, "/healthz").status == 200
        assert time.monotonic() - began < 1
    release.set()
    way.sent += callers.join().ledger
    way.wait_delivered(34)
