"""What is kept is explained without the person's data, revealed to whom may, and corrected by hand."""

import json
import uuid
from typing import Any

import pytest

from relay.sources.text import usual
from tests.kit.canary import leaks
from tests.kit.people import TRAP, UNKNOWN, Moods, email, in_state, receipt_of
from tests.kit.processes import eventually
from tests.kit.relay import HOOK, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, problem_json
from tests.kit.upstream import status as refusal
from tests.web.browsing import Person


def patch(relay: RelayProcess, receipt: str, body: Any) -> Any:
    return relay.api("PATCH", f"/api/submissions/{receipt}", body)


def acts(relay: RelayProcess, receipt: str) -> list[tuple[str, Any]]:
    log = relay.api("GET", f"/api/audit?receipt={receipt}").json["audit"]
    return [(act["action"], act["detail"]) for act in log]


# --- why it could not be mapped -------------------------------------------------------------------------


def test_an_invalid_one_shows_the_names_and_types_of_its_body(relay: RelayProcess) -> None:
    address = email("canary")
    body = {
        "id": 7,
        "contact": {"e_mail": address, "agreed": True},
        address: "x",
        "+49 171 1234567": 1,
        "tags": ["Ada Canary"],
        "rows": [{"call": "Ada Canary"}],
        "note": "",
        "none": None,
    }
    receipt = receipt_of(relay.hook(body))

    found = relay.submission(receipt)["diagnosis"]

    assert found["says"].startswith(
        "the body has: id (number), contact.e_mail (text), contact.agreed (yes or no)"
    )
    kinds = {one["key"]: one["type"] for one in found["has"]}
    assert kinds["(unusual name)"] in ("text", "number") and kinds["tags"] == "list of 1"
    assert (kinds["rows[0].call"], kinds["note"], kinds["none"]) == ("text", "empty text", "nothing")
    assert {"field": "email", "looked_for": ["email"], "nearest": "contact.e_mail"} in found["missing"]
    text = json.dumps(found)
    assert (
        leaks({"address": address, "name": "Ada Canary", "phone": "171 1234567"}, [("diagnosis", text)]) == []
    )


def test_the_diagnosis_says_why_what_was_found_cannot_be_used_and_not_what_it_is(relay: RelayProcess) -> None:
    receipt = receipt_of(relay.hook({"email": "canary at example"}))

    found = relay.submission(receipt)["diagnosis"]

    assert [one["field"] for one in found["missing"]] == ["mobile_phone_number"]
    (unusable,) = found["unusable"]
    assert unusable["field"] == "email" and "valid e-mail address" in unusable["says"]
    assert "canary" not in json.dumps(found)
    page = Person(relay, relay.admin_token).get(f"/dashboard/submissions/{receipt}").text
    assert f"something was found, and cannot be used. {unusable['says']}" in page


def test_where_nothing_was_found_the_diagnosis_does_not_say_that_something_was(
    upstream: ScriptedUpstream,
) -> None:
    deep = {**HOOK, "fields": {"email": "data.mail", "full_name": {"from": "data.call", "required": True}}}
    with RelayProcess(config(upstream.url, {"hook": deep})) as relay:
        nothing = relay.submission(receipt_of(relay.hook({"id": 1})))["diagnosis"]
        wrong = relay.submission(receipt_of(relay.hook({"data": {"mail": "canary at example"}})))["diagnosis"]

    assert ([one["field"] for one in nothing["missing"]], nothing["unusable"]) == (["email", "full_name"], [])
    assert [one["field"] for one in wrong["missing"]] == ["full_name"]
    assert [one["field"] for one in wrong["unusable"]] == ["email"]


def test_the_diagnosis_calls_no_field_by_an_unusual_name(upstream: ScriptedUpstream) -> None:
    labelled = {**HOOK, "fields": {"mobile_phone_number": {"labels": "phone"}}}
    with RelayProcess(config(upstream.url, {"hook": labelled})) as relay:
        found = relay.submission(receipt_of(relay.hook({"Phone 1711234567": "none"})))["diagnosis"]

    assert [one["field"] for one in found["unusable"]] == ["mobile_phone_number"]
    assert "1711234567" not in json.dumps(found)


def test_other_states_have_no_diagnosis(relay: RelayProcess) -> None:
    receipt, _ = in_state(relay, "held")
    assert "diagnosis" not in relay.submission(receipt)


@pytest.mark.parametrize("name", ["contact[email]", "your name", "a" * 64, "q4_1234", "E-Mail", "größe"])
def test_usual_names_are_shown(name: str) -> None:
    assert usual(name) == name


@pytest.mark.parametrize("name", ["a" * 65, "ada@example.com", "0171 123456", "\x1b[31m", "", "a\nb"])
def test_names_that_may_name_somebody_are_not(name: str) -> None:
    assert usual(name) == "(unusual name)"


# --- reveal -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["held", "refused", "parked", "invalid"])
def test_what_is_personal_is_revealed_and_written_down(relay: RelayProcess, state: str) -> None:
    receipt, address = in_state(relay, state)

    answer = relay.api("POST", f"/api/submissions/{receipt}/reveal")

    assert (answer.status, answer.json["receipt"]) == (200, receipt)
    assert address in json.dumps(answer.json["body" if state == "invalid" else "profile"])
    assert acts(relay, receipt) == [("reveal", {"was": state})]
    assert address not in relay.output()


def test_what_was_dropped_is_revealed_as_it_was_sent(relay: RelayProcess) -> None:
    address = email("canary")
    receipt = receipt_of(relay.hook({"email": address, "phone": "0171 12"}))
    eventually(lambda: relay.submission(receipt)["state"] == "delivered", 10, "the delivery")

    found = relay.api("POST", f"/api/submissions/{receipt}/reveal").json
    lines = relay.api("GET", "/api/export?people=true").text.splitlines()
    line = next(one for one in lines if receipt in one)
    person = Person(relay, relay.admin_token)
    row = relay.submission(receipt)
    seen = {"state": row["state"], "fence": str(row["fence"])}
    page = person.post(f"/dashboard/submissions/{receipt}/reveal", seen).text

    assert (found["profile"], found["body"]["phone"]) == ({"email": address}, "0171 12")
    assert (json.loads(line)["email"], json.loads(line)["body"]["phone"]) == (address, "0171 12")
    assert "<dt>email</dt>" in page and "<dt>phone, as sent</dt><dd>0171 12</dd>" in page


def test_what_is_gone_cannot_be_revealed(relay: RelayProcess) -> None:
    receipt, _ = in_state(relay, "delivered")
    answer = relay.api("POST", f"/api/submissions/{receipt}/reveal")
    assert answer.status == 409 and "payload" in answer.json["detail"]
    assert "retention" not in answer.json["detail"], "it was erased when it was delivered"
    assert relay.api("POST", f"/api/submissions/{UNKNOWN}/reveal").status == 404
    assert acts(relay, receipt) == []


# --- edit -------------------------------------------------------------------------------------------------


def test_a_corrected_one_is_queued_and_sent(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    receipt, _ = in_state(relay, "invalid")
    address = email("mended")
    row = relay.submission(receipt)
    seen = {"state": row["state"], "fence": row["fence"]}

    answer = patch(relay, receipt, {"values": {"email": f" {address} ", "full_name": "Ada"}, "expect": seen})

    assert (answer.status, answer.json["state"]) == (200, "queued")
    relay.wait_state(receipt, "delivered")
    assert {"email": address, "full_name": "Ada"} in [one.json for one in upstream.creates]
    assert acts(relay, receipt) == [("edit", {"was": "invalid", "fields": ["email", "full_name"]})]
    assert [one["receipt"] for one in relay.rows(False, contact=address)] == [receipt]


def test_a_refused_one_keeps_what_is_not_corrected(
    relay: RelayProcess, upstream: ScriptedUpstream, moods: Moods
) -> None:
    address, right = email("refused"), email("right")
    receipt = receipt_of(relay.hook({"email": address, "phone": "0171 7654321", "name": "Ada"}))
    relay.wait_state(receipt, "refused")

    answer = patch(relay, receipt, {"values": {"email": right, "mobile_phone_number": None}})

    assert answer.status == 200, answer.text
    relay.wait_state(receipt, "delivered")
    assert {"email": right, "full_name": "Ada"} in [one.json for one in upstream.creates]


@pytest.mark.parametrize("without", ["", None])
def test_a_contact_that_was_taken_out_stays_out(
    relay: RelayProcess, upstream: ScriptedUpstream, without: str | None
) -> None:
    number = f"+49171{uuid.uuid4().int % 10**7:07}"
    receipt = receipt_of(relay.hook({"email": email("refused"), "phone": number, "name": "refused"}))
    relay.wait_state(receipt, "refused")
    script, upstream.script = upstream.script, lambda _: refusal(400, json=problem_json(400))
    for values in ({"email": without}, {"full_name": "Ada"}, {"full_name": "Eve"}):
        assert patch(relay, receipt, {"values": values}).status == 200
        relay.wait_state(receipt, "refused")
    upstream.script = script
    sent = [one.json for one in upstream.arrivals if number in str(one.json)]
    assert [one.get("email") for one in sent[1:]] == [None] * 3
    right = email("right")
    assert patch(relay, receipt, {"values": {"email": right}}).status == 200
    relay.wait_state(receipt, "delivered")
    assert {"email": right, "mobile_phone_number": number, "full_name": "Eve"} in [
        one.json for one in upstream.creates
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"values": {"email": "nonsense"}}, 422),
        ({"values": {"email": None}}, 422),
        ({"values": {}}, 422),
        ({"values": {"age": 7}}, 422),
        ({"values": {"email": ["a@example.com", "b@example.com"]}}, 422),
        ({"values": {"mobile_phone_number": "12"}}, 422),
        ({"values": "email"}, 422),
        ({}, 422),
        ({"values": {"email": "a\ud800@example.com"}}, 400),
        ({"value": {"email": "a@example.com"}}, 400),
        ({"values": {"email": "a@example.com"}, "expect": {"state": "refused", "fence": 0}}, 409),
    ],
    ids=str,
)
def test_a_correction_that_is_none_changes_nothing(relay: RelayProcess, body: Any, status: int) -> None:
    receipt, _ = in_state(relay, "invalid")
    before = relay.submission(receipt)

    assert patch(relay, receipt, body).status == status
    assert relay.submission(receipt) == before
    assert acts(relay, receipt) == []


def test_errors_of_a_correction_are_named_by_field(relay: RelayProcess) -> None:
    receipt, _ = in_state(relay, "invalid")
    answer = patch(relay, receipt, {"values": {"email": "nonsense"}})
    assert set(answer.json["errors"]) == {"email"} and "nonsense" not in answer.text


@pytest.mark.parametrize("state", ["held", "parked", "delivered", "dead"])
def test_other_states_cannot_be_corrected(relay: RelayProcess, state: str) -> None:
    receipt, _ = in_state(relay, state)
    assert patch(relay, receipt, {"values": {"email": email("other")}}).status == 409
    assert relay.state(receipt) == state


def test_a_correction_that_says_what_another_said_is_refused(relay: RelayProcess) -> None:
    address = email("twice")
    first = receipt_of(relay.hook({"email": address}))
    receipt, _ = in_state(relay, "invalid")
    answer = patch(relay, receipt, {"values": {"email": address}})
    assert answer.status == 409 and first in answer.json["detail"]


def test_a_contact_without_consent_cannot_be_put_in(relay: RelayProcess) -> None:
    """Neither where the body is read again, nor where the box is on record."""
    said = {"news": "", "sms": "yes"}
    invalid = receipt_of(relay.hook({"email": "nonsense", "phone": "+1", **said}, "asking"))
    refused = receipt_of(relay.hook({"email": email("refused"), "news": "yes", "sms": ""}, "asking"))
    relay.wait_state(refused, "refused")
    consent = relay.submission(refused)["consent"]

    answers = [
        patch(relay, invalid, {"values": {"email": email("unasked")}}),
        patch(relay, refused, {"values": {"mobile_phone_number": "+49 171 7654323"}}),
    ]

    assert [(answer.status, set(answer.json["errors"])) for answer in answers] == [
        (422, {"email"}),
        (422, {"mobile_phone_number"}),
    ]
    assert [relay.state(one) for one in (invalid, refused)] == ["invalid", "refused"]
    assert patch(relay, refused, {"values": {"email": email("right")}}).status == 200
    assert relay.wait_state(refused, "delivered")["consent"] == consent


def test_a_suspect_that_was_sent_and_refused_can_be_corrected(relay: RelayProcess) -> None:
    """Of a suspect no body was kept, only what would be sent."""
    receipt = receipt_of(relay.form({"email": email("refused"), TRAP: "bot"}))
    assert relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    relay.wait_state(receipt, "refused")

    answer = patch(relay, receipt, {"values": {"email": email("fine")}})

    assert answer.status == 200, answer.json
    relay.wait_state(receipt, "delivered")


def test_the_consent_of_a_suspect_stands_when_it_is_corrected(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    """Its boxes are on record, although its body is gone."""
    said = {"email": email("refused"), "phone": "", "news": "yes", "sms": "", TRAP: "bot"}
    receipt = receipt_of(relay.form(said, "boxes"))
    assert relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200
    relay.wait_state(receipt, "refused")
    unasked = patch(relay, receipt, {"values": {"mobile_phone_number": "+49 171 7654324"}})
    assert (unasked.status, set(unasked.json["errors"])) == (422, {"mobile_phone_number"})

    right = email("fine")
    answer = patch(relay, receipt, {"values": {"email": right}})

    assert answer.status == 200, answer.json
    assert relay.wait_state(receipt, "delivered")["consent"]["email"]["ticked"] is True
    assert {"email": right} in [one.json for one in upstream.creates]


def test_a_corrected_one_is_the_same_as_what_its_sender_mended_itself(relay: RelayProcess) -> None:
    """Under the sender's own key for it, which its payload keeps."""
    key, right = email("key"), email("mended")
    proof = {"Authorization": f"Bearer {relay.hook_secret}", "Idempotency-Key": key}
    receipt = receipt_of(relay.form({"email": email("refused")}, "hook", proof))
    relay.wait_state(receipt, "refused")
    mended = receipt_of(relay.form({"email": right}, "hook", proof))
    relay.wait_state(mended, "delivered")

    answer = patch(relay, receipt, {"values": {"email": right}})

    assert answer.status == 409 and mended in answer.json["detail"]
