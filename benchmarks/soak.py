"""A long run with mixed faults and mixed sources: ``python -m benchmarks.soak [--minutes 30] [--seed N]``.

People at a form and machines at a webhook sign up all the time, upstream has a fault every other spell, the
relay is killed now and then, and somebody has the dashboard open. What a leak would make larger is compared
between two quarters of the run; at the end the judge of the fault tests compares the three ledgers. Loopback
only.
"""

import argparse
import contextlib
import http.client
import random
import statistics
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.pages import Browser
from benchmarks.run import Figure
from tests.faults.trial import FAST, Fault, Trial
from tests.kit.relay import RelayProcess
from tests.kit.upstream import Arrival, Reaction, created, delay, drop, silent, status

SPELL_SECONDS, KILL_SECONDS, SAMPLE_SECONDS, LOOK_SECONDS = 10.0, 120.0, 2.0, 3.0
RATE = 9.0
"""Sign-ups a second at the form, and as many at the webhook."""
FLAT = 1.1
FAULTS = {
    "502": lambda: status(502),
    "silence": lambda: silent(creates=False),
    "a reset": lambda: drop(reset=True),
    "429": lambda: status(429, {"Retry-After": "2"}),
    "slow": lambda: delay(0.5),
}
LOOKED_AT = ("/dashboard", "/dashboard/needs-you", "/dashboard/submissions", "/api/status", "/api/sources")


@dataclass(frozen=True)
class Sample:
    """What the relay used at a moment; ``wal`` and ``disk`` in bytes, ``disk`` for each row."""

    threads: int
    files: int
    memory: int
    wal: int
    disk: float


class Weather:
    """Upstream's moods: every other spell it has a fault, drawn at random."""

    def __init__(self, chance: random.Random) -> None:
        self._begun = time.monotonic()
        self._faults = [chance.choice(list(FAULTS)) for _ in range(1000)]

    def __call__(self, _: Arrival) -> Reaction:
        number = int((time.monotonic() - self._begun) / SPELL_SECONDS)
        return FAULTS[self._faults[number // 2 % 1000]]() if number % 2 else created()


def sample(relay: RelayProcess, rows: int) -> Sample | None:
    """Measure the worker; None while there is none."""
    pids = relay.worker_pids()
    if not pids:
        return None
    process, database = Path(f"/proc/{pids[0]}"), relay.database_path
    try:
        return Sample(
            threads=len(list((process / "task").iterdir())),
            files=len(list((process / "fd").iterdir())),
            memory=relay.rss(),
            wal=database.with_name(f"{database.name}-wal").stat().st_size,
            disk=database.stat().st_size / max(1, rows),
        )
    except FileNotFoundError:  # it has just ended
        return None


@contextmanager
def looking(relay: RelayProcess) -> Iterator[list[int]]:
    """Have somebody go from page to page meanwhile; the list holds how many pages were seen."""
    over, seen = threading.Event(), [0]

    def look() -> None:
        browser: Browser | None = None
        while not over.wait(LOOK_SECONDS):
            try:
                browser = browser or Browser(relay)
                browser.get(LOOKED_AT[seen[0] % len(LOOKED_AT)])
                seen[0] += 1
            except (OSError, http.client.HTTPException):  # it was killed
                browser = None

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def lived_through(trial: Trial, relay: RelayProcess, seconds: float) -> list[Sample]:
    """Let it all happen for so long; return what was measured meanwhile."""
    crowds = trial.crowds(relay, threads=6, rate=RATE, seconds=seconds).start()
    began = time.monotonic()
    killed_at, told_at, taken = began, began, []
    while (now := time.monotonic()) < began + seconds:
        time.sleep(SAMPLE_SECONDS)
        if now > killed_at + KILL_SECONDS:
            killed_at = now
            relay.kill9()
            relay.start()
            trial.tried()
        rows = len(crowds.people.acknowledged) + len(crowds.machines.acknowledged)
        if (one := sample(relay, rows)) is not None:
            taken.append(one)
        if now > told_at + 30 and taken:
            told_at = now
            trial.say(f"{rows} taken; {taken[-1].memory / 2**20:.0f} MiB, {taken[-1].threads} threads")
    crowds.join()
    return taken


def flatness(taken: list[Sample]) -> list[Figure]:
    """Return how much larger everything was in the last quarter than in the second."""
    quarter, found = len(taken) // 4, []
    for one in fields(Sample):
        second, last = (
            statistics.median(getattr(some, one.name) for some in part)
            for part in (taken[quarter : 2 * quarter], taken[3 * quarter :])
        )
        ratio = last / second if second else 1.0
        found.append(Figure(one.name, ratio, FLAT, False, "×", f"{second:,.0f} → {last:,.0f}"))
    return found


def main() -> int:
    """Run, print, and return 1 if anything grew or was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    asked = parser.parse_args()
    print(f"--seed {asked.seed}", flush=True)
    with contextlib.ExitStack() as stack:
        trial = stack.enter_context(Trial(Fault("soak", "", lambda _: None), quick=False, seed=asked.seed))
        upstream = trial.upstream(Weather(trial.random))
        relay = trial.relay(upstream.url, FAST)
        with looking(relay) as seen:
            taken = lived_through(trial, relay, 60 * asked.minutes)
        upstream.script = None
        trial.drain(relay, 300)
        trial.reconcile(relay, upstream.arrivals)
        size, result = relay.database_path.stat().st_size, trial.result
    figures = flatness(taken)
    print(*figures, sep="\n")
    print(f"{result.acknowledged:,} acknowledged, {result.delivered:,} delivered, {result.waiting} wait,")
    print(f"{result.lost} lost, {result.twice} twice unmarked; {result.tries} kills, {seen[0]} pages seen;")
    print(f"{size / max(1, result.delivered):,.0f} bytes on disk for each that was delivered")
    return 0 if all(one.met for one in figures) and not result.violations else 1


if __name__ == "__main__":
    sys.exit(main())
