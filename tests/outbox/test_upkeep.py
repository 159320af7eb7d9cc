"""Retention, keys, alerts."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import (
    DEAD,
    DELIVERED,
    DISCARDED,
    HELD,
    INVALID,
    PARKED,
    QUEUED,
    REFUSED,
    SENDING,
)
from relay.outbox import audit, jobs, moves, operating, upkeep
from relay.outbox.audit import Act
from relay.outbox.database import engine_for
from relay.outbox.errors import Unavailable
from relay.outbox.hints import opened_hint
from relay.outbox.outbox import Outbox
from relay.outbox.records import Turn
from relay.outbox.rights import check_storing
from relay.outbox.schema import attempts
from relay.outbox.sqlite import sqlite_module
from relay.outcome import Later, Refused
from relay.quota import Window
from relay.vault import new_key
from tests.kit.processes import eventually
from tests.outbox.outboxes import (
    KEY,
    OCAMBA,
    Store,
    bring_to,
    change_episodes,
    claim,
    discard,
    empty,
    erase,
    fill,
    forget,
    history,
    named,
    put,
    record,
    replay,
    reseal,
    row,
    seen,
    slots,
    stale,
    state,
)

# --- what operators did ---------------------------------------------------------------------------------


def job(name: str, **more: Any) -> jobs.Job:
    known = {"action": "replay", "filter": {}, "dry_run": False, "by": "eve", "state": jobs.RUNNING}
    numbers = dict.fromkeys(("after", "upto", "total", "done"), 0)
    ends = {"outcomes": {}, "problem": None, "made_at": 0.0, "ended_at": None}
    return jobs.Job(name=name, **{**known, **numbers, **ends, **more})


def test_acts_and_jobs_that_are_over_go_after_a_while(store: Store, outbox: Outbox) -> None:
    def happen(name: str) -> None:
        def write(conn: Connection) -> None:
            audit.note(conn, Act(name, "replay"), outbox.now(conn))
            for suffix in ("over", "open"):
                jobs.add(conn, job(f"{name} {suffix}"))
            jobs_ = operating.jobs
            is_over = jobs_.c.name == f"{name} over"
            conn.execute(sa.update(jobs_).where(is_over).values(ended_at=outbox.now(conn)))

        outbox.write(write)

    def left() -> tuple[set[str], set[str]]:
        acts = outbox.read(audit.page, None, 100)
        return {act["by"] for act in acts}, {one.name for one in outbox.read(jobs.page, None, 100)}

    happen("old")
    store.pass_time(jobs.KEPT_SECONDS + 1)
    happen("new")
    forget(outbox)
    assert left() == ({"old", "new"}, {"old open", "new open", "new over"})

    store.pass_time(audit.KEPT_SECONDS - jobs.KEPT_SECONDS)
    forget(outbox)
    assert left() == ({"new"}, {"old open", "new open"})


def test_attempts_that_belong_to_nothing_go_once_no_window_counts_them(store: Store, outbox: Outbox) -> None:
    def numbers() -> list[str]:
        every = sa.select(attempts.c.receipt).order_by(attempts.c.id)
        return list(outbox.read(lambda conn: conn.scalars(every).all()))

    wide = replace(OCAMBA, windows=(Window(100_000, int(2 * upkeep.STRAYS_SECONDS), "wide"),))
    kept, erased, late = (bring_to(outbox, DELIVERED, name) for name in ("ada", "bob", "eve"))
    look = {"receipt": "", "destination": "ocamba", "kind": "look", "probe": True}
    now = outbox.time()
    outbox.write(
        lambda conn: conn.execute(sa.insert(attempts).values(**look, started_at=now, held_until=now))
    )
    erase(outbox, [erased])
    store.pass_time(upkeep.STRAYS_SECONDS + 60)
    erase(outbox, [late])

    def swept() -> list[str]:
        after = outbox.forget_strays(0, limit=2)
        while after:
            after = outbox.forget_strays(after, limit=2)
        return numbers()

    outbox.meet(wide)
    assert swept() == [kept, erased, late, ""]
    assert len(slots(outbox, wide)) == 4

    outbox.meet(OCAMBA)
    assert swept() == [kept]
    assert [send["receipt"] for send in history(outbox, kept)] == [kept]


# --- retention and keys -------------------------------------------------------------------------------

KEPT_FOR_A_WHILE = (HELD, INVALID, REFUSED, PARKED, DEAD)


@pytest.mark.parametrize("kept", [*KEPT_FOR_A_WHILE, QUEUED, SENDING, DELIVERED, DISCARDED])
def test_retention_deletes_what_waits_for_a_person_and_nothing_else(
    store: Store, outbox: Outbox, kept: str
) -> None:
    receipt = bring_to(outbox, kept)
    store.pass_time(99)
    assert outbox.expire({"form": 100}, 1) == {}
    store.pass_time(2)
    assert outbox.expire({"form": 1000, "crm": 100}, 100) == {}

    assert outbox.expire({"form": 100}, 1000) == ({"form": 1} if kept in KEPT_FOR_A_WHILE else {})

    assert (named(outbox, receipt) is None) == (kept in KEPT_FOR_A_WHILE)


def test_retention_counts_from_the_last_change(store: Store, outbox: Outbox) -> None:
    receipt = bring_to(outbox, REFUSED)
    store.pass_time(90)
    replay(outbox, receipt)
    record(outbox, claim(outbox), Refused(400))
    store.pass_time(90)

    assert outbox.expire({"form": 100}, 100) == {}


def test_what_a_source_that_is_gone_has_left_expires_too(store: Store, outbox: Outbox) -> None:
    fill(outbox, "ada", "eve", source="renamed", state=HELD)
    store.pass_time(101)

    assert outbox.expire({"form": 1}, 1000) == {}
    assert outbox.expire({"form": 1}, 100) == {"renamed": 2}


@pytest.mark.postgres
def test_what_is_replayed_while_retention_looks_is_not_deleted(one_postgres_url: str) -> None:
    store = Store(one_postgres_url)
    outbox, other = store.open(), store.open()
    receipt = bring_to(outbox, HELD)
    store.pass_time(101)
    expected, moved, looked = seen(outbox, receipt), threading.Event(), threading.Event()

    def replay_slowly(conn: sa.Connection) -> None:
        moves.requeue(conn, receipt, expected, moves.Near(600.0, 600.0), None, None, other.now(conn))
        moved.set()
        looked.wait(10)

    with ThreadPoolExecutor(2) as crowd:
        replaying = crowd.submit(other.write, replay_slowly)
        moved.wait(10)
        expiring = crowd.submit(outbox.expire, {"form": 100}, 100)
        eventually(lambda: waits_for_a_lock(outbox))
        looked.set()
        replaying.result()

        assert expiring.result() == {}
    assert state(outbox, receipt) == QUEUED
    store.close()
    empty(store.url)


def waits_for_a_lock(outbox: Outbox) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    return bool(outbox.read(lambda conn: conn.scalar(sa.text(waiting))))


def test_retention_takes_a_batch_at_a_time(store: Store, outbox: Outbox) -> None:
    fill(outbox, *(f"n{number}" for number in range(7)), state=HELD)
    store.pass_time(101)

    assert [outbox.expire({"form": 100}, 1, limit=3).get("form") for _ in range(4)] == [3, 3, 1, None]


def test_retention_waits_for_nobody_who_writes_while_it_only_looks(sqlite_store: Store) -> None:
    outbox = sqlite_store.opened[0]
    fill(outbox, "a", "b", state=HELD)

    # By the SQLite that the outbox uses: two in one process do not see each other's locks.
    with contextlib.closing(sqlite_module().connect(sqlite_store.path, isolation_level=None)) as link:
        link.execute("BEGIN IMMEDIATE")
        assert outbox.expire({"form": 100}, 1) == {}
        sqlite_store.pass_time(101)
        with pytest.raises(Unavailable):  # what there is to delete has to wait
            outbox.expire({"form": 100}, 1)
    assert outbox.expire({"form": 100}, 1) == {"form": 2}


def test_a_payload_kept_for_a_dropped_contact_goes_with_retention(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox, dropped=("phone",)).delivery.receipt
    record(outbox, claim(outbox))
    assert row(outbox, receipt)["payload"] is not None

    store.pass_time(101)
    assert outbox.expire({"form": 100}, 1) == {"form": 1}

    found = row(outbox, receipt)
    assert (found["state"], found["payload"], found["dropped"]) == (DELIVERED, None, '["phone"]')


def test_everything_can_be_sealed_with_a_new_key(store: Store, outbox: Outbox) -> None:
    receipts = fill(outbox, "ada", "eve", "bob")
    gone = bring_to(outbox, DISCARDED, "zoe")
    newer = new_key()
    rotating = store.open(newer, KEY, start=False)
    found = stale(rotating)
    assert len(found) == 3

    rotating.write(upkeep.rewrap_hash_key, rotating.vault)
    discard(outbox, receipts[0], seen(outbox, receipts[0]))  # meanwhile
    reseal(rotating, found)

    assert stale(rotating) == []
    assert row(outbox, receipts[0])["payload"] is None
    alone = store.open(newer, start=False)
    assert alone.vault.open(row(alone, receipts[1])["payload"], receipts[1])["profile"]
    assert opened_hint(row(alone, receipts[1]), alone.vault) == "e***@example.com"
    assert alone.vault.hash("x") == outbox.vault.hash("x")
    assert row(outbox, gone)["payload"] is None


def test_a_result_does_not_undo_a_new_seal(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    claimed = claim(outbox)
    rotating = store.open(new_key(), KEY, start=False)
    reseal(rotating, stale(rotating))

    record(outbox, claimed, Later(503, None, "503"))

    assert stale(rotating) == []
    assert rotating.vault.open(row(rotating, receipt)["payload"], receipt)["profile"]


# --- alerts: each told once ---------------------------------------------------------------------------


def test_of_many_that_look_at_once_one_tells_that_an_episode_began(store: Store, outbox: Outbox) -> None:
    views = [outbox] if store.is_sqlite else [outbox, store.open(), store.open()]

    def look(number: int, current: set[str]) -> tuple[set[str], set[str]]:
        return change_episodes(views[number % len(views)], current)

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
        told.append(change_episodes(outbox, {"limit:form"}))
        store.pass_time(5)
        if not store.is_sqlite:
            told.append(change_episodes(other, set()))
        store.pass_time(5)
    for _ in range(8):
        told += [change_episodes(outbox, set()), change_episodes(other, set())]
        store.pass_time(10)

    assert [began for began, _ in told if began] == [{"limit:form"}]
    assert [over for _, over in told if over] == [{"limit:form"}]


def test_an_episode_outlasts_a_restart(store: Store, outbox: Outbox) -> None:
    assert change_episodes(outbox, {"disk"}) == ({"disk"}, set())
    store.close()

    assert change_episodes(store.open(), {"disk"}) == (set(), set())


@pytest.mark.postgres
def test_where_no_submission_could_be_stored_a_look_says_so(one_postgres_url: str) -> None:
    """Whatever keeps the table of submissions locked: somebody who tidies up, another relay's migration."""
    store = Store(f"{one_postgres_url}?options=-c%20lock_timeout%3D200")
    outbox = store.open()
    engine = engine_for(one_postgres_url)
    with engine.connect() as other:
        other.execute(sa.text("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(Unavailable, match="lock timeout"):
            outbox.write(check_storing)
        other.rollback()
    outbox.write(check_storing)
    store.close()
    engine.dispose()


@pytest.mark.postgres
def test_a_claim_asks_for_a_promotion_in_one_statement(one_postgres_url: str) -> None:
    """It is on the way of every one that is sent; whether the server can tell is asked once."""
    store = Store(one_postgres_url)
    outbox = store.open()
    outbox.claim(OCAMBA, Turn())
    asked: list[str] = []
    sa.event.listen(outbox._engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    outbox.claim(OCAMBA, Turn())
    assert [said for said in asked if "SAVEPOINT" in said] == []
    assert len([said for said in asked if "pg_walfile_name" in said]) == 1
    store.close()
    empty(one_postgres_url)


def told_of(outbox: Outbox, *causes: str, key: str = "held:ocamba") -> tuple[set[str], set[str]]:
    current = {key: frozenset(causes) or None}
    return outbox.write(lambda conn: upkeep.change_episodes(conn, outbox.now(conn), current))


def test_an_episode_is_told_again_where_there_is_another_cause(store: Store, outbox: Outbox) -> None:
    began = [told_of(outbox, cause)[0] for cause in ("failing", "failing", "misconfigured", "misconfigured")]
    assert began == [{"held:ocamba"}, set(), {"held:ocamba"}, set()]
    of_sources = [("crm",), ("crm", "shop"), ("shop",), ("shop", "crm"), ("crm", "shop")]
    told = [told_of(outbox, *causes, key="invalid:ocamba")[0] for causes in of_sources]
    assert [bool(one) for one in told] == [True, True, False, True, False]
    store.close()

    assert told_of(store.open(), "crm", key="invalid:ocamba")[0] == set()


def test_what_begins_no_episode_does_not_end_one_either(store: Store, outbox: Outbox) -> None:
    assert told_of(outbox) == (set(), set())
    assert told_of(outbox, "rate limited") == ({"held:ocamba"}, set())
    assert told_of(outbox) == (set(), set())
    store.pass_time(60)

    assert change_episodes(outbox, set()) == (set(), {"held:ocamba"})
    assert told_of(outbox) == (set(), set())
