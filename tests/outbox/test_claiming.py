"""Whose turn it is, and upstream's windows."""

import multiprocessing
import queue
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import pytest

from relay.clock import SteadyClock
from relay.delivery import (
    DELIVERED,
    FRESH,
    RETRY,
)
from relay.destination import Destination
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, Turn
from relay.outcome import Later, Refused, Unclear, Unreadable
from relay.quota import parse_windows
from relay.vault import Vault, parse_key
from tests.kit.stored import rows_of
from tests.kit.upstream import worst
from tests.outbox.outboxes import (
    CREATED,
    KEY,
    LEASE,
    NOW,
    OCAMBA,
    SILENCE,
    Store,
    claim,
    crashed,
    died,
    fill,
    filled_quickly,
    idle_until,
    nothing,
    pause,
    put,
    record,
    replay,
    row,
    slots,
)

# --- whose turn it is ---------------------------------------------------------------------------------


def test_sources_take_turns_with_their_oldest(store: Store, outbox: Outbox) -> None:
    for source in ("b", "a", "c"):
        for number in range(3):
            put(outbox, f"{source}{number}", source=source)
            store.pass_time(0.01)
    turn = Turn()

    order = [claim(outbox, turn=turn).delivery for _ in range(9)]

    names = [row(outbox, one.receipt) for one in order]
    assert [one["source"] for one in names] == ["a", "b", "c"] * 3
    for source in "abc":
        own = [one["seq"] for one in names if one["source"] == source]
        assert own == sorted(own)


def test_what_cannot_be_read_uses_no_slot(outbox: Outbox) -> None:
    put(outbox)
    record(outbox, claim(outbox), Unreadable(None, None, "no key"))
    assert slots(outbox, OCAMBA) == []


def test_a_flood_on_one_source_does_not_delay_another(outbox: Outbox) -> None:
    fill(outbox, *(f"bot{number}" for number in range(40)), source="flooded")
    quiet = put(outbox, source="quiet").delivery.receipt
    turn = Turn()

    first = [claim(outbox, turn=turn).delivery.receipt for _ in range(2)]

    assert quiet in first


def test_every_tenth_slot_goes_to_a_retry_that_is_due(outbox: Outbox) -> None:
    for receipt in fill(outbox, *(f"old{number}" for number in range(5))):
        record(outbox, claim(outbox), Refused(400))
        replay(outbox, receipt)
    fill(outbox, *(f"n{number}" for number in range(27)))
    turn = Turn()

    lanes = [claim(outbox, turn=turn).delivery.lane for _ in range(32)]

    assert lanes[:30] == ([FRESH] * 9 + [RETRY]) * 3
    assert lanes[30:] == [RETRY, RETRY]
    assert nothing(outbox).why == "empty"


def test_a_retry_waits_until_it_is_due_and_the_earliest_comes_first(store: Store, outbox: Outbox) -> None:
    first, second = fill(outbox, "ada", "eve")
    for seconds in (40.0, 20.0):
        record(outbox, claim(outbox), Later(None, None, "refused"), replace(OCAMBA, retry=(seconds,)))

    waits = nothing(outbox)
    assert (waits.why, waits.until) == ("empty", pytest.approx(outbox.time() + 20, abs=1))
    assert idle_until(outbox) == pytest.approx(outbox.time() + 20, abs=1)
    store.pass_time(21)
    assert idle_until(outbox) is None
    assert claim(outbox).delivery.receipt == second
    assert nothing(outbox).why == "empty"
    store.pass_time(20)
    assert claim(outbox).delivery.receipt == first


def test_no_more_calls_are_open_than_may_be_in_parallel(outbox: Outbox) -> None:
    narrow = replace(OCAMBA, parallel=3)
    fill(outbox, *(f"n{number}" for number in range(6)))
    open_calls = [claim(outbox, narrow) for _ in range(3)]

    assert nothing(outbox, narrow).why == "parallel"
    record(outbox, open_calls[0], destination=narrow)
    claim(outbox, narrow)
    assert nothing(outbox, narrow).why == "parallel"


def test_other_destinations_have_lanes_of_their_own(store: Store, outbox: Outbox) -> None:
    other = replace(OCAMBA, name="other")
    outbox.prepare({"other": other})
    receipt = put(outbox, destination="other").delivery.receipt
    pause(outbox)

    assert nothing(outbox).why == "held"
    assert claim(outbox, other).delivery.receipt == receipt


# --- upstream's windows -------------------------------------------------------------------------------


def test_a_full_window_says_when_it_opens(store: Store, outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("2/second; 3/minute"))
    fill(outbox, *(f"n{number}" for number in range(5)))
    began = time.monotonic()

    def opens_in(seconds: float) -> bool:
        """Whether the window that is full opens so long after the first of its slots, however slow we are."""
        waits = nothing(outbox, tight)
        left = waits.until - outbox.time()
        return waits.why == "quota" and seconds - (time.monotonic() - began) - 0.1 <= left <= seconds + 0.1

    for _ in range(2):
        record(outbox, claim(outbox, tight), destination=tight)

    assert opens_in(1.0)
    store.pass_time(1.01)
    record(outbox, claim(outbox, tight), destination=tight)
    assert opens_in(60 - 1.01)
    store.pass_time(61.1)
    claim(outbox, tight)


def test_an_open_call_keeps_its_slot_until_its_answer_and_a_window_more(store: Store, outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("1/10 second"))
    fill(outbox, "ada", "eve")
    slow = claim(outbox, tight)
    store.pass_time(12)
    assert nothing(outbox, tight).why == "quota"
    record(outbox, slow, destination=tight)
    store.pass_time(9)
    assert nothing(outbox, tight).why == "quota"
    store.pass_time(1.5)
    claim(outbox, tight)


def test_a_call_without_an_answer_keeps_its_slot_until_its_lease_ends(store: Store, outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("1/10 second"))
    fill(outbox, "ada", "eve")
    record(outbox, claim(outbox, tight), SILENCE, tight)
    store.pass_time(LEASE + 9)
    assert nothing(outbox, tight).why == "quota"
    store.pass_time(1.5)
    claim(outbox, tight)


WINDOWS = "3/second; 10/7 second; 24/minute"


@pytest.mark.parametrize("number", range(4))
def test_whatever_the_latencies_no_window_ever_holds_more_than_its_limit(
    sqlite_store: Store, seed: int, number: int
) -> None:
    """I4 by simulation: an answered call arrives upstream some time before its answer, a lost one
    before its lease ends; crashes, restarts and retries included."""
    dice = random.Random(f"{seed} {number}")
    clock, outbox = sqlite_store.clock, sqlite_store.opened[0]
    account = replace(OCAMBA, windows=parse_windows(WINDOWS), parallel=5, retry=(0.5, 3.0))
    fill(outbox, *(f"n{one}" for one in range(80)))
    in_flight: list[tuple[float, Claim]] = []
    arrivals: list[tuple[float, float]] = []
    turn, until = Turn(), clock.now + 240

    while clock.now < until:
        for ends, claimed in [one for one in in_flight if one[0] <= clock.now]:
            in_flight.remove((ends, claimed))
            outcome = dice.choice([CREATED, Refused(400), Later(None, None, "refused"), Unclear(500, True)])
            record(outbox, claimed, outcome, account, jitter=dice.random())
            arrivals.append((claimed.started_at, clock.now))
        if dice.random() < 0.02:  # the process dies: nobody hears these answers
            arrivals += [(claimed.started_at, claimed.lease_until) for _, claimed in in_flight]
            in_flight.clear()
            outbox.recover(crashed, every=True)
            outbox.change_hold("ocamba", lambda h, _: replace(h, hold_until=None, hold_reason=None))
        found = outbox.claim(account, turn)
        if isinstance(found, Claim):
            in_flight.append((clock.now + dice.choice([0.0, 0.01, 0.3, 2.0, 14.0]) * dice.random(), found))
        else:
            clock.now += dice.choice([0.003, 0.02, 0.3, 1.0])

    arrivals += [(claimed.started_at, claimed.started_at) for _, claimed in in_flight]
    assert len(arrivals) > 30
    for window in account.windows:
        for placed in (
            [first for first, _ in arrivals],
            [last for _, last in arrivals],
            [dice.uniform(*span) for span in arrivals],
            [dice.choice(span) for span in arrivals],
        ):
            assert worst(placed, window.seconds) <= window.limit, window.name


def test_nearly_all_of_the_quota_is_used_when_upstream_is_quick(sqlite_store: Store) -> None:
    clock, outbox = sqlite_store.clock, sqlite_store.opened[0]
    account = replace(OCAMBA, windows=parse_windows("10/second; 50/20 second"))
    fill(outbox, *(f"n{one}" for one in range(120)))
    turn, starts = Turn(), []

    while clock.now < NOW + 41:
        found = outbox.claim(account, turn)
        if isinstance(found, Claim):
            starts.append(clock.now)
            record(outbox, found, destination=account)
        else:
            clock.now = min(found.until, NOW + 41)

    assert worst(starts, 1.0) == 10  # also at first, after a long idle time
    assert worst(starts, 20.0) == 50
    assert sum(at < NOW + 40 for at in starts) >= 0.97 * 100


def test_slots_stay_taken_over_a_restart(sqlite_store: Store) -> None:
    tight = replace(OCAMBA, windows=parse_windows("2/minute"))
    before = sqlite_store.opened[0]
    before.keep_time(5.0, "boot-1")
    fill(before, "ada", "eve", "bob")
    record(before, claim(before, tight), destination=tight)
    claim(before, tight)
    sqlite_store.close()

    after = sqlite_store.open()
    after.keep_time(5.0, "boot-1")
    after.recover(crashed, every=True)

    assert nothing(after, tight).why == "quota"
    sqlite_store.pass_time(61)
    assert claim(after, tight).delivery.sends == 1
    sqlite_store.pass_time(LEASE)  # of the second call nobody knows when it arrived
    assert claim(after, tight).delivery.sends == 2


@pytest.mark.timed
def test_threads_that_claim_together_keep_the_windows(sqlite_store: Store) -> None:
    sqlite_store.close()
    outbox = Outbox(sqlite_store.url, Vault([parse_key(KEY)]), SteadyClock())
    outbox.prepare({"ocamba": OCAMBA})
    outbox.start(died)
    account = replace(OCAMBA, windows=parse_windows("8/second"))
    fill(outbox, *(f"n{one}" for one in range(50)))

    with ThreadPoolExecutor(8) as crowd:
        starts = [at for part in crowd.map(lambda _: sent_for(outbox, account, 2.5), range(8)) for at in part]
    outbox.stop()

    assert worst(starts, 1.0) <= 8
    assert len(starts) >= 0.9 * 24


def sent_for(outbox: Outbox, destination: Destination, seconds: float) -> list[float]:
    """Claim and deliver for so long; returns when each call started."""
    turn, starts = Turn(), []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = outbox.claim(destination, turn)
        if isinstance(found, Claim):
            starts.append(found.started_at)
            record(outbox, found, destination=destination)
        else:
            time.sleep(0.002)
    return starts


# --- several processes --------------------------------------------------------------------------------


def process_sends(url: str, limits: str, seconds: float, go: Any, told: Any) -> None:
    """In a process of its own: claim and deliver, and tell when each call started."""
    outbox = Outbox(url, Vault([parse_key(go.key)]), time.time)
    outbox.prepare({"ocamba": OCAMBA})
    account = replace(OCAMBA, windows=parse_windows(limits))
    go.ready.wait(30)
    told.put(sent_for(outbox, account, seconds))
    outbox.stop()


def process_claims(url: str, go: Any, told: Any) -> None:
    """In a process of its own: claim and deliver until nothing is left, and tell the receipts."""
    outbox = Outbox(url, Vault([parse_key(go.key)]), time.time)
    outbox.prepare({"ocamba": OCAMBA})
    turn, receipts = Turn(), []
    go.ready.wait(30)
    while isinstance(found := outbox.claim(OCAMBA, turn), Claim):
        receipts.append(found.delivery.receipt)
        assert record(outbox, found) is not None
    told.put(receipts)
    outbox.stop()


@dataclass
class Go:
    """What every process is given: the key, and the moment to begin."""

    key: str
    ready: Any


def in_processes(number: int, work: Callable[..., None], *arguments: Any) -> list[Any]:
    """Run ``work`` in so many processes at once; returns what each of them told."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    go = Go(KEY, context.Barrier(number))
    processes = [context.Process(target=work, args=(*arguments, go, told)) for _ in range(number)]
    for process in processes:
        process.start()
    try:
        found = [told.get(timeout=1200) for _ in processes]
    except queue.Empty:
        found = []
    for process in processes:
        process.join(20)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * number
    return found


@pytest.mark.timed
@pytest.mark.postgres
@pytest.mark.parametrize("number", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_dispatchers_in_several_processes_share_the_windows(postgres_url: str, number: int) -> None:
    store = Store(postgres_url)
    filled_quickly(store.open(), 50)

    parts = in_processes(number, process_sends, postgres_url, "8/second", 3.0)
    starts = [at for part in parts for at in part]
    store.close()

    assert worst(starts, 1.0) <= 8
    assert len(starts) >= 0.9 * 24


@pytest.mark.parametrize("number", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_four_processes_claim_every_row_once(postgres_url: str, number: int) -> None:
    store = Store(postgres_url)
    receipts = filled_quickly(store.open(), number)

    parts = in_processes(4, process_claims, postgres_url)

    assert Counter(receipt for part in parts for receipt in part) == Counter(receipts)
    assert Counter(one["state"] for one in rows_of(store.opened[0], limit=number)) == {DELIVERED: number}
    assert all(len(part) >= number / 20 for part in parts)
    store.close()
