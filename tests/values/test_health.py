"""The one hold of a destination: what makes it, what ends it, and who may probe."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.dispatch.decide import resolve
from relay.health import (
    FAILING,
    MISCONFIGURED,
    PROBE_SECONDS,
    RATE_LIMITED,
    REFUSALS,
    Health,
    at_once,
    ended,
    paused,
    resumed,
    trying,
)
from relay.outcome import (
    Forbidden,
    Later,
    Misconfigured,
    NotSent,
    Outcome,
    Refused,
    Seen,
    Unclear,
    Wait,
)
from tests.values.story import (
    BAD_TOKEN,
    ERROR,
    NO,
    NOW,
    OCAMBA,
    OK,
    SILENCE,
    TOO_MANY_AT_ONCE,
    UNREACHED,
    Story,
)

# --- failures in a row ------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [ERROR, SILENCE, Unclear(418, answered=True, why="418")])
@pytest.mark.parametrize("again", [None, "r1"], ids=["another", "the same"])
def test_two_unclear_sends_in_a_row_hold_for_five_seconds(failure: Outcome, again: str | None) -> None:
    story = Story().comes(failure)
    assert story.hold is None
    assert story.comes(failure, again).hold == (FAILING, 5)


@pytest.mark.parametrize("failure", [UNREACHED, Later(503, None, "503")])
def test_five_that_surely_did_not_arrive_hold_too(failure: Outcome) -> None:
    story = Story().times(4, failure)
    assert story.hold is None
    assert story.comes(failure).hold == (FAILING, 5)


def test_one_submission_that_never_arrives_holds_nothing() -> None:
    assert Story().times(20, UNREACHED, receipt="poison").hold is None


@pytest.mark.parametrize("proof", [OK, NO])
def test_an_answer_between_failures_starts_the_count_anew(proof: Outcome) -> None:
    story = Story().comes(ERROR).comes(proof).comes(ERROR)
    assert story.hold is None
    assert story.comes(ERROR).hold == (FAILING, 5)


def test_failing_probes_double_the_hold_up_to_five_minutes() -> None:
    story = Story().times(2, ERROR)
    lasted = []
    for _ in range(8):
        story.probe(ERROR)
        assert story.hold is not None
        lasted.append(story.hold[1])
    assert lasted == [10, 20, 40, 80, 160, 300, 300, 300]


@pytest.mark.parametrize("proof", [OK, NO])
def test_a_probe_that_is_answered_ends_the_hold(proof: Outcome) -> None:
    story = Story().times(2, ERROR).probe(ERROR).probe(proof)
    assert story.hold is None
    assert not story.health.is_failing
    assert story.times(2, ERROR).hold == (FAILING, 5)


def test_what_was_in_flight_neither_extends_a_failing_hold_nor_counts_against_it() -> None:
    story = Story().times(2, ERROR).passes(1)
    before = story.health
    assert story.times(3, ERROR).health == before
    assert story.comes(OK).hold is None


def test_while_failing_nothing_but_one_probe_at_its_time_may_be_sent() -> None:
    story = Story().times(2, ERROR)
    assert story.health.is_held(NOW + 4.9)
    assert not story.health.may_probe(NOW + 4.9)
    assert story.health.is_held(NOW + 1_000_000)
    assert story.health.may_probe(NOW + 5)


# --- looking ----------------------------------------------------------------------------------------

BAD, GOOD = Seen(False, 502), Seen(True, 405)


def test_nothing_is_sent_to_a_destination_that_fails_before_it_was_looked_at() -> None:
    story = Story().times(2, ERROR).passes(5)
    assert story.health.must_look(0, story.now)
    assert story.looks(GOOD).health.may_probe(story.now)
    assert not story.health.must_look(0, story.now)


@pytest.mark.parametrize("seen", [BAD, Seen(False)], ids=["a failure", "silence"])
def test_looks_in_vain_come_at_growing_intervals(seen: Seen) -> None:
    story = Story().times(2, ERROR)
    lasted = []
    for _ in range(7):
        assert story.hold is not None
        story.passes(story.hold[1]).looks(seen)
        assert story.hold is not None
        lasted.append(story.hold[1])
    assert lasted == [10, 20, 40, 80, 160, 300, 285]  # the last one: a quarter of an hour since a try


@pytest.mark.parametrize(("unclear_sends", "seconds"), [(0, 900), (1, 900), (2, 3600), (7, 3600)])
def test_now_and_then_one_is_sent_whatever_the_looks_say(unclear_sends: int, seconds: float) -> None:
    story = Story().times(2, ERROR).passes(seconds - 1)
    assert story.health.must_look(unclear_sends, story.now)
    assert not story.health.must_look(unclear_sends, story.now + 1)


def test_a_look_ends_an_outage_in_which_nobody_waits() -> None:
    story = Story().times(2, ERROR).passes(5)
    assert story.looks(BAD, idle=True).hold == (FAILING, 10)
    assert story.looks(GOOD, idle=True).hold is None
    assert not story.health.is_failing


def test_a_try_in_vain_needs_a_look_again() -> None:
    story = Story().times(2, ERROR).passes(5).looks(GOOD)
    story.health = trying(story.health, story.now, story.now + 25)
    story.comes(ERROR, probe=True)
    assert story.hold == (FAILING, 10)
    assert story.health.must_look(0, story.now + 10)


def test_a_look_answered_429_waits_and_then_one_is_sent() -> None:
    story = Story().times(2, ERROR).passes(5).looks(Wait(429, 60))
    assert story.hold == (RATE_LIMITED, 60)
    story.passes(60)
    assert story.health.is_held(story.now)
    story.health = ended(story.health, story.now)
    assert story.health.may_probe(story.now)
    assert not story.health.must_look(0, story.now)


@pytest.mark.parametrize("meanwhile", [OK, BAD_TOKEN])
def test_a_look_that_comes_too_late_changes_nothing(meanwhile: Outcome) -> None:
    story = Story().times(2, ERROR).comes(meanwhile)
    before = story.health
    assert story.looks(GOOD).looks(BAD).health == before


def test_a_wait_in_the_middle_of_an_outage_does_not_end_it() -> None:
    story = Story().times(2, ERROR).passes(5).comes(Wait(429, 3), probe=True).passes(3)
    assert story.health.is_over(story.now)
    assert story.health.is_held(story.now)
    assert ended(story.health, story.now).reason_kind == FAILING


def test_a_person_ends_an_outage_too() -> None:
    health = Story().times(2, ERROR).health
    assert resumed(health, NOW) == replace(health, hold_until=None, hold_reason=None, tried_at=None)
    assert not resumed(paused(health), NOW).is_failing


def test_only_an_outage_is_looked_at() -> None:
    for story in (Story().comes(BAD_TOKEN), Story().times(20, NO), Story()):
        assert not story.health.must_look(0, NOW)


# --- misconfigured ----------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["401", "404", "405", "302", "certificate"])
def test_misconfigured_holds_at_once_and_is_probed_every_five_minutes(why: str) -> None:
    story = Story().comes(Misconfigured(None, why))
    assert story.hold == (f"{MISCONFIGURED}: {why}", 300)
    for outcome in (BAD_TOKEN, ERROR, SILENCE, UNREACHED, BAD_TOKEN):
        story.probe(outcome)
        assert story.hold is not None
        assert story.hold[1] == 300
        assert story.health.reason_kind == MISCONFIGURED


@pytest.mark.parametrize("proof", [OK, NO])
def test_a_good_token_ends_misconfigured(proof: Outcome) -> None:
    assert Story().comes(BAD_TOKEN).probe(proof).hold is None


@pytest.mark.parametrize("proof", [OK, NO])
def test_a_call_from_before_the_token_died_does_not_end_misconfigured(proof: Outcome) -> None:
    story = Story().comes(BAD_TOKEN).passes(1).comes(proof)
    assert story.hold == (f"{MISCONFIGURED}: 401", 299)
    assert not story.health.may_probe(story.now)


@pytest.mark.parametrize("before", [[BAD_TOKEN], [NO] * 20], ids=["misconfigured", "refusing"])
@pytest.mark.parametrize("failure", [ERROR, SILENCE])
def test_probes_that_fail_are_not_held_against_those_that_were_sent(
    before: list[Outcome], failure: Outcome
) -> None:
    story = Story()
    for outcome in before:
        story.comes(outcome)
    reason = story.health.hold_reason
    assert not story.probe(failure).health.is_failing
    assert story.health.hold_reason == reason
    assert story.probe(failure).health.is_failing
    assert story.health.hold_reason == f"{reason}, and failing"
    assert not story.probe(OK).health.is_failing


FAULTS = {"misconfigured": [BAD_TOKEN], "refusing": [NO] * 20}


@pytest.mark.parametrize("before", FAULTS)
@pytest.mark.parametrize("failures", [[ERROR, SILENCE], [UNREACHED] * 5], ids=["unclear", "not connected"])
def test_a_fault_under_which_upstream_fails_too_is_looked_at_before_another_is_risked(
    before: str, failures: list[Outcome]
) -> None:
    story = Story()
    for outcome in FAULTS[before]:
        story.comes(outcome)
    reason = story.health.hold_reason
    for outcome in failures:
        story.probe(outcome)
    assert story.hold is not None
    story.passes(story.hold[1])
    assert story.health.must_look(0, story.now)
    assert story.looks(BAD).hold is not None
    assert story.health.must_look(0, story.now)
    story.passes(300).looks(GOOD)
    assert story.health.may_probe(story.now)
    assert not story.health.must_look(0, story.now)
    story.probe(FAULTS[before][0])
    assert (story.health.hold_reason, story.health.is_failing) == (reason, False)


@pytest.mark.parametrize("asked", [Later(503, 900, "503"), Wait(429, 900), TOO_MANY_AT_ONCE])
def test_a_wrong_token_is_remembered_through_a_wait(asked: Outcome) -> None:
    story = Story().comes(BAD_TOKEN).probe(asked)
    assert story.hold is not None
    assert story.hold[0] != f"{MISCONFIGURED}: 401"
    assert not at_once(story.health, story.now).may_probe(story.now + story.hold[1] - 1)
    story.passes(story.hold[1])
    story.health = ended(story.health, story.now)
    assert story.hold == (f"{MISCONFIGURED}: 401", 0)
    assert story.probe(OK).hold is None
    assert story.health.misconfigured is None


def test_a_token_that_goes_wrong_during_a_wait_shows_after_it() -> None:
    story = Story().comes(Wait(429, 60)).comes(BAD_TOKEN).comes(OK)
    assert story.hold == (RATE_LIMITED, 60)
    story.passes(60)
    assert story.health.is_held(story.now)
    assert ended(story.health, story.now).hold_reason == f"{MISCONFIGURED}: 401"


def test_refusals_in_flight_do_not_hasten_the_probe_for_a_wrong_token() -> None:
    story = Story().comes(BAD_TOKEN).times(25, NO)
    assert story.hold == (f"{MISCONFIGURED}: 401", 300)
    assert story.probe(NO).hold == (f"{REFUSALS}: 20 in a row", 30)


def test_a_person_ends_what_a_wait_covers() -> None:
    paused_health = paused(Story().comes(BAD_TOKEN).probe(Wait(429, 60)).health)
    assert ended(resumed(paused_health, NOW + 300), NOW + 360) == replace(
        resumed(paused_health, NOW + 300), hold_until=None, hold_reason=None
    )


def test_failures_in_flight_leave_misconfigured_as_it_is() -> None:
    story = Story().comes(BAD_TOKEN)
    before = story.health
    assert story.passes(1).times(8, ERROR).health == before


def test_a_call_that_was_not_made_says_nothing() -> None:
    story = Story().comes(ERROR)
    before = story.health
    assert story.comes(NotSent()).health == before


# --- refusals ---------------------------------------------------------------------------------------


def test_twenty_refusals_with_nothing_delivered_between_hold() -> None:
    story = Story().times(19, NO)
    assert story.hold is None
    assert story.comes(NO).hold == (f"{REFUSALS}: 20 in a row", 30)


def test_one_submission_that_is_refused_again_and_again_counts_once() -> None:
    assert Story().times(60, NO, receipt="replayed").hold is None


def test_what_was_in_flight_does_not_extend_a_hold_for_refusals() -> None:
    story = Story().times(20, NO).passes(1)
    before = story.health
    assert story.times(5, NO).health == before


def test_a_delivery_between_refusals_starts_the_count_anew() -> None:
    assert Story().times(19, NO).comes(OK).times(19, NO).hold is None


def test_failures_between_refusals_do_not_interrupt_them() -> None:
    story = Story().times(10, NO).comes(ERROR).times(10, NO)
    assert story.health.reason_kind == REFUSALS


def test_a_refused_probe_keeps_the_hold_and_a_delivered_one_ends_it() -> None:
    story = Story().times(20, NO)
    lasted = []
    for _ in range(5):
        story.probe(NO)
        assert story.hold is not None
        lasted.append(story.hold[1])
    assert lasted == [60, 120, 240, 300, 300]
    assert story.probe(OK).hold is None
    assert story.health.refusing == ()


# --- 403 --------------------------------------------------------------------------------------------


def test_403_on_two_different_submissions_in_a_row_is_about_us() -> None:
    story = Story().comes(Forbidden(403), "a")
    assert story.hold is None
    assert story.comes(Forbidden(403), "b").hold == (f"{MISCONFIGURED}: 403", 300)


def test_403_on_two_submissions_with_another_delivered_between_is_about_them() -> None:
    story = Story().comes(Forbidden(403), "a").comes(OK).comes(Forbidden(403), "b")
    assert story.hold is None


def test_403_twice_on_one_submission_alone_decides_nothing() -> None:
    again = resolve(Health(forbidden_receipt="a"), Forbidden(403), "a", NOW)
    assert again == Forbidden(403)


def test_403_twice_on_one_submission_with_another_delivered_between_is_a_refusal() -> None:
    health = Story().comes(Forbidden(403), "a").passes(5).comes(OK).health
    assert resolve(health, Forbidden(403, trace_id="t"), "a", NOW) == Refused(403, trace_id="t")


def test_a_refusal_between_does_not_hide_that_another_was_delivered() -> None:
    story = Story().comes(OK).passes(5).comes(Forbidden(403), "a").passes(5).comes(NO).passes(5).comes(OK)
    assert resolve(story.health, Forbidden(403), "a", NOW + 5) == Refused(403)


def test_a_delivery_before_the_first_403_proves_nothing() -> None:
    health = Story().comes(OK).passes(5).comes(Forbidden(403), "a").health
    assert resolve(health, Forbidden(403), "a", NOW + 5) == Forbidden(403)


def test_a_probe_that_is_forbidden_again_does_not_hasten_the_next_one() -> None:
    story = Story().comes(Forbidden(403), "a").comes(Forbidden(403), "b")
    story.passes(PROBE_SECONDS)
    # While a probe is out, the hold ends with its lease.
    story.health = replace(story.health, hold_until=story.now + 25)
    story.comes(Forbidden(403), "a", probe=True, forbidden_at=NOW)
    assert story.hold == (f"{MISCONFIGURED}: 403", 300)


@pytest.mark.parametrize("outcome", [OK, NO, ERROR, SILENCE, UNREACHED, BAD_TOKEN, Wait(429, 7), NotSent()])
def test_only_403_needs_the_others_to_be_understood(outcome: Outcome) -> None:
    assert resolve(Health(forbidden_receipt="a"), outcome, "b", NOW) is outcome


# --- whatever happens -----------------------------------------------------------------------------------

WAITS = (Wait(429, 40), Wait(429, 3), Later(503, 20, "503"), replace(OK, exhausted_for=5), TOO_MANY_AT_ONCE)
OUTCOMES = st.sampled_from([OK, NO, ERROR, SILENCE, UNREACHED, BAD_TOKEN, Forbidden(403), NotSent(), *WAITS])
STEPS = st.lists(
    st.tuples(OUTCOMES, st.integers(0, 8), st.booleans(), st.floats(0, 20), st.booleans()), max_size=60
)


@settings(max_examples=150)
@given(STEPS)
def test_the_hold_obeys_upstream_whatever_is_in_flight(steps: list[Any]) -> None:
    """No order of answers lets anything out before the last 429 allows it."""
    story, not_before = Story(), 0.0
    for outcome, receipt, probe, seconds, has_room in steps:
        story.comes(outcome, f"r{receipt}", probe=probe, has_room=has_room)
        if isinstance(outcome, Wait):
            not_before = max(not_before, story.now + (1 if outcome.parallel else outcome.seconds))
        just_before = not_before - 0.001
        if just_before >= story.now:
            assert story.health.is_held(just_before)
            assert not story.health.may_probe(just_before)
        assert 1 <= story.health.lane_width(OCAMBA) <= 8
        assert (story.health.hold_reason is None) == (story.health.hold_until is None)
        story.passes(seconds)


def test_a_hold_that_is_over_is_none() -> None:
    assert not Health().is_held(NOW)
    assert not Health(hold_reason=RATE_LIMITED, hold_until=NOW).is_held(NOW)
    assert Health(hold_reason=f"{RATE_LIMITED}: x", hold_until=NOW + 1).is_held(NOW)
    assert Health(hold_reason=f"{FAILING}: x", hold_until=NOW - 1).is_held(NOW)


def test_a_destinations_token_is_in_no_representation() -> None:
    assert "secret-token" not in repr(OCAMBA)
