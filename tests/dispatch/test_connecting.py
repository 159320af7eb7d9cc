"""Connecting takes no longer than the call may: a lease that ran out meanwhile would call it unclear."""

import contextlib
import socket
import time
from typing import Any

import pytest

from relay.dispatch.line import Line
from relay.outcome import Answer, NoAnswer
from tests.dispatch.doors import BlackHole
from tests.kit.processes import free_port
from tests.kit.upstream import PATH, ScriptedUpstream

ASK = socket.getaddrinfo
DEADLINE = 1.5


def leads_to(addresses: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `many.invalid` lead to some addresses."""

    def ask(host: str, port: int, *more: Any, **named: Any) -> Any:
        asked = addresses if host == "many.invalid" else [host]
        return [found for one in asked for found in ASK(one, port, *more, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", ask)


def call(url: str) -> tuple[Answer | NoAnswer, float]:
    began = time.monotonic()
    return Line().call("POST", url, {}, DEADLINE), time.monotonic() - began


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_is_looked_up_for_long_delays_nothing_beyond_the_deadline(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(*_: Any, **__: Any) -> Any:
        time.sleep(4 * DEADLINE)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", ask)
    answer, took = call(f"{scheme}://slow.invalid{PATH}")
    assert isinstance(answer, NoAnswer)
    assert (answer.why in ("dns", "timeout"), answer.may_have_arrived) == (True, False)
    assert took < 2 * DEADLINE


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_many_dead_addresses_together_take_no_longer_than_the_deadline(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BlackHole() as port:
        leads_to(["127.0.0.1"] * 12, monkeypatch)
        answer, took = call(f"{scheme}://many.invalid:{port}{PATH}")
    assert answer == NoAnswer("timeout", may_have_arrived=False)
    assert took < 2 * DEADLINE


def test_the_last_of_many_addresses_is_reached_behind_dead_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    port, dead = free_port(), [f"127.0.0.{number}" for number in range(2, 8)]
    leads_to([*dead, "127.0.0.1"], monkeypatch)
    with contextlib.ExitStack() as stack:
        for address in dead:
            stack.enter_context(BlackHole(address, port))
        upstream = stack.enter_context(ScriptedUpstream(port=port))
        answer, _ = call(f"http://many.invalid:{port}{PATH}")
        assert isinstance(answer, Answer)
        assert answer.status == 201
        assert len(upstream.arrivals) == 1
