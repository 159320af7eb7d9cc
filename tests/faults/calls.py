"""Calls: upstream creates and then dies, comes and goes, or is not there."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from tests.faults.crashes import ACCOUNT, insist, resume
from tests.faults.tools import Spoiler
from tests.faults.trial import FAST, FAST_LIMITS, REAL, REAL_LIMITS, Fault, Trial
from tests.kit.judge import Calm
from tests.kit.upstream import (
    Arrival,
    Reaction,
    create_then_close,
    create_then_reset,
    created,
    drip,
    garbage,
    silent,
    status,
    truncated,
    wrong_length,
)

DYING: dict[str, Callable[[], Reaction]] = {
    "silence": silent,
    "reset": create_then_reset,
    "close": create_then_close,
    "half a status line": truncated,
    "no HTTP": lambda: garbage(creates=True),
    "a cut body": wrong_length,
    "a dripping head": lambda: drip(where="head"),
    "500 after creating": lambda: status(500, creates=True),
}


def creates_and_dies(trial: Trial) -> None:
    """Every third call is created and then answered by silence, a reset, a close, half an answer …"""
    for name, dying in DYING.items():
        upstream = trial.upstream(_every_third(dying))
        relay = trial.relay(upstream.url)
        trial.crowd(relay, threads=3, count=9).start().join()
        for _ in range(3):  # five that fail in a row look like an outage
            relay.api("POST", f"{ACCOUNT}/resume")
            time.sleep(0.5)
        trial.drain(relay, 60)
        trial.tried()
        rows = trial.reconcile(relay, upstream.arrivals)
        states = sorted({row["state"] for row in rows})
        trial.say(f"{name}: {', '.join(states)}, {len(upstream.creates)} profiles of {len(rows)}")
        trial.expect(len(upstream.creates) <= len(rows), f"I3 {name}: sent again although told to park")
        relay.close()
        upstream.close()


def _every_third(dying: Callable[[], Reaction]) -> Callable[[Arrival], Reaction]:
    return lambda arrival: dying() if arrival.index % 3 == 1 else created()


def creates_and_dies_retried(trial: Trial) -> None:
    """The same with `ambiguous = "retry"`: again after a minute at the soonest, and then said to be so."""
    upstream = trial.upstream([create_then_reset(), create_then_close(), silent(), created()])
    relay = trial.relay(upstream.url, FAST | {"ambiguous": "retry"})
    trial.crowd(relay, threads=1, count=4).start().join()
    upstream.wait_for(4, 30)
    trial.tried(3)
    trial.say("waiting a good minute for the second attempts")
    trial.drain(relay, 120)
    calls: dict[bytes, list[float]] = {}
    for arrival in upstream.arrivals:
        if not arrival.is_look:
            calls.setdefault(arrival.body, []).append(arrival.at)
    again = [at[1] - at[0] for at in calls.values() if len(at) > 1]
    trial.expect(len(again) == 3, f"F80 {len(again)} second attempts of 3")
    trial.expect(min(again, default=99) >= 57, f"F80 sent again after {min(again, default=0):.1f} s")
    rows = trial.reconcile(relay, upstream.arrivals)
    marked = sum(row["may_be_duplicate"] for row in rows)
    trial.expect(marked == 3, f"F80 {marked} of 3 are marked")


def failing_sends(trial: Trial) -> None:
    """EIO and a reset at the n-th sendto (answers, calls, wake-ups) and write (logs): it goes on."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    worker = relay.worker_pids()[0]
    for calls, error in (("sendto", "EIO"), ("sendto", "ECONNRESET"), ("write", "EIO"), ("write", "ENOSPC")):
        for when in (1, 3) if trial.quick else (1, 2, 3, 4, 5, "2+3"):
            with Spoiler(worker, calls, f"error={error}", when) as spoiler:
                trial.crowd(relay, threads=2, count=4, pause=0.05).start().join()
                # Each of the threads that send fails once, which holds the destination ever longer.
                insist(lambda: (resume(relay), relay.wait_drained(3)), 60)
                trial.tried(int(spoiler.hit))
    trial.expect(relay.worker_pids() == [worker], "the worker ended over a call that failed")
    relay.api("POST", f"{ACCOUNT}/resume")
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def no_files_left(trial: Trial) -> None:
    """Idle connections take all the files that the process may open: people wait, nothing ends."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url, wrap=["prlimit", "--nofile=512:512"])
    worker = relay.worker_pids()
    crowd = trial.crowd(relay, threads=3, seconds=10, rate=2, timeout=60, patience=60).start()
    with contextlib.ExitStack() as idle:
        for _ in range(600):
            idle.enter_context(socket.create_connection(("127.0.0.1", relay.port), 5))
        trial.tried()
        time.sleep(8)
    crowd.join()
    trial.expect(relay.worker_pids() == worker, "the worker ended when there were no files left")
    trial.drain(relay)
    rows = trial.reconcile(relay, upstream.arrivals)
    trial.expect(not any(row["may_be_duplicate"] for row in rows), "a send was cut off")


def flapping(trial: Trial) -> None:
    """Upstream comes and goes: refused connections and cut ones by turns, then peace."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url, FAST | {"retry": ["2s"]})
    rounds, seconds = (2, 3.0) if trial.quick else (6, 6.0)
    crowd = trial.crowd(relay, threads=3, seconds=rounds * seconds * 2, rate=5).start()
    for number in range(rounds):
        time.sleep(seconds)
        upstream.refuse(cut=number % 2 == 0)
        trial.tried()
        time.sleep(seconds)
        upstream.listen_again()
        trial.say(f"up again; {len(upstream.creates)} profiles, {relay.counts()}")
    crowd.join()
    calls = len(upstream.arrivals)
    trial.say("draining by itself")
    trial.drain(relay, 120)
    trial.expect(calls <= len(crowd.ledger) * 2, f"F94 {calls} calls for {len(crowd.ledger)} people")
    trial.reconcile(relay, upstream.arrivals)


def not_there(trial: Trial) -> None:
    """Nobody listens at upstream's address: no attempt is lost, few probes, and then all goes out."""
    upstream = trial.upstream()
    upstream.refuse()
    relay = trial.relay(upstream.url, REAL | {"retry": ["3s"]})
    count = 30 if trial.quick else 140
    trial.crowd(relay, threads=4, count=count).start().join()
    time.sleep(8 if trial.quick else 20)
    trial.tried()
    state = relay.status()
    trial.say(f"held: {state}")
    trial.expect(relay.counts() == {"queued": count}, f"F82 {relay.counts()}")
    upstream.listen_again()
    relay.api("POST", f"{ACCOUNT}/resume")
    began = time.monotonic()
    trial.drain(relay, 120)
    calm = Calm(began, time.monotonic(), slack=15)
    trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS, calm=calm)


def everything_at_once(trial: Trial) -> None:
    """Failing calls, an unruly upstream and kill -9 together; then the faults end and all of it drains."""
    calm = threading.Event()
    upstream = trial.upstream(_unruly(trial, calm))
    relay = trial.relay(upstream.url)
    crowd = trial.crowd(relay, threads=4, seconds=20 if trial.quick else 45, rate=15).start()
    ends = time.monotonic() + (18 if trial.quick else 43)
    while time.monotonic() < ends:
        time.sleep(trial.random.uniform(1, 5))
        relay.kill9()
        trial.tried()
        relay.start(wait_ready=False)
    calm.set()
    relay.wait_ready()
    crowd.join()
    for _ in range(5):
        relay.api("POST", f"{ACCOUNT}/resume")
        time.sleep(1)
    trial.drain(relay, 120)
    trial.reconcile(relay, upstream.arrivals, limits=FAST_LIMITS)


def _unruly(trial: Trial, calm: threading.Event) -> Callable[[Arrival], Reaction]:
    bad = (
        *(create_then_reset, create_then_close, truncated),
        *(lambda: status(503, {"Retry-After": "1"}), lambda: status(429, {"Retry-After": "1"})),
        *(lambda: status(500), lambda: status(400), lambda: status(429, {"Retry-After": "-1"})),
    )

    def react(arrival: Arrival) -> Reaction:
        if calm.is_set() or trial.random.random() < 0.8:
            return created()
        return trial.random.choice(bad)()

    return react


FAULTS = (
    Fault("upstream-dies", "upstream creates, then dies; parked", creates_and_dies),
    Fault(
        "upstream-dies-retry", "upstream creates, then dies; retried", creates_and_dies_retried, quick=False
    ),
    Fault("sends-fail", "EIO and resets at the n-th send, log lines too", failing_sends),
    Fault("no-files", "idle connections take every open file", no_files_left, quick=False),
    Fault("upstream-flaps", "upstream comes and goes", flapping),
    Fault("upstream-away", "nobody listens at upstream's address", not_there),
    Fault("everything", "unruly upstream and kills together", everything_at_once),
)
