"""Fences, leases, holds and probes."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from relay.delivery import (
    DEAD,
    DELIVERED,
    DISCARDED,
    PARKED,
    QUEUED,
    RETRY,
    SENDING,
)
from relay.dispatch.decide import decide
from relay.health import PAUSED, PROBE_SECONDS, at_once
from relay.outbox.claiming import STRANGERS_SECONDS
from relay.outbox.outbox import Outbox
from relay.outbox.records import Claim, NothingYet, Turn
from relay.outcome import Later, Misconfigured, Refused, Unclear, Wait
from relay.quota import parse_windows
from tests.kit.stored import rows_of
from tests.outbox.outboxes import (
    CREATED,
    LEASE,
    OCAMBA,
    Store,
    claim,
    crashed,
    discard,
    fill,
    health,
    history,
    nothing,
    pause,
    put,
    record,
    replay,
    resume,
    row,
    seen,
    state,
)

PROFILE = "17430755068336100383"

# --- fences and leases --------------------------------------------------------------------------------


def test_a_crash_at_a_destination_that_is_not_known_here_is_left_to_who_knows_it(
    store: Store, outbox: Outbox
) -> None:
    receipt = put(outbox, destination="other").delivery.receipt
    claim(outbox, replace(OCAMBA, name="other"))

    if store.url.startswith("postgresql"):  # else there is nobody else
        store.pass_time(LEASE + STRANGERS_SECONDS - 1)
        assert outbox.recover(crashed, every=False) == [] and state(outbox, receipt) == SENDING
        store.pass_time(2)
    store.pass_time(LEASE + 1)

    assert len(outbox.recover(crashed, every=False)) == 1


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
    first, second = history(outbox, receipt)
    assert (first["outcome"], first["seconds"], first["status"]) == ("unclear", None, None)
    assert (second["outcome"], second["ended_at"]) == (None, None)
    assert nothing(outbox, tight).why == "quota", "upstream answered the late call a moment ago"
    assert record(outbox, current) is not None
    assert state(outbox, receipt) == DELIVERED


@pytest.mark.parametrize("meanwhile", [QUEUED, PARKED, "replayed", DISCARDED])
def test_a_late_success_is_taken_while_nobody_has_sent_it_again(
    store: Store, outbox: Outbox, meanwhile: str
) -> None:
    receipt = put(outbox).delivery.receipt
    late = claim(outbox)
    store.pass_time(LEASE + 1)
    account = replace(OCAMBA, ambiguous="park") if meanwhile != QUEUED else OCAMBA
    gone = Unclear(None, answered=False, why="crash")
    outbox.recover(decide(gone, account, probe=False, jitter=0.5, vault=None), every=False)
    if meanwhile == "replayed":
        replay(outbox, receipt)
    elif meanwhile == DISCARDED:
        discard(outbox, receipt, seen(outbox, receipt))
    before = seen(outbox, receipt)

    assert record(outbox, late, CREATED) is not None

    found = row(outbox, receipt)
    assert (found["state"], found["profile_id"], found["payload"]) == (DELIVERED, PROFILE, None)
    assert not found["may_be_duplicate"]
    assert seen(outbox, receipt).fence > before.fence
    assert isinstance(outbox.claim(OCAMBA, Turn()), NothingYet)


@pytest.mark.parametrize("keys", [("", ""), ("one", "two")])
def test_a_late_success_of_who_signed_up_again_meanwhile_stays_marked(
    store: Store, outbox: Outbox, keys: tuple[str, str]
) -> None:
    receipt = put(outbox, key=keys[0], twin_window=600.0).delivery.receipt
    late = claim(outbox)
    store.pass_time(LEASE + 1)
    gone = Unclear(None, answered=False, why="crash")
    account = replace(OCAMBA, ambiguous="park")
    outbox.recover(decide(gone, account, probe=False, jitter=0.5, vault=None), every=False)
    discard(outbox, receipt, seen(outbox, receipt))
    again = put(outbox, key=keys[1], twin_window=600.0).delivery.receipt
    record(outbox, claim(outbox))
    assert again != receipt and state(outbox, again) == DELIVERED

    assert record(outbox, late, CREATED) is not None

    assert (state(outbox, receipt), row(outbox, receipt)["may_be_duplicate"]) == (DELIVERED, True)


def test_a_late_failure_changes_nothing(store: Store, outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    late = claim(outbox)
    store.pass_time(LEASE + 1)
    outbox.recover(crashed, every=False)
    before = row(outbox, receipt)

    assert record(outbox, late, Refused(400)) is None

    assert row(outbox, receipt) == before


def test_a_result_is_recorded_once(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    claimed = claim(outbox)

    assert record(outbox, claimed, Later(503, None, "503")) is not None
    assert record(outbox, claimed, CREATED) is None

    assert state(outbox, receipt) == QUEUED
    assert [one["outcome"] for one in history(outbox, receipt)] == ["later"]


def test_a_late_result_says_nothing_about_the_destination(store: Store, outbox: Outbox) -> None:
    put(outbox)
    late = claim(outbox)
    store.pass_time(LEASE + 1)
    outbox.recover(crashed, every=False)

    assert record(outbox, late, Misconfigured(401, "401")) is None

    assert health(outbox).hold_reason is None


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
        results = [crowd.submit(record, others[0], one, Refused(400)) for one in late]
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
    pause(outbox)
    store.pass_time(30)

    assert nothing(outbox, tight).why == "held"
    assert health(outbox).hold_reason == PAUSED
    resume(outbox)
    assert nothing(outbox, tight).why == "quota"
    store.pass_time(31)
    for _ in range(3):
        claim(outbox, tight)
    assert nothing(outbox, tight).why in ("quota", "parallel")


def test_a_destination_that_nobody_has_sent_to_yet_can_be_paused(outbox: Outbox) -> None:
    other = replace(OCAMBA, name="other")
    put(outbox, destination="other")

    assert pause(outbox, "other").hold_reason == PAUSED

    assert health(outbox, "other").hold_reason == PAUSED
    assert isinstance(nothing(outbox, other), NothingYet)


def test_a_call_in_flight_when_paused_is_recorded_and_the_pause_stays(outbox: Outbox) -> None:
    receipt = put(outbox).delivery.receipt
    claimed = claim(outbox)
    pause(outbox)

    record(outbox, claimed)

    assert state(outbox, receipt) == DELIVERED
    assert nothing(outbox).why == "held"


def test_one_probe_is_out_at_a_time_and_each_is_another_one(store: Store, outbox: Outbox) -> None:
    receipts = fill(outbox, *(f"n{number}" for number in range(4)))
    record(outbox, claim(outbox), Misconfigured(401, "401"))
    views = [outbox] if store.is_sqlite else [outbox, store.open(), store.open()]
    store.pass_time(PROBE_SECONDS / 2)
    assert nothing(outbox).why == "held"
    store.pass_time(PROBE_SECONDS / 2)

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
    assert not health(outbox).is_held(outbox.time())
    for _ in range(3):
        assert not claim(outbox).probe
    assert [one["attempts"] for one in rows_of(outbox)] == [0] * 4


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
    resume(outbox)
    assert nothing(outbox).why == "held", "a wait that upstream asked for is obeyed"
    store.pass_time(31)
    assert not claim(outbox).probe
    assert health(outbox).hold_reason is None


def test_resuming_ends_a_fault_and_trying_now_sends_one_probe(outbox: Outbox) -> None:
    fill(outbox, "ada", "eve", "bob")
    record(outbox, claim(outbox), Misconfigured(401, "401"))
    outbox.change_hold("ocamba", at_once)
    assert claim(outbox).probe
    assert nothing(outbox).why == "held"
    resume(outbox)
    assert not claim(outbox).probe


def test_time_in_which_nothing_could_be_sent_does_not_count(store: Store, outbox: Outbox) -> None:
    patient = replace(OCAMBA, give_up_after=100, retry=(1.0,))
    receipt = put(outbox).delivery.receipt
    store.pass_time(60)
    pause(outbox)
    store.pass_time(1000)
    resume(outbox)
    store.pass_time(30)

    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == QUEUED
    store.pass_time(20)
    record(outbox, claim(outbox), Later(None, None, "refused"), patient)
    assert state(outbox, receipt) == DEAD
