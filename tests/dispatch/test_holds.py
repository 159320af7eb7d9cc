"""What holds a whole destination: limits, and a token or an address that is wrong."""

import threading
import time

import pytest

from tests.dispatch.doors import (
    LATE,
    Door,
    Open,
    Scenarios,
    due_after_the_answer,
    expect_misconfigured,
    in_a_row,
    with_script,
)
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import (
    Arrival,
    Reaction,
    ScriptedUpstream,
    created,
    delay,
    hold,
    status,
)

pytestmark = pytest.mark.timed

scenario = Scenarios(with_script)


NAMED = {
    "seconds": ({"Retry-After": "7"}, 7, 7),
    "blanks": ({"Retry-After": "  7  "}, 7, 7),
    "a date": (
        {"Date": "Tue, 03 Mar 2026 10:00:00 GMT", "Retry-After": "Tue, 03 Mar 2026 10:00:30 GMT"},
        30,
        30,
    ),
    "a date that has passed": (
        {"Date": "Tue, 03 Mar 2026 10:00:00 GMT", "Retry-After": "Tue, 03 Mar 2026 09:00:00 GMT"},
        0,
        60,
    ),
    "too many parallel calls": ({"Retry-After": "-1"}, 1, 5),
    "nought": ({"Retry-After": "0"}, 0, 60),
    "nothing": ({}, 0, 60),
    "nonsense": ({"Retry-After": "abc"}, 0, 60),
    "a fraction": ({"Retry-After": "1.5"}, 0, 60),
    "a minus": ({"Retry-After": "-7"}, 0, 60),
    "for ever": ({"Retry-After": "1000000000"}, 6 * 3600, 6 * 3600),
    "beyond numbers": ({"Retry-After": "9" * 400}, 0, 6 * 3600),
    "two headers": ({"Retry-After": "7", "retry-after": "20"}, 20, 20),
    "rate limit headers": (
        {"Retry-After": "7", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "50"},
        7,
        7,
    ),
}


@pytest.mark.parametrize("kind", NAMED)
def test_a_429_holds_the_whole_account(door: Open, kind: str) -> None:
    headers, shortest, longest = NAMED[kind]
    way = door(lambda _: status(429, headers))
    receipt = way.submit()
    row = way.attempted(receipt)
    reason, left = way.wait_held()
    others = way.many(3)
    assert reason.startswith("rate limited")
    assert shortest - 2 <= left <= longest + LATE
    assert (row["state"], row["attempts"], row["may_be_duplicate"]) == ("queued", 0, False)
    assert row["history"][0]["outcome"] == "wait"
    if left > 1:
        assert len(way.calls) == 1
        assert all(not way.relay.submission(other)["history"] for other in others)


@scenario(script=[created(), status(429, {"Retry-After": "2"})], parallel=1)
def test_after_a_429_all_goes_on_and_no_attempt_is_used_up(way: Door) -> None:
    way.many(20)
    way.wait_delivered(20)
    arrivals = way.calls
    assert arrivals[2].at - arrivals[1].at >= 2
    assert all(row["attempts"] == 0 for row in way.rows())
    assert len(arrivals) == 21


@pytest.mark.parametrize("code", [429, 503])
def test_neither_a_reload_nor_a_person_shortens_what_upstream_asked_for(door: Open, code: int) -> None:
    way = door([status(code, {"Retry-After": "100"})], retry=["100ms"])
    way.attempted(way.submit())
    way.change()
    assert way.relay.api("POST", f"/api/destinations/{way.name}/resume").status == 200
    way.submit()
    time.sleep(0.7)
    assert len(way.calls) == 1
    assert way.wait_held()[1] > 90


@scenario(script=lambda _: delay(0.2), server={"parallel": 3}, parallel=6)
def test_too_many_parallel_calls_halve_the_parallelism(way: Door) -> None:
    way.many(20)
    way.wait_delivered(20, timeout=40)
    rows = way.rows()
    assert all(row["attempts"] == 0 and not row["may_be_duplicate"] for row in rows)
    too_many = sum(entry["outcome"] == "wait" for row in rows for entry in row["history"])
    assert 1 <= too_many <= 20, "it was learnt from"


@pytest.mark.parametrize("remedy", ["the file changes", "a reload"])
def test_a_token_that_dies_in_mid_run_costs_nobody_anything(door: Open, remedy: str) -> None:
    """Whoever was in flight comes back; a new token in the file drains everything by itself."""
    way = door(lambda _: delay(0.02), {"token": "old-token"}, limits="50/second", parallel=2)
    file = way.relay.folder / f"token-{way.name}"
    file.write_text("old-token\n")
    file.chmod(0o600)
    way.change(token=f"file:{file}")
    way.limits = ((50, 1.0),)
    receipts = way.many(60)
    way.upstream.wait_for(10, creates=True)
    way.upstream.token = "new-token"
    reason, left = way.wait_held()
    assert reason == "misconfigured: 401"
    assert 280 <= left <= 301
    time.sleep(0.5)
    refused = [arrival for arrival in way.calls if arrival.status == 401]
    assert 1 <= len(refused) <= 2
    time.sleep(1.0)
    assert len([arrival for arrival in way.calls if arrival.status == 401]) == len(refused)
    waiting = [row for row in way.rows() if row["state"] != "delivered"]
    assert len(waiting) >= 30
    assert all(row["state"] == "queued" and row["attempts"] == 0 for row in waiting)
    assert way.logged("destination.held")[0]["reason"] == "misconfigured: 401"
    file.write_text("new-token")
    if remedy == "a reload":
        way.change()
    way.wait_delivered(len(receipts), timeout=20)
    assert all(row["attempts"] == 0 for row in way.rows())


@pytest.mark.parametrize("mended", ["the token", "the address"])
def test_a_late_no_to_what_was_mended_meanwhile_stops_nobody(door: Open, mended: str) -> None:
    """Those that were in flight with the old token, or to the old address, held all for five minutes."""
    releases, wrong = [threading.Event(), threading.Event()], 401 if mended == "the token" else 404

    def answer(arrival: Arrival) -> Reaction:
        is_old = arrival.headers["authorization"] == "Bearer old-token" or arrival.path.endswith("/old")
        return hold(releases[arrival.index], status(wrong)) if is_old else created()

    way = door(answer)
    file = way.relay.folder / f"token-{way.name}"
    file.write_text("old-token" if mended == "the token" else "token")
    file.chmod(0o600)
    url = way.options["url"]
    way.change(token=f"file:{file}", url=url if mended == "the token" else f"{url}/old")
    way.many(2)
    way.upstream.wait_for(2)
    if mended == "the token":
        file.write_text("token")
    else:
        way.change(url=url)
    way.relay.wait_state(way.submit(), "delivered")
    for number, release in enumerate(releases):
        release.set()
        way.wait_delivered(2 + number)
    way.relay.wait_state(way.submit(), "delivered")


def test_a_restart_tries_another_token_at_once_and_the_same_one_not() -> None:
    with (
        ScriptedUpstream(token="new-token") as upstream,
        RelayProcess(config(upstream.url), env={"OCAMBA_TOKEN": "old-token"}) as relay,
    ):
        receipt = relay.hook({"email": "waits@example.com"}).receipt
        eventually(lambda: relay.status()["ocamba"]["hold_reason"] == "misconfigured: 401", 10, "the hold")
        relay.restart()
        time.sleep(1)
        assert len(upstream.arrivals) == 1

        relay.env["OCAMBA_TOKEN"] = "new-token"
        relay.restart()

        relay.wait_state(receipt, "delivered", timeout=20)


def test_an_answer_to_a_call_from_before_ends_no_hold(door: Open) -> None:
    release = threading.Event()
    way = door(in_a_row(hold(release), status(401)))
    before = way.submit()
    way.upstream.wait_for(1)
    way.submit()
    way.wait_held()
    release.set()
    way.relay.wait_state(before, "delivered")
    way.submit()
    time.sleep(0.7)
    assert way.wait_held()[0] == "misconfigured: 401"
    assert len(way.calls) == 2


@pytest.mark.slow
def test_an_alert_is_sent_when_a_hold_begins_and_when_it_is_over() -> None:
    with ScriptedUpstream(lambda _: status(401)) as upstream, ScriptedUpstream() as pager:
        url = f"http://127.0.0.1:{pager.port}/alerts"
        with RelayProcess(config(upstream.url), env={"RELAY_ALERT_URL": url}) as relay:
            relay.form({"email": "ada@example.com"})
            pager.wait_for(1, timeout=15)
            time.sleep(25)
            upstream.script = None
            relay.hup()
            pager.wait_for(2, timeout=15)
            time.sleep(12)
            told = [(arrival.json["alert"], arrival.json["state"]) for arrival in pager.arrivals]
            assert told == [("held:ocamba", "firing"), ("held:ocamba", "over")]
            assert "401" in pager.arrivals[0].json["detail"]
            assert all("authorization" not in arrival.headers for arrival in pager.arrivals)


@pytest.mark.parametrize("code", [401, 404, 405])
def test_a_probe_in_vain_takes_another_submission_and_holds_on(door: Open, code: int) -> None:
    way = door(lambda _: status(code), parallel=1)
    way.many(5)
    way.wait_held()
    for probes in (2, 3, 4):
        way.change()  # a reload probes at once
        way.upstream.wait_answered(probes)
        eventually(lambda: (way.held() or ("", 0))[1] > 280, 5, "the next five minutes")
    time.sleep(0.5)
    arrivals = way.calls
    assert len(arrivals) == len({arrival.body for arrival in arrivals}) == 4
    assert all(row["state"] == "queued" and row["attempts"] == 0 for row in way.rows())
    way.upstream.script = None
    way.change()
    way.wait_delivered(5)


def test_403_on_two_submissions_in_a_row_is_about_us(door: Open) -> None:
    way = door(lambda _: status(403), parallel=1)
    first = way.attempted(way.submit())
    assert (first["state"], first["history"][0]["outcome"]) == ("queued", "later")
    assert 300 <= due_after_the_answer(first) <= 305
    assert way.held() is None
    second = way.attempted(way.submit())
    expect_misconfigured(way, second, "403")
    third = way.submit()
    time.sleep(0.5)
    assert way.relay.submission(third)["history"] == []
    assert len(way.calls) == 2


def test_403_on_one_submission_is_about_that_one(door: Open) -> None:
    way = door(lambda arrival: status(403) if b"banned" in arrival.body else created())
    banned = way.attempted(way.submit("banned"))
    assert (banned["state"], banned["attempts"]) == ("queued", 0)
    assert way.call().status == 201
    assert way.held() is None


@pytest.mark.slow
def test_a_second_403_with_another_one_delivered_between_is_a_refusal(door: Open) -> None:
    way = door(lambda arrival: status(403) if b"banned" in arrival.body else created())
    banned = way.submit("banned")
    way.attempted(banned)
    assert way.call().status == 201
    row = way.attempted(banned, times=2, timeout=330)
    first, second = [arrival.at for arrival in way.calls if b"banned" in arrival.body]
    assert 300 <= second - first <= 310
    assert row["state"] == "refused"


@pytest.mark.slow
def test_there_is_one_probe_in_five_minutes(door: Open) -> None:
    way = door(lambda _: status(401), parallel=1)
    way.many(5)
    way.wait_held()
    way.upstream.wait_for(2, timeout=330)
    time.sleep(30)
    first, second = way.calls
    assert 298 <= second.at - first.at <= 306
    assert first.body != second.body
