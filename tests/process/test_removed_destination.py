"""A destination is taken out of the configuration: what was for it is seen, and can be given up or sent."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from relay.process.housekeeping import WATCH_SECONDS
from tests.kit.people import TRAP, ran
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, hold

FORM = NEWSLETTER | {"honeypot": TRAP, "destination": "old"}
REASON = "removed from the configuration"
GIVE_UP = {"action": "discard", "filter": {"state": "queued"}}


def two(url: str) -> dict[str, Any]:
    """Return a configuration whose form sends elsewhere than its webhook."""
    found = config(url, {"newsletter": FORM, "hook": HOOK | {"wait": 0, "destination": "ocamba"}})
    found["destinations"]["old"] = {"url": url, "token": "env:OCAMBA_TOKEN"}
    return found


def one(url: str) -> dict[str, Any]:
    """Return the same without what the form sent to: it sends to the other now."""
    found = two(url)
    del found["destinations"]["old"]
    found["sources"]["newsletter"] = FORM | {"destination": "ocamba"}
    return found


def reload(relay: RelayProcess, configuration: dict[str, Any]) -> None:
    before = relay.output().count("config.reloaded")
    relay.configure(configuration)
    relay.hup()
    eventually(lambda: relay.output().count("config.reloaded") > before, 10, "the reload")


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


def test_what_nobody_will_send_can_be_given_up(upstream: ScriptedUpstream) -> None:
    with RelayProcess(two(upstream.url)) as relay:
        for name in ("old", "ocamba"):
            relay.api("POST", f"/api/destinations/{name}/pause")
        stuck = [str(relay.form({"email": f"stuck{number}@example.com"}).receipt) for number in range(3)]
        held = str(relay.form({"email": "bot@example.com", TRAP: "x"}).receipt)
        lively = str(relay.hook({"email": "lively@example.com"}).receipt)
        reload(relay, one(upstream.url))
        assert relay.status()["old"]["hold_reason"] == REASON

        refused = relay.api("POST", f"/api/submissions/{held}/replay")
        assert refused.status == 409 and "removed" in refused.text, refused.text
        assert (relay.state(held), relay.state(lively)) == ("held", "queued")
        assert relay.api("POST", f"/api/submissions/{lively}/discard").status == 409

        answer = relay.api("POST", f"/api/submissions/{stuck[0]}/discard")
        assert (answer.status, relay.state(stuck[0])) == (200, "discarded"), answer.text
        assert ran(relay, "submissions", "discard", stuck[1]) == f"{stuck[1]} discarded\n"
        job = relay.wait_job(relay.api("POST", "/api/jobs", GIVE_UP).json["job"])
        assert job["outcomes"] == {"discarded": 1, "not possible": 1}
        assert [relay.state(receipt) for receipt in (stuck[2], lively)] == ["discarded", "queued"]
        assert relay.status()["old"]["backlog"] == 0


def test_somebody_is_told_at_once_that_what_waits_will_not_be_sent(upstream: ScriptedUpstream) -> None:
    with RelayProcess(two(upstream.url)) as relay:
        relay.api("POST", "/api/destinations/old/pause")
        for number in range(2):
            relay.form({"email": f"stuck{number}@example.com"})
        reload(relay, one(upstream.url))
        told = f"destination old is held: {REASON}; put it back, or discard the 2 queued submissions"
        eventually(lambda: told in relay.output(), WATCH_SECONDS + 5, "the alert")

        relay.wait_job(relay.api("POST", "/api/jobs", GIVE_UP).json["job"])
        eventually(lambda: '"alert.over"' in relay.output(), WATCH_SECONDS + 5, "the end of the alert")


def test_what_was_for_it_is_sent_once_it_is_back(upstream: ScriptedUpstream) -> None:
    with RelayProcess(two(upstream.url)) as relay:
        held = str(relay.form({"email": "bot@example.com", TRAP: "x"}).receipt)
        relay.api("POST", "/api/destinations/old/pause")
        stuck = str(relay.form({"email": "stuck@example.com"}).receipt)
        reload(relay, one(upstream.url))
        reload(relay, two(upstream.url))
        relay.api("POST", "/api/destinations/old/resume")
        assert relay.api("POST", f"/api/submissions/{held}/replay").status == 200
        for receipt in (stuck, held):
            relay.wait_state(receipt, "delivered")
    assert len(upstream.creates) == 2


@contextmanager
def under_way() -> Iterator[tuple[RelayProcess, ScriptedUpstream, threading.Event, str]]:
    """Have somebody's call to the old one be under way: upstream has created, and answers once it is let."""
    gate = threading.Event()
    with (
        ScriptedUpstream(lambda _: hold(gate, create_first=True)) as slow,
        RelayProcess(two(slow.url)) as relay,
    ):
        receipt = str(relay.form({"email": "ada@example.com"}).receipt)
        slow.wait_for(1)
        yield relay, slow, gate, receipt


def test_a_call_to_it_is_waited_for_at_the_end() -> None:
    with under_way() as (relay, slow, gate, receipt):
        reload(relay, one(slow.url))
        threading.Timer(1.5, gate.set).start()
        assert relay.term(20) == 0
        relay.start()
        row = relay.submission(receipt)
        assert (row["state"], row["may_be_duplicate"]) == ("delivered", False)


def test_what_a_crash_left_unclear_is_a_persons_once_it_is_gone() -> None:
    """How others treat what is unclear says nothing about it: only a person may have it sent again."""
    with under_way() as (relay, slow, gate, receipt):
        relay.kill9()
        gate.set()
        relay.configure(one(slow.url))
        relay.start()
        row = relay.submission(receipt)
        assert (row["state"], row["may_be_duplicate"]) == ("parked", True)
        assert relay.api("POST", f"/api/submissions/{receipt}/discard").status == 200
