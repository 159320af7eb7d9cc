"""Reloads in mid-stream, threads that die, and a long run.

128-131 are tried beside what they are about: test_intake, tests/outbox, test_operator, test_postgres_process.
"""

import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.client import Made, Submitters
from tests.kit.judge import judge
from tests.kit.relay import NEWSLETTER, ROOT, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, delay

WIDE = {"limits": "200/second; 12000/minute", "ambiguous": "park", "retry": ["1s"]}
WINDOWS = ((200, 1.0), (12000, 60.0))


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


# --- reloads -----------------------------------------------------------------------------------------

FIELDS = ("full_name", "mobile_phone_number")
PHONES = {"a": "+4915112340001", "b": "+4915112340002"}


def test_no_call_and_no_profile_mixes_two_configurations(seed: int) -> None:
    """Two configurations that have nothing in common take turns under load; then it is told to stop.

    Every profile has both its values from one of them, and every call has its address and its token from
    one.
    """
    chance = random.Random(seed)
    with ScriptedUpstream(lambda _: delay(0.02)) as first, ScriptedUpstream(lambda _: delay(0.02)) as second:
        relay = RelayProcess(
            turned("a", first), env={"TOKEN_A": "token-a", "TOKEN_B": "token-b"}, start=False
        )
        with relay:
            relay.start()
            with Submitters(relay.port, threads=4, rate=60, seconds=600, make=plain()) as crowd:
                for number in range(14):
                    time.sleep(chance.uniform(0.1, 0.5))
                    relay.configure(turned("b", second) if number % 2 == 0 else turned("a", first))
                    relay.hup()
                    if number % 5 == 4:
                        time.sleep(chance.uniform(0, 0.02))
                        assert relay.term(30) == 0
                        relay.start()
                crowd.stop()
            relay.wait_drained()
            rows = relay.rows()
        profiles = [call.json for call in first.arrivals + second.arrivals]
        kinds = {(profile["full_name"], profile["mobile_phone_number"]) for profile in profiles}
        assert kinds == {("Name a", PHONES["a"]), ("Name b", PHONES["b"])}
        for upstream, name in ((first, "a"), (second, "b")):
            assert upstream.arrivals
            assert {call.headers["authorization"] for call in upstream.arrivals} == {f"Bearer token-{name}"}
        assert {row["state"] for row in rows} == {"delivered"}
        emails = [profile["email"] for profile in profiles]
        assert len(set(emails)) == len(emails)
        assert {sent.fields["email"] for sent in crowd.acknowledged} <= set(emails)


def turned(name: str, upstream: ScriptedUpstream) -> dict[str, Any]:
    constants = {"full_name": {"value": f"Name {name}"}, "mobile_phone_number": {"value": PHONES[name]}}
    source = NEWSLETTER | {"fields": {"email": "email"} | constants, "recipient_limits": "none"}
    return config(upstream.url, {"newsletter": source}, **WIDE, token=f"env:TOKEN_{name.upper()}")


def plain() -> Callable[[int], Made]:
    run = uuid.uuid4().hex[:8]

    def make(number: int) -> Made:
        email = f"n{number}-{run}@example.com"
        return {"email": email}, {"email": email}

    return make


# --- threads that die --------------------------------------------------------------------------------

LAUNCH = """
import ctypes, os, runpy, threading, time

def spoil():
    while not os.path.exists(os.environ["DYING"]):
        time.sleep(0.02)
    with open(os.environ["DYING"]) as file:
        name = file.read()
    os.unlink(os.environ["DYING"])
    for thread in threading.enumerate():
        if thread.name == name:
            raised = ctypes.py_object(SystemExit)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), raised)

os.register_at_fork(after_in_child=lambda: threading.Thread(target=spoil, daemon=True).start())
runpy.run_module("gunicorn", run_name="__main__", alter_sys=True)
"""
COMMAND = [sys.executable, "-c", LAUNCH, "app:app", "-c", str(ROOT / "gunicorn.conf.py")]
OTHERS = ("sweeper", "checker")
STATUS = {"outbox-writer": 74} | dict.fromkeys(("lane-ocamba", *OTHERS), 1)
"""The threads without which nobody would be served, and the exit status when they have died."""


@pytest.mark.parametrize(
    "thread", ["outbox-writer", "lane-ocamba", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)]
)
def test_when_a_thread_dies_the_process_ends_and_nobody_is_lost(
    upstream: ScriptedUpstream, tmp_path: Path, thread: str
) -> None:
    wish = tmp_path / "dying"
    env = {"DYING": str(wish)}
    with RelayProcess(config(upstream.url, **WIDE), env=env, command=COMMAND) as relay:
        with Submitters(relay.port, threads=6, seconds=5, rate=40, resend=True, timeout=10) as crowd:
            time.sleep(1)
            draft = tmp_path / "draft"
            draft.write_text(thread)
            draft.rename(wish)
            assert relay.wait(15) == STATUS[thread]
            relay.start()
        relay.wait_drained()
        assert judge(crowd.ledger, upstream.arrivals, relay.rows(), limits=WINDOWS, finished=True) == []
        assert len(crowd.acknowledged) == len(crowd.ledger)


# --- a long run --------------------------------------------------------------------------------------

WARM_SECONDS, SOAK_SECONDS = 40, 120


@pytest.mark.slow
def test_a_long_run_under_load_uses_no_more_in_the_end(upstream: ScriptedUpstream) -> None:
    """Two hundred people at once, and an operator who looks on; measured once it is warm, and at the end."""
    seconds = WARM_SECONDS + SOAK_SECONDS
    with RelayProcess(config(upstream.url, **WIDE)) as relay:
        with Submitters(relay.port, threads=200, seconds=seconds + 2, rate=100, timeout=30) as crowd:
            began = time.monotonic()
            used: list[dict[str, float]] = []
            while time.monotonic() < began + seconds:
                relay.status()
                relay.metrics()
                relay.api("GET", "/api/submissions?limit=100")
                if time.monotonic() > began + WARM_SECONDS:
                    used.append(in_use(relay))
                time.sleep(0.5)
        third = len(used) // 3
        for name in used[0]:
            early, late = (sum(one[name] for one in part) / third for part in (used[:third], used[-third:]))
            print(f"{name}: {early:.1f} at first, {late:.1f} in the end")
            assert late <= early * 1.1 + SLACK[name], name
        relay.wait_drained()
        assert all(sent.acknowledged for sent in crowd.ledger)
        assert relay.metrics()


SLACK = {"open files": 4.0, "threads": 2.0, "megabytes": 2.0, "megabytes of WAL": 1.0}


def in_use(relay: RelayProcess) -> dict[str, float]:
    folders = [Path(f"/proc/{pid}") for pid in relay.pids()]
    wal = relay.folder / "relay.db-wal"
    return {
        "open files": sum(len(os.listdir(folder / "fd")) for folder in folders),
        "threads": sum(len(os.listdir(folder / "task")) for folder in folders),
        "megabytes": relay.rss() / 1024**2,
        "megabytes of WAL": wal.stat().st_size / 1024**2,
    }
