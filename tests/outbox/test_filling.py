"""How much of what was sent is kept, and how much of that is read at a time."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from relay.delivery import CHECK, DELIVERED, DISCARDED, HELD, INVALID, QUEUED
from relay.outbox import wanted
from relay.outbox.errors import OverBudget
from relay.outbox.hints import opened_hint
from relay.outbox.outbox import Outbox
from relay.outbox.schema import deliveries, meta
from relay.outbox.wanted import PAGE_BYTES, Wanted
from relay.sources.source import Budget
from tests.kit.stored import rows_of
from tests.outbox.outboxes import (
    Store,
    bring_to,
    claim,
    count,
    discard,
    entry,
    fail_check,
    put,
    record,
    replay,
    row,
    seen,
)

HINT = "a***@example.com"
LARGE = "x" * (PAGE_BYTES // 3)

# --- suspects -----------------------------------------------------------------------------------------


def test_beyond_its_budget_a_source_keeps_no_more_suspects(outbox: Outbox) -> None:
    three = Budget(rows=3)
    for number in range(3):
        put(outbox, f"n{number}", state=HELD, budget=three)

    for name in ("eve", "bob"):
        with pytest.raises(OverBudget):
            put(outbox, name, state=HELD, budget=three)

    assert count(outbox) == 3
    assert put(outbox, "n1", state=HELD, budget=three).repeat, "one that is there needs no room"
    put(outbox, "eve")
    put(outbox, "eve", source="crm", state=HELD, budget=three)


def test_beyond_a_budget_nobody_learns_who_was_there_before(outbox: Outbox) -> None:
    one = Budget(rows=1)
    put(outbox, state=HELD, budget=one, silent=True)
    put(outbox, "bob", silent=True)

    for name in ("ada", "bob", "eve"):
        with pytest.raises(OverBudget):
            put(outbox, name, state=HELD, budget=one, silent=True)

    assert put(outbox, "bob", silent=True).is_alias, "who is not suspect needs no room"


def test_a_budget_is_of_bytes_too(outbox: Outbox) -> None:
    size = len(entry(outbox).box or b"")

    put(outbox, "ada", state=HELD, budget=Budget(size=2 * size))
    put(outbox, "eve", state=HELD, budget=Budget(size=2 * size))
    with pytest.raises(OverBudget):
        put(outbox, "bob", state=HELD, budget=Budget(size=2 * size))


def test_what_a_person_decided_makes_room(outbox: Outbox) -> None:
    one = Budget(rows=1)
    receipt = put(outbox, state=HELD, budget=one).delivery.receipt
    replay(outbox, receipt)
    receipt = put(outbox, "eve", state=HELD, budget=one).delivery.receipt
    discard(outbox, receipt, seen(outbox, receipt))

    put(outbox, "bob", state=HELD, budget=one)


def test_a_budget_holds_however_many_come_at_once(store: Store) -> None:
    views = [store.open() for _ in range(2)] if store.url.startswith("postgresql") else store.opened
    together = threading.Barrier(30)

    def come(number: int) -> bool:
        together.wait()
        try:
            put(views[number % len(views)], f"n{number}", state=HELD, budget=Budget(rows=10))
        except OverBudget:
            return False
        return True

    with ThreadPoolExecutor(30) as crowd:
        kept = list(crowd.map(come, range(30)))

    assert (kept.count(True), count(views[0])) == (10, 10)


def test_of_what_fails_its_check_no_body_is_kept(outbox: Outbox) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    payload = {"profile": {"email": "ada@example.com"}, "body": b"x" * 9999, "captcha": "t"}
    box = outbox.vault.seal(payload, receipt)
    outbox.write(lambda conn: conn.execute(sa.update(deliveries).values(payload=box)))

    assert fail_check(outbox, receipt, "captcha")

    found = row(outbox, receipt)
    assert outbox.vault.open(found["payload"], receipt) == {"profile": {"email": "ada@example.com"}}
    assert found["size"] == len(found["payload"])


# --- hints --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [DELIVERED, DISCARDED])
def test_a_hint_goes_with_the_payload(outbox: Outbox, end: str) -> None:
    receipt = put(outbox).delivery.receipt
    assert opened_hint(row(outbox, receipt), outbox.vault) == HINT
    assert b"example" not in row(outbox, receipt)["contact_hint"]

    if end == DELIVERED:
        record(outbox, claim(outbox))
    else:
        discard(outbox, receipt, seen(outbox, receipt))

    assert row(outbox, receipt)["contact_hint"] is None


def test_rows_of_an_earlier_version_are_given_their_hints(store: Store, outbox: Outbox) -> None:
    receipts = [bring_to(outbox, state, f"a{state}") for state in (QUEUED, HELD, INVALID)]
    gone = bring_to(outbox, DISCARDED, "zoe")

    def as_it_was(conn: sa.Connection) -> None:
        conn.execute(sa.update(deliveries).values(contact_hint=None))
        conn.execute(sa.delete(meta).where(meta.c.key == "hints"))

    outbox.write(as_it_was)
    again = store.open(start=False)

    hints = [opened_hint(row(again, receipt), again.vault) for receipt in [*receipts, gone]]
    assert hints == [HINT, HINT, None, None]


# --- pages --------------------------------------------------------------------------------------------


def test_a_list_holds_no_payloads(outbox: Outbox) -> None:
    receipt = put(outbox, raw=LARGE, state=INVALID).delivery.receipt

    listed = [*rows_of(outbox), *outbox.read(wanted.newest_first, Wanted(), None, 9)]

    assert [one["receipt"] for one in listed] == [receipt] * 2
    assert all("payload" not in one and one["has_payload"] for one in listed)


def test_what_reads_payloads_takes_some_of_them_at_a_time(sqlite_store: Store) -> None:
    outbox = sqlite_store.opened[0]
    number = 30
    receipts = [put(outbox, raw=f"{one}{LARGE}", state=INVALID).delivery.receipt for one in range(number)]

    tracemalloc.start()
    found = [one["receipt"] for one in outbox.with_payloads()]
    after, oldest = 0, []
    while page := outbox.read(wanted.oldest_first, Wanted(), after, 1000):
        oldest += [one["receipt"] for one in page]
        after = page[-1]["seq"]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found == oldest[::-1] == receipts[::-1]
    assert most < 4 * PAGE_BYTES < number * len(LARGE)


def test_one_that_is_larger_than_a_page_is_a_page(outbox: Outbox) -> None:
    receipts = [put(outbox, raw=f"{one}{LARGE * 4}", state=INVALID).delivery.receipt for one in range(2)]

    assert [one["receipt"] for one in outbox.with_payloads("form")] == receipts[::-1]
    assert list(outbox.with_payloads("crm")) == []
