"""A captcha's verdict: what it says of a visitor, and what a row owns before and after it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from relay.delivery import CHECK
from relay.dispatch.captcha import reason_of, verdict_of
from relay.outbox.outbox import Outbox
from relay.outbox.records import Entry, Stored
from relay.outcome import Answer
from tests.outbox.outboxes import (
    KNOWN,
    Store,
    claim,
    entry,
    fail_check,
    idle_until,
    pass_check,
    record,
    state,
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'relay.db'}")
    yield made
    made.close()


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.open()


def unchecked(outbox: Outbox, token: str, name: str = "ada") -> Entry:
    """What intake stores of a visitor whose captcha was not asked about yet."""
    made = entry(outbox, name, lane=CHECK)
    apart = outbox.vault.hash("unchecked", token, made.repeat_key)
    return Entry(
        **{field: getattr(made, field) for field in made.__dataclass_fields__}
        | {"repeat_key": apart, "plain_key": made.repeat_key}
    )


def put(outbox: Outbox, token: str, name: str = "ada") -> Stored:
    stored = outbox.put(unchecked(outbox, token, name))
    assert isinstance(stored, Stored)
    return stored


@pytest.mark.parametrize(
    "codes",
    [
        *(["timeout-or-duplicate"], ["timeout-or-duplicate", "bad-request"], ["already-seen-response"]),
        ["invalid-or-already-seen-response"],
    ],
)
def test_a_token_that_is_used_up_says_nothing_when_it_was_asked_about_before(codes: list[str]) -> None:
    said = Answer(200, {}, json.dumps({"success": False, "error-codes": codes}).encode())
    assert verdict_of(said, again=True) is None
    assert verdict_of(said, again=False) is False


@pytest.mark.parametrize(
    ("codes", "reason"),
    [
        (["timeout-or-duplicate"], "captcha: too late"),
        (["expired-input-response"], "captcha: too late"),
        (["already-seen-response", "bad-request"], "captcha: too late"),
        (["invalid-or-already-seen-response"], "captcha"),
        (["invalid-input-response"], "captcha"),
        ([], "captcha"),
        (None, "captcha"),
        ([{}], "captcha"),
    ],
)
def test_who_is_only_late_is_told_from_who_is_none(codes: Any, reason: str) -> None:
    said = Answer(200, {}, json.dumps({"success": False, "error-codes": codes}).encode())
    assert reason_of(said) == reason


def test_what_else_a_service_says_stands_whenever_it_is_asked() -> None:
    no = Answer(200, {}, json.dumps({"success": False, "error-codes": ["invalid-input-response"]}).encode())
    yes = Answer(200, {}, json.dumps({"success": True}).encode())
    for again in (True, False):
        assert verdict_of(no, again) is False
        assert verdict_of(yes, again) is True


def test_while_a_bots_post_is_checked_the_person_it_imitates_is_no_repeat(outbox: Outbox) -> None:
    bot, person = put(outbox, "stolen"), put(outbox, "solved")
    assert not person.repeat
    assert fail_check(outbox, bot.delivery.receipt, "captcha")
    assert pass_check(outbox, person.delivery.receipt, 600.0)
    assert claim(outbox).delivery.receipt == person.delivery.receipt


def test_the_same_token_with_the_same_content_is_a_repeat_at_once(outbox: Outbox) -> None:
    first = put(outbox, "solved")
    again = put(outbox, "solved")
    assert (again.repeat, again.delivery.receipt) == (True, first.delivery.receipt)
    assert not put(outbox, "solved", "bob").repeat


def test_what_was_checked_is_an_earlier_one_for_who_comes_later(outbox: Outbox) -> None:
    first = put(outbox, "solved")
    pass_check(outbox, first.delivery.receipt, 600.0)
    for token in ("solved", "another"):
        later = put(outbox, token)
        assert (later.repeat, later.delivery.receipt) == (True, first.delivery.receipt)


def test_of_two_that_pass_the_later_one_becomes_the_others_repeat(outbox: Outbox) -> None:
    first, second = put(outbox, "one"), put(outbox, "two")
    assert not second.repeat
    for stored in (second, first):
        assert pass_check(outbox, stored.delivery.receipt, 600.0)
    claimed = claim(outbox)
    assert claimed.delivery.receipt == second.delivery.receipt
    record(outbox, claimed)
    assert state(outbox, second.delivery.receipt) == "delivered"
    assert idle_until(outbox) is not None, "nothing else is to be sent"


def test_a_first_ask_is_told_from_a_second(store: Store, outbox: Outbox) -> None:
    put(outbox, "solved")
    first = outbox.take_to_check(15, **KNOWN)
    store.pass_time(16)
    second = outbox.take_to_check(15, **KNOWN)
    assert first is not None and second is not None
    assert (first.again, second.again) == (False, True)
