"""Taking in, and what repeats an earlier one."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from relay.delivery import (
    CHECK,
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
from relay.outbox import storing
from relay.outbox.errors import Unavailable
from relay.outbox.moves import Moved
from relay.outbox.outbox import Outbox
from relay.outbox.records import Stored
from tests.kit.stored import rows_of
from tests.outbox.outboxes import (
    Store,
    bring_to,
    claim,
    count,
    discard,
    entry,
    named,
    put,
    record,
    requeue,
    row,
    seen,
    state,
)

# --- taking in, and repeats ---------------------------------------------------------------------------


def test_what_is_put_is_there_sealed_and_found_by_its_contact(outbox: Outbox) -> None:
    stored = put(outbox)

    found = row(outbox, stored.delivery.receipt)
    assert not stored.repeat
    assert (found["state"], found["source"], found["attempts"], found["fence"]) == (QUEUED, "form", 0, 0)
    assert outbox.vault.open(found["payload"], found["receipt"]) == {"profile": {"email": "ada@example.com"}}
    wanted = (outbox.vault.hash("contact", "ada@example.com"),)
    assert [one["receipt"] for one in rows_of(outbox, contact_hashes=wanted)] == [found["receipt"]]


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
    move = discard if ended == DISCARDED else requeue
    assert move(outbox, kept, seen(outbox, kept)) == Moved()

    stored = put(outbox, raw="mail=ada")

    assert state(outbox, kept) == ended
    assert stored.delivery.receipt != kept or ended == QUEUED


@pytest.mark.parametrize("keyed", [{}, KEYED], ids=["content", "key"])
def test_the_same_sign_up_fifty_times_at_once_is_one_row(outbox: Outbox, keyed: dict[str, Any]) -> None:
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


def test_nothing_is_taken_while_the_disk_is_full_but_sending_goes_on(sqlite_store: Store) -> None:
    outbox = sqlite_store.opened[0]
    receipt = put(outbox).delivery.receipt
    outbox.is_full = True

    with pytest.raises(Unavailable):
        put(outbox, "eve")
    record(outbox, claim(outbox))

    assert (state(outbox, receipt), count(outbox)) == (DELIVERED, 1)


def test_a_repeat_does_not_mend_what_is_discarded_at_that_moment(outbox: Outbox) -> None:
    receipt = put(outbox, raw="x", state=INVALID).delivery.receipt
    found = named(outbox, receipt)
    assert found is not None
    discard(outbox, receipt, seen(outbox, receipt))
    repeat = entry(outbox, raw="x")

    with pytest.raises(Unavailable):
        outbox.write(lambda conn: storing._mend(conn, found, repeat, outbox.now(conn), outbox.vault))

    assert state(outbox, receipt) == DISCARDED
    assert count(outbox) == 1
