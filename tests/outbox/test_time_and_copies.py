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
    HELD,
    QUEUED,
)
from relay.health import RESTORED
from relay.outbox import listing, notices, timekeeping
from relay.outbox.errors import Unavailable, Unfit
from relay.outbox.outbox import Outbox
from relay.outbox.schema import deliveries, holds
from relay.outcome import Later, Refused
from relay.quota import parse_windows, used
from relay.vault import Vault, parse_key
from tests.kit.processes import full_after
from tests.kit.stored import rows_of
from tests.outbox.outboxes import (
    KEY,
    LEASE,
    NOW,
    OCAMBA,
    Clock,
    Store,
    change_episodes,
    claim,
    crashed,
    died,
    entry,
    fill,
    filled_quickly,
    health,
    history,
    named,
    nothing,
    pause,
    put,
    record,
    resume,
    row,
    slots,
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
    held = slots(after, tight)
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
    pause(outbox)
    before = clock()

    outbox.shift(clock, 86400.0, "boot-1")

    assert clock() - before == pytest.approx(86400, abs=1)
    assert row(outbox, receipt)["due_at"] == pytest.approx(clock() + 40, abs=1)
    resume(outbox)
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
    pause(outbox)
    outbox.write(lambda conn: conn.execute(sa.update(holds).values(started_at=holds.c.started_at - 150)))
    resume(outbox)

    outbox.shift(clock, 86400.0, "boot-1")

    record(outbox, claim(outbox), Later(None, None, "refused"), replace(OCAMBA, give_up_after=100))
    assert state(outbox, receipt) == QUEUED


def test_a_clock_that_was_ahead_keeps_nobody_from_being_told(sqlite_store: Store) -> None:
    """What is noted by time or day, beside the rows, is not moved along: it lies ahead for a while."""
    outbox, clock = sqlite_store.opened[0], sqlite_store.clock
    days = ["2046-11-27", "2046-11-28", "2026-11-27", "2026-11-27", "2026-11-28"]
    assert change_episodes(outbox, {"disk"}) == ({"disk"}, set())
    clock.now -= 20 * 365 * 86400

    assert change_episodes(outbox, set()) == (set(), {"disk"})
    assert change_episodes(outbox, {"disk"}) == ({"disk"}, set())
    told = [outbox.write(notices.begin_day, day) for day in days]
    assert told == [False, True, False, False, True]


@pytest.mark.parametrize("slow", [0.0, -7200.0, 86400.0])
def test_after_a_reboot_the_last_slot_counts_as_taken_now(sqlite_store: Store, slow: float) -> None:
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
    sqlite_store.clock.now += after.keep_time(77.0, "boot-2")
    after.recover(crashed, every=True)
    now = after.time()

    assert now >= NOW
    assert now + 60 - LEASE <= nothing(after, tight).until <= now + 60.1
    assert row(after, waiting)["due_at"] <= now, "a fresh one waits for nothing but its turn"
    assert row(after, retried)["due_at"] <= now + 43200 * 1.2
    sqlite_store.pass_time(61)
    assert claim(after, tight).delivery.receipt in (waiting, retried)
    assert row(after, fresh)["may_be_duplicate"]


def test_after_a_reboot_slots_keep_their_distances(sqlite_store: Store) -> None:
    """A long window is not full of what was sent days ago."""
    wide = replace(OCAMBA, windows=parse_windows("10/hour"))
    before = sqlite_store.opened[0]
    before.keep_time(1000.0, "boot-1")
    for number in range(12):
        put(before, f"n{number}")
        record(before, claim(before, wide), destination=wide)
        sqlite_store.pass_time(700)
    put(before, "waits")
    sqlite_store.close()

    after = sqlite_store.open()
    sqlite_store.clock.now += after.keep_time(5.0, "boot-2")

    held = slots(after, wide)
    assert used(wide.windows[0], held, after.time()) == 6
    claim(after, wide)


def test_a_machine_that_comes_up_in_the_past_believes_what_is_stored(sqlite_store: Store) -> None:
    """Its clock goes on where the stored times end; when it is set, only its own stamps move."""
    before = sqlite_store.opened[0]
    before.keep_time(1000.0, "boot-1")
    old, held = put(before, "old").delivery.receipt, put(before, "held", state=HELD).delivery.receipt
    sqlite_store.close()
    sqlite_store.clock.now -= 26 * 365 * 86400

    after = sqlite_store.open()
    ahead = after.keep_time(5.0, "boot-2")
    sqlite_store.clock.now += ahead
    assert after.time() == pytest.approx(NOW, abs=0.1)
    new = put(after, "new").delivery.receipt
    oldest = min(row[3] for row in after.read(listing.backlog))
    assert after.time() - oldest < 1, "nothing is still to come"

    offset, monotonic = 5.0 + ahead, after.time() - 5.0 - ahead
    wall = offset + 7200
    assert after.write(timekeeping.follow, "boot-2", monotonic, offset, wall) == wall
    sqlite_store.clock.now += 7200

    assert row(after, new)["due_at"] == pytest.approx(after.time(), abs=0.1)
    assert row(after, held)["changed_at"] == row(after, old)["due_at"] == NOW, "that was right"


def test_what_this_run_stamped_moves_with_the_clock_and_what_was_before_stays(sqlite_store: Store) -> None:
    sqlite_store.clock.now -= 10_000
    earlier = sqlite_store.opened[0]
    earlier.keep_time(1000.0, "boot-1")
    before = put(earlier, "before", state=HELD).delivery.receipt
    sqlite_store.close()
    sqlite_store.clock.now = NOW
    first = sqlite_store.open()
    first.keep_time(500.0, "boot-2")
    sqlite_store.clock.now += 10
    held, refused = put(first, "held", state=HELD).delivery.receipt, put(first, "refused").delivery.receipt
    record(first, claim(first), Refused(400))
    stamps = {name: row(first, refused)[name] for name in ("received_at", "changed_at", "due_at")}
    sqlite_store.close()

    sqlite_store.clock.now += 40 * 86400
    second = sqlite_store.open()
    second.keep_time(500.0 + 40 * 86400, "boot-2")

    assert second.expire({}, 86400) == {"form": 1}, "what is old, and no more"
    assert named(second, before) is None
    assert state(second, held) == HELD
    moved = {name: row(second, refused)[name] - at for name, at in stamps.items()}
    assert set(moved.values()) == {40 * 86400}
    (sent,) = history(second, refused)
    assert second.time() - sent["started_at"] < 100


def test_what_was_stamped_before_the_clock_went_back_is_sent_at_once(sqlite_store: Store) -> None:
    outbox = sqlite_store.opened[0]
    late = entry(outbox)
    sqlite_store.clock.now -= 3600

    outbox.put(late)

    assert claim(outbox).delivery.receipt == late.delivery.receipt


# --- backup and restore -------------------------------------------------------------------------------


def test_a_backup_made_under_load_holds_what_was_stored_before(sqlite_store: Store, tmp_path: Path) -> None:
    outbox = sqlite_store.opened[0]
    filled_quickly(outbox, 8000)
    before = {one["receipt"] for one in rows_of(outbox, limit=100_000)}
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
    assert before <= {one["receipt"] for one in rows_of(copy, limit=100_000)}
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

    assert health(restored).hold_reason == RESTORED
    assert nothing(restored).why == "held"
    for receipt, expected in ((queued, QUEUED), (sending, QUEUED), (done, DELIVERED)):
        found = row(restored, receipt)
        assert (found["state"], found["may_be_duplicate"]) == (expected, expected == QUEUED)
    assert not row(outbox, queued)["may_be_duplicate"]
    resume(restored)
    claimed = claim(restored)
    record(restored, claimed, Later(None, None, "refused"))
    assert state(restored, claimed.delivery.receipt) == QUEUED, "the month in the cupboard does not count"
    copy.close()
    again = copy.open()
    assert health(again).hold_reason is None, "held once, not at every start"
    copy.close()


def test_a_backup_overwrites_nothing(sqlite_store: Store, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")

    with pytest.raises(FileExistsError):
        sqlite_store.opened[0].backup(tmp_path / "copy.db")

    assert (tmp_path / "copy.db").read_text() == "precious"


def test_a_backup_that_fails_empties_no_other_that_gets_its_name(sqlite_store: Store, tmp_path: Path) -> None:
    outbox = sqlite_store.opened[0]
    filled_quickly(outbox, 8000)
    with full_after(1024 * 1024), pytest.raises(Unavailable):
        outbox.backup(tmp_path / "copy.db")
    outbox.backup(tmp_path / "good.db")

    (tmp_path / "good.db").rename(tmp_path / "copy.db")

    copy = sqlite3.connect(tmp_path / "copy.db")
    assert copy.execute("SELECT count(*) FROM deliveries").fetchone() == (8000,)


@pytest.mark.postgres
def test_postgresql_is_backed_up_with_its_own_tools(postgres_url: str, tmp_path: Path) -> None:
    store = Store(postgres_url)
    with pytest.raises(Unfit, match="pg_dump"):
        store.open().backup(tmp_path / "copy.db")
    store.close()
