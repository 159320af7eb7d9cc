"""What each answer of upstream makes of a submission."""

import itertools
import time

import pytest

from tests.dispatch.doors import (
    ID,
    LATE,
    TRACE,
    Door,
    Open,
    Scenarios,
    due_after_the_answer,
    with_script,
)
from tests.kit.processes import eventually
from tests.kit.upstream import (
    PATH,
    Reaction,
    ScriptedUpstream,
    create_then_close,
    create_then_reset,
    created,
    drop,
    garbage,
    raw,
    silent,
    status,
    truncated,
    wrong_length,
)

pytestmark = pytest.mark.timed

scenario = Scenarios(with_script)


YES = {
    "object": (created(ID), ID),
    "empty body": (created(ID, body=b""), None),
    "id as a number": (created(ID, body={"id": int(ID)}), ID),
    "id alone": (created(ID, body={"id": ID}), ID),
    "id that is none": (created(ID, body={"id": {"a": 1}}), None),
    "not JSON": (created(ID, body=b"<html>Created</html>"), None),
    "JSON, but no object": (created(ID, body=[1, 2]), None),
    "invalid UTF-8": (created(ID, body=b'{"id": "\xff\xfe"}'), None),
    "deep JSON": (created(ID, body=b'{"id":' + b"[" * 20000), None),
    "longer than it is": (wrong_length(+10), ...),
    "shorter than it is": (wrong_length(-10), None),
    "200": (created(ID, code=200), ID),
    "202": (created(ID, code=202), ID),
    "204": (status(204, creates=True), None),
    "after 100 Continue": (raw(b"HTTP/1.1 100 Continue\r\n\r\n"), "then"),
    "after 103 Early Hints": (raw(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), "then"),
}


@pytest.mark.parametrize("kind", YES)
def test_every_way_of_saying_yes_is_delivered(door: Open, kind: str) -> None:
    reaction, profile_id = YES[kind]
    if profile_id == "then":
        first = reaction
        reaction, profile_id = Reaction(kind, lambda talk: (first.play(talk), created(ID).play(talk))[0]), ID
    way = door([reaction])
    answer = way.call()
    assert answer.status == 201, answer.text
    row = way.attempted(str(answer.receipt))
    assert row["state"] == "delivered"
    assert (row["attempts"], row["may_be_duplicate"]) == (0, False)
    if profile_id is ...:
        profile_id = way.calls[0].profile_id
    assert row["profile_id"] == profile_id
    assert answer.json["profile"] == ({"id": profile_id} if profile_id else {})
    if way.upstream.arrivals[0].status != 201:
        assert str(way.upstream.arrivals[0].status) in row["reason"]
    (line,) = eventually(lambda: way.logged("delivery.attempted"), 5, "the log")
    assert line["level"] == ("info" if way.upstream.arrivals[0].status == 201 else "warning")
    assert len(way.calls) == 1


SILENCES = {
    "silence": silent(),
    "reset": create_then_reset(),
    "close": create_then_close(),
    "cut status line": truncated(),
    "dropped unread": drop(),
    "dropped with a reset": drop(reset=True),
    "HTTP/0.9": garbage(),
    "binary": garbage(b"\x00\x01\x02\xff" * 100),
    "an endless line": garbage(b"HTTP/1.1 201 " + b"x" * 100_000),
}


@pytest.mark.parametrize("ambiguous", ["retry", "park"])
@pytest.mark.parametrize("kind", SILENCES)
def test_silence_after_sending_is_unclear(door: Open, kind: str, ambiguous: str) -> None:
    way = door(lambda _: SILENCES[kind], deadline=1, ambiguous=ambiguous, retry=["1s"])
    row = way.attempted(way.submit())
    assert row["history"][-1]["outcome"] == "unclear"
    assert (row["attempts"], row["may_be_duplicate"]) == (1, True)
    if ambiguous == "park":
        assert row["state"] == "parked"
    else:
        assert row["state"] == "queued"
        assert 60 <= due_after_the_answer(row) <= 75
    assert len(way.calls) == 1


def test_who_wants_none_sent_again_is_heeded_by_calls_under_way_too(door: Open) -> None:
    way = door(lambda _: silent(), deadline=3, ambiguous="retry")
    receipt = way.submit()
    way.upstream.wait_for(1)
    way.change(ambiguous="park")
    assert way.attempted(receipt)["state"] == "parked"


@pytest.mark.slow
def test_after_three_silences_while_others_are_delivered_a_submission_is_parked(door: Open) -> None:
    way = door(lambda a: silent() if b"mute" in a.body else created(), deadline=1, retry=["1s"])
    mute = way.submit("mute")
    for times in (1, 2, 3):
        row = way.attempted(mute, times=times, timeout=100)
        way.relay.wait_state(way.submit(), "delivered")
    times = [arrival.at for arrival in way.calls if b"mute" in arrival.body]
    assert all(later - earlier >= 60 for earlier, later in itertools.pairwise(times))
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("parked", 3, True)


def test_every_call_has_a_connection_of_its_own(door: Open) -> None:
    """On a kept one "never sent" cannot be told from "processed", and libraries send again."""
    way = door([created(), created(), create_then_close()])
    for _ in range(2):
        assert way.call().status == 201
    row = way.attempted(way.submit())
    assert row["history"][-1]["outcome"] == "unclear"
    arrivals = way.calls
    assert len(arrivals) == len({arrival.connection_id for arrival in arrivals}) == 3


@pytest.mark.parametrize("code", [400, 409, 413, 415, 422])
def test_a_refusal_is_final(door: Open, code: int) -> None:
    way = door(lambda _: status(code))
    receipt = way.submit()
    row = way.attempted(receipt)
    assert (row["state"], row["trace_id"], row["attempts"]) == ("refused", TRACE, 0)
    assert row["history"][0]["outcome"] == "refused"
    assert way.relay.get(f"/receipts/{receipt}").json["state"] == "received"
    assert way.held() is None
    assert len(way.calls) == 1


def test_a_caller_who_waits_learns_of_the_refusal(door: Open) -> None:
    way = door(lambda _: status(400))
    answer = way.call()
    assert answer.status == 422
    said = answer.json
    assert (said["state"], said["trace_id"]) == ("refused", TRACE)
    assert way.relay.state(said["receipt"]) == "refused"


def test_twenty_refusals_in_a_row_hold_the_destination(door: Open) -> None:
    """A mapping gone wrong must not turn a whole day's people into dead letters."""
    way = door(lambda _: status(400), parallel=1)
    way.many(30)
    reason, left = way.wait_held()
    assert reason.startswith("refusals")
    assert 20 < left <= 30 + LATE
    time.sleep(0.5)
    assert way.states() == {"refused": 20, "queued": 10}
    way.upstream.script = None
    way.change()
    eventually(lambda: way.states() == {"refused": 20, "delivered": 10}, 15, "the rest")


@pytest.mark.parametrize("hurried", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_after_sixty_that_are_refused_good_ones_are_delivered_with_each_probe(
    door: Open, hurried: bool
) -> None:
    """Nobody behind a heap of what upstream refuses waits until all of it was tried by single probes."""
    way = door(lambda a: status(400) if b"bad" in a.body else created(), parallel=1)
    for _ in range(60):
        way.submit("bad")
    good = [way.submit("good") for _ in range(5)]
    for delivered in range(3):  # after each, as many of the heap are sent as it takes to hold again
        reason, left = way.wait_held(20)
        assert reason.startswith("refusals") and left <= 30 + LATE
        assert way.states().get("delivered", 0) == delivered
        assert len(way.calls) == 20 * (delivered + 1) + delivered
        if hurried:
            way.change()
        eventually(lambda: len(way.calls) > 20 * (delivered + 1) + delivered, 45, "the probe")
        assert b"good" in way.calls[20 * (delivered + 1) + delivered].body, "the newest is tried first"
        eventually(lambda: way.states().get("delivered", 0) > delivered, 20, "its delivery")
    eventually(lambda: way.states() == {"refused": 60, "delivered": 5}, 20, "the rest")
    assert {way.relay.state(receipt) for receipt in good} == {"delivered"}
    assert len(way.calls) == 65, "each was sent once"
    assert way.held() is None


@scenario(script=[status(500, creates=True), status(400)], retry=["1s"])
def test_a_refusal_after_an_unclear_attempt_is_probably_delivered(way: Door) -> None:
    row = way.attempted(way.submit(), times=2)
    assert (row["state"], row["may_be_duplicate"]) == ("parked", True)
    first, second = way.calls
    assert 5 <= second.at - first.at <= 6 + LATE
    assert row["reason"].startswith("probably delivered")


def test_the_status_does_not_call_done_what_is_due_later(door: Open) -> None:
    way = door([status(403)])
    row = way.attempted(way.submit())
    assert row["state"] == "queued"
    assert 250 <= way.standing()["eta_seconds"] <= 301


OTHERS = {
    "304": (status(304), "misconfigured", 0),
    "300": (status(300), "misconfigured", 0),
    "404": (status(404), "misconfigured", 0),
    "402": (status(402), "unclear", 5),
    "408": (status(408), "unclear", 5),
    "418": (status(418), "unclear", 5),
    "999": (status(999), "unclear", 5),
    "099": (raw(b"HTTP/1.1 099 Odd\r\nConnection: close\r\n\r\n"), "unclear", 60),
    "1000": (raw(b"HTTP/1.1 1000 Odd\r\nConnection: close\r\n\r\n"), "unclear", 60),
    "HTTP/3.7": (raw(b"HTTP/3.7 201 Odd\r\nConnection: close\r\n\r\n"), "unclear", 60),
    "no version": (raw(b"201 Created\r\n\r\n"), "unclear", 60),
    "500 headers": (
        Reaction("500 headers", lambda talk: talk.answer(500, {f"X-{n}": "y" for n in range(500)}, b"")),
        "unclear",
        5,
    ),
    "an empty answer": (drop(), "unclear", 60),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_every_other_answer_has_its_class(door: Open, kind: str) -> None:
    reaction, outcome, wait = OTHERS[kind]
    way = door(lambda _: reaction, retry=["1s"], deadline=2)
    row = way.attempted(way.submit())
    assert row["history"][0]["outcome"] == outcome
    assert row["state"] == "queued"
    assert row["may_be_duplicate"] == (outcome == "unclear")
    if wait:
        assert wait <= due_after_the_answer(row) <= 75
    assert len(way.calls) == 1


def test_a_server_that_speaks_no_tls_gets_nothing(door: Open) -> None:
    with ScriptedUpstream() as plain:
        way = door(url=f"https://127.0.0.1:{plain.port}{PATH}", deadline=1, retry=["20s"])
        row = way.attempted(way.submit())
        assert plain.arrivals == []
    assert row["history"][0]["outcome"] == "later"
    assert (row["state"], row["may_be_duplicate"]) == ("queued", False)
