"""A captcha's verdict is told once: no write that failed loses it, and no second ask makes a bot."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.tools import locked
from tests.intake.verifying import CAPTCHA_SECRET, SiteVerify, captcha
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.operator.test_unreadable import damage


@pytest.fixture
def verify() -> Iterator[SiteVerify]:
    service = SiteVerify()
    service.once = True
    yield service
    service.close()


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as server:
        yield server


@pytest.fixture
def relay(upstream: ScriptedUpstream, verify: SiteVerify, tmp_path: Path) -> Iterator[RelayProcess]:
    settings = config(upstream.url, {"checked": captcha(verify.url)})
    with RelayProcess(settings, folder=tmp_path, env={"CAPTCHA_SECRET": CAPTCHA_SECRET}) as process:
        yield process


def signed_up(relay: RelayProcess, word: str = "human") -> str:
    return relay.form({"email": "ada@example.com", "cf-turnstile-response": word}, "checked").receipt or ""


def asked_about(relay: RelayProcess, verify: SiteVerify, word: str = "human") -> str:
    """Somebody signs up; returns the receipt once the service was asked, before it has answered."""
    verify.free.clear()
    receipt = signed_up(relay, word)
    eventually(lambda: verify.asked, 20, "the question")
    return receipt


def is_unknown(relay: RelayProcess, verify: SiteVerify, upstream: ScriptedUpstream, receipt: str) -> None:
    """It was asked about a second time, which said nothing, and it waits."""
    eventually(lambda: len(verify.asked) == 2, 40, "the second question")
    eventually(lambda: relay.output().count("captcha.unavailable"), 20, "the note")
    row = relay.submission(receipt)
    assert (row["state"], row["history"]) == ("queued", [])
    assert "submission.held" not in relay.output()
    assert upstream.arrivals == []


def test_who_corrects_a_mistake_after_the_token_ran_out_is_held_as_late(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    relay.wait_state(signed_up(relay, "solved"), "delivered")
    form = {"email": "grace@example.com", "cf-turnstile-response": "solved"}
    row = relay.wait_state(relay.form(form, "checked").receipt or "", "held", timeout=30)
    assert row["reason"] == "captcha: too late"
    assert len(upstream.arrivals) == 1


@pytest.mark.parametrize(("word", "state"), [("human", "delivered"), ("robot", "held")])
def test_a_verdict_that_could_not_be_written_at_first_is_the_verdict(
    relay: RelayProcess, verify: SiteVerify, word: str, state: str
) -> None:
    receipt = asked_about(relay, verify, word)
    with locked(relay.database_path):
        verify.free.set()
        eventually(lambda: "outbox.unavailable" in relay.output(), 30, "a write that fails")
    row = relay.wait_state(receipt, state, timeout=30)
    assert len(verify.asked) == 1
    assert row["reason"] == ("captcha" if state == "held" else None)


def test_what_is_damaged_before_it_is_checked_waits_for_a_person(
    relay: RelayProcess, verify: SiteVerify, upstream: ScriptedUpstream
) -> None:
    receipt = asked_about(relay, verify)
    relay.kill9()
    damage(relay, receipt)
    verify.free.set()
    relay.start()

    row = relay.wait_state(receipt, "held", timeout=30)

    assert row["reason"] == "captcha: unreadable"
    assert "checker.fault" not in relay.output() and upstream.arrivals == []
    assert relay.api("POST", f"/api/submissions/{receipt}/discard").json["state"] == "discarded"


def test_what_its_source_can_no_longer_check_waits_for_a_person(
    relay: RelayProcess, verify: SiteVerify, upstream: ScriptedUpstream
) -> None:
    receipt = asked_about(relay, verify)
    relay.kill9()
    relay.configure(config(upstream.url))
    verify.free.set()
    relay.start()

    row = relay.wait_state(receipt, "held", timeout=30)

    assert row["reason"] == "captcha: source removed"
    assert upstream.arrivals == []


def test_a_token_whose_verdict_was_lost_on_the_way_makes_nobody_a_bot(
    relay: RelayProcess, verify: SiteVerify, upstream: ScriptedUpstream
) -> None:
    verify.taking.set()
    receipt = signed_up(relay)
    eventually(lambda: "captcha.unavailable" in relay.output(), 20, "an ask in vain")
    verify.taking.clear()
    eventually(lambda: relay.output().count("captcha.unavailable") == 2, 40, "the second ask in vain")
    is_unknown(relay, verify, upstream, receipt)


def test_a_token_whose_verdict_died_with_the_server_makes_nobody_a_bot(
    relay: RelayProcess, verify: SiteVerify, upstream: ScriptedUpstream
) -> None:
    receipt = asked_about(relay, verify)
    with locked(relay.database_path):
        verify.free.set()
        eventually(lambda: "outbox.unavailable" in relay.output(), 30, "a write that fails")
        relay.kill9()
    relay.start()
    is_unknown(relay, verify, upstream, receipt)


@pytest.mark.parametrize(("word", "state"), [("human", "delivered"), ("robot", "held")])
def test_a_verdict_that_comes_while_the_server_ends_is_the_verdict(
    relay: RelayProcess, verify: SiteVerify, word: str, state: str
) -> None:
    receipt = asked_about(relay, verify, word)
    relay.term()
    eventually(lambda: relay.readyz() is None, 20, "a server that ends")
    time.sleep(1)  # all that need not wait has ended by now
    verify.free.set()
    assert relay.wait() == 0
    relay.start()
    row = relay.wait_state(receipt, state, timeout=30)
    assert len(verify.asked) == 1
    assert row["reason"] == ("captcha" if state == "held" else None)
