"""Many processes on one PostgreSQL and one Redis: ``python -m benchmarks.scale [--seconds N]``.

With 1 M delivered rows and a backlog of 100 k present, 1, 2 and 4 relays send to one strict upstream: no
window is exceeded in any phase at the receiver, at least 97 % of the quota is used, four processes accept
at 0.9 of one's rate or more, and a claim takes little longer than on an almost empty table.
"""

import argparse
import statistics
import sys
import time
from contextlib import ExitStack
from typing import Any

import sqlalchemy as sa

from benchmarks.rows import fill, outbox
from benchmarks.run import Figure, post_load
from relay import vault as vaults
from relay.destination import Destination
from relay.outbox.records import Claim, Turn
from relay.quota import parse_windows
from tests.kit.relay import RelayProcess, config
from tests.kit.services import postgres, redis
from tests.kit.upstream import ScriptedUpstream, created, delay

LIMITS = "10/second; 150/minute"
DELIVERED, BACKLOG = 1_000_000, 100_000
PHASES = (1, 2, 4)


def claim_seconds(url: str, key: str, count: int = 200) -> float:
    """Return the median seconds of a claim; what was claimed is put back."""
    taken = []
    destination = Destination("ocamba", "http://127.0.0.1:9/", "token", parse_windows("1000000/second"))
    with outbox(url, key) as box:
        turn = Turn()
        for _ in range(count):
            begun = time.perf_counter()
            claimed = box.claim(destination, turn)
            taken.append(time.perf_counter() - begun)
            if not isinstance(claimed, Claim):
                raise SystemExit(f"nothing to claim: {claimed}")
            with box._engine.begin() as conn:
                conn.execute(
                    sa.text("UPDATE deliveries SET state = 'queued' WHERE receipt = :receipt"),
                    {"receipt": claimed.delivery.receipt},
                )
                conn.execute(sa.text("DELETE FROM attempts WHERE id = :id"), {"id": claimed.attempt})
    return statistics.median(taken)


def phase(count: int, url: str, limits_url: str, key: str, seconds: float) -> tuple[list[Figure], float]:
    """Run so many relays on the backlog; return what the receiver saw, and the rate of accepting."""
    latencies = iter(range(10**9))

    def answer(_: Any) -> Any:
        return delay((next(latencies) % 4) * 0.1, created())

    environment = {"RELAY_SECRET_KEYS": key, "RELAY_LIMITS_URL": limits_url}
    with ScriptedUpstream(answer, windows=[(10, 1.0), (150, 60.0)]) as upstream, ExitStack() as running:
        settings = config(upstream.url, limits=LIMITS)
        for source in settings["sources"].values():
            source.update(client_limits="none", source_limits="none", recipient_limits="none")
        relays = [
            running.enter_context(RelayProcess(settings, database_url=url, env=environment))
            for _ in range(count)
        ]
        upstream.wait_for(1, timeout=90)  # the phase before may have used the minute up
        time.sleep(seconds)
        at = [arrival.at for arrival in upstream.arrivals]
        minutes = max(1, int(seconds / 60) - 1)  # whole ones: the calls of each come in a burst
        used = len([one for one in at if 0 < one - at[0] - 60 <= 60 * minutes]) / (150 * minutes)
        rate = statistics.median(together(relays) for _ in range(3))
        how = f"{count} processes, {len(at)} calls"
        figures = [
            Figure(f"most calls in any second, {count} processes", upstream.worst(1.0), 10, False, "", how),
            Figure(f"most calls in any minute, {count} processes", upstream.worst(60.0), 150, False, "", how),
            Figure(f"429 answers, {count} processes", upstream.violations, 0, False, "", how),
            Figure(f"quota used, {count} processes", used * 100, 97, True, " %", how),
        ]
    return figures, rate


def together(relays: list[RelayProcess]) -> float:
    """Return how many submissions a second all relays accept together."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(relays)) as pool:
        return sum(float(found["rate"]) for found in pool.map(lambda one: post_load(one.port, 4), relays))


def main() -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180, help="of sending per phase, 120 or more")
    parser.add_argument("--rows", type=int, default=DELIVERED)
    parser.add_argument("--backlog", type=int, default=BACKLOG)
    parser.add_argument("--phases", type=int, nargs="+", default=PHASES, help="how many relays at a time")
    asked = parser.parse_args()
    key = vaults.new_key()
    figures: list[Figure] = []
    with postgres() as server, redis() as cache:
        almost_empty = server.create_database()
        fill(almost_empty, key, 1000, 5000, ("queued",))
        small = claim_seconds(almost_empty, key)
        print(f"claim at 6 k rows: {small * 1000:.2f} ms; filling …", flush=True)
        url = server.create_database()
        fill(url, key, asked.rows, asked.backlog, ("queued",))
        large = claim_seconds(url, key)
        how = f"{asked.rows} delivered, {asked.backlog} queued; {small * 1000:.2f} → {large * 1000:.2f} ms"
        figures.append(Figure("claim p50 ÷ on a small table", large / small, 1.5, False, "×", how))
        print(figures[-1], flush=True)
        rates = {}
        for count in asked.phases:
            found, rates[count] = phase(count, url, cache.url, key, asked.seconds)
            figures += found
            print(*found, sep="\n", flush=True)
        few, many = asked.phases[0], asked.phases[-1]
        how = ", ".join(f"{count}: {rate:.0f}/s" for count, rate in rates.items())
        name = f"accept rate, {many} processes ÷ {few}"
        figures.append(Figure(name, rates[many] / rates[few], 0.9, True, "×", how))
        print(figures[-1], flush=True)
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
