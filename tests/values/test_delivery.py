"""How a delivery settles: every outcome, from every state it can be in."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.delivery import (
    DEAD,
    DELIVERED,
    FORBIDDEN_SECONDS,
    FRESH,
    KEPT,
    PARKED,
    QUEUED,
    REFUSED,
    RETRY,
    SENDING,
    STATES,
    Delivery,
    settle,
)
from relay.destination import Destination
from relay.outcome import (
    Delivered,
    Forbidden,
    Later,
    Misconfigured,
    NotSent,
    Outcome,
    Refused,
    Unclear,
    Wait,
)

NOW = 1_790_000_000.0
HOUR = 3600.0
ID = "17430755068336100383"
OCAMBA = Destination("ocamba", "https://api.example/profiles", "t", ())
PARKING = replace(OCAMBA, ambiguous="park")
PROFILE = {"profile": {"email": "jane@example.com"}}
UPDATING = {**PROFILE, "update": {"lists": ["42"]}}

OK = Delivered(201, {"id": ID})
ERROR = Unclear(500, answered=True, why="500")
SILENCE = Unclear(None, answered=False, why="timeout")
UNREACHED = Later(None, None, "refused")


def sending(**more: Any) -> Delivery:
    """A delivery whose first send is out."""
    known: dict[str, Any] = {
        "state": SENDING,
        "received_at": NOW - 10,
        "due_at": NOW - 10,
        "sends": 1,
        "fence": 1,
        "payload": PROFILE,
        **more,
    }
    return Delivery("r1", "newsletter", "ocamba", **known)


def settled(
    outcome: Outcome,
    delivery: Delivery | None = None,
    *,
    by: Destination = OCAMBA,
    jitter: float = 0.5,
    sendable: float = 10,
    failing: bool = False,
) -> Delivery:
    return settle(delivery or sending(), outcome, by, NOW, jitter, sendable, failing=failing)


def again(delivery: Delivery) -> Delivery:
    """The same delivery, sent once more."""
    return replace(delivery, state=SENDING, sends=delivery.sends + 1)


# --- the table: outcome × what went before --------------------------------------------------------------

SEEN_BEFORE = {"may_be_duplicate": True, "silent": 1, "attempts": 1}
TABLE: dict[str, tuple[Outcome, dict[str, Any], Destination, str]] = {
    "201": (OK, {}, OCAMBA, DELIVERED),
    "201 after unclear": (OK, SEEN_BEFORE, OCAMBA, DELIVERED),
    "400": (Refused(400), {}, OCAMBA, REFUSED),
    "400 after unclear": (Refused(400), SEEN_BEFORE, OCAMBA, PARKED),
    "409 after unclear": (Refused(409), SEEN_BEFORE, OCAMBA, PARKED),
    "403 once": (Forbidden(403), {}, OCAMBA, QUEUED),
    "401": (Misconfigured(401, "401"), {}, OCAMBA, QUEUED),
    "429": (Wait(429, 60), {}, OCAMBA, QUEUED),
    "429, -1": (Wait(429, 0, parallel=True), {}, OCAMBA, QUEUED),
    "not sent": (NotSent(), {}, OCAMBA, QUEUED),
    "not connected": (UNREACHED, {}, OCAMBA, QUEUED),
    "not connected, park": (UNREACHED, {}, PARKING, QUEUED),
    "503": (Later(503, 120, "503"), {}, OCAMBA, QUEUED),
    "503, park": (Later(503, None, "503"), {}, PARKING, QUEUED),
    "silence": (SILENCE, {}, OCAMBA, QUEUED),
    "silence, park": (SILENCE, {}, PARKING, PARKED),
    "third silence": (SILENCE, {"silent": 2, "may_be_duplicate": True}, OCAMBA, PARKED),
    "500": (ERROR, {}, OCAMBA, QUEUED),
    "500, park": (ERROR, {}, PARKING, PARKED),
    "fifth 500": (ERROR, {"errors": 4, "may_be_duplicate": True}, OCAMBA, QUEUED),
    "sixth 500": (ERROR, {"errors": 5, "may_be_duplicate": True}, OCAMBA, PARKED),
}


@pytest.mark.parametrize(("outcome", "before", "by", "state"), TABLE.values(), ids=TABLE.keys())
def test_an_outcome_decides_the_state(
    outcome: Outcome, before: dict[str, Any], by: Destination, state: str
) -> None:
    found = settled(outcome, sending(**before), by=by)
    assert found.state == state
    assert found.due_at >= NOW - 10 or found.state != QUEUED
    assert (found.receipt, found.fence, found.sends, found.payload) == ("r1", 1, 1, PROFILE)


# --- delivered ------------------------------------------------------------------------------------------


def test_a_delivery_keeps_its_time_and_upstreams_id() -> None:
    found = settled(OK)
    assert (found.delivered_at, found.profile_id, found.reason) == (NOW, ID, None)
    assert not found.may_be_duplicate


def test_a_delivery_needs_no_id() -> None:
    found = settled(Delivered(201))
    assert (found.state, found.profile_id) == (DELIVERED, None)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_another_2xx_is_delivered_and_says_so(status: int) -> None:
    found = settled(Delivered(status))
    assert found.state == DELIVERED
    assert found.reason == f"answered {status} instead of 201"


# --- refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 409, 413, 415, 422])
def test_a_refusal_is_final_and_keeps_its_trace_id(status: int) -> None:
    found = settled(Refused(status, trace_id="t-1"))
    assert (found.state, found.reason, found.trace_id) == (REFUSED, f"upstream answered {status}", "t-1")


@pytest.mark.parametrize("unclear", [SILENCE, ERROR])
def test_a_refusal_after_an_unclear_attempt_is_probably_delivered(unclear: Outcome) -> None:
    found = settled(Refused(400), again(settled(unclear)))
    assert found.state == PARKED
    assert found.reason is not None
    assert found.reason.startswith("probably delivered")
    assert found.may_be_duplicate


@pytest.mark.parametrize("harmless", [UNREACHED, Wait(429, 1), Misconfigured(401, "401"), NotSent()])
def test_a_refusal_after_what_surely_did_not_arrive_is_a_refusal(harmless: Outcome) -> None:
    assert settled(Refused(400), again(settled(harmless))).state == REFUSED


# --- what costs no attempt ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "outcome",
    [Wait(429, 60), Wait(429, 0, parallel=True), Misconfigured(401, "401"), NotSent(), Forbidden(403)],
    ids=["429", "-1", "401", "not sent", "403"],
)
def test_what_is_not_about_this_submission_costs_no_attempt(outcome: Outcome) -> None:
    found = settled(outcome, sending(attempts=3, silent=1, errors=2))
    assert (found.attempts, found.silent, found.errors) == (3, 1, 2)
    assert not found.may_be_duplicate


@pytest.mark.parametrize("outcome", [Wait(429, 60), NotSent()])
@pytest.mark.parametrize("lane", [FRESH, RETRY])
def test_waiting_keeps_the_place_in_the_queue(outcome: Outcome, lane: int) -> None:
    found = settled(outcome, sending(lane=lane))
    assert (found.lane, found.due_at) == (lane, NOW - 10)


def test_what_met_a_misconfiguration_lets_others_probe_first() -> None:
    found = settled(Misconfigured(401, "401"))
    assert (found.lane, found.due_at, found.reason) == (RETRY, NOW, "misconfigured: 401")


def test_403_is_tried_again_in_five_minutes() -> None:
    found = settled(Forbidden(403, trace_id="t-1"))
    assert (found.due_at, found.lane, found.forbidden_at) == (NOW + FORBIDDEN_SECONDS, RETRY, NOW)
    assert found.trace_id == "t-1"


def test_a_trace_id_stays_until_there_is_another() -> None:
    assert settled(UNREACHED, sending(trace_id="t-1")).trace_id == "t-1"
    assert settled(Refused(400, trace_id="t-2"), sending(trace_id="t-1")).trace_id == "t-2"


# --- the schedule -----------------------------------------------------------------------------------------


def waits(outcome: Outcome, jitter: float, count: int) -> list[float]:
    """For how long each of so many attempts waits, as long as it is not final."""
    delivery, found = sending(), []
    for _ in range(count):
        delivery = settled(outcome, delivery, jitter=jitter)
        if delivery.state != QUEUED:
            break
        found.append(delivery.due_at - NOW)
        delivery = again(delivery)
    return found


@pytest.mark.parametrize(("jitter", "factor"), [(0.0, 0.8), (0.5, 1.0), (0.999999, 1.2)])
def test_the_schedule_is_spread_by_a_fifth_and_its_last_wait_repeats(jitter: float, factor: float) -> None:
    schedule = [*OCAMBA.retry, OCAMBA.retry[-1], OCAMBA.retry[-1]]
    assert waits(UNREACHED, jitter, 12) == pytest.approx([factor * wait for wait in schedule], rel=1e-5)


@given(st.floats(0, 1, exclude_max=True), st.integers(0, 20), st.sampled_from([UNREACHED, ERROR, SILENCE]))
def test_every_wait_is_within_a_fifth_of_its_due_length(
    jitter: float, attempts: int, outcome: Outcome
) -> None:
    found = settled(outcome, sending(attempts=attempts), jitter=jitter)
    planned = OCAMBA.retry[min(attempts, len(OCAMBA.retry) - 1)]
    least = {UNREACHED: 0.0, ERROR: 5.0, SILENCE: 60.0}[outcome]
    wait = found.due_at - NOW
    assert max(0.8 * planned, least) - 1e-6 <= wait <= 1.2 * max(planned, least) + 1e-6


@pytest.mark.parametrize("outcome", [UNREACHED, ERROR, SILENCE])
def test_no_two_waits_are_equal(outcome: Outcome) -> None:
    """What failed together does not come back together."""
    due = {settled(outcome, jitter=step / 20).due_at for step in range(20)}
    assert len(due) == 20


def test_a_503_is_not_tried_again_earlier_than_it_asked() -> None:
    for jitter in (0.0, 0.999):
        assert settled(Later(503, 120, "503"), jitter=jitter).due_at >= NOW + 120
    late = settled(Later(503, 10, "503"), sending(attempts=3))
    assert late.due_at == NOW + 600


def test_a_wait_of_the_schedule_counts_an_attempt() -> None:
    found = settled(UNREACHED, sending(attempts=2))
    assert (found.attempts, found.lane, found.reason) == (3, RETRY, "refused")
    assert (found.silent, found.errors, found.may_be_duplicate) == (0, 0, False)


# --- unclear ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [ERROR, SILENCE])
@pytest.mark.parametrize("by", [OCAMBA, PARKING])
def test_an_unclear_attempt_says_may_be_duplicate(outcome: Outcome, by: Destination) -> None:
    assert settled(outcome, by=by).may_be_duplicate


@pytest.mark.parametrize("outcome", [OK, UNREACHED, Wait(429, 1), Later(503, None, "503"), Refused(400)])
def test_what_may_be_a_duplicate_stays_one(outcome: Outcome) -> None:
    assert settled(outcome, sending(may_be_duplicate=True)).may_be_duplicate
    assert not settled(outcome).may_be_duplicate


def test_silence_is_sent_at_most_three_times_a_minute_apart() -> None:
    assert waits(SILENCE, 0.0, 10) == [60, 60]
    assert waits(SILENCE, 0.5, 10) == pytest.approx([66, 66])


def test_errors_are_sent_at_most_six_times_by_the_schedule() -> None:
    assert waits(ERROR, 0.5, 10) == pytest.approx([5.5, 30, 120, 600, 1800])
    assert waits(ERROR, 0.0, 10)[0] == 5


def test_a_parked_delivery_says_why() -> None:
    found = settled(SILENCE, by=PARKING)
    assert (found.state, found.reason, found.attempts) == (PARKED, "unclear: timeout", 1)


def test_silence_and_errors_are_counted_apart() -> None:
    found = settled(ERROR, sending(silent=2, attempts=2, may_be_duplicate=True))
    assert (found.state, found.silent, found.errors, found.attempts) == (QUEUED, 2, 1, 3)


# --- while upstream fails -------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [SILENCE, ERROR, UNREACHED, Later(503, None, "503")])
def test_an_outage_is_not_held_against_a_delivery(outcome: Outcome) -> None:
    found = settled(outcome, sending(silent=2, errors=5, attempts=3), failing=True)
    assert (found.state, found.silent, found.errors, found.attempts) == (QUEUED, 2, 5, 3)


@pytest.mark.parametrize("outcome", [SILENCE, ERROR])
def test_an_unclear_send_is_counted_and_marked_all_the_same(outcome: Outcome) -> None:
    found = settled(outcome, failing=True)
    assert (found.unclear, found.may_be_duplicate) == (1, True)


@pytest.mark.parametrize("outcome", [SILENCE, ERROR])
def test_from_the_third_send_on_an_outage_is_tried_hourly(outcome: Outcome) -> None:
    assert settled(outcome, sending(unclear=1), failing=True).due_at < NOW + 120
    assert settled(outcome, sending(unclear=2), failing=True).due_at == NOW + HOUR
    assert settled(outcome, sending(unclear=11), failing=True).due_at == NOW + HOUR


@pytest.mark.parametrize("outcome", [SILENCE, ERROR])
def test_after_twelve_unclear_sends_the_next_one_parks(outcome: Outcome) -> None:
    assert settled(outcome, sending(unclear=11), failing=True).state == QUEUED
    assert settled(outcome, sending(unclear=12), failing=True).state == PARKED


@pytest.mark.parametrize("outcome", [SILENCE, ERROR])
def test_who_wants_no_duplicates_gets_none_in_an_outage_either(outcome: Outcome) -> None:
    assert settled(outcome, by=PARKING, failing=True).state == PARKED


def test_an_update_is_tried_on_through_any_outage() -> None:
    updating = sending(payload=UPDATING, profile_id=ID, unclear=40)
    assert settled(SILENCE, updating, failing=True).state == QUEUED


# --- giving up ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", [UNREACHED, Later(503, 60, "503"), Forbidden(403)])
def test_it_gives_up_after_the_time_in_which_sending_was_possible(outcome: Outcome) -> None:
    often = sending(attempts=len(OCAMBA.retry), forbidden_at=NOW - 300 if outcome.status == 403 else None)
    assert settled(outcome, often, sendable=72 * HOUR - 1).state == QUEUED
    dead = settled(outcome, often, sendable=72 * HOUR)
    assert dead.state == DEAD
    assert dead.reason is not None
    assert dead.reason.startswith("gave up: ")


def test_a_first_403_gives_nobody_up_however_long_they_waited() -> None:
    first = replace(settled(Forbidden(403), sendable=168 * HOUR), state=SENDING)
    assert first.reason == "403"
    assert settled(Forbidden(403), first, sendable=168 * HOUR).state == DEAD


@pytest.mark.parametrize("outcome", [UNREACHED, Later(503, 60, "503")])
def test_who_waited_long_without_being_tried_gets_the_whole_schedule(outcome: Outcome) -> None:
    """The relay was off for a week, its destination removed, or the queue before it long."""
    tried = sending()
    for _ in range(len(OCAMBA.retry)):
        tried = replace(settled(outcome, tried, sendable=168 * HOUR), state=SENDING)
        assert tried.reason is not None and not tried.reason.startswith("gave up")
    assert settled(outcome, tried, sendable=168 * HOUR).state == DEAD


@pytest.mark.parametrize("hours", [0, 1])
def test_who_shall_be_given_up_early_is_not_tried_for_longer(hours: int) -> None:
    hasty = replace(OCAMBA, give_up_after=hours * HOUR)
    tries = sum(1 for count in range(1, 11) if sum(OCAMBA.retry[:count]) * 1.2 < hours * HOUR)
    found = sending(attempts=tries)
    assert settled(UNREACHED, found, by=hasty, sendable=hours * HOUR).state == DEAD


@pytest.mark.parametrize("outcome", [Wait(429, 60), Misconfigured(401, "401"), NotSent()])
def test_what_is_not_about_this_submission_gives_nothing_up(outcome: Outcome) -> None:
    assert settled(outcome, sendable=1000 * HOUR).state == QUEUED


@pytest.mark.parametrize("outcome", [ERROR, SILENCE])
def test_what_is_unclear_is_never_given_up_as_undelivered(outcome: Outcome) -> None:
    assert settled(outcome, sendable=1000 * HOUR).state in (QUEUED, PARKED)


# --- updates --------------------------------------------------------------------------------------------


def test_a_profile_with_an_update_is_created_first() -> None:
    found = settled(OK, sending(payload=UPDATING, lane=RETRY))
    assert (found.state, found.profile_id, found.due_at) == (QUEUED, ID, NOW)
    assert found.is_update
    assert found.delivered_at is None


def test_without_an_id_there_is_nothing_to_update() -> None:
    found = settled(Delivered(201), sending(payload=UPDATING))
    assert found.state == PARKED
    assert found.reason is not None
    assert "no id" in found.reason


def update(**more: Any) -> Delivery:
    return sending(profile_id=ID, payload={"update": {"lists": ["42"]}}, **more)


def test_an_update_that_is_taken_is_the_delivery() -> None:
    found = settled(Delivered(204), update())
    assert (found.state, found.reason, found.delivered_at, found.profile_id) == (DELIVERED, None, NOW, ID)


def test_an_update_that_is_refused_waits_for_a_person() -> None:
    found = settled(Refused(400), update())
    assert found.state == PARKED
    assert found.reason is not None
    assert found.reason.startswith("created, but")


@pytest.mark.parametrize("by", [OCAMBA, PARKING])
def test_an_update_may_be_sent_twice_without_harm(by: Destination) -> None:
    found = settled(SILENCE, update(), by=by)
    assert (found.state, found.may_be_duplicate, found.profile_id) == (QUEUED, False, ID)


# --- states ---------------------------------------------------------------------------------------------


def test_the_states_are_those_of_the_contract() -> None:
    assert set(STATES) == {
        "queued",
        "sending",
        "delivered",
        "refused",
        "parked",
        "dead",
        "held",
        "invalid",
        "discarded",
    }
    assert set(KEPT) == {"held", "invalid", "parked", "refused", "dead"}


def test_a_payload_is_in_no_representation() -> None:
    assert "jane" not in repr(sending())


# --- whatever happens ---------------------------------------------------------------------------------------

LATER = (Forbidden(403), NotSent(), Wait(429, 5), Misconfigured(401, "401"), Later(503, 60, "503"))
OUTCOMES = st.sampled_from([OK, Refused(400), ERROR, SILENCE, UNREACHED, *LATER])


@given(st.lists(OUTCOMES, max_size=40), st.sampled_from([OCAMBA, PARKING]))
def test_a_delivery_ends_in_one_state_and_bounds_its_unclear_sends(
    outcomes: list[Outcome], by: Destination
) -> None:
    """I3: sent again after an unclear end only as often as promised, and marked."""
    delivery, unclear = sending(), 0
    for outcome in outcomes:
        unclear += isinstance(outcome, Unclear)
        delivery = settled(outcome, delivery, by=by)
        assert delivery.state in (QUEUED, DELIVERED, REFUSED, PARKED)
        assert delivery.may_be_duplicate == (unclear > 0)
        assert not (delivery.state == REFUSED and unclear)
        if delivery.state != QUEUED:
            break
        assert delivery.due_at >= NOW - 10
        assert delivery.silent < 3
        assert delivery.errors < 6
        delivery = again(delivery)
