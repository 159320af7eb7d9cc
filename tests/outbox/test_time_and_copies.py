"""Clocks that are set, machines that start again, backups."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.clock import SteadyClock
from relay.delivery import (
    DELIVERED,
    QUEUED,
)
from relay.health import RESTORED
from relay.outbox.errors import Unfit
from relay.outbox.outbox import Outbox
from relay.outbox.schema import deliveries, holds
from relay.outcome import Later
from relay.quota import parse_windows, used
from relay.vault import Vault, parse_key
from tests.outbox.outboxes import (
    KEY,
    LEASE,
    NOW,
    OCAMBA,
    Clock,
    Store,
    claim,
    crashed,
    died,
    fill,
    filled_quickly,
    nothing,
    put,
    record,
    row,
    state,
)

# --- clocks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", [86400.0, -86400.0, 3600.0])
def test_a_clock_that_was_set_while_away_ends_no_wait_and_begins_none(
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


def test_a_clock_that_is_set_while_running_takes_the_waits_along(sqlite_store: Store) -> None:
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


def test_held_time_is_still_taken_off_after_the_clock_was_set(sqlite_store: Store) -> None:
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
def test_after_a_reboot_every_recent_slot_counts_as_taken_now(sqlite_store: Store, slow: float) -> None:
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


def test_a_backup_made_under_load_holds_what_was_stored_before(sqlite_store: Store, tmp_path: Path) -> None:
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


def test_a_restored_copy_sends_nothing_until_a_person_says_so(sqlite_store: Store, tmp_path: Path) -> None:
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
