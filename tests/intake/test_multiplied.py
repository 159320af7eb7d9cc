"""One submission is one profile, whatever key or id somebody gives it the second time."""

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.client import Answer, request
from tests.kit.people import TRAP
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

SIGNED = {"scheme": "hmac-sha256", "header": "X-Signature", "encoding": "hex", "signed": "{body}"}
WAITING = {"wait": 10, "reply": ["id"]}
SOURCES: dict[str, Any] = {
    "form": NEWSLETTER | WAITING | {"repeat_window": "2s"},
    "trapped": NEWSLETTER | WAITING | {"honeypot": TRAP},
    "token": HOOK | WAITING,
    "signed": HOOK | WAITING | {"verify": SIGNED, "id_header": "X-Delivery", "repeat_window": "1s"},
    "nameless": HOOK | WAITING | {"verify": SIGNED, "repeat_window": "1s"},
    "mended": HOOK
    | WAITING
    | {"verify": SIGNED, "id_header": "X-Delivery", "fields": {"email": "contact.mail"}},
    "keyed": HOOK | WAITING | {"verify": SIGNED, "id_header": "Idempotency-Key"},
    "timed": HOOK
    | WAITING
    | {
        "verify": SIGNED | {"signed": "{timestamp}.{body}", "timestamp_header": "X-Time"},
        "id_header": "X-Delivery",
        "repeat_window": "2s",
    },
    "covered": HOOK
    | WAITING
    | {"verify": SIGNED | {"signed": "{id}.{body}", "id_header": "X-Delivery"}, "id_header": "X-Delivery"},
    "once": HOOK | WAITING | {"verify": SIGNED | {"signed": "{id}.{body}", "id_header": "X-Delivery"}},
}


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, limits="500/second; 100000/minute")) as process:
        yield process


def person() -> str:
    return f"ada-{uuid.uuid4().hex[:12]}@example.com"


def body(address: str, **more: Any) -> bytes:
    return json.dumps({"email": address, **more}).encode()


def post(relay: RelayProcess, source: str, raw: bytes, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    identity = named.get("X-Delivery", "") + "."
    start = {"covered": identity, "once": identity, "timed": named.get("X-Time", "") + "."}
    message = start.get(source, "").encode() + raw
    proof = hmac.new(relay.hook_secret.encode(), message, hashlib.sha256).hexdigest()
    sent = {"Content-Type": "application/json", "X-Signature": proof, **named}
    if source == "token":
        sent["Authorization"] = f"Bearer {relay.hook_secret}"
    return request(relay.port, "POST", f"/submit/{source}", raw, sent)


def profiles(upstream: ScriptedUpstream, address: str) -> int:
    return sum(one.json.get("email") == address for one in upstream.arrivals)


@pytest.mark.parametrize("source", ["signed", "nameless", "keyed", "timed"])
def test_a_signed_message_is_one_profile_whatever_id_it_is_given(
    relay: RelayProcess, upstream: ScriptedUpstream, source: str
) -> None:
    address = person()
    raw, stamp = body(address), str(int(time.time()))
    first = post(relay, source, raw, X_Delivery="d-0", Idempotency_Key="k-0", X_Time=stamp)
    assert first.status == 201
    for n in range(1, 5):
        again = post(relay, source, raw, X_Delivery=f"d-{n}", Idempotency_Key=f"k-{n}", X_Time=stamp)
        assert again.status == 200 and again.json["repeat"] is True and again.receipt == first.receipt
    assert profiles(upstream, address) == 1


def test_where_no_time_is_signed_the_same_bytes_are_a_repeat_for_ever(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    messages = {source: body(person()) for source in ("signed", "nameless")}
    for source, raw in messages.items():
        assert post(relay, source, raw, X_Delivery="first").status == 201
    time.sleep(1.5)  # longer than their windows
    for source, raw in messages.items():
        assert post(relay, source, raw, X_Delivery="second").json["repeat"] is True, source


def test_where_a_time_is_signed_the_window_ends(relay: RelayProcess) -> None:
    raw = body(person())
    first = post(relay, "timed", raw, X_Delivery="a", X_Time=str(int(time.time())))
    time.sleep(2.5)
    later = post(relay, "timed", raw, X_Delivery="b", X_Time=str(int(time.time())))
    assert later.status == 201 and later.receipt != first.receipt


def test_what_is_kept_unreadable_cannot_be_multiplied_either(relay: RelayProcess) -> None:
    raw = body("nonsense")
    receipts = {post(relay, "signed", raw, X_Delivery=f"bad-{n}").receipt for n in range(4)}
    assert len(receipts) == 1 and None not in receipts


def test_the_senders_own_retry_is_a_repeat_although_its_bytes_differ(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    address = person()
    first = post(relay, "signed", body(address, attempt=1), X_Delivery="retried")
    again = post(relay, "signed", body(address, attempt=2), X_Delivery="retried")
    assert again.json["repeat"] is True and again.receipt == first.receipt
    assert profiles(upstream, address) == 1


def test_other_bytes_under_another_id_are_another_submission(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    address = person()
    for n in range(2):
        assert post(relay, "signed", body(address, order=n), X_Delivery=f"order-{n}-{address}").status == 201
    assert profiles(upstream, address) == 2


@pytest.mark.parametrize("source", ["covered", "once"])
def test_an_id_that_is_signed_is_believed(
    relay: RelayProcess, upstream: ScriptedUpstream, source: str
) -> None:
    """Whether its header is named for the source, or for the proof alone."""
    address = person()
    for n in range(2):
        assert post(relay, source, body(address), X_Delivery=f"c-{n}").status == 201
        assert post(relay, source, body(address), X_Delivery=f"c-{n}", Idempotency_Key="x").status == 200
    assert profiles(upstream, address) == 2


def test_who_shows_a_secret_is_believed(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    address = person()
    for n in range(2):
        key = f"t-{n}-{address}"
        assert post(relay, "token", body(address), Idempotency_Key=key).status == 201
        assert post(relay, "token", body(address), Idempotency_Key=key).status == 200
    assert profiles(upstream, address) == 2


def test_a_form_posted_twice_is_one_sign_up_whatever_its_key(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    address = person()
    keys = ({"Idempotency-Key": f"one-{address}"}, {"Idempotency-Key": f"two-{address}"}, {})
    answers = [relay.form({"email": address}, "form", key) for key in (*keys, *keys)]
    assert [answer.status for answer in answers] == [201, *[200] * 5]
    assert {answer.receipt for answer in answers} == {answers[0].receipt}
    time.sleep(2.5)
    assert relay.form({"email": address}, "form", keys[0]).json["repeat"] is True, "the same key stays one"
    assert relay.form({"email": address}, "form", {"Idempotency-Key": f"new-{address}"}).status == 201
    assert profiles(upstream, address) == 2


def test_many_at_once_are_one(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    from concurrent.futures import ThreadPoolExecutor

    address = person()
    with ThreadPoolExecutor(12) as pool:
        posted = pool.map(lambda n: post(relay, "signed", body(address), X_Delivery=f"at-{n}"), range(24))
        assert len({answer.receipt for answer in posted}) == 1
    assert profiles(upstream, address) == 1


def test_what_was_mapped_again_by_hand_cannot_be_multiplied(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    """Kept as invalid, the configuration mended, replayed: then its bytes come under another id."""
    address = person()
    first = post(relay, "mended", body(address), X_Delivery="m-0")
    assert first.status == 422
    mended = SOURCES | {"mended": SOURCES["mended"] | {"fields": {"email": "email"}}}
    relay.configure(config(upstream.url, mended, limits="500/second; 100000/minute"))
    relay.hup()
    eventually(lambda: "config.reloaded" in relay.output(), 10, "the reload")
    assert relay.api("POST", f"/api/submissions/{first.receipt}/replay").status == 200
    relay.wait_state(first.receipt or "", "delivered")

    again = post(relay, "mended", body(address), X_Delivery="m-1")

    assert (again.status, again.json.get("repeat"), again.receipt) == (200, True, first.receipt)
    assert profiles(upstream, address) == 1


def test_a_suspect_and_the_person_it_imitates_are_one_profile_whatever_their_keys(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    address, late = person(), person()
    keys = [{"Idempotency-Key": f"{n} {address}"} for n in range(2)]
    suspects = [
        relay.form({"email": who, TRAP: "bot"}, "trapped", keys[0] if who == address else {})
        for who in (address, late)
    ]
    assert relay.form({"email": address}, "trapped", keys[1]).status == 201

    replays = [relay.api("POST", f"/api/submissions/{one.receipt}/replay") for one in suspects]

    assert [one.status for one in replays] == [409, 200]
    relay.wait_state(suspects[1].receipt or "", "delivered")
    again = relay.form({"email": late}, "trapped", keys[1])
    assert (again.status, again.json.get("repeat")) == (200, True)
    assert [profiles(upstream, who) for who in (address, late)] == [1, 1]
