"""What is measured of each contender. All of it on loopback, bounded in count and time."""

import http.client
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from benchmarks.load import request
from benchmarks.peers.contenders import ROOT, Contender, running
from tests.kit.upstream import Arrival, Reaction, ScriptedUpstream, created, delay, status

CONNECTIONS, SECONDS, BURST = 16, 5.0, 5_000
LATENCIES, LATENCY_PAUSE = 30, 0.5
PEOPLE, KILL_ROUNDS, POST_SECONDS = 40, 4, 2.0
QUIET_SECONDS, DRAIN_SECONDS = 60.0, 180.0
CROWD, QUOTA_SECONDS = 200, 65.0
WINDOWS = ((10, 1.0), (150, 60.0))

Result = dict[str, float]


@dataclass
class Stage:
    """An upstream, and a way to set somebody up before it, each time anew."""

    upstream: ScriptedUpstream
    make: Callable[[], Contender]
    chance: random.Random = field(default_factory=random.Random)


def accepting(stage: Stage) -> Result:
    """Sign-ups taken a second, the slowest of a hundred, over kept and fresh connections; a burst."""
    with running(contender := stage.make()):
        _load(contender, "--seconds", "1")
        kept, fresh = _load(contender), _load(contender, "--fresh")
    with running(contender := stage.make()):
        burst = _load(contender, "--seconds", "120", "--most", str(BURST), "--connections", "200")
    return {
        "accepted a second, kept alive": kept["rate"],
        "p99 in ms, kept alive": kept["p99_ms"],
        "accepted a second, fresh": fresh["rate"],
        "p99 in ms, fresh": fresh["p99_ms"],
        f"seconds to take {BURST:,} at once": burst["count"] / burst["rate"],
        f"refused of {BURST:,} at once": BURST - burst["statuses"].get("202", 0),
    }


def _load(contender: Contender, *more: str) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.load", str(contender.port), contender.path]
    if "--seconds" not in more:
        more = (*more, "--seconds", str(SECONDS))
    done = subprocess.run([*words, *more], cwd=ROOT, capture_output=True, text=True, check=True, timeout=200)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def resting(stage: Stage) -> Result:
    """Seconds from the command to listening, and memory a few seconds later with one sign-up taken."""
    with running(contender := stage.make()) as took:
        post(contender, contender.path, 0, "1")
        time.sleep(3)
        return {"start in seconds": took, "idle memory in MiB": contender.memory()}


def adding(stage: Stage) -> Result:
    """Milliseconds that a caller who waits for upstream's word waits longer than if it called upstream."""
    with running(contender := stage.make()):
        direct, through = [], []
        for number in range(LATENCIES):
            began = time.perf_counter()
            _ask(stage.upstream.port, "/", b"{}", {"Content-Type": "application/json"})
            direct.append(time.perf_counter() - began)
            began = time.perf_counter()
            post(contender, str(contender.waiting_path), number, "2")
            through.append(time.perf_counter() - began)
            time.sleep(LATENCY_PAUSE)
    return {"latency added in ms": 1000 * (statistics.median(through) - statistics.median(direct))}


def killed(stage: Stage) -> Result:
    """People lost and doubled when everything is killed while they sign up, with upstream up and down."""
    lost, twice, marked, taken = 0, 0, 0, 0
    for number in range(KILL_ROUNDS):
        stage.upstream.forget()
        contender = stage.make()
        told = _killed_once(stage, contender, str(10 + number), down=number % 2 == 1)
        made = Counter(_email(arrival) for arrival in stage.upstream.creates)
        taken += len(told)
        lost += len(told - set(made))
        twice += sum(count - 1 for count in made.values())
        marked += contender.marked()
    return {"acknowledged": taken, "lost": lost, "doubled": twice, "doubles that are marked": marked}


def _killed_once(stage: Stage, contender: Contender, run: str, down: bool) -> set[str]:
    up = threading.Event()

    def react(_: Arrival) -> Reaction:
        return delay(0.05, created()) if up.is_set() else status(503)

    stage.upstream.script = react
    if not down:
        up.set()
    contender.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            told = pool.map(lambda number: _signed_up(contender, number, run), range(PEOPLE))
            time.sleep(stage.chance.uniform(0.3, POST_SECONDS))
            contender.end()
        acknowledged = {email for email in told if email}
        contender.start()
        time.sleep(2)
        up.set()
        _drained(stage.upstream, acknowledged)
    finally:
        contender.end()
    return acknowledged


def _signed_up(contender: Contender, number: int, run: str) -> str | None:
    """Sign one up; return the address if it was told yes."""
    time.sleep(4 * POST_SECONDS / PEOPLE)
    try:
        return f"p{number}.{run}@example.com" if post(contender, contender.path, number, run) < 300 else None
    except (OSError, http.client.HTTPException):
        return None


def _drained(upstream: ScriptedUpstream, wanted: set[str]) -> None:
    """Wait until all of them are there, or nothing has come for long."""
    ends = time.monotonic() + DRAIN_SECONDS
    quiet, seen = time.monotonic(), len(upstream.arrivals)
    while time.monotonic() < min(ends, quiet + QUIET_SECONDS):
        if wanted <= {_email(arrival) for arrival in upstream.creates}:
            time.sleep(3)  # what is sent twice may come yet
            return
        time.sleep(0.2)
        if len(upstream.arrivals) != seen:
            quiet, seen = time.monotonic(), len(upstream.arrivals)


def pacing(stage: Stage) -> Result:
    """A crowd signs up at once before an upstream as strict as the real one: calls beyond its windows, and
    people who got through in the time."""
    with running(contender := stage.make()):
        stage.upstream.forget()
        stage.upstream.violations = 0
        began = time.monotonic()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda number: _tried(contender, number), range(CROWD)))
        time.sleep(max(0.0, began + QUOTA_SECONDS - time.monotonic()))
        made = len({_email(arrival) for arrival in stage.upstream.creates})
    reached = f"delivered of {CROWD} in {QUOTA_SECONDS:.0f} s"
    return {"calls beyond the quota": stage.upstream.violations, reached: made}


def _tried(contender: Contender, number: int) -> None:
    try:
        post(contender, contender.path, number, "3")
    except (OSError, http.client.HTTPException):
        return  # it counts as not delivered


def post(contender: Contender, path: str, number: int, run: str) -> int:
    """Post one sign-up; return the status."""
    body = request(path, run, number, fresh=True).partition(b"\r\n\r\n")[2]
    return _ask(contender.port, path, body, {"Content-Type": "application/x-www-form-urlencoded"})


def _ask(port: int, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _email(arrival: Arrival) -> str:
    found = arrival.json
    return str(found.get("email")) if isinstance(found, dict) else ""
