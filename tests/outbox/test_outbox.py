"""The outbox: one set of promises, kept by SQLite and by PostgreSQL.

Catalogue: K 128, 130, 131; G 98, 101, 103, 106, 107; S 115, 119; T 121, 125; C 42-44; D 66, 67; O 146.
"""

import json
import multiprocessing
import queue
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from relay.clock import SteadyClock
from relay.delivery import (
    CHECK,
    DEAD,
    DELIVERED,
    DISCARDED,
    FRESH,
    HELD,
    INVALID,
    PARKED,
    QUEUED,
    REFUSED,
    RETRY,
    SENDING,
    Delivery,
)
from relay.destination import PAUSED, PROBE_SECONDS, RESTORED, Destination
from relay.dispatch.decide import decide
from relay.outbox.claiming import LEASE_GRACE_SECONDS
from relay.outbox.errors import Unavailable, Unfit
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, Decision, Entry, Known, NothingYet, Stored, ToCheck, Turn
from relay.outbox.schema import attempts, deliveries, destinations, holds, meta
from relay.outcome import Delivered, Later, Misconfigured, Outcome, Refused, Unclear, Wait
from relay.quota import Window, parse_windows, used
from relay.vault import Vault, new_key, parse_key
from tests.kit import services
from tests.kit.upstream import worst

NOW = 1_790_000_000.0
KEY = new_key()
WIDE = (Window(100_000, 1, "100000/second"),)
OCAMBA = Destination("ocamba", "http://127.0.0.1:9/", "token", WIDE, parallel=1000)
LEASE = OCAMBA.deadline + LEASE_GRACE_SECONDS
CREATED = Delivered(201, {"id": "17430755068336100383", "country_code": "DE"})
SILENCE = Unclear(None, answered=False, why="timeout")

# --- an outbox and its time ---------------------------------------------------------------------------


@dataclass
class Clock:
    """A clock that stands still until it is moved."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


@dataclass
class Store:
    """An outbox on one of the databases, and a way to let its time pass."""

    url: str
    clock: Clock = field(default_factory=Clock)
    opened: list[Outbox] = field(default_factory=list)

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite")

    @property
    def path(self) -> Path:
        return Path(self.url.removeprefix("sqlite:///"))

    def open(self, *keys: str, start: bool = True) -> Outbox:
        """Another view of the database: what another process has."""
        vault = Vault([parse_key(key) for key in keys or (KEY,)])
        outbox = Outbox(self.url, vault, self.clock)
        outbox.prepare({"ocamba": OCAMBA})
        if start:
            outbox.start(died)
        self.opened.append(outbox)
        return outbox

    def close(self) -> None:
        for outbox in self.opened:
            outbox.stop()
        self.opened.clear()

    def pass_time(self, seconds: float) -> None:
        """Let time pass; PostgreSQL has a clock of its own, so there the past moves back instead."""
        if self.is_sqlite:
            self.clock.now += seconds
            return

        def back(conn: sa.Connection) -> None:
            for table in (deliveries, attempts, destinations, holds):
                times = [column for column in table.c if isinstance(column.type, sa.Double)]
                past = {c: c - seconds for c in times if c.name not in ("seconds", "hold_seconds")}
                conn.execute(sa.update(table).values(past))
            alerts = meta.c.key.startswith("alert:")
            for key, at in conn.execute(sa.select(meta.c.key, meta.c.value).where(alerts)).all():
                earlier = str(float(at) - seconds).encode()
                conn.execute(sa.update(meta).where(meta.c.key == key).values(value=earlier))

        self.opened[0].write(back)


def died(death: BaseException) -> None:
    raise AssertionError("the writer thread died") from death


@pytest.fixture(scope="module")
def one_postgres_url(postgres_cluster: services.Postgres) -> str:
    """A database for many tests: making one takes longer than most of them."""
    return postgres_cluster.create_database()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        made = Store(f"sqlite:///{tmp_path / 'relay.db'}")
    else:
        made = Store(request.getfixturevalue("one_postgres_url"))
    made.open()
    yield made
    made.close()
    if not made.is_sqlite:
        empty(made.url)


def empty(url: str) -> None:
    engine = sa.create_engine(url)
    with engine.begin() as conn:
        for table in (deliveries, attempts, destinations, holds, meta):
            conn.execute(sa.delete(table))
    engine.dispose()


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.opened[0]


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'relay.db'}")
    made.open()
    yield made
    made.close()


# --- what is put into it ------------------------------------------------------------------------------


def entry(
    outbox: Outbox,
    name: str = "ada",
    *,
    source: str = "form",
    raw: str | None = None,
    key: str = "",
    state: str = QUEUED,
    window: float | None = 600.0,
    **more: Any,
) -> Entry:
    """A sign-up of ``name``, with the keys that a source gives it; ``raw``: its body, if it matters."""
    vault, receipt = outbox.vault, outbox.vault.receipt()
    profile = {"email": f"{name}@example.com"}
    payload: dict[str, Any] = {"body": raw or name} if state == INVALID else {"profile": profile}
    now = outbox.time()
    given = {"destination": "ocamba", "received_at": now, "due_at": now} | more
    by_content = vault.hash("content", source, key, name)
    by_bytes = vault.hash("bytes", source, key, raw or name)
    plain = by_bytes if state == INVALID else by_content
    return Entry(
        delivery=Delivery(receipt, source, state=state, payload=payload, **given),
        box=vault.seal(payload, receipt),
        repeat_key=vault.hash("held", plain) if state == HELD else plain,
        plain_key=plain if state == HELD else None,
        raw_key=by_bytes if state == QUEUED else None,
        id_hash=vault.hash("key", source, key) if key else None,
        window=None if key else window,
        email_hash=None if state == INVALID else vault.hash("contact", profile["email"]),
    )


def put(outbox: Outbox, name: str = "ada", **more: Any) -> Stored:
    return outbox.put(entry(outbox, name, **more))


def fill(outbox: Outbox, *names: str, **more: Any) -> list[str]:
    return [put(outbox, name, **more).delivery.receipt for name in names]


# --- what is done with it -----------------------------------------------------------------------------


def claim(outbox: Outbox, destination: Destination = OCAMBA, turn: Turn | None = None) -> Claim:
    found = outbox.claim(destination, turn or Turn())
    assert isinstance(found, Claim), found
    return found


def nothing(outbox: Outbox, destination: Destination = OCAMBA) -> NothingYet:
    found = outbox.claim(destination, Turn())
    assert isinstance(found, NothingYet), found
    return found


def record(
    outbox: Outbox,
    claimed: Claim,
    outcome: Outcome = CREATED,
    destination: Destination = OCAMBA,
    *,
    jitter: float = 0.5,
    keep: tuple[str, ...] = (),
) -> Decision | None:
    made = decide(outcome, destination, probe=claimed.probe, jitter=jitter, vault=outbox.vault, keep=keep)
    end_known = not isinstance(outcome, Unclear) or outcome.answered
    return outbox.record(claimed, 0.1, made, end_known=end_known)


def crashed(delivery: Delivery, known: Known) -> Decision:
    """What a dispatcher makes of a delivery whose sender is gone."""
    gone = Unclear(None, answered=False, why="crash")
    return decide(gone, OCAMBA, probe=False, jitter=0.5, vault=None)(delivery, known)


def state(outbox: Outbox, receipt: str) -> str:
    found = outbox.get(receipt)
    assert found is not None
    return found.state


def row(outbox: Outbox, receipt: str) -> dict[str, Any]:
    return outbox.rows(receipt=receipt)[0]


def count(outbox: Outbox) -> int:
    return len(outbox.rows(limit=100_000))


END: dict[str, tuple[Outcome, Destination]] = {
    DELIVERED: (CREATED, OCAMBA),
    REFUSED: (Refused(400), OCAMBA),
    PARKED: (SILENCE, replace(OCAMBA, ambiguous="park")),
    DEAD: (Later(None, None, "refused"), replace(OCAMBA, give_up_after=0)),
}


def bring_to(outbox: Outbox, wanted: str, name: str = "ada", **more: Any) -> str:
    """Put a sign-up and take it to a state; returns its receipt."""
    if wanted in (HELD, INVALID, QUEUED):
        return put(outbox, name, state=wanted, **more).delivery.receipt
    receipt = put(outbox, name, **more).delivery.receipt
    if wanted == DISCARDED:
        assert outbox.discard(receipt, QUEUED)
        return receipt
    claimed = claim(outbox)
    assert claimed.delivery.receipt == receipt
    if wanted != SENDING:
        outcome, destination = END[wanted]
        record(outbox, claimed, outcome, destination)
    assert state(outbox, receipt) == wanted
    return receipt


# --- taking in, and repeats ---------------------------------------------------------------------------


def test_what_is_put_is_there_sealed_and_found_by_its_contact(outbox: Outbox) -> None:
    stored = put(outbox)

    found = row(outbox, stored.delivery.receipt)
    assert not stored.repeat
    assert (found["state"], found["source"], found["attempts"], found["fence"]) == (QUEUED, "form", 0, 0)
    assert outbox.vault.open(found["payload"], found["receipt"]) == {"profile": {"email": "ada@example.com"}}
    wanted = (outbox.vault.hash("contact", "ada@example.com"),)
    assert [one["receipt"] for one in outbox.rows(contact_hashes=wanted)] == [found["receipt"]]


HELD_ONE = {"state": HELD, "reason": "honeypot"}
KEYED = {"key": "evt-1", "window": None}
REPEATS: dict[str, tuple[dict[str, Any], dict[str, Any], float, str]] = {
    "same content": ({}, {}, 1, "repeat"),
    "same content at the window's end": ({}, {}, 599, "repeat"),
    "same content after the window": ({}, {}, 601, "new"),
    "other content": ({}, {"name": "eve"}, 1, "new"),
    "other source": ({}, {"source": "crm"}, 1, "new"),
    "same key and content, a year later": (KEYED, KEYED, 365 * 86400, "repeat"),
    "same key, other content": (KEYED, KEYED | {"name": "eve"}, 1, "key_reused"),
    "same key at another source": (KEYED, KEYED | {"source": "crm", "name": "eve"}, 1, "new"),
    "other key, same content": (KEYED, KEYED | {"key": "evt-2"}, 1, "new"),
    "a key, then none": (KEYED, {}, 1, "new"),
    "none, then a key": ({}, KEYED, 1, "new"),
    "held, then not held": (HELD_ONE, {}, 1, "new"),
    "not held, then held": ({}, HELD_ONE, 1, "repeat"),
    "held twice": (HELD_ONE, HELD_ONE, 1, "repeat"),
    "not held, then held after the window": ({}, HELD_ONE, 601, "new"),
    "same key held, other content not": (KEYED | HELD_ONE, KEYED | {"name": "eve"}, 1, "new"),
    "unmappable twice": ({"state": INVALID}, {"state": INVALID}, 1, "repeat"),
}


@pytest.mark.parametrize(("first", "second", "seconds", "expected"), REPEATS.values(), ids=REPEATS.keys())
def test_a_repeat_is_the_same_key_or_the_same_content_in_time(
    store: Store,
    outbox: Outbox,
    first: dict[str, Any],
    second: dict[str, Any],
    seconds: float,
    expected: str,
) -> None:
    earlier = put(outbox, **first)
    store.pass_time(seconds)
    later = put(outbox, **second)

    assert later.repeat == (expected == "repeat")
    assert (later.delivery.receipt == earlier.delivery.receipt) == later.repeat
    assert (later.delivery.reason == "key_reused") == (expected == "key_reused")
    assert count(outbox) == (1 if later.repeat else 2)


@pytest.mark.parametrize(
    ("ended", "is_repeat"),
    [
        (QUEUED, True),
        (SENDING, True),
        (DELIVERED, True),
        (REFUSED, True),
        (PARKED, True),
        (DEAD, False),
        (DISCARDED, False),
    ],
)
@pytest.mark.parametrize("keyed", [{}, KEYED], ids=["content", "key"])
def test_a_dead_or_discarded_one_is_followed_by_a_new_one(
    outbox: Outbox, ended: str, is_repeat: bool, keyed: dict[str, Any]
) -> None:
    first = bring_to(outbox, ended, **keyed)

    second, third = put(outbox, **keyed), put(outbox, **keyed)

    assert second.repeat == is_repeat
    assert second.delivery.receipt == first if is_repeat else second.delivery.state == QUEUED
    assert second.delivery.reason != "key_reused"
    assert (third.repeat, third.delivery.receipt) == (True, second.delivery.receipt)


def test_a_repeat_tells_what_the_earlier_one_came_to(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    record(outbox, claim(outbox), keep=("id", "country_code", "email"))

    again = put(outbox)

    assert (again.delivery.receipt, again.delivery.state) == (receipt, DELIVERED)
    assert again.delivery.profile_id == "17430755068336100383"
    assert again.reply == {"country_code": "DE"}


def test_a_repeat_of_an_unmappable_one_that_passes_now_is_queued(outbox: Outbox) -> None:
    kept = put(outbox, state=INVALID, raw="mail=ada", reason="unmappable: email").delivery.receipt

    mended = put(outbox, raw="mail=ada", lane=CHECK)

    found = row(outbox, kept)
    assert (mended.repeat, mended.delivery.receipt, mended.delivery.state) == (True, kept, QUEUED)
    assert (found["state"], found["reason"], found["lane"]) == (QUEUED, None, CHECK)
    assert outbox.vault.open(found["payload"], kept) == {"profile": {"email": "ada@example.com"}}
    assert found["email_hash"] == outbox.vault.hash("contact", "ada@example.com")
    again = put(outbox, raw="mail=ada")
    assert (again.repeat, again.delivery.receipt) == (True, kept)
    assert count(outbox) == 1


@pytest.mark.parametrize("ended", [DISCARDED, QUEUED])
def test_only_an_unmappable_one_is_mended_by_its_repeat(outbox: Outbox, ended: str) -> None:
    kept = put(outbox, state=INVALID, raw="mail=ada").delivery.receipt
    assert outbox.discard(kept, INVALID) if ended == DISCARDED else outbox.requeue(kept, INVALID)

    stored = put(outbox, raw="mail=ada")

    assert state(outbox, kept) == ended
    assert stored.delivery.receipt != kept or ended == QUEUED


@pytest.mark.parametrize("keyed", [{}, KEYED], ids=["content", "key"])
def test_128_the_same_sign_up_fifty_times_at_once_is_one_row(outbox: Outbox, keyed: dict[str, Any]) -> None:
    together = threading.Barrier(50)

    def sign_up(_: int) -> Stored:
        made = entry(outbox, **keyed)
        together.wait(20)
        return outbox.put(made)

    with ThreadPoolExecutor(50) as crowd:
        stored = list(crowd.map(sign_up, range(50)))

    assert count(outbox) == 1
    assert len({one.delivery.receipt for one in stored}) == 1
    assert sum(not one.repeat for one in stored) == 1


def test_a_dead_one_is_followed_by_one_new_one_however_many_come_at_once(outbox: Outbox) -> None:
    bring_to(outbox, DEAD)
    entries = [entry(outbox) for _ in range(30)]

    with ThreadPoolExecutor(30) as crowd:
        stored = list(crowd.map(outbox.put, entries))

    assert count(outbox) == 2
    assert len({one.delivery.receipt for one in stored}) == 1


def test_different_sign_ups_at_once_are_all_stored(outbox: Outbox) -> None:
    entries = [entry(outbox, f"n{number}") for number in range(300)]

    with ThreadPoolExecutor(30) as crowd:
        stored = list(crowd.map(outbox.put, entries))

    assert [one.delivery.receipt for one in stored] == [one.delivery.receipt for one in entries]
    assert count(outbox) == 300


def test_one_change_that_fails_takes_no_other_of_its_batch_with_it(outbox: Outbox) -> None:
    def fail(_: object) -> None:
        raise KeyError("mine alone")

    def work(number: int) -> str:
        if number % 5:
            return put(outbox, f"n{number}").delivery.receipt
        with pytest.raises(KeyError):
            outbox.write(fail)
        return ""

    with ThreadPoolExecutor(20) as crowd:
        receipts = [receipt for receipt in crowd.map(work, range(100)) if receipt]

    assert count(outbox) == len(receipts) == 80


def test_nothing_is_taken_while_the_disk_is_full_but_sending_goes_on(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    outbox.is_full = True

    with pytest.raises(Unavailable):
        put(outbox, "eve")
    record(outbox, claim(outbox))

    assert (state(outbox, receipt), count(outbox)) == (DELIVERED, 1)


def test_a_page_of_rows_follows_the_one_before_newest_first(outbox: Outbox) -> None:
    receipts = fill(outbox, *(f"n{number}" for number in range(7)))
    put(outbox, "other", source="crm")

    pages, before = [], None
    while page := outbox.rows(source="form", before=before, limit=3):
        pages.append([one["receipt"] for one in page])
        before = pages[-1][-1]

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [receipt for page in pages for receipt in page] == receipts[::-1]


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


def test_a_flood_on_one_source_does_not_delay_another(outbox: Outbox) -> None:
    fill(outbox, *(f"bot{number}" for number in range(40)), source="flooded")
    quiet = put(outbox, source="quiet").delivery.receipt
    turn = Turn()

    first = [claim(outbox, turn=turn).delivery.receipt for _ in range(2)]

    assert quiet in first


def test_every_tenth_slot_goes_to_a_retry_that_is_due(outbox: Outbox) -> None:
    for receipt in fill(outbox, *(f"old{number}" for number in range(5))):
        record(outbox, claim(outbox), Refused(400))
        assert outbox.requeue(receipt, REFUSED)
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
    assert outbox.idle_until("ocamba") == pytest.approx(outbox.time() + 20, abs=1)
    store.pass_time(21)
    assert outbox.idle_until("ocamba") is None
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
    outbox.pause("ocamba")

    assert nothing(outbox).why == "held"
    assert claim(outbox, other).delivery.receipt == receipt


# --- upstream's windows -------------------------------------------------------------------------------


def test_a_full_window_says_when_it_opens(store: Store, outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("2/second; 3/minute"))
    fill(outbox, *(f"n{number}" for number in range(5)))
    for _ in range(2):
        record(outbox, claim(outbox, tight), destination=tight)

    waits = nothing(outbox, tight)
    assert (waits.why, waits.until) == ("quota", pytest.approx(outbox.time() + 1.0, abs=0.5))
    store.pass_time(1.01)
    record(outbox, claim(outbox, tight), destination=tight)
    waits = nothing(outbox, tight)
    assert (waits.why, waits.until) == ("quota", pytest.approx(outbox.time() + 59, abs=1.5))
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
        found = [told.get(timeout=150) for _ in processes]
    except queue.Empty:
        found = []
    for process in processes:
        process.join(20)
        process.kill()
    assert [process.exitcode for process in processes] == [0] * number
    return found


def filled_quickly(outbox: Outbox, number: int) -> list[str]:
    """Many rows in one transaction."""
    entries = [entry(outbox, f"n{one}") for one in range(number)]
    for start in range(0, number, 500):
        part = entries[start : start + 500]
        outbox.write(lambda conn, part=part: outbox._store_batch(conn, part))
    return [one.delivery.receipt for one in entries]


@pytest.mark.postgres
@pytest.mark.parametrize("number", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_101_dispatchers_in_several_processes_share_the_windows(postgres_url: str, number: int) -> None:
    store = Store(postgres_url)
    filled_quickly(store.open(), 50)

    parts = in_processes(number, process_sends, postgres_url, "8/second", 3.0)
    starts = [at for part in parts for at in part]
    store.close()

    assert worst(starts, 1.0) <= 8
    assert len(starts) >= 0.9 * 24


@pytest.mark.parametrize("number", [200, pytest.param(10_000, marks=pytest.mark.slow)])
def test_130_four_processes_claim_every_row_once(
    postgres_url: str, postgres_cluster: services.Postgres, number: int
) -> None:
    name = postgres_url.rpartition("/")[2]
    postgres_cluster.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")  # not what is tested
    store = Store(postgres_url)
    receipts = filled_quickly(store.open(), number)

    parts = in_processes(4, process_claims, postgres_url)

    assert Counter(receipt for part in parts for receipt in part) == Counter(receipts)
    assert Counter(one["state"] for one in store.opened[0].rows(limit=number)) == {DELIVERED: number}
    assert all(len(part) >= number / 20 for part in parts)
    store.close()


# --- fences and leases --------------------------------------------------------------------------------


def test_a_result_that_comes_after_the_lease_is_not_taken(store: Store, outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("2/10 second"))
    receipt = put(outbox).delivery.receipt
    late = claim(outbox, tight)
    store.pass_time(LEASE + 1)
    outbox.recover(crashed, every=False)
    store.pass_time(100)
    current = claim(outbox, tight)
    before = row(outbox, receipt)

    assert record(outbox, late, CREATED, tight) is None

    assert row(outbox, receipt) == before
    assert (before["state"], before["fence"], before["may_be_duplicate"]) == (SENDING, 3, True)
    first, second = outbox.history(receipt)
    assert (first["outcome"], first["seconds"], first["status"]) == ("unclear", None, None)
    assert (second["outcome"], second["ended_at"]) == (None, None)
    assert nothing(outbox, tight).why == "quota", "upstream answered the late call a moment ago"
    assert record(outbox, current) is not None
    assert state(outbox, receipt) == DELIVERED


def test_a_result_is_recorded_once(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    claimed = claim(outbox)

    assert record(outbox, claimed, Later(503, None, "503")) is not None
    assert record(outbox, claimed, CREATED) is None

    assert state(outbox, receipt) == QUEUED
    assert [one["outcome"] for one in outbox.history(receipt)] == ["later"]


def test_a_late_result_says_nothing_about_the_destination(store: Store, outbox: Outbox) -> None:
    put(outbox)
    late = claim(outbox)
    store.pass_time(LEASE + 1)
    outbox.recover(crashed, every=False)

    assert record(outbox, late, Misconfigured(401, "401")) is None

    assert outbox.health("ocamba").hold_reason is None


def test_only_what_is_past_its_lease_is_recovered(store: Store, outbox: Outbox) -> None:
    old, new = fill(outbox, "ada", "eve")
    assert claim(outbox).delivery.receipt == old
    store.pass_time(20)
    assert claim(outbox).delivery.receipt == new
    store.pass_time(LEASE - 19)

    recovered = outbox.recover(crashed, every=False)

    assert [one.delivery.receipt for one in recovered] == [old]
    found = row(outbox, old)
    assert (found["state"], found["may_be_duplicate"], found["lease_until"]) == (QUEUED, True, None)
    assert found["due_at"] >= outbox.time() + 59
    assert (found["reason"], found["lane"], found["attempts"]) == ("unclear: crash", RETRY, 1)
    assert state(outbox, new) == SENDING
    assert outbox.recover(crashed, every=False) == []


def test_everything_is_recovered_when_there_is_no_other_dispatcher(store: Store, outbox: Outbox) -> None:
    receipts = fill(outbox, "ada", "eve", "bob")
    for _ in receipts:
        claim(outbox)
    store.pass_time(1)

    recovered = outbox.recover(crashed, every=True)

    assert {one.delivery.receipt for one in recovered} == set(receipts)
    assert {state(outbox, receipt) for receipt in receipts} == {QUEUED}


def test_the_slot_of_a_lost_call_stays_taken(store: Store, outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("1/10 second"))
    fill(outbox, "ada", "eve")
    claim(outbox, tight)
    outbox.recover(crashed, every=True)
    assert nothing(outbox, tight).why == "quota"
    store.pass_time(LEASE)
    assert nothing(outbox, tight).why == "quota"
    store.pass_time(10.1)
    claim(outbox, tight)


def test_a_lost_call_is_no_longer_counted_as_in_flight(outbox: Outbox) -> None:
    narrow = replace(OCAMBA, parallel=1)
    fill(outbox, "ada", "eve")
    claim(outbox, narrow)
    assert nothing(outbox, narrow).why == "parallel"

    outbox.recover(crashed, every=True)

    claim(outbox, narrow)


def test_what_is_recovered_twice_at_once_is_recovered_once(store: Store, outbox: Outbox) -> None:
    fill(outbox, *(f"n{number}" for number in range(20)))
    late = [claim(outbox) for _ in range(20)]
    store.pass_time(LEASE + 1)
    others = [outbox] if store.is_sqlite else [store.open() for _ in range(3)]

    with ThreadPoolExecutor(12) as crowd:
        recoveries = [crowd.submit(one.recover, crashed, every=False) for one in others * 2]
        results = [crowd.submit(record, others[0], one, CREATED) for one in late]
        recovered = [one for job in recoveries for one in job.result(30)]
        recorded = [one for job in results if (one := job.result(30)) is not None]

    settled = Counter(one.delivery.receipt for one in [*recovered, *recorded])
    assert settled == Counter(one.delivery.receipt for one in late)


# --- holds and probes ---------------------------------------------------------------------------------


def test_nothing_is_sent_while_paused_and_resuming_makes_no_burst(store: Store, outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("3/minute"))
    fill(outbox, *(f"n{number}" for number in range(9)))
    for _ in range(3):
        record(outbox, claim(outbox, tight), destination=tight)
    outbox.pause("ocamba")
    store.pass_time(30)

    assert nothing(outbox, tight).why == "held"
    assert outbox.health("ocamba").hold_reason == PAUSED
    outbox.resume("ocamba")
    assert nothing(outbox, tight).why == "quota"
    store.pass_time(31)
    for _ in range(3):
        claim(outbox, tight)
    assert nothing(outbox, tight).why in ("quota", "parallel")


def test_a_call_in_flight_when_paused_is_recorded_and_the_pause_stays(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    claimed = claim(outbox)
    outbox.pause("ocamba")

    record(outbox, claimed)

    assert state(outbox, receipt) == DELIVERED
    assert nothing(outbox).why == "held"


def test_one_probe_is_out_at_a_time_and_each_is_another_one(store: Store, outbox: Outbox) -> None:
    receipts = fill(outbox, *(f"n{number}" for number in range(4)))
    record(outbox, claim(outbox), Misconfigured(401, "401"))
    views = [outbox] if store.is_sqlite else [outbox, store.open(), store.open()]
    store.pass_time(PROBE_SECONDS - 1)
    assert nothing(outbox).why == "held"
    store.pass_time(1.1)

    with ThreadPoolExecutor(12) as crowd:
        found = list(crowd.map(lambda view: view.claim(OCAMBA, Turn()), views * 4))
    probes = [one for one in found if isinstance(one, Claim)]
    assert [probe.probe for probe in probes] == [True]
    assert probes[0].delivery.receipt == receipts[1]
    assert {one.why for one in found if isinstance(one, NothingYet)} == {"held"}

    record(outbox, probes[0], Misconfigured(401, "401"))
    store.pass_time(PROBE_SECONDS + 1)
    second = claim(outbox)
    assert (second.probe, second.delivery.receipt) == (True, receipts[2])
    record(outbox, second)
    assert not outbox.health("ocamba").is_held(outbox.time())
    for _ in range(3):
        assert not claim(outbox).probe
    assert [one["attempts"] for one in outbox.rows()] == [0] * 4


def test_a_probe_whose_sender_dies_is_followed_by_another(store: Store, outbox: Outbox) -> None:
    fill(outbox, "ada", "eve", "bob")
    record(outbox, claim(outbox), Misconfigured(401, "401"))
    store.pass_time(PROBE_SECONDS + 1)
    lost = claim(outbox)
    store.pass_time(LEASE + 1)
    outbox.recover(crashed, every=False)

    other = claim(outbox)

    assert other.probe
    assert other.delivery.receipt != lost.delivery.receipt


def test_a_hold_with_a_time_of_its_own_ends_by_itself(store: Store, outbox: Outbox) -> None:
    fill(outbox, "ada", "eve")
    record(outbox, claim(outbox), Wait(429, 30.0))

    waits = nothing(outbox)
    assert (waits.why, waits.until) == ("held", pytest.approx(outbox.time() + 30, abs=1))
    outbox.resume("ocamba")
    assert nothing(outbox).why == "held", "a wait that upstream asked for is obeyed"
    store.pass_time(31)
    assert not claim(outbox).probe
    assert outbox.health("ocamba").hold_reason is None


def test_resuming_ends_a_fault_and_trying_now_sends_one_probe(outbox: Outbox) -> None:
    fill(outbox, "ada", "eve", "bob")
    record(outbox, claim(outbox), Misconfigured(401, "401"))
    outbox.probe_now("ocamba")
    assert claim(outbox).probe
    assert nothing(outbox).why == "held"
    outbox.resume("ocamba")
    assert not claim(outbox).probe


def test_time_in_which_nothing_could_be_sent_does_not_count(store: Store, outbox: Outbox) -> None:
    patient = replace(OCAMBA, give_up_after=100, retry=(1.0,))
    receipt = put(outbox).delivery.receipt
    store.pass_time(60)
    outbox.pause("ocamba")
    store.pass_time(1000)
    outbox.resume("ocamba")
    store.pass_time(30)

    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == QUEUED
    store.pass_time(20)
    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == DEAD


# --- what a person does -------------------------------------------------------------------------------


@pytest.mark.parametrize("was", [HELD, INVALID, PARKED, REFUSED, DEAD])
def test_a_replay_begins_a_new_series_of_attempts(store: Store, outbox: Outbox, was: str) -> None:
    patient = replace(OCAMBA, give_up_after=100, retry=(1.0,))
    receipt = bring_to(outbox, was)
    store.pass_time(1000)

    assert outbox.requeue(receipt, was)

    found = row(outbox, receipt)
    assert (found["state"], found["lane"], found["attempts"]) == (QUEUED, RETRY, 0)
    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == QUEUED, "it is given as much time as the first time"
    store.pass_time(101)
    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == DEAD


@pytest.mark.parametrize("verb", ["requeue", "discard"])
def test_what_changed_meanwhile_is_left_alone(outbox: Outbox, verb: str) -> None:
    receipt = bring_to(outbox, DEAD)
    assert outbox.requeue(receipt, DEAD)
    claimed = claim(outbox)

    assert not getattr(outbox, verb)(receipt, DEAD)

    assert state(outbox, receipt) == SENDING
    record(outbox, claimed)
    assert not getattr(outbox, verb)(receipt, DEAD)
    assert state(outbox, receipt) == DELIVERED


def test_twenty_replays_at_once_are_one(store: Store, outbox: Outbox) -> None:
    receipt = bring_to(outbox, DEAD)
    views = [outbox] if store.is_sqlite else [outbox, store.open()]

    with ThreadPoolExecutor(20) as crowd:
        done = list(crowd.map(lambda n: views[n % len(views)].requeue(receipt, DEAD), range(20)))

    assert done.count(True) == 1
    record(outbox, claim(outbox))
    assert len(outbox.history(receipt)) == 2


def test_a_discarded_one_has_no_payload(outbox: Outbox) -> None:
    receipt = bring_to(outbox, REFUSED)

    assert outbox.discard(receipt, REFUSED)

    found = row(outbox, receipt)
    assert (found["state"], found["payload"], found["reason"]) == (DISCARDED, None, "discarded")


def test_what_is_erased_is_gone_and_its_slot_stays_taken(outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("1/minute"))
    gone, kept = fill(outbox, "ada", "eve")
    record(outbox, claim(outbox, tight), destination=tight)

    assert outbox.erase([gone]) == ["17430755068336100383"]

    assert outbox.get(gone) is None
    assert outbox.get(kept) is not None
    assert nothing(outbox, tight).why == "quota"
    assert not put(outbox).repeat


def test_one_that_is_being_sent_is_not_erased(outbox: Outbox) -> None:
    receipt = bring_to(outbox, SENDING)

    assert outbox.erase([receipt]) == []

    assert state(outbox, receipt) == SENDING


def test_many_are_erased_at_once(outbox: Outbox) -> None:
    receipts = filled_quickly(outbox, 1500)

    gone = outbox.erase([*receipts, *(f"unknown{number}" for number in range(70_000))])

    assert gone == [None] * 1500

    assert count(outbox) == 0


# --- retention and keys -------------------------------------------------------------------------------

KEPT_FOR_A_WHILE = (HELD, INVALID, REFUSED, PARKED, DEAD)


@pytest.mark.parametrize("kept", [*KEPT_FOR_A_WHILE, QUEUED, SENDING, DELIVERED, DISCARDED])
def test_retention_deletes_what_waits_for_a_person_and_nothing_else(
    store: Store, outbox: Outbox, kept: str
) -> None:
    receipt = bring_to(outbox, kept)
    store.pass_time(99)
    assert outbox.expire("form", 100) == 0
    store.pass_time(2)
    assert outbox.expire("crm", 100) == 0

    assert outbox.expire("form", 100) == (1 if kept in KEPT_FOR_A_WHILE else 0)

    assert (outbox.get(receipt) is None) == (kept in KEPT_FOR_A_WHILE)


def test_retention_counts_from_the_last_change(store: Store, outbox: Outbox) -> None:
    receipt = bring_to(outbox, REFUSED)
    store.pass_time(90)
    outbox.requeue(receipt, REFUSED)
    record(outbox, claim(outbox), Refused(400))
    store.pass_time(90)

    assert outbox.expire("form", 100) == 0


def test_119_retention_takes_a_batch_at_a_time(store: Store, outbox: Outbox) -> None:
    fill(outbox, *(f"n{number}" for number in range(7)), state=HELD)
    store.pass_time(101)

    assert [outbox.expire("form", 100, limit=3) for _ in range(4)] == [3, 3, 1, 0]


def test_a_payload_kept_for_a_dropped_contact_goes_with_retention(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox, dropped=("phone",)).delivery.receipt
    record(outbox, claim(outbox))
    assert row(outbox, receipt)["payload"] is not None

    store.pass_time(101)
    assert outbox.expire("form", 100) == 1

    found = row(outbox, receipt)
    assert (found["state"], found["payload"], found["dropped"]) == (DELIVERED, None, '["phone"]')


def test_everything_can_be_sealed_with_a_new_key(store: Store, outbox: Outbox) -> None:
    receipts = fill(outbox, "ada", "eve", "bob")
    gone = bring_to(outbox, DISCARDED, "zoe")
    newer = new_key()
    rotating = store.open(newer, KEY, start=False)
    stale = rotating.stale_boxes(2)
    assert len(stale) == 2 and len(rotating.stale_boxes(10)) == 3
    vault = rotating.vault

    rotating.rewrap_hash_key()
    renewed = [(one, box, vault.seal(vault.open(box, one), one)) for one, box in rotating.stale_boxes(10)]
    outbox.discard(receipts[0], QUEUED)  # meanwhile
    rotating.reseal(renewed)

    assert rotating.stale_boxes(10) == []
    assert row(outbox, receipts[0])["payload"] is None
    alone = store.open(newer, start=False)
    assert alone.vault.open(row(alone, receipts[1])["payload"], receipts[1])["profile"]
    assert alone.vault.hash("x") == outbox.vault.hash("x")
    assert row(outbox, gone)["payload"] is None


def test_a_result_does_not_undo_a_new_seal(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    claimed = claim(outbox)
    rotating = store.open(new_key(), KEY, start=False)
    [(one, box)] = rotating.stale_boxes(10)
    rotating.reseal([(one, box, rotating.vault.seal(rotating.vault.open(box, one), one))])

    record(outbox, claimed, Later(503, None, "503"))

    assert rotating.stale_boxes(10) == []
    assert rotating.vault.open(row(rotating, receipt)["payload"], receipt)["profile"]


# --- before it may be sent: captchas ------------------------------------------------------------------


def checked(outbox: Outbox) -> ToCheck:
    found = outbox.take_to_check(30)
    assert found is not None
    return found


def test_what_must_be_checked_is_not_sent_before(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    assert nothing(outbox).why == "empty"

    taken = checked(outbox)

    assert (taken.receipt, taken.source, taken.destination) == (receipt, "form", "ocamba")
    assert outbox.take_to_check(30) is None, "nobody else checks it meanwhile"
    assert nothing(outbox).why == "empty"
    assert outbox.pass_check(receipt, FRESH)
    assert claim(outbox).delivery.receipt == receipt
    assert not outbox.pass_check(receipt, FRESH)


def test_a_check_that_came_to_nothing_is_made_again(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    checked(outbox)
    store.pass_time(31)

    assert checked(outbox).receipt == receipt


def test_a_failed_check_holds(outbox: Outbox) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    checked(outbox)

    assert outbox.fail_check(receipt, "captcha")

    found = row(outbox, receipt)
    assert (found["state"], found["reason"]) == (HELD, "captcha")
    assert nothing(outbox).why == "empty"


@pytest.mark.parametrize("verdict", ["pass_check", "fail_check"])
def test_a_verdict_that_comes_too_late_changes_nothing(outbox: Outbox, verdict: str) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    checked(outbox)
    outbox.pass_check(receipt, FRESH)
    record(outbox, claim(outbox), Later(None, None, "refused"))
    before = row(outbox, receipt)

    assert not getattr(outbox, verdict)(receipt, *((FRESH,) if verdict == "pass_check" else ("captcha",)))

    assert row(outbox, receipt) == before


def test_two_processes_check_two_things(store: Store, outbox: Outbox) -> None:
    receipts = fill(outbox, *(f"n{number}" for number in range(10)), lane=CHECK)
    views = [outbox] if store.is_sqlite else [outbox, store.open()]

    with ThreadPoolExecutor(10) as crowd:
        taken = list(crowd.map(lambda n: views[n % len(views)].take_to_check(30), range(10)))

    found = [one.receipt for one in taken if one is not None]
    assert len(set(found)) == len(found)
    while one := outbox.take_to_check(30):
        found.append(one.receipt)
    assert sorted(found) == sorted(receipts)


# --- alerts: each told once ---------------------------------------------------------------------------


def test_of_many_that_look_at_once_one_tells_that_an_episode_began(store: Store, outbox: Outbox) -> None:
    views = [outbox] if store.is_sqlite else [outbox, store.open(), store.open()]

    def look(number: int, current: set[str]) -> tuple[set[str], set[str]]:
        return views[number % len(views)].change_episodes(current)

    with ThreadPoolExecutor(12) as crowd:
        began = [one for one, _ in crowd.map(lambda n: look(n, {"held:ocamba", "disk"}), range(12))]
        assert sum(map(len, began)) == 2
        store.pass_time(10)
        again = list(crowd.map(lambda n: look(n, {"disk"}), range(12)))
        assert sum(len(one) for one, _ in again) == 0
        store.pass_time(60)
        over = [one for _, one in crowd.map(lambda n: look(n, {"disk"}), range(12))]
    ended = [one for _, one in again] + over
    assert sum(map(len, ended)) == 1
    assert set.union(*ended) == {"held:ocamba"}


def test_what_only_one_process_sees_begins_once_and_ends_once(store: Store, outbox: Outbox) -> None:
    """Such as a source over its limits, which each process counts for itself."""
    other = outbox if store.is_sqlite else store.open()
    told: list[tuple[set[str], set[str]]] = []
    for _ in range(4):
        told.append(outbox.change_episodes({"limit:form"}))
        store.pass_time(5)
        if not store.is_sqlite:
            told.append(other.change_episodes(set()))
        store.pass_time(5)
    for _ in range(8):
        told += [outbox.change_episodes(set()), other.change_episodes(set())]
        store.pass_time(10)

    assert [began for began, _ in told if began] == [{"limit:form"}]
    assert [over for _, over in told if over] == [{"limit:form"}]


def test_an_episode_outlasts_a_restart(store: Store, outbox: Outbox) -> None:
    assert outbox.change_episodes({"disk"}) == ({"disk"}, set())
    store.close()

    assert store.open().change_episodes({"disk"}) == (set(), set())


def test_a_source_whose_last_ten_could_not_be_mapped_is_named(outbox: Outbox) -> None:
    fill(outbox, "good", source="form")
    fill(outbox, *(f"bad{number}" for number in range(10)), source="form", state=INVALID)
    fill(outbox, *(f"bad{number}" for number in range(9)), source="crm", state=INVALID)
    assert outbox.sources_all_invalid(10) == ["form"]

    fill(outbox, "well again", source="form")

    assert outbox.sources_all_invalid(10) == []


# --- clocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [86400.0, -86400.0, 3600.0])
def test_121_a_clock_that_was_set_while_away_ends_no_wait_and_begins_none(
    sqlite_store: Store, moved: float
) -> None:
    tight = replace(OCAMBA, windows=parse_windows("3/minute"))
    before = sqlite_store.opened[0]
    before.keep_time(1000.0, "boot-1")
    due, fresh = fill(before, "ada", "eve")
    record(before, claim(before, tight), Later(None, None, "refused"), replace(tight, retry=(40.0,)))
    assert claim(before, tight).delivery.receipt == fresh
    sqlite_store.close()

    sqlite_store.clock.now += moved
    after = sqlite_store.open()
    after.keep_time(1000.0 + moved, "boot-1")
    now = after.time()

    assert row(after, due)["due_at"] == pytest.approx(now + 40)
    assert row(after, fresh)["lease_until"] == pytest.approx(now + LEASE)
    assert after.recover(crashed, every=False) == []
    _, held = after.ledger(tight)
    assert used(tight.windows[0], held, now) == 2


def test_121_a_clock_that_is_set_while_running_takes_the_waits_along(sqlite_store: Store) -> None:
    sqlite_store.close()
    clock = SteadyClock()
    outbox = Outbox(sqlite_store.url, Vault([parse_key(KEY)]), clock)
    outbox.prepare({"ocamba": OCAMBA})
    outbox.start(died)
    tight = replace(OCAMBA, windows=parse_windows("1/minute"))
    receipt, _ = fill(outbox, "ada", "eve")
    record(outbox, claim(outbox, tight), Later(None, None, "refused"), replace(tight, retry=(40.0,)))
    outbox.pause("ocamba")
    before = clock()

    outbox.shift(clock, 86400.0, "boot-1")

    assert clock() - before == pytest.approx(86400, abs=1)
    assert row(outbox, receipt)["due_at"] == pytest.approx(clock() + 40, abs=1)
    outbox.resume("ocamba")
    assert nothing(outbox, tight).until == pytest.approx(clock() + 60, abs=1.5)
    outbox.shift(clock, -86400.0, "boot-1")
    assert nothing(outbox, tight).until == pytest.approx(clock() + 60, abs=1.5)
    outbox.stop()


def test_121_held_time_is_still_taken_off_after_the_clock_was_set(sqlite_store: Store) -> None:
    sqlite_store.close()
    clock = SteadyClock()
    outbox = Outbox(sqlite_store.url, Vault([parse_key(KEY)]), clock)
    outbox.prepare({"ocamba": OCAMBA})
    outbox.start(died)
    receipt = put(outbox).delivery.receipt
    sqlite_store.opened.append(outbox)
    moved = sa.update(deliveries).values(received_at=deliveries.c.received_at - 200)
    outbox.write(lambda conn: conn.execute(moved))
    outbox.pause("ocamba")
    outbox.write(lambda conn: conn.execute(sa.update(holds).values(started_at=holds.c.started_at - 150)))
    outbox.resume("ocamba")

    outbox.shift(clock, 86400.0, "boot-1")

    record(outbox, claim(outbox), Later(None, None, "refused"), replace(OCAMBA, give_up_after=100))
    assert state(outbox, receipt) == QUEUED


@pytest.mark.parametrize("slow", [0.0, -7200.0, 86400.0])
def test_125_after_a_reboot_every_recent_slot_counts_as_taken_now(sqlite_store: Store, slow: float) -> None:
    tight = replace(OCAMBA, windows=parse_windows("2/minute"), retry=(5.0, 43200.0))
    before = sqlite_store.opened[0]
    before.keep_time(1000.0, "boot-1")
    retried, fresh, waiting = fill(before, "ada", "eve", "bob")
    record(before, claim(before, tight), Later(None, None, "refused"), tight)
    claim(before, tight)
    sqlite_store.close()

    sqlite_store.clock.now += slow
    after = sqlite_store.open()
    after._destinations["ocamba"] = tight
    after.keep_time(77.0, "boot-2")
    after.recover(crashed, every=True)
    now = after.time()

    assert nothing(after, tight).until == pytest.approx(now + 60, abs=0.1)
    assert row(after, waiting)["due_at"] <= now, "a fresh one waits for nothing but its turn"
    assert row(after, retried)["due_at"] <= now + 43200 * 1.2
    sqlite_store.pass_time(61)
    assert claim(after, tight).delivery.receipt in (waiting, retried)
    assert row(after, fresh)["may_be_duplicate"]


# --- backup and restore -------------------------------------------------------------------------------


def test_115_a_backup_made_under_load_holds_what_was_stored_before(
    sqlite_store: Store, tmp_path: Path
) -> None:
    outbox = sqlite_store.opened[0]
    filled_quickly(outbox, 8000)
    before = {one["receipt"] for one in outbox.rows(limit=100_000)}
    done = threading.Event()

    def load() -> int:
        number = 0
        while not done.is_set():
            put(outbox, f"later{number}")
            number += 1
        return number

    with ThreadPoolExecutor(1) as crowd:
        stored = crowd.submit(load)
        started = time.monotonic()
        outbox.backup(tmp_path / "copy.db")
        seconds = time.monotonic() - started
        done.set()
    assert stored.result() > 0
    assert seconds < 10
    copy = Store(f"sqlite:///{tmp_path / 'copy.db'}").open(start=False)
    assert before <= {one["receipt"] for one in copy.rows(limit=100_000)}
    copy.stop()
    put(outbox, "the live one goes on")
    assert sqlite3.connect(tmp_path / "copy.db").execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600


def test_115_a_restored_copy_sends_nothing_until_a_person_says_so(
    sqlite_store: Store, tmp_path: Path
) -> None:
    outbox = sqlite_store.opened[0]
    queued, sending, done = fill(outbox, "ada", "eve", "bob")
    claims = [claim(outbox) for _ in range(3)]
    record(outbox, claims[0], Later(None, None, "refused"))
    record(outbox, claims[2])
    outbox.backup(tmp_path / "copy.db")
    copy = Store(f"sqlite:///{tmp_path / 'copy.db'}", Clock(NOW + 30 * 86400))

    restored = copy.open()
    restored.keep_time(5.0, "boot-9")

    assert restored.health("ocamba").hold_reason == RESTORED
    assert nothing(restored).why == "held"
    for receipt, expected in ((queued, QUEUED), (sending, QUEUED), (done, DELIVERED)):
        found = row(restored, receipt)
        assert (found["state"], found["may_be_duplicate"]) == (expected, expected == QUEUED)
    assert not row(outbox, queued)["may_be_duplicate"]
    restored.resume("ocamba")
    claimed = claim(restored)
    record(restored, claimed, Later(None, None, "refused"))
    assert state(restored, claimed.delivery.receipt) == QUEUED, "the month in the cupboard does not count"
    copy.close()
    again = copy.open()
    assert again.health("ocamba").hold_reason is None, "held once, not at every start"
    copy.close()


def test_a_backup_overwrites_nothing(sqlite_store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(FileExistsError):
        sqlite_store.opened[0].backup(tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_text() == "precious"


@pytest.mark.postgres
def test_postgresql_is_backed_up_with_its_own_tools(postgres_url: str, tmp_path: Path) -> None:
    store = Store(postgres_url)
    with pytest.raises(Unfit, match="pg_dump"):
        store.open().backup(tmp_path / "copy.db")
    store.close()


# --- what remains on the disk -------------------------------------------------------------------------


def test_once_delivered_no_byte_of_the_payload_is_left(sqlite_store: Store) -> None:
    outbox, folder = sqlite_store.opened[0], sqlite_store.path.parent
    entries = [entry(outbox, f"n{number}") for number in range(60)]
    for one in entries:
        outbox.put(one)
    boxes = [one.box for one in entries if one.box]
    assert left(folder, boxes) == 60

    for _ in entries:
        record(outbox, claim(outbox))
    assert outbox.checkpoint()

    assert left(folder, boxes) == 0


@pytest.mark.parametrize("way", ["discard", "erase", "expire"])
def test_what_is_given_up_erased_or_expired_is_gone_from_the_disk(sqlite_store: Store, way: str) -> None:
    outbox, folder = sqlite_store.opened[0], sqlite_store.path.parent
    made = entry(outbox, state=HELD)
    assert made.box is not None and made.email_hash is not None
    traces = [made.box] if way == "discard" else [made.box, made.email_hash, made.repeat_key]
    outbox.put(made)
    outbox.checkpoint()
    assert left(folder, traces) == len(traces)

    if way == "discard":
        outbox.discard(made.delivery.receipt, HELD)
    elif way == "erase":
        outbox.erase([made.delivery.receipt])
    else:
        sqlite_store.pass_time(101)
        outbox.expire("form", 100)
    assert outbox.checkpoint()

    assert left(folder, traces) == 0


def left(folder: Path, traces: list[bytes]) -> int:
    """How many of these can be found in the files of a folder."""
    content = [path.read_bytes() for path in folder.iterdir() if path.is_file()]
    return sum(any(trace in one for one in content) for trace in traces)


def test_nothing_personal_is_stored_in_clear(sqlite_store: Store) -> None:
    outbox, folder = sqlite_store.opened[0], sqlite_store.path.parent
    fill(outbox, "ada-canary")
    fill(outbox, "eve-canary", state=INVALID)

    assert left(folder, [b"canary", b"example.com"]) == 0


def test_the_files_are_their_owners_alone(sqlite_store: Store) -> None:
    put(sqlite_store.opened[0])

    modes = {path.name: path.stat().st_mode & 0o777 for path in sqlite_store.path.parent.iterdir()}

    assert set(modes) >= {"relay.db", "relay.db-wal"}
    assert set(modes.values()) == {0o600}


def test_a_pretend_database_takes_no_real_people(store: Store) -> None:
    outbox = store.opened[0]
    outbox.prepare(sandbox=True)
    outbox.prepare()

    with pytest.raises(Unfit, match="sandbox"):
        outbox.prepare(sandbox=False)


# --- many rows ----------------------------------------------------------------------------------------

FINISHED = 50_000


def test_119_finished_rows_cost_nothing_when_claiming_looking_or_tidying(
    store: Store, outbox: Outbox
) -> None:
    """S 119 in small: none of these may walk through what is done."""
    now = outbox.time()
    many = [
        {
            "receipt": f"done{number}",
            "source": "form",
            "destination": "ocamba",
            "state": DELIVERED,
            "received_at": now,
            "due_at": now,
            "changed_at": now - 1000,
        }
        for number in range(FINISHED)
    ]
    outbox.write(lambda conn: conn.execute(sa.insert(deliveries), many))
    if not store.is_sqlite:
        outbox.write(lambda conn: conn.execute(sa.text("ANALYZE")))
    fill(outbox, *(f"n{number}" for number in range(20)))
    quick: dict[str, Callable[[], object]] = {
        "claim": lambda: outbox.claim(OCAMBA, Turn()),
        "backlog": outbox.backlog,
        "waiting": lambda: outbox.waiting("ocamba"),
        "recover": lambda: outbox.recover(crashed, every=False),
        "expire": lambda: outbox.expire("form", 100),
        "sources_all_invalid": lambda: outbox.sources_all_invalid(10),
        "rows": lambda: outbox.rows(state=QUEUED, limit=100),
        "count": lambda: outbox.count("form", INVALID),
    }

    took = {name: min(seconds_of(work) for _ in range(5)) for name, work in quick.items()}

    slow = {name: f"{seconds * 1000:.1f} ms" for name, seconds in took.items() if seconds > 0.01}
    assert slow == {}


def seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def test_the_reply_of_a_delivery_is_kept_without_what_is_personal(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    answer = Delivered(201, {"id": "9", "country_code": "DE", "email": "ada@example.com"})

    record(outbox, claim(outbox), answer, keep=("id", "country_code", "email"))

    assert json.loads(row(outbox, receipt)["reply"]) == {"country_code": "DE"}
