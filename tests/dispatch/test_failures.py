"""Upstream cannot be reached, or answers with errors: by the schedule, held, looked at, drained."""

import itertools
import time
from typing import Any

import pytest

from tests.dispatch.doors import (
    LATE,
    TRACE,
    BlackHole,
    Door,
    Open,
    Scenarios,
    due_after_the_answer,
    with_script,
)
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import (
    PATH,
    created,
    status,
)

pytestmark = pytest.mark.timed

scenario = Scenarios(with_script)


@scenario(retry=["1s"])
def test_a_refused_connection_is_tried_again_by_the_schedule(way: Door) -> None:
    way.upstream.refuse()
    receipts = [way.submit() for _ in range(3)]
    for receipt in receipts:
        row = way.attempted(receipt)
        assert row["history"][0]["outcome"] == "later"
        assert (row["state"], row["may_be_duplicate"]) == ("queued", False)
    way.upstream.listen_again()
    way.wait_delivered(3)
    assert len(way.calls) == 3


def test_an_outage_holds_the_destination_and_uses_up_nobody(door: Open) -> None:
    way = door(retry=["1s"])
    way.upstream.refuse()
    receipts = way.many(30)
    reason, left = way.wait_held()
    assert reason == "failing"
    assert left <= 10 + LATE
    time.sleep(2)
    rows = [way.relay.submission(receipt) for receipt in receipts]
    tried = sum(len(row["history"]) for row in rows)
    assert 5 <= tried <= 5 + 8, "five in a row, and what was in flight beside them"
    assert all(row["state"] == "queued" and not row["may_be_duplicate"] for row in rows)
    assert way.submit(), "taking submissions in goes on"
    way.upstream.listen_again()
    way.change()
    way.wait_delivered(31)


@pytest.mark.slow
def test_probes_come_at_growing_intervals_and_the_backlog_drains(door: Open) -> None:
    way = door(lambda _: status(500), retry=["1s"], parallel=1)
    way.many(30)
    way.wait_held()
    began, before = time.monotonic(), len(way.calls)
    time.sleep(50)
    probes = [arrival.at - began for arrival in way.calls[before:]]
    assert len(probes) == 3, probes
    gaps = [later - earlier for earlier, later in itertools.pairwise([0.0, *probes])]
    assert all(4 <= gap - longer <= 6 + LATE for gap, longer in zip(gaps, (0, 5, 15), strict=True)), gaps
    assert len({arrival.body for arrival in way.calls}) == 5, "each time another one"
    way.upstream.script = None
    way.change()
    way.wait_delivered(30)


def test_while_looks_are_answered_with_a_failure_nothing_is_sent(door: Open) -> None:
    way = door(lambda _: status(502), retry=["1s"])
    way.upstream.look = status(502)
    way.many(3)
    way.wait_held()
    sent = len(way.calls)
    eventually(lambda: len(way.arrivals) - len(way.calls) >= 2, 30, "two looks")
    assert len(way.calls) == sent
    assert all(arrival.body == b"" for arrival in way.arrivals if arrival.is_look)
    way.upstream.script, way.upstream.look = None, status(405)
    way.wait_delivered(3, 60)
    assert max(len(row["history"]) for row in way.rows()) <= 2


def test_an_unknown_host_is_tried_again(door: Open) -> None:
    way = door(url="https://upstream.invalid/v1/hood/profiles", retry=["20s"])
    row = way.attempted(way.submit(), timeout=30)
    assert row["history"][0]["outcome"] == "later"
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 1, False)
    assert 16 <= due_after_the_answer(row) <= 24 + LATE


def test_a_connection_that_never_comes_about_was_surely_not_taken(door: Open) -> None:
    with BlackHole() as port:
        way = door(url=f"http://127.0.0.1:{port}{PATH}", deadline=1, retry=["20s"])
        row = way.attempted(way.submit())
    last = row["history"][-1]
    assert last["outcome"] == "later"
    assert 0.2 <= last["seconds"] <= 1 + LATE
    assert (row["state"], row["may_be_duplicate"]) == ("queued", False)


SLOW_NAME = "time.sleep(5); return ask(host, *more, **named)"
MANY_ADDRESSES = "return ask(host, *more, **named) * 12"
NAMES = """
import socket, time
ask = socket.getaddrinfo
def getaddrinfo(host, *more, **named):
    if host != "127.0.0.3":
        return ask(host, *more, **named)
    {answer}
socket.getaddrinfo = getaddrinfo
"""


@pytest.mark.parametrize("answer", [SLOW_NAME, MANY_ADDRESSES])
def test_a_call_that_cannot_connect_ends_at_its_deadline(answer: str) -> None:
    """A resolver whose servers are silent, and a firewall that drops all that goes out to a host with many
    addresses: past the lease nobody would know any more that nothing was sent."""
    with BlackHole("127.0.0.3") as port:
        options = config(f"http://127.0.0.3:{port}{PATH}", deadline=1, retry=["20s"], ambiguous="park")
        with RelayProcess(options, start=False) as relay:
            (relay.folder / "sitecustomize.py").write_text(NAMES.format(answer=answer))
            relay.env["PYTHONPATH"] = str(relay.folder)
            relay.start()
            receipt = str(relay.form({"email": "ada@example.com"}).receipt)
            row = eventually(lambda: tried(relay.submission(receipt)), 10, "the end of the call")
    assert row["history"][0]["seconds"] <= 1 + LATE
    assert (row["state"], row["reason"], row["may_be_duplicate"]) == ("queued", "timeout", False)


def tried(row: dict[str, Any]) -> dict[str, Any] | None:
    """Return a row whose first send is over."""
    return row if row["history"] and row["history"][0]["outcome"] else None


TRACED = {"code": 500, "title": "Internal server error.", "trace_id": TRACE}


@pytest.mark.parametrize("creates", [False, True])
@pytest.mark.parametrize("code", [500, 501, 502, 504, 520])
def test_an_error_of_upstream_is_unclear(door: Open, code: int, creates: bool) -> None:
    body = TRACED if creates else TRACED | {"message": "Something went wrong."}
    way = door([status(code, json=body, creates=creates)], retry=["10s"])
    row = way.attempted(way.submit())
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 1, True)
    assert row["history"][-1]["outcome"] == "unclear"
    assert (row["history"][-1]["status"], row["trace_id"]) == (code, TRACE)
    assert 8 <= due_after_the_answer(row) <= 12 + LATE


def test_a_short_schedule_does_not_bring_errors_closer_than_five_seconds(door: Open) -> None:
    way = door([status(500)], retry=["100ms"])
    assert 5 <= due_after_the_answer(way.attempted(way.submit())) <= 6 + LATE


@scenario(script=[status(503)], retry=["1s"])
def test_503_is_surely_not_taken(way: Door) -> None:
    receipt = way.submit()
    row = way.attempted(receipt, times=2)
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("delivered", 1, False)
    assert [entry["outcome"] for entry in row["history"]] == ["later", "delivered"]
    first, second = way.calls
    assert 0.8 <= second.at - first.at <= 1.2 + LATE


def test_no_two_waits_are_equal(door: Open) -> None:
    """Every second call fails, so that no five in a row do."""
    turns = itertools.count()
    way = door(lambda _: status(503) if next(turns) % 2 else created(), parallel=1, retry=["100s"])
    way.many(40)
    eventually(lambda: way.states() == {"delivered": 20, "queued": 20}, 20, "the first attempts")
    waits = [due_after_the_answer(row) for row in way.rows() if row["state"] == "queued"]
    assert len({round(wait, 2) for wait in waits}) > 17, waits
    assert min(waits) >= 80 - 0.1
    assert max(waits) <= 120 + LATE
    assert max(waits) - min(waits) > 10


@pytest.mark.slow
def test_after_six_errors_while_others_are_delivered_a_submission_is_parked(door: Open) -> None:
    way = door(lambda a: status(500) if b"odd" in a.body else created(), retry=["1s", "2s", "8s"])
    odd = way.submit("odd")
    for times in range(1, 7):
        row = way.attempted(odd, times=times, timeout=30)
        way.relay.wait_state(way.submit(), "delivered")
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("parked", 6, True)
    waits = [b.at - a.at for a, b in itertools.pairwise(c for c in way.calls if b"odd" in c.body)]
    assert all(wait >= 5 for wait in waits[:2])
    assert all(6.4 <= wait <= 9.6 + LATE for wait in waits[2:])


@scenario(script=[status(503, {"Retry-After": "120"})], retry=["1s"])
def test_retry_after_of_a_503_is_obeyed_by_all(way: Door) -> None:
    row = way.attempted(way.submit())
    assert 120 <= due_after_the_answer(row) <= 125
    reason, left = way.wait_held()
    assert reason == "unavailable"
    assert 115 <= left <= 121
    way.many(5)
    time.sleep(1.5)
    assert len(way.calls) == 1


@scenario(script=[status(503, {"Retry-After": "2"})], retry=["100ms"])
def test_after_the_time_that_a_503_named_all_goes_on(way: Door) -> None:
    way.attempted(way.submit())
    way.many(5)
    way.wait_delivered(6)
    first, second, *_ = way.calls
    assert 2 <= second.at - first.at <= 2 + 2 * LATE
