"""What an outsider may know about a submission."""

import time
from typing import Any

import pytest

from relay.clock import iso
from relay.delivery import (
    DEAD,
    DELIVERED,
    DISCARDED,
    HELD,
    INVALID,
    PARKED,
    QUEUED,
    REFUSED,
    SENDING,
    STATES,
    Delivery,
)
from relay.intake.receipt import answer, is_silent, public_state, reply_fields
from relay.outcome import NEVER_STORED
from relay.sources.mapping import Mapping
from relay.sources.source import Source

ID = "17430755068336100383"


def source(kind: str = "webhook", wait: float = 5, **more: Any) -> Source:
    return Source("crm", kind, "ocamba", Mapping({}), wait=wait, **more)


def delivery(state: str = QUEUED, **more: Any) -> Delivery:
    return Delivery("r1", "crm", "ocamba", state, 0.0, 0.0, **more)


FORM = source("form", 0)


@pytest.mark.parametrize("state", STATES)
def test_a_form_that_does_not_wait_says_received_whatever_became_of_it(state: str) -> None:
    assert public_state(state, silent=True) == "received"


@pytest.mark.parametrize(
    ("state", "seen"),
    [
        (QUEUED, "queued"),
        (SENDING, "queued"),
        (HELD, "queued"),
        (INVALID, "kept"),
        (PARKED, "queued"),
        (DEAD, "queued"),
        (DISCARDED, "queued"),
        (DELIVERED, "delivered"),
        (REFUSED, "refused"),
    ],
)
def test_others_learn_whether_upstream_took_it(state: str, seen: str) -> None:
    assert public_state(state, silent=False) == seen


def test_only_a_form_that_does_not_wait_and_a_source_that_is_gone_are_silent() -> None:
    assert is_silent(FORM)
    assert is_silent(None)
    assert not is_silent(source("form", 3))
    assert not is_silent(source("webhook", 0))


def test_a_delivered_submission_is_created_and_shows_the_reply_fields() -> None:
    crm = source(reply=("id", "country_code", "city"))
    profile = {"id": "ignored", "country_code": "DE", "email": "* * *", "city": None}
    status, body = answer(crm, delivery(DELIVERED, profile_id=ID), profile=profile)
    assert status == 201
    assert body == {
        "receipt": "r1",
        "state": "delivered",
        "profile": {"id": ID, "country_code": "DE"},
    }


def test_a_profile_id_stays_a_text_of_20_digits() -> None:
    assert reply_fields(source(reply=("id",)), delivery(DELIVERED, profile_id=ID), {}) == {"id": ID}
    assert reply_fields(source(reply=("id",)), delivery(DELIVERED), {"id": 5}) == {}
    assert reply_fields(source(), delivery(DELIVERED, profile_id=ID), {"a": 1}) == {}


@pytest.mark.parametrize("state", [QUEUED, SENDING, HELD, PARKED, DEAD, DISCARDED])
def test_what_is_not_finished_is_accepted(state: str) -> None:
    assert answer(source(), delivery(state), eta_seconds=1.6) == (
        202,
        {"receipt": "r1", "state": "queued", "eta_seconds": 2},
    )


def test_what_is_kept_says_so_and_has_no_time() -> None:
    assert answer(source(), delivery(INVALID), eta_seconds=1.6) == (202, {"receipt": "r1", "state": "kept"})


@pytest.mark.parametrize(("eta", "shown"), [(None, None), (-3.0, 0), (0.2, 0), (61.0, 61)])
def test_an_eta_is_whole_seconds_or_null(eta: float | None, shown: int | None) -> None:
    assert answer(source(), delivery(), eta_seconds=eta)[1]["eta_seconds"] == shown


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("dropped", [(), ("mobile_phone_number",)])
def test_a_silent_form_always_answers_the_same(state: str, dropped: tuple[str, ...]) -> None:
    sent = delivery(state, dropped=dropped, profile_id=ID, trace_id="t-1")
    found = answer(FORM, sent, profile={"id": ID}, eta_seconds=3)
    assert found == (202, {"receipt": "r1", "state": "received"})


def test_a_held_submission_looks_exactly_like_success() -> None:
    for kind in (FORM, source("form", 3), source()):
        assert answer(kind, delivery(HELD, reason="honeypot")) == answer(kind, delivery(QUEUED))


def test_dropped_fields_are_named() -> None:
    sent = delivery(DELIVERED, dropped=("mobile_phone_number",))
    assert answer(source(), sent)[1]["dropped"] == ["mobile_phone_number"]
    assert answer(source(), delivery(QUEUED, dropped=("email",)))[1]["dropped"] == ["email"]
    assert "dropped" not in answer(source(), delivery())[1]


@pytest.mark.parametrize("state", [QUEUED, DELIVERED])
def test_a_repeat_answers_200_and_says_so(state: str) -> None:
    status, body = answer(source(), delivery(state), repeat=True)
    assert (status, body["repeat"], body["receipt"]) == (200, True, "r1")
    first, said = answer(source(), delivery(state))
    assert first in (201, 202)
    assert "repeat" not in said


@pytest.mark.parametrize("repeat", [False, True])
@pytest.mark.parametrize("state", [QUEUED, DELIVERED])
def test_a_sender_that_accepts_one_status_gets_it(state: str, repeat: bool) -> None:
    assert answer(source(success_status=204), delivery(state), repeat=repeat)[0] == 204


def test_reasons_and_trace_ids_are_nobodys_business() -> None:
    sent = delivery(PARKED, reason="unclear: timeout", trace_id="t-1", may_be_duplicate=True, attempts=3)
    assert set(answer(source(), sent)[1]) == {"receipt", "state", "eta_seconds"}


def test_what_upstream_says_about_a_person_is_never_stored() -> None:
    assert {"email", "mobile_phone_number", "full_name"} <= set(NEVER_STORED)


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (None, None),
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000.1234, "2026-09-21T14:13:20.123Z"),
        (2**31 + 0.5, "2038-01-19T03:14:08.500Z"),
        (1_835_395_199.0, "2028-02-28T23:59:59.000Z"),
    ],
)
def test_times_are_utc(at: float | None, text: str | None) -> None:
    assert iso(at) == text


def test_times_are_utc_wherever_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert iso(1_790_000_000.0) == "2026-09-21T14:13:20.000Z"
    finally:
        monkeypatch.undo()
        time.tzset()
