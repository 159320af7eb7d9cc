"""Upstream's windows as numbers, and the limits at the door."""

import random
import socket
import threading
import time
import tracemalloc
from bisect import insort
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
import time_machine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from limits.storage import storage_from_string

from relay.intake.limits import MAX_KEYS, Doorkeeper
from relay.quota import Timetable, Window, next_free, parse_limits, parse_windows, used
from tests.kit import services
from tests.kit.processes import eventually

NOW = 1_790_000_000.0
SECOND = Window(10, 1, "10/second")
MINUTE = Window(150, 60, "150/minute")
ACCOUNT = (SECOND, MINUTE)

# --- the notation -----------------------------------------------------------------------------------

NOTATIONS = {
    "10/second; 150/minute": ACCOUNT,
    "150/minute; 10/second": ACCOUNT,
    "10/second, 150/minute": ACCOUNT,
    "10/second|150/minute": ACCOUNT,
    "10 per second;150 per minute": ACCOUNT,
    "10/SECOND": (SECOND,),
    "25/10 second": (Window(25, 10, "25/10 second"),),
    "30/2 minutes": (Window(30, 120, "30/2 minute"),),
    "10/second; 25/10 second; 150/minute": (SECOND, Window(25, 10, "25/10 second"), MINUTE),
    "5/hour": (Window(5, 3600, "5/hour"),),
    "5/day": (Window(5, 86400, "5/day"),),
    "10/second; 10/minute": (SECOND, Window(10, 60, "10/minute")),
}


@pytest.mark.parametrize(("text", "windows"), NOTATIONS.items(), ids=NOTATIONS.keys())
def test_limits_are_written_in_the_librarys_notation(text: str, windows: tuple[Window, ...]) -> None:
    assert parse_windows(text) == windows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be like"),
        ("10", "must be like"),
        ("fast", "must be like"),
        ("ten/second", "must be like"),
        ("-1/second", "must be like"),
        ("1.5/second", "must be like"),
        ("10/fortnight", "must be like"),
        ("10/second; fast", "must be like"),
        ("10/second;;", "must be like"),
        ("none", "must be like"),
        ("0/second", "at least 1"),
        ("10/second; 0/minute", "at least 1"),
        ("5/minute; 10/second", "5/minute makes 10/second impossible"),
        ("10/second; 25/10 second; 20/minute", "20/minute makes 25/10 second impossible"),
    ],
)
def test_impossible_limits_are_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_windows(text)


def test_the_doors_limits_may_contradict_each_other_but_not_be_nothing() -> None:
    assert len(parse_limits("5/minute; 10/second")) == 2
    with pytest.raises(ValueError, match="at least 1"):
        parse_limits("0/minute")


# --- when the next call may start -------------------------------------------------------------------

MARGIN = 0.005


def test_with_room_the_next_call_may_start_now() -> None:
    assert next_free(ACCOUNT, [], NOW) == NOW
    assert next_free(ACCOUNT, [NOW] * 9, NOW) == NOW


@pytest.mark.parametrize(
    ("held", "free"),
    [
        ([NOW] * 10, NOW + 1 + MARGIN),
        ([NOW - 0.5] * 10, NOW + 0.5 + MARGIN),
        ([NOW - 2] * 10, NOW),
        ([NOW - 0.9, *[NOW - 0.1] * 9], NOW + 0.1 + MARGIN),
        ([NOW - 30] * 150, NOW + 30 + MARGIN),
        ([NOW - 30] * 149, NOW),
        ([*[NOW - 59.9] * 140, *[NOW] * 10], NOW + 1 + MARGIN),
        ([*[NOW - 59] * 141, *[NOW + 25] * 9], NOW + 1 + MARGIN),
        # Ten that nobody has heard of: their leases count as if they arrived at the last moment.
        ([NOW + 25] * 10, NOW + 26 + MARGIN),
    ],
)
def test_a_full_window_opens_when_its_oldest_slot_has_left(held: list[float], free: float) -> None:
    assert next_free(ACCOUNT, held, NOW) == pytest.approx(free, abs=1e-6)


def test_the_slots_used_are_those_the_window_still_sees() -> None:
    held = [NOW - 61, NOW - 30, NOW - 1.001, NOW - 0.5, NOW + 20]
    assert (used(SECOND, held, NOW), used(MINUTE, held, NOW)) == (3, 4)
    assert used(SECOND, [], NOW) == 0
    assert used(SECOND, [NOW - 2], NOW) == 0


# --- no window of upstream's sees more than its limit, whatever the network does ------------------------


@dataclass
class Network:
    """Calls with random latencies, and a sender that starts each as early as the ledger allows.

    ``lost``: the answer never comes, and the call may arrive until its lease ends.
    """

    windows: tuple[Window, ...]
    seed: int
    slowest: float
    lost: float = 0.0
    lease: float = 25.0
    arrivals: list[float] = field(default_factory=list)
    starts: list[float] = field(default_factory=list)

    def send(self, count: int) -> "Network":
        chance = random.Random(self.seed)
        now, ended = NOW, list[float]()
        open_: list[tuple[float, float]] = []
        for _ in range(count):
            now = self._wait(now, ended, open_)
            self.starts.append(now)
            if chance.random() < self.lost:
                self.arrivals.append(now + chance.random() * self.lease)
                insort(ended, now + self.lease)  # known to nobody: its slot is held to the lease's end
                continue
            end = now + chance.random() * self.slowest
            self.arrivals.append(now + chance.random() * (end - now))
            open_.append((end, now + self.lease))
            now += chance.choice([0.0, 0.0, 0.001, 0.3])
        return self

    def _wait(self, now: float, ended: list[float], open_: list[tuple[float, float]]) -> float:
        """Return when the next call starts; answers that come meanwhile free their slots earlier."""
        while True:
            for call in [call for call in open_ if call[0] <= now]:
                open_.remove(call)
                insort(ended, call[0])
            held = sorted([*ended, *(lease for _, lease in open_)])
            free = next_free(self.windows, held, now)
            if free <= now:
                return now
            now = min([free, *(end for end, _ in open_)])

    def worst(self, window: Window) -> int:
        """The most arrivals in any window of its length, whatever its phase."""
        arrivals, most, first = sorted(self.arrivals), 0, 0
        for last, at in enumerate(arrivals):
            while arrivals[first] <= at - window.seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


LIMITS = st.sampled_from(
    [
        ACCOUNT,
        (Window(3, 1, "3/second"), Window(8, 5, "8/5 second")),
        (Window(1, 1, "1/second"),),
        (Window(10, 1, "10/second"), Window(25, 10, "25/10 second"), Window(150, 60, "150/minute")),
        (Window(2, 1, "2/second"), Window(2, 60, "2/minute")),
    ]
)


@settings(max_examples=60)
@given(
    LIMITS, st.integers(0, 2**32), st.sampled_from([0.0, 0.05, 0.4, 3.0, 14.9]), st.sampled_from([0.0, 0.1])
)
@example(ACCOUNT, 1, 0.4, 0.0)
@example(ACCOUNT, 2, 14.9, 0.1)
def test_no_window_of_any_phase_sees_more_than_its_limit(
    windows: tuple[Window, ...], seed: int, slowest: float, lost: float
) -> None:
    network = Network(windows, seed, slowest, lost).send(170)
    for window in windows:
        assert network.worst(window) <= window.limit


def test_a_fast_upstream_is_used_fully() -> None:
    """Ten in the first second, then all that the minute allows."""
    network = Network(ACCOUNT, seed=7, slowest=0.0).send(600)
    assert sum(start < NOW + 1 for start in network.starts) == 10
    steady = [start for start in network.starts if NOW + 60 <= start < NOW + 180]
    assert len(steady) >= 0.97 * 300


def test_starts_never_go_back() -> None:
    network = Network(ACCOUNT, seed=3, slowest=0.4).send(200)
    assert all(earlier <= later for earlier, later in pairwise(network.starts))


# --- in how many seconds ------------------------------------------------------------------------------


def played(
    windows: tuple[Window, ...], held: list[float], ahead: int, latency: float, parallel: int
) -> float:
    """When the call with so many before it starts, if each takes exactly so long."""
    now, slots, under_way = NOW, sorted(held), list[float]()
    for _ in range(ahead + 1):
        while True:
            under_way = [end for end in under_way if end > now]
            later = next_free(windows, slots, now)
            if len(under_way) >= parallel:
                later = max(later, min(under_way))
            if later <= now:
                break
            now = later
        under_way.append(now + latency)
        insort(slots, now + latency)
    return now - NOW


@settings(max_examples=60)
@given(
    LIMITS,
    st.lists(st.floats(-70, 20), max_size=160),
    st.integers(0, 300),
    st.sampled_from([0.0, 0.1, 0.3, 3.0]),
    st.sampled_from([1, 2, 8]),
)
def test_an_eta_is_what_a_simulation_says(
    windows: tuple[Window, ...], ago: list[float], ahead: int, latency: float, parallel: int
) -> None:
    held = sorted(NOW + seconds for seconds in ago)
    forecast = Timetable(windows, held, latency, parallel, NOW).eta(ahead)
    assert forecast == pytest.approx(played(windows, held, ahead, latency, parallel), abs=1e-3)


@pytest.mark.parametrize(("latency", "parallel"), [(0.1, 8), (3.0, 2), (10.0, 1)])
def test_an_eta_far_away_follows_the_steady_rate(latency: float, parallel: int) -> None:
    forecast = Timetable(ACCOUNT, [], latency, parallel, NOW).eta(5000)
    assert forecast == pytest.approx(played(ACCOUNT, [], 5000, latency, parallel), rel=0.02)


def test_an_eta_with_nothing_before_it_is_now() -> None:
    assert Timetable(ACCOUNT, [], 0.3, 8, NOW).eta(0) == 0
    assert Timetable(ACCOUNT, [], 0.3, 8, NOW).eta(7) == 0
    assert Timetable(ACCOUNT, [NOW] * 10, 0.3, 8, NOW).eta(0) == pytest.approx(1 + MARGIN, abs=1e-6)


def test_in_a_long_queue_all_etas_together_cost_little_more_than_one() -> None:
    def seconds(asked: int) -> float:
        table = Timetable(ACCOUNT, [NOW] * 150, 0.3, 8, NOW)
        started = time.thread_time()
        for more in range(asked):
            table.eta(2000 + more)
        return time.thread_time() - started

    assert seconds(200) < 5 * seconds(1)


def test_etas_asked_one_after_the_other_are_those_asked_alone() -> None:
    table = Timetable(ACCOUNT, [NOW] * 12, 0.3, 8, NOW)
    asked = [300, 0, 17, 2500, 149]
    assert [table.eta(ahead) for ahead in asked] == [
        Timetable(ACCOUNT, [NOW] * 12, 0.3, 8, NOW).eta(ahead) for ahead in asked
    ]


# --- limits at the door: in memory ----------------------------------------------------------------------

RULE = "3/second; 5/minute"


@pytest.fixture
def door() -> Doorkeeper:
    return Doorkeeper("memory://")


def test_without_a_rule_everybody_may_enter(door: Doorkeeper) -> None:
    assert [door.retry_after(None, "client", "1") for _ in range(100)] == [None] * 100


def test_who_is_over_a_limit_is_told_when_to_come_back(door: Doorkeeper) -> None:
    assert [door.retry_after(RULE, "client", "1") for _ in range(3)] == [None] * 3
    assert door.retry_after(RULE, "client", "1") == pytest.approx(1, abs=0.01)


def test_each_window_counts(door: Doorkeeper) -> None:
    for _ in range(2):
        assert door.retry_after("3/minute; 2/hour", "client", "1") is None
    wait = door.retry_after("3/minute; 2/hour", "client", "1")
    assert wait is not None
    assert 3590 < wait <= 3600


def test_each_client_source_and_kind_is_counted_for_itself(door: Doorkeeper) -> None:
    for key in [
        ("client", "a", "1"),
        ("client", "a", "2"),
        ("client", "b", "1"),
        ("source", "a"),
        ("x", "1"),
    ]:
        assert [door.retry_after("2/minute", *key) for _ in range(2)] == [None, None]
        assert door.retry_after("2/minute", *key) is not None


def test_a_window_opens_again_and_who_was_refused_is_not_counted(door: Doorkeeper) -> None:
    assert door.retry_after("1/second", "client", "1") is None
    for _ in range(50):
        assert door.retry_after("1/second", "client", "1") is not None
    time.sleep(1.01)
    assert door.retry_after("1/second", "client", "1") is None


def test_threads_together_get_exactly_the_limit(door: Doorkeeper) -> None:
    start = threading.Barrier(16)

    def knock(_: int) -> int:
        start.wait()
        return sum(door.retry_after("100/hour", "client", "1") is None for _ in range(50))

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(knock, range(16))) == 100


def test_many_clients_cost_little_memory_and_no_time() -> None:
    """What is kept is bounded, and the last of many is as fast as the first."""
    door = Doorkeeper("memory://")
    first = _least_seconds(door, 0)
    tracemalloc.start()
    try:
        for number in range(2_000):
            door.retry_after(RULE, "client", "newsletter", f"10.1.{number >> 8}.{number & 255}")
        per_key = tracemalloc.get_traced_memory()[0] / (2 * 2_000)
    finally:
        tracemalloc.stop()
    assert per_key * MAX_KEYS < 50e6
    assert _least_seconds(door, 200) < 3 * first


def _least_seconds(door: Doorkeeper, network: int) -> float:
    """What a thousand new clients cost, at best of five thousand."""
    took = []
    for batch in range(network, network + 5):
        started = time.thread_time()
        for number in range(1_000):
            door.retry_after(RULE, "client", "newsletter", f"10.{batch}.{number >> 8}.{number & 255}")
        took.append(time.thread_time() - started)
    return min(took)


def test_the_keys_used_longest_ago_are_forgotten_first() -> None:
    door = Doorkeeper("memory://", max_keys=10)
    for number in range(10):
        assert door.retry_after("1/hour", str(number)) is None
    assert door.retry_after("1/hour", "0") is not None
    assert door.retry_after("1/hour", "new") is None
    assert door.retry_after("1/hour", "0") is not None
    assert door.retry_after("1/hour", "1") is None


def test_no_thread_is_left_behind(door: Doorkeeper) -> None:
    door.retry_after(RULE, "client", "1")
    time.sleep(0.1)
    before = threading.active_count()
    for number in range(200):
        door.retry_after(RULE, "client", str(number))
    assert threading.active_count() <= before


def test_a_step_of_the_wall_clock_shuts_nobody_out(door: Doorkeeper) -> None:
    with time_machine.travel(time.time() + 86400, tick=True):
        assert door.retry_after("1/second", "client", "1") is None
    time.sleep(1.01)
    assert door.retry_after("1/second", "client", "1") is None


# --- limits at the door: in Redis ---------------------------------------------------------------------


def test_a_word_that_redis_does_not_know_keeps_nobody_out(redis_url: str) -> None:
    """``ssl_cert_reqs`` belongs to ``rediss://``; every submission was answered 503."""
    door = Doorkeeper(f"{redis_url}?ssl_cert_reqs=none")
    assert [door.retry_after("2/minute", "client", "1") is None for _ in range(3)] == [True, True, False]
    assert door.degraded


def test_a_redis_whose_name_is_looked_up_for_long_keeps_one_waiting_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A resolver whose servers are silent takes longer than the pause, and knows no limit in time."""
    silent = threading.Event()  # set: its servers have given up
    asked = threading.Semaphore(0)

    def unknown(*_: Any, **__: Any) -> Any:
        asked.release()
        silent.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    door = Doorkeeper("redis://redis.example.com:6379/0", pause=0.3)
    with ThreadPoolExecutor(9) as pool:

        def knock(name: str) -> Future[float | None]:
            return pool.submit(door.retry_after, RULE, "client", name)

        silent.set()
        assert knock("first").result(30) is None and door.degraded
        silent.clear()
        asked.acquire()
        time.sleep(0.4)
        crowd = [knock(f"before {number}") for number in range(4)]
        assert asked.acquire(timeout=30)
        time.sleep(0.4)  # it takes longer than the pause, which begins when it has failed
        crowd += [knock(f"after {number}") for number in range(4)]
        eventually(lambda: sum(one.done() for one in crowd) == 7, 30, "all but the one that asks")
        silent.set()
        assert all(one.result(30) is None for one in crowd) and door.degraded


def test_two_processes_share_a_limit_in_redis(redis_url: str) -> None:
    doors = [Doorkeeper(redis_url), Doorkeeper(redis_url)]
    taken = [doors[turn % 2].retry_after("4/minute", "client", "1") for turn in range(6)]
    assert taken[:4] == [None] * 4
    assert all(wait is not None and 50 < wait <= 60 for wait in taken[4:])
    assert not any(door.degraded for door in doors)


def test_threads_together_get_exactly_the_limit_of_redis(redis_url: str) -> None:
    door = Doorkeeper(redis_url)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: door.retry_after("30/hour", "client", "1"), range(100)))
    assert taken.count(None) == 30


def test_who_comes_while_the_driver_of_redis_is_loaded_waits_for_it(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the second that asks while the first still imports it the library says that there is no driver."""
    made: list[Any] = []

    def slowly(url: str, **options: Any) -> Any:
        made.append(url)
        time.sleep(0.1)
        return storage_from_string(url, **options)

    monkeypatch.setattr("relay.intake.limits.storage_from_string", slowly)
    door = Doorkeeper(redis_url)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda one: door.retry_after("5/second", "client", str(one)), range(8))) == {None}
    assert len(made) == 1 and not door.degraded


def test_when_redis_is_gone_this_process_counts_for_itself(own_redis: services.Redis) -> None:
    door = Doorkeeper(own_redis.url)
    assert door.retry_after("2/minute", "client", "1") is None
    own_redis.stop()
    started = time.perf_counter()
    taken = [door.retry_after("2/minute", "client", "1") for _ in range(3)]
    assert time.perf_counter() - started < 3
    assert taken[:2] == [None, None]
    assert taken[2] is not None
    assert door.degraded


def test_when_redis_hangs_a_request_waits_a_moment_once(own_redis: services.Redis) -> None:
    door = Doorkeeper(own_redis.url)
    assert door.retry_after(RULE, "client", "1") is None
    own_redis.pause()
    try:
        times = []
        for number in range(20):
            started = time.perf_counter()
            assert door.retry_after(RULE, "client", str(number)) is None
            times.append(time.perf_counter() - started)
    finally:
        own_redis.resume()
    assert times[0] < 2
    assert sum(times[1:]) < 1
    assert door.degraded


def test_when_redis_is_back_it_is_used_again(own_redis: services.Redis) -> None:
    door = Doorkeeper(own_redis.url, pause=0.2)
    own_redis.pause()
    try:
        door.retry_after(RULE, "client", "1")
    finally:
        own_redis.resume()
    assert door.degraded
    time.sleep(0.25)
    assert door.retry_after(RULE, "client", "1") is None
    assert not door.degraded


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1:1/0",
        "redis+cluster://127.0.0.1:1",
        "redis+sentinel://127.0.0.1:1,127.0.0.1:2/relay",
    ],
)
def test_a_redis_that_is_not_there_at_the_start_stops_nobody(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    door = Doorkeeper(url, pause=0.1)
    for _ in range(2):
        assert door.retry_after(RULE, "client", "1") is None
        assert door.degraded
        time.sleep(0.2)
    assert capfd.readouterr().err.count('"limits.away"') == 1, "it is said when it begins"


@pytest.mark.parametrize("url", ["redis://{}/0", "redis+cluster://{}", "redis+sentinel://{},{}/relay"])
def test_a_redis_that_says_nothing_at_the_start_costs_a_request_a_moment(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        door = Doorkeeper(url.format(address, address))
        started = time.perf_counter()
        assert door.retry_after(RULE, "client", "1") is None
        assert time.perf_counter() - started < 3
    assert door.degraded
