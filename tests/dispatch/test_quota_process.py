"""Never more calls than upstream allows, and hardly fewer.

Windows of a few seconds stand in for the minute, so that many of them pass; the marked tests take the
real ones. What needs no process of its own runs at the same time as the others, each on an account of
its own in one relay: the scenarios. Every test ends with the judge, who counts the calls in every window
of every phase.
"""

import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest

from tests.conftest import SEED
from tests.dispatch.doors import LATE, Door, Scenarios, Site
from tests.kit.client import Submitters, request
from tests.kit.judge import judge
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import PATH, ScriptedUpstream, delay

pytestmark = pytest.mark.timed

SHORT = "10/second; 20/4 second"
SHORT_LIMITS = ((10, 1.0), (20, 4.0))
REAL = "10/second; 150/minute"
REAL_LIMITS = ((10, 1.0), (150, 60.0))
TRAP = "relay_leave_empty"


# --- scenarios, all at once ---------------------------------------------------------------------------

CHANCE = random.Random(SEED)


def _account(
    site: Site,
    *,
    strict: bool = False,
    proxy: bool = False,
    limits: str = SHORT,
    windows: tuple[tuple[int, float], ...] = SHORT_LIMITS,
    **options: Any,
) -> Door:
    """`strict`: upstream counts fixed windows, begun at any moment. `proxy`: behind a slow network."""
    counted = {"windows": windows, "phase": CHANCE.uniform(0, windows[-1][1])} if strict else {}
    upstream = ScriptedUpstream(**counted)
    between = SlowNetwork(upstream.port) if proxy else None
    url = f"http://127.0.0.1:{between.port}{PATH}" if between else None
    way = site.open(upstream, url, limits=limits, reload=False, **options)
    way.limits = windows
    way.closing.enter_context(upstream)
    if between:
        way.closing.enter_context(between)
    return way


scenario = Scenarios(_account, finished=True, at_once=6)


@pytest.fixture(scope="module")
def together(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    print(f"TEST_SEED={SEED}")
    with RelayProcess(config("http://127.0.0.1:9", {"idle": NEWSLETTER})) as relay:
        yield from scenario.run(Site(relay), {item.name for item in request.session.items})
        assert "dispatcher.fault" not in relay.output()


class SlowNetwork:
    """Passes connections on to a port, their bytes delayed by up to 200 ms each way."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            delays = CHANCE.uniform(0, 0.2), CHANCE.uniform(0, 0.2)
            threading.Thread(target=self._pass, args=(client, *delays), daemon=True).start()

    def _pass(self, client: socket.socket, there: float, back: float) -> None:
        time.sleep(there)
        with client, socket.create_connection(("127.0.0.1", self._to)) as server:
            threading.Thread(target=_pump, args=(client, server, 0.0), daemon=True).start()
            _pump(server, client, back)


def _pump(source: socket.socket, target: socket.socket, late: float) -> None:
    try:
        while piece := source.recv(65536):
            time.sleep(late)
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return  # either side has gone


@scenario()
def test_a_crowd_after_an_idle_time_is_paced_and_the_quota_used(way: Door) -> None:
    way.many(60, threads=8)
    way.wait_delivered(60, timeout=60)
    times = [arrival.at for arrival in way.upstream.arrivals]
    # Sixty are three windows' worth, of which each takes 2 of its 4 seconds: there is room to be late.
    assert way.upstream.worst(4.0) == 20, "all that is allowed is used"
    assert times[-1] - times[0] < 60 / 20 * 4 * 2


@scenario(strict=True, copies=5)
def test_strict_windows_of_any_phase_see_no_call_too_many(way: Door) -> None:
    way.many(50)
    way.wait_delivered(50, timeout=60)
    assert way.upstream.violations == 0


@scenario(strict=True, proxy=True, copies=3)
def test_nor_do_they_when_the_network_bunches_calls(way: Door) -> None:
    way.many(40)
    way.wait_delivered(40, timeout=60)
    assert way.upstream.violations == 0


@scenario(strict=True)
def test_another_client_of_the_account_is_made_room_for(way: Door) -> None:
    """It takes 10 of every 20; its calls are not ours to pace, and what we lose is made up for later."""
    over = threading.Event()
    other = threading.Thread(target=_somebody_else, args=(way.upstream.port, over), daemon=True)
    other.start()
    try:
        way.many(25)
        way.wait_delivered(25, timeout=100)
    finally:
        over.set()
        other.join()
    mine = way.calls
    too_many = sum(arrival.status == 429 for arrival in mine)
    seconds = mine[-1].at - mine[0].at
    assert too_many <= 2 + seconds, "each is obeyed"
    assert all(row["attempts"] == 0 and not row["may_be_duplicate"] for row in way.rows())


def _somebody_else(port: int, over: threading.Event) -> None:
    while not over.wait(0.4):
        request(port, "POST", PATH, b"{}")


@scenario(form={"honeypot": TRAP}, limits="15/second; 40/4 second", windows=((15, 1.0), (40, 4.0)))
def test_fresh_ones_overtake_replays_and_starve_none(way: Door) -> None:
    """What was held waits to be replayed: retries by the hundred without a call."""
    for _ in range(100):
        _caught(way)
    replayed = way.relay.api("POST", "/api/replay", {"state": "held", "source": way.form}).json
    assert replayed["count"] == 100
    way.relay.wait_job(replayed["job"])
    way.upstream.wait_for(5)
    slowest = 0.0
    for _ in range(5):
        before = time.monotonic()
        receipt = way.submit()
        way.relay.wait_state(receipt, "delivered", timeout=15)
        slowest = max(slowest, time.monotonic() - before)
        time.sleep(0.3)
    # A window may be full; its first slot comes back after 4 seconds.
    assert slowest <= 4.5 + LATE
    assert way.states()["queued"] > 0, "there were replays all the while"
    way.wait_delivered(105, timeout=60)


def _caught(way: Door) -> str:
    """Somebody fills in the trap; returns the receipt."""
    return way.submit(more={TRAP: "x"})


@scenario(form={"honeypot": TRAP})
def test_replays_go_on_while_fresh_ones_queue(way: Door) -> None:
    """Every tenth slot is theirs."""
    replayed = [_caught(way) for _ in range(3)]
    way.many(50)
    for receipt in replayed:
        assert way.relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    for receipt in replayed:
        way.relay.wait_state(receipt, "delivered", timeout=30)
    assert way.states().get("queued"), "fresh ones were waiting all the while"
    way.wait_delivered(53, timeout=40)


@scenario()
def test_pausing_and_resuming_makes_no_burst(way: Door) -> None:
    way.many(45)
    for _ in range(4):
        assert way.relay.api("POST", f"/api/destinations/{way.name}/pause").status == 200
        time.sleep(0.3)  # what was in flight
        seen = len(way.upstream.arrivals)
        time.sleep(0.7)
        assert len(way.upstream.arrivals) == seen, "nothing is sent while a person has paused it"
        assert way.standing()["hold_reason"] == "paused"
        assert way.relay.api("POST", f"/api/destinations/{way.name}/resume").status == 200
        time.sleep(0.7)
    way.wait_delivered(45, timeout=40)


@scenario(limits="10/second; 40/5 second", windows=((10, 1.0), (40, 5.0)))
def test_the_eta_of_a_backlog_is_honest(way: Door) -> None:
    """Within a quarter of the truth, or three seconds: the window has pauses of one.

    A machine that is busy with something else may spoil one backlog, but not one after the other.
    """
    tries = [_told_and_true(way, 70)]
    while not _are_honest(tries[-1]) and len(tries) < 3:
        tries.append(_told_and_true(way, 70))
    assert _are_honest(tries[-1]), tries


def _are_honest(told: list[tuple[float, float]]) -> bool:
    return len(told) >= 40 and all(abs(eta - truth) <= max(3 + LATE, truth / 4) for eta, truth in told)


def _told_and_true(way: Door, count: int) -> list[tuple[float, float]]:
    """Those of a backlog who were told to wait: the seconds they were told, and those it took."""
    before = len(way.sent)
    said = _queue_up(way, count)
    way.wait_delivered(len(way.sent), timeout=60)
    arrived = {arrival.json["email"]: arrival.at for arrival in way.upstream.arrivals}
    told = [sent for sent in way.sent[before:] if sent.profile["email"] in said]
    return [(said[s.profile["email"]], arrived[s.profile["email"]] - s.at) for s in told]


def _queue_up(way: Door, count: int) -> dict[str, float]:
    """Machines post so many; returns what the ones that are told to wait are told, by e-mail."""
    said: dict[str, float] = {}
    lock = threading.Lock()

    def post(_: int) -> None:
        with lock:
            before = len(way.sent)
        answer = way.call()
        if answer.status == 202:
            email = next(s.profile["email"] for s in way.sent[before:] if s.receipt == answer.receipt)
            said[email] = answer.json["eta_seconds"]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(post, range(count)))
    return said


@scenario(limits="10/second; 20/10 second", windows=((10, 1.0), (20, 10.0)))
def test_while_the_quota_is_used_up_callers_are_answered_at_once(way: Door) -> None:
    """The webhook would wait for 5 seconds, but the next slot is further off."""
    way.many(20)
    way.wait_delivered(20)
    began = time.monotonic()
    answer = way.call()
    assert time.monotonic() - began < 5, "it did not wait for the slot"
    assert (answer.status, answer.json["state"]) == (202, "queued")
    assert 5 <= answer.json["eta_seconds"] <= 10
    way.relay.wait_state(str(answer.receipt), "delivered", timeout=15)


# --- restarts -------------------------------------------------------------------------------------


def killed_again_and_again(
    queued: int, limits: str, windows: tuple[tuple[int, float], ...], pauses: list[float], **options: Any
) -> None:
    """Kills all processes after each pause, with calls in flight; then looks at what upstream saw."""
    with ScriptedUpstream(lambda _: delay(0.2)) as upstream:
        settings = config(upstream.url, limits=limits, deadline=1, parallel=4, **options)
        with RelayProcess(settings) as relay:
            crowd = Submitters(relay.port, "newsletter", count=queued, threads=8).start().join()
            for pause in pauses:
                time.sleep(pause)
                relay.kill9()
                relay.start()
            eventually(lambda: len(upstream.arrivals) > windows[-1][0], 90, "more calls")
            rows = relay.rows()  # before the arrivals are looked at: it goes on sending
            found = judge(crowd.ledger, upstream.arrivals, rows, limits=windows)
        assert found == []


def test_restarts_never_exceed_the_windows() -> None:
    print(f"TEST_SEED={SEED}")
    pauses = [CHANCE.uniform(0.3, 1.5) for _ in range(4)]
    killed_again_and_again(150, "10/second; 30/4 second", ((10, 1.0), (30, 4.0)), pauses)


@pytest.mark.slow
def test_five_minutes_of_restarts_never_exceed_the_real_windows(seed: int) -> None:
    chance = random.Random(seed)
    pauses: list[float] = []
    while sum(pauses) < 300:
        pauses.append(chance.uniform(3, 20))
    killed_again_and_again(2000, REAL, REAL_LIMITS, pauses)


# --- with the real minute -----------------------------------------------------------------------------


@pytest.fixture
def real() -> Iterator[tuple[RelayProcess, ScriptedUpstream]]:
    sources = {"newsletter": NEWSLETTER | {"honeypot": TRAP}, "hook": HOOK}
    with (
        ScriptedUpstream(windows=REAL_LIMITS, phase=random.uniform(0, 60)) as upstream,
        RelayProcess(config(upstream.url, sources)) as relay,
    ):
        yield relay, upstream


Real = tuple[RelayProcess, ScriptedUpstream]


@pytest.mark.slow
def test_of_the_real_minute_hardly_a_call_is_lost(real: Real) -> None:
    relay, upstream = real
    crowd = Submitters(relay.port, count=1000, threads=8).start().join()
    first = upstream.arrivals[0].at
    time.sleep(max(0.0, first + 362 - time.monotonic()))
    times = [arrival.at - first for arrival in upstream.arrivals]
    assert sum(60 <= at < 360 for at in times) >= 0.97 * 5 * 150
    assert upstream.violations == 0
    relay.wait_drained(120)
    assert judge(crowd.ledger, upstream.arrivals, relay.rows(), finished=True) == []


@pytest.mark.slow
def test_another_client_takes_two_thirds_of_the_real_minute(real: Real) -> None:
    relay, upstream = real
    over = threading.Event()

    def eat() -> None:
        while not over.wait(0.6):
            request(upstream.port, "POST", PATH, b"{}")

    other = threading.Thread(target=eat, daemon=True)
    other.start()
    crowd = Submitters(relay.port, count=200, threads=4).start().join()
    relay.wait_drained(400)
    over.set()
    other.join()
    mine = [arrival for arrival in upstream.arrivals if "authorization" in arrival.headers]
    assert sum(arrival.status == 429 for arrival in mine) < 50
    rows = relay.rows()
    assert all(row["state"] == "delivered" and row["attempts"] == 0 for row in rows)
    assert judge(crowd.ledger, mine, rows, finished=True) == []


@pytest.mark.slow
def test_fresh_ones_overtake_five_thousand_replays(real: Real) -> None:
    relay, upstream = real
    trapped = Submitters(relay.port, count=5000, threads=8, make=_trapped).start().join()
    replayed = relay.api("POST", "/api/replay", {"state": "held"}).json
    assert replayed["count"] == 5000
    relay.wait_job(replayed["job"])
    began = time.monotonic()
    fresh = Submitters(relay.port, rate=0.5, seconds=180, threads=2).start().join(240)
    time.sleep(31)
    arrived = {arrival.json["email"]: arrival.at for arrival in upstream.arrivals}
    late = [sent for sent in fresh.ledger if arrived.get(sent.profile["email"], sent.at + 99) - sent.at > 30]
    assert late == []
    seconds = time.monotonic() - began
    assert len(upstream.arrivals) >= 0.95 * 2.5 * seconds
    rows = relay.rows(history=False)
    assert judge(trapped.ledger + fresh.ledger, upstream.arrivals, rows) == []
    assert upstream.violations == 0


def _trapped(number: int) -> tuple[dict[str, Any], dict[str, str]]:
    email = f"trapped-{number}@example.com"
    return {"email": email, TRAP: "x"}, {"email": email}


@pytest.mark.slow
def test_a_thousand_waiting_and_a_person_at_the_switch(real: Real, seed: int) -> None:
    relay, upstream = real
    chance = random.Random(seed)
    crowd = Submitters(relay.port, count=1000, threads=8).start().join()
    for _ in range(20):
        for verb in ("pause", "resume"):
            assert relay.api("POST", f"/api/destinations/ocamba/{verb}").status == 200
            time.sleep(chance.uniform(0.5, 8))
    assert upstream.violations == 0
    rows = relay.rows(history=False)
    assert judge(crowd.ledger, upstream.arrivals, rows) == []


@pytest.mark.slow
def test_the_eta_of_three_hundred_is_honest_with_the_real_minute(real: Real) -> None:
    """Within a quarter of the truth or 10 seconds, for a place that twelve who post at once may have swapped:
    where a minute is used up, one place makes three quarters of a minute."""
    relay, upstream = real
    told: dict[str, tuple[float, float]] = {}
    posters = 12

    def post(number: int) -> None:
        email = f"machine-{number}@example.com"
        answer = relay.hook({"email": email})
        if answer.status == 202:
            told[email] = time.monotonic(), answer.json["eta_seconds"]

    with ThreadPoolExecutor(posters) as pool:
        list(pool.map(post, range(330)))
    upstream.wait_for(330, timeout=200)
    assert len(told) >= 200
    arrivals = list(upstream.arrivals)
    for place, arrival in enumerate(arrivals):
        at, eta = told.get(arrival.json["email"], (arrival.at, 0))
        near = arrivals[max(0, place - posters) : place + posters + 1]
        truths = [one.at - at for one in near]
        assert any(abs(eta - truth) <= max(10, truth / 4) for truth in truths), (eta, truths)
