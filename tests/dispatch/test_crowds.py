"""One among many, upstreams that come and go, and what callers see meanwhile."""

import threading
import time

import pytest

from tests.dispatch.doors import LATE, BlackHole, Door, Open, Scenarios, with_script
from tests.kit import services
from tests.kit.client import Submitters, get
from tests.kit.processes import free_port
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import (
    PATH,
    ScriptedUpstream,
    created,
    delay,
    hold,
    status,
)

pytestmark = pytest.mark.timed

scenario = Scenarios(with_script)


@scenario(script=lambda a: status(500) if b"poison" in a.body else created(), retry=["1s"])
def test_one_poison_submission_delays_no_other(way: Door) -> None:
    poison = way.submit("poison")
    way.many(50, threads=2)
    way.wait_delivered(50)
    assert way.held() is None
    row = way.attempted(poison)
    assert (row["state"], row["attempts"]) == ("queued", 1)


@scenario(script=lambda _: status(503), retry=["500ms"], give_up_after="2s")
def test_what_is_never_taken_is_given_up_by_age(way: Door) -> None:
    receipt = way.submit()
    row = way.relay.wait_state(receipt, "dead", timeout=10)
    assert row["reason"].startswith("gave up")
    assert 3 <= len(row["history"]) <= 6
    first, *_, last = way.calls
    assert last.at - first.at >= 1.5
    assert way.relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    way.upstream.script = None
    way.relay.wait_state(receipt, "delivered")


@scenario(script=[status(503)], retry=["500ms"], give_up_after="2s")
def test_time_in_which_nothing_could_be_sent_makes_nobody_older(way: Door) -> None:
    account = f"/api/destinations/{way.name}"
    assert way.relay.api("POST", f"{account}/pause").status == 200
    receipt = way.submit()
    time.sleep(2.5)
    assert way.relay.api("POST", f"{account}/resume").status == 200
    row = way.relay.wait_state(receipt, "dead", "delivered")
    assert row["state"] == "delivered"


@pytest.mark.slow
def test_a_flapping_upstream_loses_nobody(door: Open) -> None:
    """Ten seconds up, ten seconds down, for two minutes."""
    way = door(retry=["1s", "5s"], limits="10/second; 150/minute")
    way.limits = ((10, 1.0), (150, 60.0))
    crowd = Submitters(way.relay.port, way.form, rate=2, seconds=120, make=way.numbered).start()
    for _ in range(6):
        time.sleep(10)
        way.upstream.refuse()
        time.sleep(10)
        way.upstream.listen_again()
    way.sent += crowd.join().ledger
    way.wait_delivered(len(crowd.ledger), timeout=120)
    assert len(way.logged("destination.held")) < 60


TWO_ADDRESSES = """
import socket
ask = socket.getaddrinfo
def getaddrinfo(host, *more, **named):
    if host != "localhost":
        return ask(host, *more, **named)
    return ask("::1", *more, **named) + ask("127.0.0.1", *more, **named)
socket.getaddrinfo = getaddrinfo
"""


def test_a_black_hole_on_one_address_is_no_obstacle() -> None:
    """The relay's own Python is told that localhost has an IPv6 address first; many machines have none."""
    port = free_port()
    try:
        hole = BlackHole("::1", port)
    except OSError:
        services.lacking(services.Missing("sysctl net.ipv6.conf.lo.disable_ipv6=0"))
    with hole, ScriptedUpstream(port=port) as upstream:
        options = config(f"http://localhost:{port}{PATH}", deadline=3)
        with RelayProcess(options, start=False) as relay:
            (relay.folder / "sitecustomize.py").write_text(TWO_ADDRESSES)
            relay.env["PYTHONPATH"] = str(relay.folder)
            relay.start()
            answer = relay.hook({"email": "ada@example.com"})
            assert answer.status == 201
            took = relay.submission(str(answer.receipt))["history"][0]["seconds"]
    assert 0.9 <= took <= 3
    assert len(upstream.arrivals) == 1


@scenario(script=lambda _: delay(0.3), parallel=4)
def test_a_slow_upstream_gets_no_more_at_once_than_allowed(way: Door) -> None:
    began = time.monotonic()
    way.many(24, threads=8)
    way.wait_delivered(24)
    assert way.upstream.worst(0.3) == 4, "a call lasts that long"
    assert time.monotonic() - began < 24 * 0.3, "it took less than one after the other"


@pytest.mark.slow
def test_three_seconds_of_latency_cost_little_of_the_quota(door: Open) -> None:
    way = door(lambda _: delay(3), limits="10/second; 150/minute")
    way.limits = ((10, 1.0), (150, 60.0))
    way.many(520, threads=8)
    began = way.upstream.wait_for(1)[0].at
    time.sleep(max(0.0, began + 190 - time.monotonic()))
    counted = [arrival for arrival in way.calls if 0 <= arrival.at - began < 180]
    assert way.upstream.worst(3.0) <= 8, "a call lasts that long"
    assert len(counted) >= 0.9 * 450
    way.wait_delivered(520, timeout=120)


def test_a_caller_has_the_verdict_as_soon_as_it_is_there(door: Open) -> None:
    way = door(lambda _: delay(0.7))
    began = time.monotonic()
    answer = way.call()
    took = time.monotonic() - began
    assert (answer.status, answer.json["state"]) == (201, "delivered")
    assert 0.7 <= took <= 0.7 + LATE


@scenario(script=lambda _: delay(2), hook={"wait": 1})
def test_a_caller_whose_patience_ends_is_told_that_it_is_kept(way: Door) -> None:
    began = time.monotonic()
    answer = way.call()
    took = time.monotonic() - began
    assert (answer.status, answer.json["state"]) == (202, "queued")
    assert 1 <= took <= 1 + LATE
    assert way.relay.wait_state(str(answer.receipt), "delivered")["attempts"] == 0


def test_a_caller_does_not_wait_for_a_destination_that_is_held(door: Open) -> None:
    way = door([status(429, {"Retry-After": "100"})])
    way.attempted(way.submit())
    began = time.monotonic()
    answer = way.call()
    assert time.monotonic() - began < 1
    assert (answer.status, answer.json["state"], answer.json["eta_seconds"]) == (202, "queued", None)


def test_the_caller_whose_submission_began_a_hold_is_told_no_time(door: Open) -> None:
    """Nobody can say when it will be sent, though a moment before anybody could."""
    way = door([created(), status(401)])
    assert way.call().status == 201
    answer = way.call()
    assert (answer.status, answer.json["state"], answer.json["eta_seconds"]) == (202, "queued", None)


def test_whoever_comes_right_after_a_hold_began_is_told_no_time(door: Open) -> None:
    way = door([created(), status(401)], hook={"wait": 0})
    way.attempted(str(way.call().receipt))
    assert way.call().json["eta_seconds"] is not None
    way.wait_held()
    assert way.call().json["eta_seconds"] is None


def test_a_caller_is_told_when_it_will_be_tried_again(door: Open) -> None:
    way = door([status(503)], retry=["100s"])
    answer = way.call()
    assert (answer.status, answer.json["state"]) == (202, "queued")
    assert 75 <= answer.json["eta_seconds"] <= 120


@scenario(script=[status(503)], retry=["1s"])
def test_a_caller_learns_of_a_later_attempt_within_its_patience(way: Door) -> None:
    began = time.monotonic()
    answer = way.call()
    assert time.monotonic() - began < 5
    assert answer.status in (201, 202)
    way.wait_delivered(1)


def test_waiting_callers_do_not_starve_the_door(door: Open) -> None:
    """At most half of the sixteen request threads wait."""
    release = threading.Event()
    way = door(lambda _: hold(release), parallel=32, deadline=20)
    proof = {"Authorization": f"Bearer {way.relay.hook_secret}"}
    callers = Submitters(
        way.relay.port, way.hook, threads=24, count=24, kind="json", make=way.numbered, headers=proof
    ).start()
    way.upstream.wait_for(8)
    for _ in range(10):
        began = time.monotonic()
        way.submit()
        assert get(way.relay.port, "/healthz").status == 200
        assert time.monotonic() - began < 1
    release.set()
    way.sent += callers.join().ledger
    way.wait_delivered(34)
