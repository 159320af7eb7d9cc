"""Numbers, addresses and ticks as people, browsers and senders send them, through a running relay."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.client import Answer, request
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

FIELDS = {"email": "email", "mobile_phone_number": "phone"}
FORM = {**NEWSLETTER, "recipient_limits": "none", "fields": FIELDS}
FORM.pop("region", None)
MACHINE = {key: value for key, value in HOOK.items() if key != "region"} | {"wait": 8, "fields": FIELDS}
SOURCES: dict[str, Any] = {
    "anywhere": FORM,
    "german": FORM | {"region": "DE"},
    "widget": FORM | {"region_from": "dial"},
    "joined": FORM | {"fields": FIELDS | {"mobile_phone_number": {"from": ["dial", "phone"]}}},
    "boxes": FORM | {"consent": "news"},
    "hook": MACHINE,
}
URLENCODED = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    wide = {"limits": "500/second; 100000/minute", "parallel": 16}
    with RelayProcess(config(upstream.url, SOURCES, **wide)) as process:
        yield process


def person() -> str:
    return f"ada-{uuid.uuid4().hex[:12]}@example.com"


def sent(relay: RelayProcess, upstream: ScriptedUpstream, answer: Answer, email: str) -> dict[str, Any]:
    """The profile that came out of a submission."""
    assert answer.receipt, answer.text
    relay.wait_state(answer.receipt, "delivered")
    (profile,) = [call.json for call in upstream.arrivals if (call.json or {}).get("email") == email]
    return profile


@pytest.mark.parametrize("number", [2025550123, "2025550123", " 2025550123", 2025550123.0])
def test_a_machines_number_without_a_country_is_dropped(
    relay: RelayProcess, upstream: ScriptedUpstream, number: Any
) -> None:
    email = person()
    answer = relay.hook({"email": email, "phone": number})
    assert answer.status == 201 and answer.json["dropped"] == ["mobile_phone_number"]
    assert sent(relay, upstream, answer, email) == {"email": email}


@pytest.mark.parametrize("number", ["+1", "(___) ___-____", "n/a", None, "", 0])
def test_what_holds_no_number_is_not_even_dropped(
    relay: RelayProcess, upstream: ScriptedUpstream, number: Any
) -> None:
    email = person()
    answer = relay.hook({"email": email, "phone": number})
    assert answer.status == 201 and "dropped" not in answer.json
    alone = relay.hook({"phone": number})
    assert alone.status == 422 and set(alone.json["errors"]) == {"email"}


def test_a_person_without_a_country_is_asked_for_it(relay: RelayProcess) -> None:
    answer = relay.form({"email": person(), "phone": "2025550123"}, "anywhere")
    assert answer.status == 422 and set(answer.json["errors"]) == {"phone"}


@pytest.mark.parametrize(
    ("pair", "source", "number"),
    [
        ("phone=+49301234567", "anywhere", "+49301234567"),
        ("phone=%2B49301234567", "anywhere", "+49301234567"),
        ("phone=0301234567+(home)", "german", "+49301234567"),
        ("phone=49+170+1234567", "german", "+491701234567"),
        ("phone=0170+1234567&dial=%2B49", "widget", "+491701234567"),
        ("phone=0170+1234567&dial=DE", "widget", "+491701234567"),
        ("phone=0170+1234567&dial=49", "joined", "+491701234567"),
        ("phone=&phone=0301234567&phone=%2B49+30+1234567", "german", "+49301234567"),
    ],
)
def test_a_number_arrives_as_it_was_meant(
    relay: RelayProcess, upstream: ScriptedUpstream, pair: str, source: str, number: str
) -> None:
    email = person()
    body = f"email={email.replace('@', '%40')}&{pair}".encode()
    answer = request(relay.port, "POST", f"/submit/{source}", body, URLENCODED)
    assert sent(relay, upstream, answer, email)["mobile_phone_number"] == number


@pytest.mark.parametrize("pair", ["phone=030+12345+%2F+67890", "phone=0301234567&phone=0307654321"])
def test_two_numbers_are_refused(relay: RelayProcess, pair: str) -> None:
    body = f"email={person().replace('@', '%40')}&{pair}".encode()
    answer = request(relay.port, "POST", "/submit/german", body, URLENCODED)
    assert answer.status == 422 and set(answer.json["errors"]) == {"phone"}


def test_an_address_arrives_as_it_was_meant(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    typed = f"\ufeffAda <mailto:{email.replace('@', '＠').replace('-', '‑')}>"
    answer = relay.form({"email": typed}, "anywhere")
    assert sent(relay, upstream, answer, email) == {"email": email}


def test_only_yes_is_consent_and_what_is_unclear_is_told_once(relay: RelayProcess) -> None:
    for value in ("I agree", "perhaps", "nein", "null", ""):
        answer = relay.form({"email": person(), "news": value}, "boxes")
        assert answer.status == 422 and set(answer.json["errors"]) == {"news"}
    ticked = relay.form({"email": person(), "news": "ja"}, "boxes")
    proof = relay.submission(ticked.receipt or "")["consent"]
    assert proof.keys() == {"email"}, "the form asked for no phone, so nothing is proven about one"
    assert proof["email"]["ticked"] is True

    def told() -> list[dict[str, Any]]:
        lines = [line.data for line in relay.log_lines() if line.data]
        return [line for line in lines if line["event"] == "source.consent_unclear"]

    (line,) = eventually(told)
    assert (line["source"], line["where"], line["level"]) == ("boxes", "news", "warning")
    assert "perhaps" not in str(line) and "I agree" not in str(line)
