"""Time: the wall clock is set, processes sleep through their leases, the machine starts again."""

import contextlib
import subprocess
import threading
import time
from pathlib import Path

from tests.faults.crashes import ACCOUNT
from tests.faults.tools import STOP, Lacking, Spoiler, WallClock, asleep
from tests.faults.trial import FAST, REAL, REAL_LIMITS, Fault, Trial
from tests.kit import services
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess
from tests.kit.upstream import ScriptedUpstream, created, hold, status

LEASE_GRACE_SECONDS = 10.0
"""relay/outbox/outbox.py: a lease is the deadline and this much."""
SWEEP_SECONDS = 5.0
"""relay/dispatch/dispatcher.py: how often leases are looked through."""
WORKER_SECONDS = 60.0
"""relay/server/conf.py: how long a worker may give no sign of life."""
DAY = 86400


# --- the wall clock -------------------------------------------------------------------------------------


def jumps(trial: Trial) -> None:
    """The wall clock is set a day on, a day back and to little steps, under load at the real pace."""
    clock = WallClock(trial.folder())
    upstream = trial.upstream(windows=[(10, 1), (150, 60)])
    relay = trial.relay(upstream.url, REAL, env=clock.environment, command=clock.command)
    places = (DAY, 0) if trial.quick else (DAY, -DAY, 3600, -600, 0, 3, 0)
    wait = 7 if trial.quick else 12
    crowd = trial.crowd(relay, threads=3, seconds=wait * len(places) + 2, rate=4).start()
    for seconds in places:
        time.sleep(trial.random.uniform(0.6, 1) * wait)
        clock.set(seconds)
        trial.tried()
        trial.say(f"the clock is {seconds:+} s off; {len(upstream.arrivals)} calls so far")
    crowd.join()
    trial.drain(relay, 120)
    trial.expect(not upstream.violations, f"T121 {upstream.violations} calls were answered 429")
    trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS)


def jump_while_waiting(trial: Trial) -> None:
    """The clock is set while upstream's Retry-After is waited for: no sooner, and not for ever."""
    for seconds in (DAY, -DAY):
        clock = WallClock(trial.folder())
        upstream = trial.upstream([status(503, {"Retry-After": "12"})])
        relay = trial.relay(upstream.url, env=clock.environment, command=clock.command)
        trial.sign_up(relay)
        first = upstream.wait_answered(1)[0].at
        time.sleep(2)
        clock.set(seconds)
        trial.tried()
        with contextlib.suppress(AssertionError):
            upstream.wait_for(2, 75)
        waited = [arrival.at - first for arrival in upstream.arrivals[1:2]]
        trial.say(f"{seconds:+} s: asked for 12 s, waited {waited}")
        trial.expect(waited and waited[0] >= 12, f"T121 {seconds:+} s: sent early, after {waited}")
        trial.expect(waited and waited[0] <= 72, f"T121 {seconds:+} s: stuck, {waited}")
        trial.drain(relay)
        trial.reconcile(relay, upstream.arrivals)


def jump_while_down(trial: Trial) -> None:
    """The clock is set between kill -9 and the next start: the quota of before is still counted."""
    for seconds in (DAY,) if trial.quick else (DAY, -DAY, 40):
        _jumps_while_down(trial, seconds)


def _jumps_while_down(trial: Trial, seconds: int) -> None:
    clock = WallClock(trial.folder())
    upstream = trial.upstream(windows=[(10, 1), (150, 60)], phase=trial.random.uniform(0, 60))
    relay = trial.relay(upstream.url, REAL, env=clock.environment, command=clock.command)
    trial.crowd(relay, threads=4, count=170).start().join()
    upstream.wait_for(140, 60)
    relay.kill9()
    clock.set(seconds)
    trial.tried()
    relay.start()
    time.sleep(8 if trial.quick else 20)
    trial.expect(not upstream.violations, f"T121 {seconds:+} s: {upstream.violations} were answered 429")
    trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS, finished=False)


def another_boot(trial: Trial) -> None:
    """The machine starts again with its clock an hour slow: every recent slot counts as taken now."""
    clock = WallClock(trial.folder())
    upstream = trial.upstream(windows=[(10, 1), (150, 60)], phase=trial.random.uniform(0, 60))
    relay = trial.relay(upstream.url, REAL, env=clock.environment, command=clock.command)
    trial.crowd(relay, threads=4, count=165).start().join()
    upstream.wait_for(145, 60)
    relay.kill9()
    clock.set(-3600)
    plain = relay.command
    relay.command = [*_with_boot_id(trial.folder()), *plain]
    relay.start()
    trial.tried()
    time.sleep(6)
    trial.expect(not upstream.violations, f"T125 {upstream.violations} calls were answered 429")
    if trial.quick:
        trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS, finished=False)
        return
    trial.drain(relay, 100)
    trial.expect(not upstream.violations, f"T125 {upstream.violations} calls were answered 429")
    trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS)


def _with_boot_id(folder: Path) -> list[str]:
    """Words before a command that give it another boot id, in a mount namespace of its own."""
    file = folder / "boot_id"
    file.write_text("00000000-1111-2222-3333-444444444444\n")
    script = f'mount --bind {file} /proc/sys/kernel/random/boot_id && exec "$@"'
    words = ["unshare", "--mount", "sh", "-c", script, "sh"]
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        raise Lacking(f"another boot id needs root: {tried.stderr.strip()}")
    return words


# --- sleeping processes ---------------------------------------------------------------------------------


def machine_sleeps(trial: Trial) -> None:
    """SIGSTOP of the whole service in the middle of sending: afterwards no burst, and nothing is lost."""
    release = threading.Event()
    upstream = trial.upstream(_answers_after(40, release), windows=[(10, 1), (150, 60)])
    relay = trial.relay(upstream.url, REAL)
    crowd = trial.crowd(relay, threads=4, seconds=12, rate=8, timeout=90, patience=90).start()
    upstream.wait_for(41, 30)
    with asleep(relay.pids()):
        trial.tried()
        release.set()
        time.sleep(15 if trial.quick else 40)
    crowd.join()
    trial.drain(relay, 120)
    trial.expect(not upstream.violations, f"T124 {upstream.violations} calls were answered 429")
    trial.reconcile(relay, upstream.arrivals, limits=REAL_LIMITS)


def worker_freezes(trial: Trial) -> None:
    """Only the worker stops, for longer than its master looks on: another takes its place."""
    upstream = trial.upstream()
    relay = trial.relay(upstream.url)
    crowd = trial.crowd(relay, threads=3, seconds=6, rate=10, timeout=100, patience=150).start()
    time.sleep(1)
    frozen = relay.worker_pids()[0]
    with asleep([frozen]):
        trial.tried()
        eventually(lambda: relay.worker_pids() not in ([frozen], []), WORKER_SECONDS + 30, "another worker")
    crowd.join(200)
    relay.wait_ready()
    relay.api("POST", f"{ACCOUNT}/resume")
    trial.drain(relay)
    trial.reconcile(relay, upstream.arrivals)


def _answers_after(count: int, release: threading.Event):  # type: ignore[no-untyped-def]
    """Answer so many calls at once, and the next ones when told."""
    return lambda arrival: (
        created() if arrival.index < count or release.is_set() else hold(release, create_first=True)
    )


def dispatcher_oversleeps(trial: Trial) -> None:
    """Two dispatchers on one PostgreSQL; one sleeps past its lease after upstream created."""
    cluster = trial.keep(services.postgres())
    for policy in ("park",) if trial.quick else ("park", "retry"):
        _oversleeps_answer(trial, cluster, policy)


def _oversleeps_answer(trial: Trial, cluster: services.Postgres, policy: str) -> None:
    release = threading.Event()
    upstream = trial.upstream([hold(release, create_first=True)])
    first, second = _two_dispatchers(trial, cluster, upstream, FAST | {"ambiguous": policy})
    with asleep(second.pids()):  # so that the first one takes it
        receipt = trial.sign_up(first)[0].receipt
        upstream.wait_for(1, creates=True)
    sleeping = first.pids()
    with asleep(sleeping):
        trial.tried()
        release.set()
        time.sleep(FAST["deadline"] + LEASE_GRACE_SECONDS + SWEEP_SECONDS + 3)
        taken = second.submission(str(receipt))
        trial.say(f"{policy}: while the first one sleeps the second one finds it {taken['state']}")
        trial.expect(taken["may_be_duplicate"], f"K129 {policy}: not said to be ambiguous")
        trial.expect(taken["state"] == ("parked" if policy == "park" else "queued"), f"K129 {taken['state']}")
    time.sleep(2)
    after = second.submission(str(receipt))
    # Nobody has sent it again meanwhile: what upstream said late is known, and taken.
    trial.expect(after["state"] == "delivered", f"K129 {policy}: the late result left it {after['state']}")
    trial.crowd(first, threads=2, count=10).start().join()
    trial.drain(second, 100)
    trial.reconcile(first, upstream.arrivals, ask=second)
    first.close()
    second.close()


def dispatcher_oversleeps_before_sending(trial: Trial) -> None:
    """One of two dispatchers is stopped between claim and call, until the other one has taken over."""
    cluster = trial.keep(services.postgres())
    for calls in ("connect", "sendto"):
        _oversleeps_before(trial, cluster, calls)


def _oversleeps_before(trial: Trial, cluster: services.Postgres, calls: str) -> None:
    """``connect`` is the call to upstream; the first ``sendto`` speaks to the database."""
    upstream = trial.upstream()
    first, second = _two_dispatchers(trial, cluster, upstream, FAST)
    with asleep(second.pids()):
        first.api("POST", f"{ACCOUNT}/pause")
        receipt = str(trial.sign_up(first)[0].receipt)
        sleeping = first.pids()
        with contextlib.suppress(OSError), Spoiler(first.worker_pids()[0], calls, STOP, 1):
            first.api("POST", f"{ACCOUNT}/resume", timeout=2)
            time.sleep(1)
    with asleep(sleeping):
        trial.tried()
        eventually(lambda: second.state(receipt) != "sending", 40, "the second one taking over")
        trial.say(f"stopped at {calls}: the second one finds it {second.state(receipt)}")
    time.sleep(3)
    trial.drain(second)
    trial.say(f"stopped at {calls}: {len(upstream.creates)} profiles")
    trial.reconcile(first, upstream.arrivals, ask=second)
    first.close()
    second.close()


def _two_dispatchers(
    trial: Trial, cluster: services.Postgres, upstream: ScriptedUpstream, destination: dict[str, object]
) -> tuple[RelayProcess, RelayProcess]:
    url = cluster.create_database()
    first = trial.relay(upstream.url, destination, database_url=url)
    same = {
        "RELAY_SECRET_KEYS": first.env["RELAY_SECRET_KEYS"],
        "OCAMBA_TOKEN": first.env["OCAMBA_TOKEN"],
    }
    second = trial.relay(upstream.url, destination, database_url=url, env=same)
    return first, second


def database_away(trial: Trial) -> None:
    """PostgreSQL is stopped, crashed, frozen and its connections are cut, under load."""
    cluster = trial.keep(services.postgres())
    upstream = trial.upstream()
    first, _ = _two_dispatchers(trial, cluster, upstream, FAST)
    database = first.database_url
    crowds = [
        trial.crowd(first, threads=3, seconds=20 if trial.quick else 40, rate=10, patience=60),
        trial.crowd(first, "hook", threads=2, seconds=20 if trial.quick else 40, rate=3, patience=60),
    ]
    for crowd in crowds:
        crowd.start()
    time.sleep(2)
    for _ in range(5):
        cluster.terminate_backends(database)
        trial.tried()
        time.sleep(trial.random.uniform(0.3, 1.5))
    cluster.pause()
    time.sleep(3 if trial.quick else 8)
    cluster.resume()
    trial.tried()
    time.sleep(2)
    for how in (2, 3):  # SIGINT: "fast"; SIGQUIT: as in a crash
        cluster.stop(how)
        time.sleep(1)
        cluster.start()
        trial.tried()
        time.sleep(2)
    for crowd in crowds:
        crowd.join()
    first.wait_ready(20)
    first.api("POST", f"{ACCOUNT}/resume")
    trial.drain(first, 60)
    trial.reconcile(first, upstream.arrivals)


FAULTS = (
    Fault("clock-jumps", "wall clock set under load, real pace", jumps),
    Fault("clock-waiting", "wall clock set during a wait", jump_while_waiting),
    Fault("clock-down", "wall clock set while killed, real pace", jump_while_down, quick=False),
    Fault("clock-boot", "started on another boot, clock an hour slow", another_boot, quick=False),
    Fault("sleep-service", "whole service asleep (SIGSTOP), real pace", machine_sleeps),
    Fault("sleep-worker", "only the worker frozen for a minute", worker_freezes, quick=False),
    Fault("sleep-lease", "a dispatcher sleeps past its lease (PostgreSQL)", dispatcher_oversleeps),
    Fault("sleep-claim", "a dispatcher sleeps before its call", dispatcher_oversleeps_before_sending),
    Fault("postgres", "PostgreSQL cut off, frozen, stopped, crashed", database_away),
)
