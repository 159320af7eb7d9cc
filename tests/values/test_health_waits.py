"""What upstream asks to be waited for, and what a person holds: how long, and what it covers."""

from dataclasses import replace

import pytest

from relay.health import (
    BY_OTHERS,
    FAILING,
    PAUSED,
    RATE_LIMITED,
    RESTORED,
    UNAVAILABLE,
    Health,
    Sent,
    after,
    at_once,
    ended,
    paused,
    resumed,
)
from relay.outcome import (
    Forbidden,
    Later,
    NotSent,
    Outcome,
    Seen,
    Wait,
)
from tests.values.story import (
    BAD_TOKEN,
    ERROR,
    NO,
    NOW,
    OCAMBA,
    OK,
    TOO_MANY_AT_ONCE,
    Story,
)

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
