"""The one hold of a destination: what makes it, what ends it, and who may probe."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.destination import Destination
from relay.dispatch.decide import resolve
from relay.health import (
    BY_OTHERS,
    FAILING,
    MISCONFIGURED,
    PAUSED,
    PROBE_SECONDS,
    RATE_LIMITED,
    REFUSALS,
    RESTORED,
    UNAVAILABLE,
    Health,
    Sent,
    after,
    at_once,
    ended,
    looked,
    paused,
    resumed,
    trying,
)
from relay.outcome import (
    Delivered,
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

NOW = 1_790_000_000.0
OCAMBA = Destination("ocamba", "https://api.example/profiles", "secret-token", (), parallel=8)

OK = Delivered(201)
NO = Refused(400)
ERROR = Unclear(500, answered=True, why="500")
SILENCE = Unclear(None, answered=False, why="timeout")
UNREACHED = Later(None, None, "refused")
BAD_TOKEN = Misconfigured(401, "401")
TOO_MANY_AT_ONCE = Wait(429, 0, parallel=True)


class Story:
    """Outcomes one after the other, each of another submission unless it is named."""

    def __init__(self, health: Health = Health()) -> None:  # noqa: B008 - it is frozen
        self.health = health
        self.now = NOW
        self._count = 0

    def comes(
        self, outcome: Outcome, receipt: str | None = None, *, probe: bool = False, **more: Any
    ) -> "Story":
        self._count += 1
        name = receipt or f"r{self._count}"
        resolved = resolve(self.health, outcome, name, more.pop("forbidden_at", None))
        sent = Sent(name, probe, more.pop("jitter", 0.5), more.pop("started_at", self.now), **more)
        self.health = after(self.health, OCAMBA, resolved, sent, self.now)
        return self

    def times(self, count: int, outcome: Outcome, **more: Any) -> "Story":
        for _ in range(count):
            self.comes(outcome, **more)
        return self

    def passes(self, seconds: float) -> "Story":
        self.now += seconds
        return self

    def probe(self, outcome: Outcome) -> "Story":
        """Wait until one may be sent, and send it."""
        assert self.health.hold_until is not None
        self.now = max(self.now, self.health.hold_until)
        assert self.health.may_probe(self.now)
        self.health = trying(self.health, self.now, self.now + 25)
        return self.comes(outcome, probe=True)

    def looks(self, seen: Seen | Wait, *, idle: bool = False) -> "Story":
        self.health = looked(self.health, OCAMBA, seen, 0.5, self.now, idle=idle)
        return self

    @property
    def hold(self) -> tuple[str, float] | None:
        """The reason and how many seconds it lasts, or None."""
        if not self.health.is_held(self.now):
            return None
        assert self.health.hold_reason is not None
        assert self.health.hold_until is not None
        return self.health.hold_reason, self.health.hold_until - self.now


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


# --- 429 --------------------------------------------------------------------------------------------


def test_429_holds_everything_for_as_long_as_it_says() -> None:
    story = Story().comes(Wait(429, 7))
    assert story.hold == (RATE_LIMITED, 7)
    assert not story.health.may_probe(NOW + 1000)
    assert story.passes(7).hold is None


def test_of_two_429s_the_longer_counts() -> None:
    assert Story().comes(Wait(429, 60)).passes(1).comes(Wait(429, 2)).hold == (RATE_LIMITED, 59)
    assert Story().comes(Wait(429, 2)).passes(1).comes(Wait(429, 60)).hold == (RATE_LIMITED, 60)
    assert Story().comes(Wait(429, 60)).comes(Later(503, 2, "503")).hold == (RATE_LIMITED, 60)
    assert Story().comes(Wait(429, 2)).comes(Later(503, 60, "503")).hold == (UNAVAILABLE, 60)


@pytest.mark.parametrize(
    "meanwhile",
    [
        [OK],
        [NO],
        [TOO_MANY_AT_ONCE],
        [BAD_TOKEN],
        [BAD_TOKEN, OK],
        [ERROR] * 5,
        [*[ERROR] * 5, OK],
        [NO] * 20,
        [*[NO] * 20, OK],
        [Later(503, 1, "503")],
        [Forbidden(403), Forbidden(403), OK],
        [NotSent()],
    ],
    ids=lambda outcomes: "+".join(sorted({type(one).__name__ for one in outcomes})) + f"-{len(outcomes)}",
)
def test_what_was_in_flight_never_shortens_a_429(meanwhile: list[Outcome]) -> None:
    story = Story().comes(Wait(429, 600)).passes(1)
    for outcome in meanwhile:
        story.comes(outcome)
    assert story.hold is not None
    assert story.hold[1] >= 599
    assert not story.health.may_probe(story.now + 598)


def test_a_fault_seen_during_a_429_shows_again_after_it() -> None:
    story = Story().comes(Wait(429, 60)).times(6, ERROR).passes(60)
    assert story.hold is None
    assert story.comes(ERROR).hold == (FAILING, 5)


def test_a_429_with_room_in_our_own_ledger_was_used_up_by_others() -> None:
    assert Story().comes(Wait(429, 7), has_room=True).hold == (f"{RATE_LIMITED}: {BY_OTHERS}", 7)


def test_an_answer_that_says_nothing_remains_holds_if_we_did_not_use_it() -> None:
    exhausted = replace(OK, exhausted_for=12)
    assert Story().comes(exhausted, has_room=True).hold == (f"{RATE_LIMITED}: {BY_OTHERS}", 12)
    assert Story().comes(exhausted, has_room=False).hold is None


# --- 429 with -1 --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 1), (0.5, 3), (0.999, 4.996)])
def test_too_many_parallel_calls_wait_one_to_five_seconds(jitter: float, seconds: float) -> None:
    hold = Story().comes(TOO_MANY_AT_ONCE, jitter=jitter).hold
    assert hold is not None
    assert hold[0] == f"{RATE_LIMITED}: parallel calls"
    assert hold[1] == pytest.approx(seconds)


def test_too_many_parallel_calls_halve_the_parallelism_down_to_one() -> None:
    story, widths = Story(), []
    for _ in range(5):
        widths.append(story.comes(TOO_MANY_AT_ONCE).health.lane_width(OCAMBA))
        story.passes(5)
    assert widths == [4, 2, 1, 1, 1]


def test_calls_that_were_in_flight_together_halve_once() -> None:
    assert Story().times(8, TOO_MANY_AT_ONCE).health.lane_width(OCAMBA) == 4


@pytest.mark.parametrize(
    "between",
    [Wait(429, 30), Later(503, 60, "503"), BAD_TOKEN, OK, ERROR],
    ids=["429", "503", "401", "201", "500"],
)
def test_calls_that_were_in_flight_together_halve_once_whatever_the_others_are_told(between: Outcome) -> None:
    story = Story().comes(TOO_MANY_AT_ONCE).comes(between).comes(TOO_MANY_AT_ONCE)
    assert story.health.lane_width(OCAMBA) == 4
    story.passes(7).comes(TOO_MANY_AT_ONCE, started_at=NOW)
    assert story.health.lane_width(OCAMBA) == 4
    story.health = paused(story.health)
    story.comes(TOO_MANY_AT_ONCE, started_at=NOW)
    assert story.health.lane_width(OCAMBA) == 4
    assert story.comes(TOO_MANY_AT_ONCE).health.lane_width(OCAMBA) == 2


def test_parallelism_recovers_by_one_for_every_twenty_deliveries() -> None:
    story = Story().comes(TOO_MANY_AT_ONCE).passes(5)
    widths = [story.comes(OK).health.lane_width(OCAMBA) for _ in range(100)]
    assert widths == [4] * 19 + [5] * 20 + [6] * 20 + [7] * 20 + [8] * 21
    assert story.health.parallel is None


def test_a_smaller_configured_parallelism_counts_at_once() -> None:
    health = Story().comes(TOO_MANY_AT_ONCE).health
    assert health.lane_width(replace(OCAMBA, parallel=2)) == 2
    assert Health().lane_width(replace(OCAMBA, parallel=2)) == 2


# --- 503 with Retry-After ---------------------------------------------------------------------------------


def test_a_503_that_says_when_holds_until_then() -> None:
    story = Story().comes(Later(503, 120, "503"))
    assert story.hold == (UNAVAILABLE, 120)
    assert not story.health.may_probe(NOW + 119)
    assert story.passes(120).hold is None


@pytest.mark.parametrize("before", [[], [ERROR], [ERROR] * 5, [BAD_TOKEN], [NO] * 20])
@pytest.mark.parametrize("probe", [False, True])
def test_nothing_is_sent_earlier_than_a_503_asked(before: list[Outcome], probe: bool) -> None:
    story = Story()
    for outcome in before:
        story.comes(outcome)
    story.passes(1).comes(Later(503, 900, "503"), probe=probe)
    assert story.hold is not None
    assert story.hold[1] == 900
    assert not story.health.may_probe(story.now + 899)


@pytest.mark.parametrize("before", [[], [ERROR] * 2, [NO] * 20], ids=["well", "failing", "refusing"])
@pytest.mark.parametrize("asked", [Later(503, 900, "503"), Wait(429, 900)], ids=["503", "429"])
def test_neither_a_reload_nor_a_person_shortens_what_a_probe_was_asked(
    before: list[Outcome], asked: Outcome
) -> None:
    story = Story()
    for outcome in before:
        story.comes(outcome)
    waiting = (story.probe(asked) if before else story.comes(asked)).health
    for changed in (
        at_once(waiting, story.now),
        resumed(waiting, story.now),
        resumed(paused(waiting), story.now),
    ):
        assert changed.is_held(story.now + 899)
        assert not changed.may_probe(story.now + 899)


@pytest.mark.parametrize("before", [[ERROR] * 2, [NO] * 20], ids=["failing", "refusing"])
@pytest.mark.parametrize("asked", [Later(503, 900, "503"), Wait(429, 900)], ids=["503", "429"])
def test_a_fault_shows_again_after_a_wait_that_a_probe_was_asked(
    before: list[Outcome], asked: Outcome
) -> None:
    """Else all that was held would be sent at once into a fault that lasts."""
    story = Story()
    for outcome in before:
        story.comes(outcome)
    reason = story.health.hold_reason
    story.probe(asked).passes(900)
    assert story.health.is_over(story.now)
    assert story.health.is_held(story.now)
    story.health = ended(story.health, story.now)
    assert story.hold == (reason, 0)
    assert story.health.may_probe(story.now)
    assert story.probe(OK).hold is None


def test_a_look_answered_503_comes_back_when_it_was_asked_to() -> None:
    story = Story().times(2, ERROR).passes(5).looks(Seen(False, 503, 120))
    assert story.hold == (UNAVAILABLE, 120)
    story.passes(120)
    story.health = ended(story.health, story.now)
    assert story.hold == (FAILING, 0)
    story.looks(Seen(False, 503, 6 * 3600))
    assert story.hold == (UNAVAILABLE, 775), "one is tried now and then, whatever looks say"
    assert Story().times(2, ERROR).passes(5).looks(Seen(False, 503, 3)).hold == (FAILING, 10)


def test_a_503_that_says_nothing_is_a_failure_like_others() -> None:
    assert Story().times(4, Later(503, None, "503")).hold is None
    assert Story().times(5, Later(503, None, "503")).hold == (FAILING, 5)


# --- held by a person -----------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", [PAUSED, RESTORED])
@pytest.mark.parametrize(
    "outcomes",
    [
        [OK],
        [NO] * 25,
        [ERROR] * 6,
        [BAD_TOKEN],
        [Wait(429, 600)],
        [TOO_MANY_AT_ONCE],
        [Later(503, 60, "503")],
    ],
    ids=lambda outcomes: type(outcomes[0]).__name__,
)
def test_what_was_in_flight_leaves_a_persons_hold_alone(reason: str, outcomes: list[Outcome]) -> None:
    story = Story(Health(hold_reason=reason))
    for outcome in outcomes:
        story.comes(outcome).passes(1)
    assert (story.health.hold_reason, story.health.ends_at) == (reason, None)
    assert story.health.is_held(NOW + 10**9)
    assert not story.health.may_probe(NOW + 10**9)


def test_a_paused_destination_still_learns() -> None:
    story = Story(Health(hold_reason=PAUSED)).comes(TOO_MANY_AT_ONCE)
    assert story.health.lane_width(OCAMBA) == 4
    assert story.comes(OK).health.delivered_at == NOW


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


def test_a_wait_that_upstream_asked_for_outlives_a_pause() -> None:
    limited = Health(hold_until=1000.0, hold_reason="rate limited")
    stopped = paused(limited)
    assert stopped.is_held(5000.0)
    assert stopped.ends_at is None
    assert resumed(stopped, 900.0).is_held(950.0)
    assert not resumed(stopped, 900.0).is_held(1001.0)
    assert resumed(stopped, 1001.0).hold_reason is None


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (Wait(429, 60.0), RATE_LIMITED),
        (Later(503, 60.0, "503"), UNAVAILABLE),
        (TOO_MANY_AT_ONCE, f"{RATE_LIMITED}: parallel calls"),
    ],
)
def test_a_wait_keeps_its_name_through_a_pause(asked: Outcome, reason: str) -> None:
    before = Story().comes(asked).health
    assert resumed(paused(paused(before)), NOW).hold_reason == reason
    assert resumed(paused(before), NOW).hold_until == before.hold_until
    assert resumed(Story(paused(Health())).comes(asked).health, NOW).hold_reason == reason


def test_a_wait_asked_for_while_paused_is_obeyed_after_it() -> None:
    told = after(paused(Health()), OCAMBA, Wait(429, 60.0), Sent("r", False, 0.0), 100.0)
    assert told.reason_kind == "paused"
    assert resumed(told, 110.0).is_held(159.0)
    assert not resumed(told, 161.0).is_held(161.0)
