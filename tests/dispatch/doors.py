"""One relay for a file of tests; each test opens a door of its own in it.

A door is a destination with its scripted upstream and two sources, taken in by a reload. After every test the
judge looks at all that went through the door.
"""

import itertools
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.kit.client import Answer, Sent, Submitters, heard
from tests.kit.judge import judge
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess
from tests.kit.upstream import (
    PATH,
    Arrival,
    Reaction,
    ScriptedUpstream,
)

WIDE = "100/second; 2000/minute"
WIDE_LIMITS = ((100, 1.0), (2000, 60.0))
LATE = 1.0
"""Seconds by which a busy machine may be later than it should."""
TRACE = "99a84211-f73d-4ff8-acdf-eb3e06bb9d62"
ID = "17430755068336100383"


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


Scenario = Callable[[Door], None]


class Scenarios:
    """Tests of what happens at one door, which run at the same time: they mostly wait.

    `open_door` makes a door, without a reload, from the options a test is marked with; `copies` of it.
    `at_once`: how many may run together where what they do is work.
    """

    def __init__(self, open_door: Callable[..., Door], finished: bool = False, at_once: int = 64) -> None:
        self._open = open_door
        self._finished = finished
        self._at_once = at_once
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
        with ThreadPoolExecutor(self._at_once) as pool:
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


def with_script(
    site: Site, script: Any = None, server: Mapping[str, Any] | None = None, **options: Any
) -> Door:
    upstream = ScriptedUpstream(script, **(server or {}))
    way = site.open(upstream, reload=False, **options)
    way.closing.enter_context(upstream)
    return way


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


def expect_misconfigured(way: Door, row: Mapping[str, Any], why: str) -> None:
    """Held for the next probe in five minutes; the submission is as it was."""
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 0, False)
    assert row["history"][-1]["outcome"] == "misconfigured"
    reason, left = way.wait_held()
    assert reason == f"misconfigured: {why}"
    assert 300 - 15 <= left <= 300 + LATE
