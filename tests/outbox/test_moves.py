"""What a person does, and a captcha service says."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

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
)
from relay.outbox.outbox import Outbox
from relay.outbox.records import ToCheck
from relay.outcome import Later
from relay.quota import parse_windows
from tests.outbox.outboxes import (
    OCAMBA,
    Store,
    bring_to,
    claim,
    count,
    fill,
    filled_quickly,
    nothing,
    put,
    record,
    row,
    state,
)

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
