"""What a person does, and a captcha service says."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
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
    RETRY,
    SENDING,
)
from relay.outbox import audit
from relay.outbox.audit import Act
from relay.outbox.moves import Changed, Moved, Same
from relay.outbox.outbox import Outbox
from relay.outbox.records import NothingYet, ToCheck, Turn
from relay.outcome import Later, Refused
from relay.quota import parse_windows
from tests.outbox.outboxes import (
    KNOWN,
    OCAMBA,
    Store,
    bring_to,
    claim,
    count,
    discard,
    erase,
    fail_check,
    fill,
    filled_quickly,
    history,
    named,
    nothing,
    pass_check,
    put,
    record,
    replay,
    requeue,
    row,
    seen,
    state,
)

# --- what a person does -------------------------------------------------------------------------------


@pytest.mark.parametrize("was", [HELD, INVALID, PARKED, REFUSED, DEAD])
def test_a_replay_begins_a_new_series_of_attempts(store: Store, outbox: Outbox, was: str) -> None:
    patient = replace(OCAMBA, give_up_after=100, retry=(1.0, 100.0))
    receipt = bring_to(outbox, was)
    store.pass_time(1000)

    replay(outbox, receipt)

    found = row(outbox, receipt)
    assert (found["state"], found["lane"], found["attempts"]) == (QUEUED, RETRY, 0)
    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == QUEUED, "it is given as much time as the first time"
    store.pass_time(101)
    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == DEAD


@pytest.mark.parametrize("move", [requeue, discard])
def test_what_changed_meanwhile_is_left_alone(
    outbox: Outbox, move: Callable[..., Moved | Changed | Same]
) -> None:
    receipt = bring_to(outbox, DEAD)
    before = seen(outbox, receipt)
    replay(outbox, receipt)
    claimed = claim(outbox)

    assert isinstance(move(outbox, receipt, before), Changed)

    assert state(outbox, receipt) == SENDING
    record(outbox, claimed)
    assert isinstance(move(outbox, receipt, before), Changed)
    assert state(outbox, receipt) == DELIVERED


def test_twenty_replays_at_once_are_one(store: Store, outbox: Outbox) -> None:
    receipt = bring_to(outbox, DEAD)
    views = [outbox] if store.is_sqlite else [outbox, store.open()]

    as_seen = seen(outbox, receipt)

    with ThreadPoolExecutor(20) as crowd:
        done = list(crowd.map(lambda n: requeue(views[n % len(views)], receipt, as_seen), range(20)))

    assert done.count(Moved()) == 1
    record(outbox, claim(outbox))
    assert len(history(outbox, receipt)) == 2


def test_what_went_round_and_came_back_to_the_same_state_has_changed(outbox: Outbox) -> None:
    receipt = bring_to(outbox, REFUSED)
    before = seen(outbox, receipt)
    replay(outbox, receipt)
    record(outbox, claim(outbox), Refused(400))
    assert state(outbox, receipt) == REFUSED

    found = discard(outbox, receipt, before)

    assert isinstance(found, Changed)
    assert found.row is not None
    assert found.row["fence"] > before.fence


@pytest.mark.parametrize("was", [HELD, DEAD])
@pytest.mark.parametrize("now", [QUEUED, SENDING, PARKED, DELIVERED])
def test_a_replay_makes_no_second_profile_of_one_who_signed_up_again(
    outbox: Outbox, was: str, now: str
) -> None:
    suspect = bring_to(outbox, was)
    again = bring_to(outbox, now)

    found = requeue(outbox, suspect, seen(outbox, suspect), window=600.0)

    assert found == Same(again, now)
    assert state(outbox, suspect) == was


@pytest.mark.parametrize("now", [HELD, REFUSED, DEAD, DISCARDED])
def test_another_that_was_not_sent_is_in_nobodys_way(outbox: Outbox, now: str) -> None:
    suspect = put(outbox, state=HELD, raw="one").delivery.receipt
    bring_to(outbox, now, raw="another")

    replay(outbox, suspect)

    again = put(outbox)
    assert (again.repeat, again.delivery.receipt) == (True, suspect), "it is what later ones repeat"


def test_a_replayed_suspect_is_what_later_ones_repeat(outbox: Outbox) -> None:
    suspect = bring_to(outbox, HELD)
    replay(outbox, suspect)

    assert put(outbox).delivery.receipt == suspect
    record(outbox, claim(outbox))
    assert put(outbox).delivery.state == DELIVERED
    assert isinstance(outbox.claim(OCAMBA, Turn()), NothingYet)


def test_a_sign_up_of_long_ago_is_not_the_same(store: Store, outbox: Outbox) -> None:
    bring_to(outbox, DELIVERED)
    store.pass_time(1000)
    suspect = bring_to(outbox, HELD)

    replay(outbox, suspect)

    assert put(outbox).delivery.receipt == suspect


def test_what_a_sender_gave_a_key_is_the_same_for_ever(store: Store, outbox: Outbox) -> None:
    dead = bring_to(outbox, DEAD, key="k")
    store.pass_time(1000)
    again = bring_to(outbox, DELIVERED, key="k")

    assert requeue(outbox, dead, seen(outbox, dead), window=600.0) == Same(again, DELIVERED)


def test_of_two_that_say_the_same_one_is_sent_again(store: Store, outbox: Outbox) -> None:
    twins = [bring_to(outbox, DEAD), bring_to(outbox, DEAD)]
    views = [outbox, outbox if store.is_sqlite else store.open()]
    as_seen = [seen(outbox, receipt) for receipt in twins]

    with ThreadPoolExecutor(2) as crowd:
        found = list(crowd.map(lambda n: requeue(views[n], twins[n], as_seen[n], window=600.0), range(2)))

    assert found.count(Moved()) == 1
    assert sum(isinstance(one, Same) for one in found) == 1


def test_an_act_is_noted_where_something_was_done_and_only_there(outbox: Outbox) -> None:
    receipt = bring_to(outbox, DEAD)
    act = Act("eve", "replay", receipt=receipt)
    as_seen = seen(outbox, receipt)

    requeue(outbox, receipt, as_seen, act=act)
    requeue(outbox, receipt, as_seen, act=act)

    noted = outbox.read(audit.page, None, 10)
    assert [(one["by"], one["action"], one["receipt"]) for one in noted] == [("eve", "replay", receipt)]


def test_a_discarded_one_has_no_payload(outbox: Outbox) -> None:
    receipt = bring_to(outbox, REFUSED)

    assert discard(outbox, receipt, seen(outbox, receipt)) == Moved()

    found = row(outbox, receipt)
    assert (found["state"], found["payload"], found["reason"]) == (DISCARDED, None, "discarded")


def test_what_is_erased_is_gone_and_its_slot_stays_taken(outbox: Outbox) -> None:
    tight = replace(OCAMBA, windows=parse_windows("1/minute"))
    gone, kept = fill(outbox, "ada", "eve")
    record(outbox, claim(outbox, tight), destination=tight)

    assert erase(outbox, [gone]) == [("17430755068336100383", False)]

    assert named(outbox, gone) is None
    assert named(outbox, kept) is not None
    assert nothing(outbox, tight).why == "quota"
    assert not put(outbox).repeat


def test_one_that_is_being_sent_is_not_erased(outbox: Outbox) -> None:
    receipt = bring_to(outbox, SENDING)

    assert erase(outbox, [receipt]) == []

    assert state(outbox, receipt) == SENDING


def test_many_are_erased_at_once(outbox: Outbox) -> None:
    receipts = filled_quickly(outbox, 1500)

    gone = erase(outbox, [*receipts, *(f"unknown{number}" for number in range(70_000))])

    assert gone == [(None, False)] * 1500

    assert count(outbox) == 0


# --- before it may be sent: captchas ------------------------------------------------------------------


def test_a_check_of_a_source_that_is_not_known_here_is_left_to_who_knows_it(
    store: Store, outbox: Outbox
) -> None:
    receipt = put(outbox, token="t").delivery.receipt

    assert outbox.take_to_check(30, known=["another"], patience=600.0) is None
    store.pass_time(601)
    found = outbox.take_to_check(30, known=["another"], patience=600.0)

    assert found is not None and found.receipt == receipt


def checked(outbox: Outbox) -> ToCheck:
    found = outbox.take_to_check(30, **KNOWN)
    assert found is not None
    return found


def test_what_must_be_checked_is_not_sent_before(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    assert nothing(outbox).why == "empty"

    taken = checked(outbox)

    assert (taken.receipt, taken.source, taken.destination) == (receipt, "form", "ocamba")
    assert outbox.take_to_check(30, **KNOWN) is None, "nobody else checks it meanwhile"
    assert nothing(outbox).why == "empty"
    assert pass_check(outbox, receipt, 600.0)
    assert claim(outbox).delivery.receipt == receipt
    assert not pass_check(outbox, receipt, 600.0)


def test_a_check_that_came_to_nothing_is_made_again(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    checked(outbox)
    store.pass_time(31)

    assert checked(outbox).receipt == receipt


def test_a_failed_check_holds(outbox: Outbox) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    checked(outbox)

    assert fail_check(outbox, receipt, "captcha")

    found = row(outbox, receipt)
    assert (found["state"], found["reason"]) == (HELD, "captcha")
    assert nothing(outbox).why == "empty"


@pytest.mark.parametrize(("verdict", "of"), [(pass_check, 600.0), (fail_check, "captcha")])
def test_a_verdict_that_comes_too_late_changes_nothing(
    outbox: Outbox, verdict: Callable[..., bool], of: Any
) -> None:
    receipt = put(outbox, lane=CHECK).delivery.receipt
    checked(outbox)
    pass_check(outbox, receipt, 600.0)
    record(outbox, claim(outbox), Later(None, None, "refused"))
    before = row(outbox, receipt)

    assert not verdict(outbox, receipt, of)

    assert row(outbox, receipt) == before


def test_two_processes_check_two_things(store: Store, outbox: Outbox) -> None:
    receipts = fill(outbox, *(f"n{number}" for number in range(10)), lane=CHECK)
    views = [outbox] if store.is_sqlite else [outbox, store.open()]

    with ThreadPoolExecutor(10) as crowd:
        taken = list(crowd.map(lambda n: views[n % len(views)].take_to_check(30, **KNOWN), range(10)))

    found = [one.receipt for one in taken if one is not None]
    assert len(set(found)) == len(found)
    while one := outbox.take_to_check(30, **KNOWN):
        found.append(one.receipt)
    assert sorted(found) == sorted(receipts)
