"""Crashes: the server dies at chosen system calls and at random moments, and starts again."""

import contextlib
import itertools
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path

from tests.faults.tools import KILL, Spoiler, was_hit, wrapped
from tests.faults.trial import FAST, REAL, REAL_LIMITS, Fault, Trial
from tests.kit.client import Made, Raw, head, numbered
from tests.kit.judge import Calm
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RelayProcess, StartFailed
from tests.kit.upstream import ScriptedUpstream, create_then_close, hold

ACCOUNT = "/api/destinations/ocamba"
STARTING = {"link,linkat": 1, "fsync,fdatasync": 1, "ftruncate": 1, "openat": 2, "pwrite64": 5}
"""Calls on the database's files, and at how many of them: 1 is every one."""
STORING = {"pwrite64": 6, "fsync,fdatasync": 2, "sendto": 1, "write": 3, "ftruncate": 1, "recvfrom": 1}
SENDING = STORING | {"pwrite64": 12, "connect": 1}
"""Calls of the running server, and at how many of them in a quick run; a full run takes every one."""
GRACE_SECONDS = 25.0
"""relay/server/conf.py: graceful_timeout."""


# --- at chosen system calls -----------------------------------------------------------------------------


def while_starting(trial: Trial) -> None:
    """KILL at the n-th call of the very first start: the next start must find its way."""
    for calls, step in STARTING.items():
        for when in _until_missed(step * (7 if trial.quick else 1)):
            if not _dies_starting(trial, calls, when):
                break
        trial.say(f"{calls}: {trial.result.tries} starts so far")


def _dies_starting(trial: Trial, calls: str, when: int) -> bool:
    """Kill a first start; return whether it came to that call."""
    folder = trial.folder()
    log = folder.with_suffix(".strace")
    with ScriptedUpstream() as upstream:
        relay = trial.relay(upstream.url, start=False, folder=folder)
        plain = relay.command
        relay.command = [*wrapped(calls, KILL, when, relay.database_path, log), *plain]
        relay.start(wait_ready=False)
        eventually(lambda: was_hit(log) or relay.readyz() == 200 or not relay.alive(), 60, "a start", 0.02)
        hit = was_hit(log)
        relay.kill9()
        relay.command = plain
        if hit:
            trial.tried()
            _starts_again(trial, relay, upstream, f"{calls} {when}")
        relay.close()
    log.unlink(missing_ok=True)
    return hit


def _starts_again(trial: Trial, relay: RelayProcess, upstream: ScriptedUpstream, what: str) -> None:
    try:
        relay.start()
    except StartFailed as failed:
        trial.violated([f"E76 {what}: does not start again: {failed}"])
        return
    trial.sign_up(relay)
    trial.drain(relay)
    trial.expect(_is_sound(relay.database_path), f"S111 {what}: the database is damaged")
    trial.reconcile(relay, upstream.arrivals)


def while_storing(trial: Trial) -> None:
    """E69: KILL at the n-th call once people sign up; they try again until they are heard."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    relay.api("POST", f"{ACCOUNT}/pause")

    def act() -> None:
        trial.crowd(relay, threads=2, count=2, pause=0.05).start().join()

    _at_every_call(trial, relay, STORING, act)
    trial.expect(trial.quick or trial.result.tries >= 40, f"E69 only {trial.result.tries} points")
    relay.api("POST", f"{ACCOUNT}/resume")
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def while_sending(trial: Trial) -> None:
    """E70, E72: KILL at the n-th call from the moment on that stored submissions may be sent; also before
    it connects."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)

    def act() -> None:
        waiter = trial.crowd(relay, "hook", threads=1, count=1, pause=0.05).start()
        insist(lambda: resume(relay))
        waiter.join()
        insist(lambda: (resume(relay), relay.wait_drained(20)))

    def prepare() -> None:
        relay.api("POST", f"{ACCOUNT}/pause")
        trial.crowd(relay, threads=1, count=1).start().join()

    _at_every_call(trial, relay, SENDING, act, prepare)
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def _at_every_call(
    trial: Trial,
    relay: RelayProcess,
    kinds: dict[str, int],
    act: Callable[[], None],
    prepare: Callable[[], None] = lambda: None,
) -> None:
    """Kill the worker at the n-th call of each kind, n = 1, 2, … until none is hit; gunicorn's master
    starts another each time."""
    for calls, step in kinds.items():
        hits = 0
        most = 8 if calls in ("sendto", "recvfrom") else 400  # later ones are our own questions
        for when in _until_missed(step if trial.quick else 1, most):
            prepare()
            with Spoiler(relay.worker_pids()[0], calls, KILL, when) as spoiler:
                act()
                with contextlib.suppress(AssertionError):  # the WAL is emptied once a second
                    eventually(lambda: spoiler.hit, 1.2)
                hit = spoiler.hit
            relay.wait_ready()
            if not hit:
                break
            hits += 1
            trial.tried()
        trial.say(f"{calls}: killed at {hits} points")
        trial.expect(_is_sound(relay.database_path), f"S111 {calls}: the database is damaged")


def insist(ask: Callable[[], object], seconds: float = 30.0) -> None:
    """Ask a server that may be killed at any moment until it has answered."""
    ends = time.monotonic() + seconds
    while True:
        try:
            ask()
            return
        except (OSError, HTTPException, AssertionError):
            if time.monotonic() > ends:
                raise
        time.sleep(0.05)


def _until_missed(step: int, most: int = 400) -> Iterator[int]:
    return iter(range(1, most, step))


def _is_sound(database: Path) -> bool:
    link = sqlite3.connect(database, timeout=10)
    try:
        return bool(link.execute("PRAGMA integrity_check").fetchone()[0] == "ok")
    finally:
        link.close()


# --- at random moments ----------------------------------------------------------------------------------


def under_load(trial: Trial) -> None:
    """kill -9 of the whole server at random moments while people sign up and profiles are sent."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    until = time.monotonic() + (15 if trial.quick else 60)
    crowds = [
        trial.crowd(relay, threads=4, seconds=until - time.monotonic(), rate=25),
        trial.crowd(relay, "hook", threads=2, seconds=until - time.monotonic(), rate=5),
    ]
    for crowd in crowds:
        crowd.start()
    while time.monotonic() < until:
        time.sleep(trial.random.uniform(0.05, 2.0))
        relay.kill9()
        trial.tried()
        relay.start(wait_ready=trial.random.random() < 0.7)
    relay.wait_ready()
    for crowd in crowds:
        crowd.join()
    trial.say(f"{trial.result.tries} kills; draining")
    resume(relay)
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def worker_or_master(trial: Trial) -> None:
    """kill -9 of only the worker, or only the master: the rest recovers, or makes way for the next."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    for number in range(2 if trial.quick else 6):
        crowd = trial.crowd(relay, threads=3, seconds=4, rate=20).start()
        time.sleep(trial.random.uniform(0.5, 1.5))
        trial.tried()
        if number % 2 == 0:
            os.kill(relay.worker_pids()[0], signal.SIGKILL)
            time.sleep(0.2)
            relay.wait_ready()
        else:
            _loses_its_master(trial, relay)
        crowd.join()
    resume(relay)
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def _loses_its_master(trial: Trial, relay: RelayProcess) -> None:
    orphans = relay.worker_pids()
    os.kill(relay.pid, signal.SIGKILL)
    relay.wait()
    relay.start()
    with contextlib.suppress(AssertionError):  # it has let the database go, and is on its way out
        eventually(lambda: not any(map(_runs, orphans)), 5)
    trial.expect(not any(map(_runs, orphans)), "E74 the orphan is still there beside the new server")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def after_created(trial: Trial) -> None:
    """E71: kill -9 exactly after upstream created and before its answer was there."""
    policies = ("park",) if trial.quick else ("park", "retry")
    for policy in policies:
        _dies_after_created(trial, policy)


def _dies_after_created(trial: Trial, policy: str) -> None:
    release = threading.Event()
    upstream = trial.upstream([hold(release, create_first=True) for _ in range(3)])
    relay = trial.relay(upstream.url, FAST | {"ambiguous": policy})
    trial.sign_up(relay, 3)
    upstream.wait_for(3, creates=True)
    killed = time.monotonic()
    relay.kill9()
    release.set()
    relay.start()
    trial.tried(3)
    rows = relay.rows(history=False)
    trial.expect(all(row["may_be_duplicate"] for row in rows), f"E71 {policy}: not said to be ambiguous")
    if policy == "park":
        time.sleep(1)
        trial.expect({row["state"] for row in rows} == {"parked"}, "E71 park: not parked at once")
        trial.expect(len(upstream.arrivals) == 3, "E71 park: sent again")
    else:
        trial.say("waiting a good minute for the second attempts")
        trial.drain(relay, 120)
        again = [arrival.at - killed for arrival in upstream.arrivals[3:]]
        trial.expect(len(again) == 3, f"E71 retry: {len(again)} more sends of 3")
        trial.expect(
            min(again, default=99) >= 60, f"E71 retry: sent again after {min(again, default=0):.1f} s"
        )
    trial.reconcile(relay, upstream.arrivals)


def against_the_quota(trial: Trial) -> None:
    """kill -9 in a loop with a backlog, at the real pace, against an upstream that counts strictly."""
    phase = trial.random.uniform(0, 60)
    upstream = trial.upstream(windows=[(10, 1), (150, 60)], phase=phase)
    relay = trial.relay(upstream.url, REAL)
    seconds, people = (40, 300) if trial.quick else (150, 500)
    trial.crowd(relay, threads=4, count=people).start().join()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(trial.random.uniform(3, 8 if trial.quick else 15))
        relay.kill9()
        trial.tried()
        relay.start()
        trial.say(f"{trial.result.tries} kills, {len(upstream.arrivals)} calls")
    began = time.monotonic()
    time.sleep(5 if trial.quick else 65)
    trial.expect(not upstream.violations, f"S99 {upstream.violations} calls were answered 429")
    calm = None if trial.quick else Calm(began, time.monotonic(), slack=60)
    trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS, finished=False, calm=calm)


# --- being asked to stop --------------------------------------------------------------------------------


def terminated(trial: Trial) -> None:
    """SIGTERM at random moments under load: everything acknowledged is there, nothing is ambiguous."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    for number in range(3 if trial.quick else 10):
        crowd = trial.crowd(relay, threads=4, seconds=2.5, rate=30).start()
        time.sleep(trial.random.uniform(0.2, 2))
        if number % 3 == 2:
            relay.term()
        began = time.monotonic()
        status = relay.term(GRACE_SECONDS + 5)
        took = time.monotonic() - began
        trial.tried()
        trial.expect(status == 0, f"X135 SIGTERM: exit status {status}")
        trial.expect(took <= GRACE_SECONDS + 2, f"X135 SIGTERM: took {took:.1f} s")
        relay.start()
        crowd.join()
    trial.drain(relay)
    rows = trial.reconcile(relay, upstream.arrivals)
    unclear = sum(row["may_be_duplicate"] for row in rows)
    trial.expect(unclear == 0, f"X135 {unclear} sends were unclear although upstream answered all at once")


def terminated_with_a_stalled_client(trial: Trial) -> None:
    """SIGTERM, SIGINT and SIGQUIT while a client never finishes its body, and upstream never its answer."""
    numbers = (signal.SIGTERM,) if trial.quick else (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
    for number in numbers:
        upstream = trial.upstream()
        relay = trial.relay(upstream.url)
        with Raw(relay.port) as stalled:
            length = {"Content-Length": "100", "Content-Type": "application/x-www-form-urlencoded"}
            stalled.send(head("POST", "/submit/newsletter", length) + b"email=")
            trial.crowd(relay, threads=2, count=10).start().join()
            os.kill(relay.pid, number)
            began = time.monotonic()
            relay.wait(GRACE_SECONDS + 10)
            took = time.monotonic() - began
        trial.tried()
        trial.say(f"{number.name}: gone after {took:.1f} s")
        trial.expect(took <= GRACE_SECONDS + 2, f"X136 {number.name}: took {took:.1f} s")
        relay.start()
        trial.drain(relay)
        trial.reconcile(relay, upstream.arrivals)


def port_in_use(trial: Trial) -> None:
    """A start on a port that is taken ends with one clear line and touches nothing."""
    upstream = trial.upstream()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        relay = trial.relay(upstream.url, start=False, port=taken.getsockname()[1])
        began = time.monotonic()
        relay.start(wait_ready=False)
        with contextlib.suppress(Exception):
            status = relay.wait(15)
            trial.expect(status != 0, "X141 exit status 0 on a port that is taken")
            trial.say(f"exit {status} after {time.monotonic() - began:.1f} s")
        trial.expect(not relay.alive(), "X141 still running on a port that is taken")
    trial.tried()


def one_that_always_kills(trial: Trial) -> None:
    """Upstream hangs up each time, so that every send ends unclear, and the server is killed meanwhile."""
    upstream = trial.upstream(lambda arrival: create_then_close())
    relay = trial.relay(upstream.url)
    trial.crowd(relay, threads=2, count=12).start().join()
    for _ in range(3):
        time.sleep(trial.random.uniform(0.1, 0.6))
        relay.kill9()
        trial.tried()
        relay.start()
    for _ in itertools.takewhile(lambda _: _waits(relay), range(10)):
        resume(relay)
        time.sleep(0.5)
    upstream.script = None
    resume(relay)
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def _waits(relay: RelayProcess) -> bool:
    return any(relay.counts().get(state) for state in ("queued", "sending"))


def resume(relay: RelayProcess) -> None:
    """As an operator would after a series of crashes: crashed sends look like an outage."""
    relay.api("POST", f"{ACCOUNT}/resume")


def backlog_of_retries(trial: Trial) -> None:
    """A restart with many replays due at once: spread over the quota, fresh ones in between."""
    upstream = trial.upstream(windows=[(10, 1), (150, 60)])
    sources = {"newsletter": NEWSLETTER | {"honeypot": "relay_leave_empty"}}
    relay = trial.relay(upstream.url, REAL, sources=sources)
    count = 60 if trial.quick else 200
    trial.crowd(relay, threads=4, count=count, make=_caught(trial)).start().join()
    trial.expect(relay.counts() == {"held": count}, f"X140 held were to be {count}: {relay.counts()}")
    relay.wait_job(relay.api("POST", "/api/replay", {"state": "held"}).json["job"])
    time.sleep(0.5)
    relay.kill9()
    relay.start()
    trial.tried()
    began = time.monotonic()
    fresh = trial.sign_up(relay)[0]
    eventually(lambda: fresh.profile in [a.json for a in upstream.arrivals], 60, "the fresh one at upstream")
    took = time.monotonic() - began
    trial.say(f"{count} replays due, and the fresh one went out after {took:.1f} s")
    trial.expect(took <= 30, "X140 a fresh one waited more than 30 s behind retries")
    if not trial.quick:
        trial.drain(relay, 150)
    trial.expect(not upstream.violations, f"S99 {upstream.violations} calls were answered 429")
    trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS, finished=not trial.quick)


def _caught(trial: Trial) -> Callable[[int], Made]:
    """People who fill in the field that nobody sees: held until a person lets them go."""
    run = f"{trial.random.randrange(2**32):08x}"

    def make(number: int) -> Made:
        fields, profile = numbered(number, run)
        return fields | {"relay_leave_empty": "x"}, profile

    return make


FAULTS = (
    Fault("crash-start", "killed at the n-th call of its first start", while_starting),
    Fault("crash-intake", "killed at the n-th call while storing", while_storing),
    Fault("crash-dispatch", "killed at the n-th call while sending", while_sending),
    Fault("crash-load", "killed at random moments under load", under_load),
    Fault("crash-part", "only the worker, or only the master, killed", worker_or_master),
    Fault("crash-created", "killed after upstream created, before it answered", after_created),
    Fault("crash-unclear", "killed while every answer is cut", one_that_always_kills, quick=False),
    Fault("crash-quota", "killed in a loop, strict upstream, real pace", against_the_quota),
    Fault("restart-retries", "restarted with many replays due", backlog_of_retries),
    Fault("stop-load", "SIGTERM at random moments under load", terminated),
    Fault("stop-stalled", "asked to stop while a client stalls", terminated_with_a_stalled_client),
    Fault("start-port", "started on a port that is taken", port_in_use),
)
