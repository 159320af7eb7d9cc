"""What the README's figures were measured with: ``python -m benchmarks.run [--only NAME …] [--long]``.

Every figure is a comparison within one run: with a bare Flask view that returns a constant under the same
gunicorn settings, with the upstream called directly, or of one process with itself. Loopback only.
"""

import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.kit.processes import free_port
from tests.kit.relay import RelayProcess

ROOT = Path(__file__).parent.parent
PAIRS = 5
FAST = {"limits": "100000/second"}
REAL = {"limits": "10/second; 150/minute"}


@dataclass(frozen=True)
class Figure:
    """One measured figure and the target it is held against."""

    name: str
    value: float
    target: float
    at_least: bool
    unit: str
    how: str

    @property
    def met(self) -> bool:
        return self.value >= self.target if self.at_least else self.value <= self.target

    def __str__(self) -> str:
        sign, verdict = ("≥" if self.at_least else "≤"), ("met" if self.met else "MISSED")
        target = f"{sign} {self.target:g}{self.unit}, {verdict}"
        return f"{self.name}: {self.value:.2f}{self.unit} ({target}); {self.how}"


# --- what is measured against ---------------------------------------------------------------------------


@contextmanager
def bare(port: int, *wrap: str) -> Iterator[subprocess.Popen[bytes]]:
    """The constant view, with the relay's own gunicorn settings but none of its code."""
    process = subprocess.Popen(
        [
            *wrap,
            *(sys.executable, "-m", "gunicorn", "benchmarks.bare:app", "-c", "/dev/null"),
            *("-b", f"127.0.0.1:{port}", "-w", "1", "-k", "gthread", "--threads", "16"),
            *("--worker-connections", "2000", "--keep-alive", "2", "--no-control-socket"),
        ],
        cwd=ROOT,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"]},
    )
    try:
        wait_for(port, "/submit/newsletter")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def wait_for(port: int, path: str, seconds: float = 30) -> float:
    """Return how long it took until the port answered."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < seconds:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return time.perf_counter() - begun
        except OSError:
            time.sleep(0.005)
        finally:
            connection.close()
    raise SystemExit(f"nothing answered on port {port}")


class _Perfect(BaseHTTPRequestHandler):
    """An upstream that creates at once."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"id":"17430755068336100383","country_code":"DE"}'
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def perfect_upstream() -> Iterator[int]:
    """Serve a perfect upstream and yield its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Perfect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def relay(upstream: int, pace: dict[str, str] = FAST, **options: Any) -> RelayProcess:
    """Return a running relay without limits at the door."""
    none = {"client_limits": "none", "source_limits": "none", "recipient_limits": "none"}
    fields = {
        "email": "email",
        "mobile_phone_number": "phone",
        "full_name": {"from": ["first_name", "last_name"]},
    }
    config = {
        "destinations": {
            "ocamba": {"url": f"http://127.0.0.1:{upstream}/", "token": "env:OCAMBA_TOKEN", **pace}
        },
        "sources": {
            "newsletter": {"kind": "form", **none, "fields": fields},
            "hook": {
                "kind": "webhook",
                "secret": "env:HOOK_SECRET",
                "wait": 5,
                "fields": {"email": "email"},
            },
        },
    }
    return RelayProcess(config, **options)


def post_load(port: int, seconds: float, *more: str) -> dict[str, Any]:
    """Run the load in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.load",
        str(port),
        "/submit/newsletter",
        "--seconds",
        str(seconds),
        *more,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=seconds + 60)
    found: dict[str, Any] = json.loads(done.stdout)
    if set(found["statuses"]) != {"202"}:
        raise SystemExit(f"unexpected answers: {found['statuses']}")
    return found


# --- figures ------------------------------------------------------------------------------------------------


def accept(seconds: float = 5) -> list[Figure]:
    """Durable accept against the bare view, in turns, while the relay sends on at upstream's real pace."""
    core = ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))
    with (
        perfect_upstream() as upstream,
        bare(port := free_port()),
        bare(on_one_core := free_port(), *core),
        relay(upstream, REAL) as server,
    ):
        post_load(port, 1), post_load(on_one_core, 1), post_load(server.port, 1)
        return [
            *_accepted(port, on_one_core, server.port, seconds, "kept alive"),
            *_accepted(port, on_one_core, server.port, seconds, "fresh", "--fresh"),
        ]


def _accepted(
    bare_port: int, on_one_core: int, relay_port: int, seconds: float, kind: str, *more: str
) -> list[Figure]:
    """Compare with the view as gunicorn starts it; what it does on one core is told beside."""
    pairs = []
    for _ in range(PAIRS):
        pairs.append((post_load(bare_port, seconds, *more), post_load(relay_port, seconds, *more)))
        theirs, ours = (one["rate"] for one in pairs[-1])
        kept = post_load(on_one_core, seconds, *more)["rate"]
        print(f"  {kind}: bare {theirs:.0f}/s (on one core {kept:.0f}/s), relay {ours:.0f}/s", flush=True)
    rate = statistics.median(ours["rate"] / theirs["rate"] for theirs, ours in pairs)
    p99 = statistics.median(ours["p99_ms"] / theirs["p99_ms"] for theirs, ours in pairs)
    how = f"median of {PAIRS} interleaved pairs, 16 connections, e-mail, phone and name"
    return [
        Figure(f"accept rate ÷ bare Flask view, {kind}", rate, 0.45, True, "×", how),
        Figure(f"accept p99 ÷ bare p99, {kind}", p99, 2.5, False, "×", how),
    ]


def wait(count: int = 200) -> list[Figure]:
    """A request that waits for the verdict, against calling upstream oneself."""
    direct, relayed = [], []
    with perfect_upstream() as upstream, relay(upstream) as server:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {server.hook_secret}"}
        for number in range(count + 20):
            body = json.dumps({"email": f"w{number}@example.com"})
            direct.append(timed(upstream, "/", body, headers, 201))
            relayed.append(timed(server.port, "/submit/hook", body, headers, 201))
    added = statistics.median(relayed[20:]) - statistics.median(direct[20:])
    how = f"median of {count}, one client, a connection each"
    return [Figure("latency added with wait, p50", added * 1000, 5, False, " ms", how)]


def timed(port: int, path: str, body: str, headers: dict[str, str], status: int) -> float:
    """Post and return the seconds it took."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != status:
        raise SystemExit(f"port {port} answered {answer.status}")
    return time.perf_counter() - begun


def commits(count: int = 50) -> list[Figure]:
    """Commits of a submission that waits, counted as fsyncs of the WAL by strace."""
    if shutil.which("strace") is None:
        print("  skipped: strace is not installed (apt-get install strace)")
        return []
    with perfect_upstream() as upstream, relay(upstream) as server, tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "trace")
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {server.hook_secret}"}
        worker = server.worker_pids()[0]
        tracer = subprocess.Popen(
            [
                "strace",
                "-f",
                "-y",
                "-e",
                "trace=fsync,fdatasync,ftruncate",
                "-o",
                str(trace),
                "-p",
                str(worker),
            ],
            stderr=subprocess.DEVNULL,
        )
        time.sleep(1)
        for number in range(count):
            body = json.dumps({"email": f"c{number}@example.com"})
            timed(server.port, "/submit/hook", body, headers, 201)
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
        lines = trace.read_text().splitlines()

    def seen(call: str, file: str) -> int:
        return sum(call in line and f"{file}>" in line for line in lines)

    # A checkpoint syncs the WAL, then the database, and empties the WAL, whose new head is synced by itself.
    commits = seen("sync(", "-wal") - seen("sync(", ".db") - seen("ftruncate(", "-wal")
    return [Figure("commits per submission with wait", commits / count, 3, False, "", f"{count} submissions")]


def start() -> list[Figure]:
    """From the command to ready, against the bare view."""
    ratios = []
    with perfect_upstream() as upstream:
        for _ in range(PAIRS):
            port = free_port()
            begun = time.perf_counter()
            with bare(port):
                plain = time.perf_counter() - begun
            begun = time.perf_counter()
            with relay(upstream):
                ratios.append((time.perf_counter() - begun) / plain)
    return [Figure("start ÷ bare start", statistics.median(ratios), 4, False, "×", f"median of {PAIRS}")]


def idle() -> list[Figure]:
    """Memory of the whole service, idle."""
    with perfect_upstream() as upstream, relay(upstream) as server:
        time.sleep(3)
        found = memory(server)
    return [Figure("memory idle, master and worker", found, 120, False, " MiB", "sum of resident sets")]


def memory(server: RelayProcess) -> float:
    """Return the resident memory of a service in MiB."""
    return server.rss() / 1024 / 1024


def growth(count: int = 120_000, warm: int = 20_000) -> list[Figure]:
    """Memory growth under steady submissions."""
    with perfect_upstream() as upstream, relay(upstream) as server:
        done = sum(post_load(server.port, 10)["count"] for _ in rounds(warm, server))
        before, at = memory(server), done
        while done < at + count - warm:
            done += post_load(server.port, 10)["count"]
            print(f"  {done} submissions, {memory(server):.1f} MiB", flush=True)
        grown = (memory(server) - before) / (done - at) * 100_000
    return [Figure("memory growth per 100,000 submissions", grown, 2, False, " MiB", f"{done} submissions")]


def rounds(count: int, server: RelayProcess) -> Iterator[None]:
    """Yield until so many submissions must have been taken."""
    until = time.monotonic() + count / 500
    while time.monotonic() < until:
        yield None


def core(seconds: float = 5) -> list[Figure]:
    """The relay on its one core against the same relay let go to all of them, in turns."""
    every = os.sched_getaffinity(0)
    pairs = []
    with perfect_upstream() as upstream, relay(upstream, REAL) as kept, relay(upstream, REAL) as loose:
        for thread in os.listdir(f"/proc/{loose.worker_pids()[0]}/task"):
            os.sched_setaffinity(int(thread), every)
        post_load(kept.port, 1), post_load(loose.port, 1)
        for _ in range(PAIRS):
            pairs.append((post_load(loose.port, seconds), post_load(kept.port, seconds)))
            moving, staying = (one["rate"] for one in pairs[-1])
            print(f"  moving {moving:.0f}/s, on one core {staying:.0f}/s", flush=True)
    rate = statistics.median(one["rate"] / other["rate"] for other, one in pairs)
    p99 = statistics.median(one["p99_ms"] / other["p99_ms"] for other, one in pairs)
    how = f"median of {PAIRS} interleaved pairs, 16 connections kept alive"
    return [
        Figure("accept rate on one core ÷ moving between cores", rate, 1, True, "×", how),
        Figure("accept p99 on one core ÷ moving between cores", p99, 1, False, "×", how),
    ]


FIGURES: dict[str, Callable[[], list[Figure]]] = {
    "accept": accept,
    "wait": wait,
    "core": core,
    "commits": commits,
    "start": start,
    "idle": idle,
    "growth": growth,
}
LONG = ("growth",)


def main() -> int:
    """Measure, print, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=list(FIGURES), nargs="+")
    parser.add_argument("--long", action="store_true", help="also what takes minutes")
    asked = parser.parse_args()
    names = asked.only or [name for name in FIGURES if asked.long or name not in LONG]
    missed = 0
    for name in names:
        print(f"{name} …", flush=True)
        for figure in FIGURES[name]():
            print(f"  {figure}", flush=True)
            missed += not figure.met
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
