"""A repeat whose sender is not to know that it is one has a receipt of its own."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from relay.delivery import CHECK, DELIVERED, HELD, INVALID, KEY_REUSED, PARKED, QUEUED, REFUSED
from relay.outbox.outbox import Outbox
from relay.outbox.schema import aliases
from tests.kit.stored import rows_of
from tests.outbox.outboxes import Store, bring_to, count, entry, erase, named, pass_check, put, row


def names(outbox: Outbox) -> int:
    return int(outbox.read(lambda conn: conn.scalar(sa.select(sa.func.count()).select_from(aliases))))


@pytest.mark.parametrize("became", [QUEUED, DELIVERED, REFUSED, PARKED, HELD, INVALID])
def test_a_silent_repeat_leads_to_the_same_row_by_a_receipt_of_its_own(
    store: Store, outbox: Outbox, became: str
) -> None:
    first = bring_to(outbox, became)
    store.pass_time(60)
    kept = became if became in (HELD, INVALID) else QUEUED

    again = put(outbox, silent=True, state=kept)

    receipt = again.delivery.receipt
    assert again.is_alias and receipt != first
    found = named(outbox, receipt)
    assert found is not None
    assert (found.receipt, found.state) == (receipt, became)
    assert found.received_at - row(outbox, first)["received_at"] >= 60
    assert row(outbox, receipt)["receipt"] == first, "who looks after it finds the row"
    assert count(outbox) == 1


def test_who_sends_the_same_key_again_is_told(outbox: Outbox) -> None:
    first = put(outbox, key="k", silent=True).delivery.receipt

    again = put(outbox, key="k", silent=True)

    assert (again.repeat, again.is_alias, again.delivery.receipt) == (True, False, first)
    assert names(outbox) == 0


def test_who_sends_the_same_key_again_with_a_repeat_is_told(outbox: Outbox) -> None:
    first = put(outbox, silent=True, twin_window=600.0).delivery.receipt
    own, again = (put(outbox, silent=True, key="k", twin_window=600.0) for _ in range(2))

    assert own.is_alias and own.delivery.receipt not in ("", first)
    assert (again.repeat, again.is_alias, again.delivery.receipt) == (True, False, own.delivery.receipt)
    assert names(outbox) == 1

    other = put(outbox, "bea", silent=True, key="k")
    assert (other.repeat, other.delivery.reason) == (False, KEY_REUSED)


def test_a_key_that_came_with_a_repeat_is_known_however_late_it_comes_again(
    store: Store, outbox: Outbox
) -> None:
    put(outbox, silent=True, twin_window=600.0)
    own = put(outbox, silent=True, key="k", twin_window=600.0).delivery.receipt
    store.pass_time(700)

    again = put(outbox, silent=True, key="k", twin_window=600.0)

    assert (again.repeat, again.delivery.reason, again.delivery.receipt) == (True, None, own)
    assert count(outbox) == 1


def test_a_key_that_came_with_a_suspects_repeat_keeps_nobody_out(outbox: Outbox) -> None:
    for key in ("", "k"):
        put(outbox, silent=True, state=HELD, key=key, twin_window=600.0)

    person = put(outbox, silent=True, key="k", twin_window=600.0)

    assert (person.repeat, person.delivery.state, person.delivery.reason) == (False, QUEUED, None)


def test_the_key_of_one_that_was_checked_and_is_a_repeat_is_known_again(outbox: Outbox) -> None:
    put(outbox, silent=True, token="first", twin_window=600.0)
    own = put(outbox, silent=True, token="second", key="k", twin_window=600.0).delivery.receipt
    checked = [one["receipt"] for one in rows_of(outbox)]
    for receipt in sorted(checked, key=own.__eq__):
        assert pass_check(outbox, receipt, 600.0)
    assert count(outbox) == 1

    again = put(outbox, silent=True, key="k", twin_window=600.0)

    assert (again.repeat, again.is_alias, again.delivery.receipt) == (True, False, own)


@pytest.mark.parametrize("way", ["erase", "expire"])
def test_other_names_of_a_row_go_with_it(store: Store, outbox: Outbox, way: str) -> None:
    first = put(outbox, state=HELD, silent=True).delivery.receipt
    alias = put(outbox, state=HELD, silent=True).delivery.receipt
    assert names(outbox) == 1

    if way == "erase":
        erase(outbox, [first])
    else:
        store.pass_time(1000)
        outbox.expire({}, 100)

    assert named(outbox, alias) is None
    assert names(outbox) == 0


def test_one_commit_holds_the_repeat_and_its_name(outbox: Outbox) -> None:
    """Ten at once: one row, nine other names, each of them there when it was told."""
    told = [put(outbox, silent=True).delivery.receipt for _ in range(10)]

    assert all(named(outbox, receipt) for receipt in told)
    assert (len(set(told)), count(outbox), names(outbox)) == (10, 1, 9)


def test_names_of_a_row_that_repeats_another_lead_to_that_one(outbox: Outbox) -> None:
    """Posted twice with one token, and meanwhile once more with another: all three were told a receipt."""
    made = entry(outbox, lane=CHECK, silent=True)
    unchecked = replace(made, repeat_key=b"one token", plain_key=made.repeat_key)
    first = outbox.put(unchecked).delivery.receipt
    twice = entry(outbox, lane=CHECK, silent=True)
    again = outbox.put(replace(twice, repeat_key=b"one token", plain_key=twice.repeat_key))
    assert again.is_alias
    sent = put(outbox, silent=True).delivery.receipt

    assert pass_check(outbox, first, 600.0)

    assert row(outbox, first)["receipt"] == row(outbox, again.delivery.receipt)["receipt"] == sent
    assert (count(outbox), names(outbox)) == (1, 2)
