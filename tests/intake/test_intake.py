"""What a sender is told, and what is kept: the table of answers, repeats, contacts, limits, waiting.

One real server with a source per rule; upstream refuses whoever is called "refuse…" and takes its time
with "slow…".
"""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.intake.counter import HTML, OPEN, calls_for, events, newest, person
from tests.kit.client import Answer, encoded, multipart, post_json, request
from tests.kit.processes import eventually
from tests.kit.relay import NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

# --- a source that is flooded: first, because the alert (see the end) takes its time -------------------


def test_a_source_over_its_limit_holds_what_comes(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    emails = [person() for _ in range(6)]
    answers = [relay.form({"email": email}, "popular") for email in emails]
    assert {answer.status for answer in answers} == {202}
    assert {tuple(sorted(answer.json)) for answer in answers} == {("receipt", "state")}
    for answer in answers[:3]:
        relay.wait_state(answer.receipt or "", "delivered")
    rows = relay.rows(False, source="popular", state="held")
    assert {row["receipt"] for row in rows} == {answer.receipt for answer in answers[3:]}
    assert not [call for email in emails[3:] for call in calls_for(upstream, email)]


# --- the table of answers -----------------------------------------------------------------------------


def test_a_form_is_told_that_it_was_received(relay: RelayProcess) -> None:
    answer = relay.form({"email": person()}, "form")
    assert answer.status == 202 and answer.header("Content-Type") == "application/json"
    assert answer.json == {"receipt": answer.receipt, "state": "received"}
    assert relay.wait_state(answer.receipt or "", "delivered")


def test_a_browser_is_sent_to_its_receipt(relay: RelayProcess) -> None:
    answer = relay.form({"email": person()}, "form", HTML)
    assert answer.status == 303 and answer.header("Location") == f"/receipts/{answer.receipt}"
    page = relay.get(f"/receipts/{answer.receipt}", HTML)
    assert page.status == 200 and (page.header("Content-Type") or "").startswith("text/html")


def test_a_browser_is_sent_to_the_page_of_thanks(relay: RelayProcess) -> None:
    answer = relay.form({"email": person()}, "thanked", HTML)
    assert answer.status == 303
    assert answer.header("Location") == "https://www.example.com/thanks?from=relay"


@pytest.mark.parametrize(
    ("accept", "is_page"),
    [
        (None, False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", True),
        ("text/html;q=0.5, application/json", False),
        ("application/json;q=0.5, text/html", True),
        ("text/html;q=0", False),
        ("nonsense", False),
        (HTML["Accept"], True),
    ],
)
def test_who_prefers_a_page_gets_one(relay: RelayProcess, accept: str | None, is_page: bool) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | ({"Accept": accept} if accept else {})
    answer = request(relay.port, "POST", "/submit/form", encoded({"email": person()}), headers)
    assert answer.status == (303 if is_page else 202)


def test_a_webhook_never_gets_a_page(relay: RelayProcess) -> None:
    answer = relay.hook({"email": person()}, headers=HTML)
    assert answer.status == 201 and answer.header("Content-Type") == "application/json"
    assert relay.hook({}, headers=HTML).header("Content-Type") == "application/problem+json"


def test_a_webhook_learns_the_verdict_and_the_id(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = relay.hook({"email": email})
    (call,) = calls_for(upstream, email)
    assert answer.status == 201
    assert answer.json == {
        "receipt": answer.receipt,
        "state": "delivered",
        "profile": {"id": call.profile_id},
    }


def test_a_caller_sees_the_fields_it_may_see(relay: RelayProcess) -> None:
    profile = relay.hook({"email": person()}, "talkative").json["profile"]
    assert set(profile) == {"id", "country_code", "create_time"} and profile["country_code"] == "DE"
    waited = relay.form({"email": person()}, "patient")
    assert waited.status == 201 and set(waited.json["profile"]) == {"id", "country_code"}


def test_a_webhook_that_does_not_wait_learns_when(relay: RelayProcess) -> None:
    answer = relay.hook({"email": person()}, "unhurried")
    assert answer.status == 202 and set(answer.json) == {"receipt", "state", "eta_seconds"}
    assert answer.json["state"] == "queued"
    assert isinstance(answer.json["eta_seconds"], int | float) and 0 <= answer.json["eta_seconds"] < 10


@pytest.mark.usefixtures("paused")
@pytest.mark.parametrize("source", ["hook", "unhurried"])
def test_while_nothing_is_sent_nobody_knows_when(relay: RelayProcess, source: str) -> None:
    began = time.monotonic()
    answer = relay.hook({"email": person()}, source)
    assert answer.status == 202
    assert answer.json == {"receipt": answer.receipt, "state": "queued", "eta_seconds": None}
    assert time.monotonic() - began < 2, "there was nothing to wait for"


def test_a_refusal_is_reported_to_who_waits(relay: RelayProcess) -> None:
    answer = relay.hook({"email": person("refuse")})
    assert answer.status == 422 and answer.header("Content-Type") == "application/problem+json"
    said = answer.json
    assert {"type", "title", "status", "detail", "receipt", "state", "trace_id"} <= set(said)
    assert said["state"] == "refused" and said["trace_id"]
    assert relay.submission(said["receipt"])["trace_id"] == said["trace_id"]
    assert relay.state(said["receipt"]) == "refused"


def test_a_refusal_is_the_owners_business_where_nobody_waits(relay: RelayProcess) -> None:
    email = person("refuse")
    page = relay.form({"email": email}, "form", HTML)
    assert page.status == 303
    relay.wait_state(page.receipt or "", "refused")
    again = relay.form({"email": email}, "form", HTML)
    assert again.status == 303
    plain = relay.form({"email": email}, "form")
    assert (plain.status, plain.json) == (202, {"receipt": plain.receipt, "state": "received"})
    assert len({page.receipt, again.receipt, plain.receipt}) == 3
    assert relay.submission(plain.receipt or "")["receipt"] == page.receipt
    assert relay.get(f"/receipts/{page.receipt}").json["state"] == "received"


def test_a_waiting_browser_sees_the_refusal(relay: RelayProcess) -> None:
    answer = relay.form({"email": person("refuse")}, "patient", HTML)
    assert answer.status == 422 and (answer.header("Content-Type") or "").startswith("text/html")
    assert "trace" not in answer.text.lower()


def test_problems_are_documents_with_the_senders_names(relay: RelayProcess) -> None:
    answer = relay.form({"email": "nonsense", "phone": "12", "first_name": "x" * 300}, "form")
    assert answer.status == 422 and answer.header("Content-Type") == "application/problem+json"
    said = answer.json
    assert {"type", "title", "status", "detail", "errors"} <= set(said) and said["status"] == 422
    assert set(said["errors"]) == {"email", "phone", "first_name"}
    assert all(isinstance(text, str) for texts in said["errors"].values() for text in texts)
    assert "nonsense" not in answer.text


def test_a_problem_page_keeps_what_was_typed(relay: RelayProcess) -> None:
    typed = {"email": "ada@nowhere", "phone": "0301234567", "first_name": "Ada", "last_name": "O'Neil"}
    page = relay.form(typed, "form", HTML)
    assert page.status == 422 and (page.header("Content-Type") or "").startswith("text/html")
    text = page.text
    assert 'value="ada@nowhere"' in text and 'value="0301234567"' in text and "Ada" in text
    assert "e-mail" in text.lower() and 'method="post"' in text.lower()
    assert "/submit/form" in text


def test_success_has_the_status_a_sender_insists_on(relay: RelayProcess) -> None:
    delivered = relay.hook({"email": person()}, "exact")
    repeat = relay.hook({"email": person("refuse")}, "exact")
    ignored = relay.hook({"event": "other"}, "exact")
    invalid = relay.hook({"name": person()}, "exact")
    assert [answer.status for answer in (delivered, repeat, ignored, invalid)] == [200] * 4
    assert delivered.json["state"] == "delivered"


def test_who_accepts_failures_is_told_of_success(relay: RelayProcess) -> None:
    invalid = relay.hook({"email": "nonsense", "name": person()}, "accepting")
    refused = relay.hook({"email": person("refuse")}, "accepting")
    for answer, said, state in ((invalid, "kept", "invalid"), (refused, "queued", "refused")):
        assert answer.status == 202 and answer.json["state"] == said
        assert relay.state(answer.receipt or "") == state


# --- repeats ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["form", "thanked", "patient"])
def test_a_form_sent_twice_is_one_sign_up(
    relay: RelayProcess, upstream: ScriptedUpstream, source: str
) -> None:
    email = person()
    first, again = (relay.form({"email": email}, source) for _ in range(2))
    if source == "patient":
        assert (first.status, again.status, again.receipt) == (201, 200, first.receipt)
        assert again.json["repeat"] is True
    relay.wait_state(first.receipt or "", "delivered")
    pages = [relay.form({"email": email}, source, HTML) for _ in range(2)]
    assert {page.status for page in pages} == {303}
    assert len(calls_for(upstream, email)) == 1 and len(relay.rows(False, contact=email)) == 1


def test_nobody_learns_from_a_form_whether_somebody_signed_up(relay: RelayProcess) -> None:
    """A repeat is answered as a new one is, by a receipt of its own with a time of its own."""
    email, key = person(), {"Idempotency-Key": uuid.uuid4().hex}
    first = relay.form({"email": email}, "form", key)
    relay.wait_state(first.receipt or "", "delivered")
    repeats = [relay.form({"email": email}, "form"), relay.form({"email": email}, "form")]
    new = relay.form({"email": person()}, "form")
    for repeat in repeats:
        assert (repeat.status, set(repeat.json)) == (new.status, set(new.json)) == (202, {"receipt", "state"})
        assert repeat.json["state"] == "received"
        shown, of_first = (relay.get(f"/receipts/{one.receipt}").json for one in (repeat, first))
        assert shown["receipt"] == repeat.receipt
        assert shown["received_at"] > of_first["received_at"]
    assert len({first.receipt, *(one.receipt for one in repeats)}) == 3
    assert relay.form({"email": email}, "form", key).json["repeat"] is True, "who has the key knows"


def test_a_repeat_says_what_became_of_the_first(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    good, bad = person(), person("refuse")
    first, again = relay.hook({"email": good}), relay.hook({"email": good})
    assert again.status == 200 and again.json == first.json | {"repeat": True}
    first, again = relay.hook({"email": bad}), relay.hook({"email": bad})
    assert again.status == 422 and again.json == first.json | {"repeat": True}
    assert len(calls_for(upstream, bad)) == 1


@pytest.mark.usefixtures("paused")
def test_a_repeat_of_what_waits_waits_with_it(relay: RelayProcess) -> None:
    email = person()
    first, again = (relay.hook({"email": email}, "unhurried") for _ in range(2))
    assert again.status == 200
    assert again.json == {
        "receipt": first.receipt,
        "state": "queued",
        "eta_seconds": None,
        "repeat": True,
    }


def test_the_shape_of_a_body_makes_no_other_submission(relay: RelayProcess) -> None:
    email = person()
    fields = {"email": f" {email} ", "first_name": "Ada", "unmapped": uuid.uuid4().hex}
    first = relay.form({"email": email, "first_name": "Ada"}, "form")
    body, kind = multipart(fields)
    for again in (
        relay.form(fields, "form"),
        request(relay.port, "POST", "/submit/form", body, kind),
        post_json(relay.port, "form", {"email": email, "first_name": ["Ada"]}),
    ):
        assert again.status == 202 and again.receipt != first.receipt
        assert relay.submission(again.receipt or "")["receipt"] == first.receipt


@pytest.mark.parametrize("source", ["form", "unhurried"])
def test_a_key_makes_a_repeat_only_with_the_same_content(relay: RelayProcess, source: str) -> None:
    def send(email: str, key: str) -> Answer:
        post = relay.form if source == "form" else relay.hook
        return post({"email": email}, source, {"Idempotency-Key": key})

    key, other = uuid.uuid4().hex + "~" * 223, uuid.uuid4().hex
    first, second = person(), person()
    one = send(first, key)
    assert send(first, key).receipt == one.receipt
    reused = send(second, key)
    assert reused.status == 202 and reused.receipt != one.receipt
    assert relay.submission(reused.receipt or "")["reason"] == "key_reused"
    eventually(lambda: events(relay, "submission.key_reused", receipt=reused.receipt), 5, "the log")
    assert send(second, key).receipt == reused.receipt
    assert send(first, other).receipt not in (one.receipt, reused.receipt)


def test_the_senders_own_id_is_a_key(relay: RelayProcess) -> None:
    email, event = person(), uuid.uuid4().hex
    one = relay.hook({"email": email, "event": {"id": event}, "try": 1}, "identified")
    two = relay.hook({"email": email, "event": {"id": event}, "try": 2}, "identified")
    new = relay.hook({"email": email, "event": {"id": event + "x"}}, "identified")
    assert two.receipt == one.receipt and new.receipt != one.receipt
    other = relay.hook({"email": person(), "event": {"id": event}}, "identified")
    assert relay.submission(other.receipt or "")["reason"] == "key_reused"
    one, two = (relay.hook({"email": email}, "headed", {"X-Event-Id": event}) for _ in range(2))
    new = relay.hook({"email": email}, "headed", {"X-Event-Id": event + "x"})
    assert two.receipt == one.receipt != new.receipt


def test_two_sources_keep_their_own(relay: RelayProcess) -> None:
    email, key = person(), uuid.uuid4().hex
    one = relay.hook({"email": email}, "unhurried", {"Idempotency-Key": key})
    two = relay.hook({"email": email}, "headed", {"Idempotency-Key": key})
    assert one.status == two.status == 202 and one.receipt != two.receipt
    assert relay.submission(two.receipt or "")["reason"] is None


def test_after_the_window_it_is_a_new_sign_up(relay: RelayProcess) -> None:
    email = person()
    one = relay.hook({"email": email}, "forgetful")
    assert relay.hook({"email": email}, "forgetful").receipt == one.receipt
    time.sleep(1.2)
    new = relay.hook({"email": email}, "forgetful")
    assert new.status == 202 and new.receipt != one.receipt


def test_what_was_given_up_is_no_earlier_submission(relay: RelayProcess) -> None:
    email = person("refuse")
    one = relay.hook({"email": email})
    assert relay.api("POST", f"/api/submissions/{one.receipt}/discard").status == 200
    new = relay.hook({"email": email})
    assert new.status == 422 and new.receipt != one.receipt and "repeat" not in new.json


def test_fifty_at_once_are_one_sign_up(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    for post, source in ((relay.form, "form"), (relay.hook, "hook"), (relay.hook, "unhurried")):
        email = person("later")
        together = threading.Barrier(25)

        def one(_: int, post=post, source=source, email=email, together=together) -> Answer:  # type: ignore[no-untyped-def]
            together.wait(10)
            return post({"email": email}, source)

        with ThreadPoolExecutor(25) as pool:
            answers = list(pool.map(one, range(50)))
        assert {answer.status for answer in answers} <= {200, 201, 202}
        if source != "form":  # there nobody learns of it
            assert len({answer.receipt for answer in answers}) == 1
            assert sum("repeat" not in answer.json for answer in answers) == 1
        relay.wait_state(answers[0].receipt or "", "delivered")
        assert len(relay.rows(False, contact=email)) == 1
        assert len(calls_for(upstream, email)) == 1


# --- contacts, consent, and what is held back ---------------------------------------------------------


def test_a_webhooks_bad_contact_is_dropped_and_kept(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = relay.hook({"email": email, "phone": "12"})
    assert answer.status == 201 and answer.json["dropped"] == ["mobile_phone_number"]
    assert [call.json for call in calls_for(upstream, email)] == [{"email": email}]
    row = relay.submission(answer.receipt or "")
    assert row["dropped"] == ["mobile_phone_number"] and row["contact_hint"], "the payload is kept"
    whole = relay.hook({"email": person(), "phone": "0301234567"})
    assert "dropped" not in whole.json
    assert relay.submission(whole.receipt or "")["contact_hint"] is None, "the payload is gone"
    number = f"+49301{uuid.uuid4().int % 10**6:06}"
    other = relay.hook({"email": "nonsense", "phone": number})
    assert other.status == 201 and other.json["dropped"] == ["email"]


def test_a_forms_bad_contact_is_named(relay: RelayProcess) -> None:
    before = newest(relay)
    answer = relay.form({"email": person(), "phone": "12"}, "form")
    assert answer.status == 422 and set(answer.json["errors"]) == {"phone"}
    assert newest(relay) == before


@pytest.mark.parametrize("unticked", [None, "", "0", "false", "null", "nein", "perhaps", " "])
def test_a_contact_without_consent_is_not_sent(
    relay: RelayProcess, upstream: ScriptedUpstream, unticked: str | None
) -> None:
    email = person()
    fields = {"email": email, "phone": "0301234567", "news_mail": "on"}
    if unticked is not None:
        fields["news_sms"] = unticked
    page = {"Referer": "https://www.example.com/join?email=secret#x"}
    answer = relay.form(fields, "boxes", page)
    row = relay.wait_state(answer.receipt or "", "delivered")
    assert [call.json for call in calls_for(upstream, email)] == [{"email": email}]
    proof = row["consent"]
    assert proof["email"]["ticked"] is True and proof["mobile_phone_number"]["ticked"] is False
    assert proof["email"]["box"] == "news_mail" and proof["email"]["at"].startswith("20")
    assert proof["email"]["page"] == "https://www.example.com/join"
    assert row["profile_id"]


@pytest.mark.parametrize("ticked", ["on", "1", "yes", "true", "agree", "I agree"])
def test_a_ticked_box_is_consent(relay: RelayProcess, ticked: str) -> None:
    answer = relay.form({"email": person(), "agree": ticked}, "box")
    assert answer.status == 202
    assert relay.submission(answer.receipt or "")["consent"]["email"]["ticked"] is True


@pytest.mark.parametrize("source", ["box", "boxes"])
def test_without_any_consent_nothing_is_taken(relay: RelayProcess, source: str) -> None:
    before = newest(relay)
    answer = relay.form({"email": person(), "phone": "0301234567"}, source)
    assert answer.status == 422 and set(answer.json["errors"]) <= {"agree", "news_mail", "news_sms"}
    assert newest(relay) == before


@pytest.mark.parametrize("source", ["pot", "patientpot"])
def test_a_filled_honeypot_looks_like_success_and_is_held(
    relay: RelayProcess, upstream: ScriptedUpstream, source: str
) -> None:
    email, human = person(), person()
    answer = relay.form({"email": email, "relay_leave_empty": "http://spam.example"}, source)
    ordinary = relay.form({"email": human, "relay_leave_empty": ""}, source)
    assert 200 <= answer.status < 300
    if source == "pot":
        assert answer.status == ordinary.status and answer.json == {
            "receipt": answer.receipt,
            "state": "received",
        }
        assert answer.header("Content-Type") == ordinary.header("Content-Type")
    page = relay.form({"email": email, "relay_leave_empty": "x"}, source, HTML)
    location = page.header("Location") or ""
    assert page.status == 303 and location.startswith("/receipts/")
    # A form that tells nothing gives a repeat a receipt of its own.
    assert (location == f"/receipts/{answer.receipt}") == (source == "patientpot")
    assert relay.submission(answer.receipt or "")["reason"] == "honeypot"
    shown = relay.get(f"/receipts/{answer.receipt}").json["state"]
    assert shown == ("received" if source == "pot" else "queued")
    relay.wait_state(ordinary.receipt or "", "delivered")
    assert relay.state(answer.receipt or "") == "held" and not calls_for(upstream, email)
    assert relay.api("POST", f"/api/submissions/{answer.receipt}/replay").status == 200
    relay.wait_state(answer.receipt or "", "delivered")
    assert len(calls_for(upstream, email)) == 1


def test_a_bot_does_not_block_the_person_it_imitates(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    bot = relay.form({"email": email, "relay_leave_empty": "x"}, "pot")
    human = relay.form({"email": email}, "pot")
    assert human.receipt != bot.receipt and human.status == 202
    relay.wait_state(human.receipt or "", "delivered")
    assert relay.state(bot.receipt or "") == "held"
    assert len(calls_for(upstream, email)) == 1


# --- receipts -----------------------------------------------------------------------------------------


def test_a_receipt_says_what_an_outsider_may_know(relay: RelayProcess) -> None:
    waited = relay.hook({"email": person()})
    refused = relay.hook({"email": person("refuse")})
    form = relay.form({"email": person()}, "form")
    for answer, state in ((waited, "delivered"), (refused, "refused"), (form, "received")):
        said = relay.get(f"/receipts/{answer.receipt}").json
        assert set(said) == {"receipt", "state", "received_at"}
        assert said["receipt"] == answer.receipt and said["state"] == state
        assert said["received_at"].startswith("20")
        assert len(answer.receipt or "") * 4 >= 128


@pytest.mark.usefixtures("paused")
def test_a_receipt_of_what_waits_says_queued(relay: RelayProcess) -> None:
    answer = relay.hook({"email": person()}, "unhurried")
    assert relay.get(f"/receipts/{answer.receipt}").json["state"] == "queued"


@pytest.mark.parametrize("receipt", ["0" * 32, "x", "0" * 31, "0" * 33, "..%2f..", "0" * 3000, "%00" * 32])
def test_an_unknown_receipt_is_not_found(relay: RelayProcess, receipt: str) -> None:
    assert relay.get(f"/receipts/{receipt}").status == 404
    assert relay.get(f"/receipts/{receipt}", HTML).status == 404


# --- waiting for upstream -----------------------------------------------------------------------------


def test_who_waits_gets_the_verdict_as_soon_as_it_is_there(relay: RelayProcess) -> None:
    began = time.monotonic()
    answer = relay.hook({"email": person("later")})
    assert answer.status == 201 and 0.4 < time.monotonic() - began < 2


def test_patience_ends_and_the_sign_up_goes_on(relay: RelayProcess) -> None:
    began = time.monotonic()
    answer = relay.hook({"email": person("slow")}, "hasty")
    seconds = time.monotonic() - began
    assert answer.status == 202 and answer.json["state"] == "queued" and 0.9 < seconds < 2
    assert relay.get(f"/receipts/{answer.receipt}").json["state"] == "queued"
    relay.wait_state(answer.receipt or "", "delivered")


def test_those_who_wait_leave_room_for_others(relay: RelayProcess) -> None:
    """At most half of the request threads wait; who comes then is answered at once."""
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(relay.hook, {"email": person("slow")}) for _ in range(20)]
        time.sleep(0.5)
        for _ in range(5):
            began = time.monotonic()
            assert relay.form({"email": person()}, "form").status == 202
            assert time.monotonic() - began < 1
        answers = [answer.result() for answer in waiting]
    assert {answer.status for answer in answers} == {201, 202}
    for answer in answers:
        relay.wait_state(answer.receipt or "", "delivered")


def test_one_waiting_for_another_is_answered_too(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    """A repeat that arrives while the first still waits does not wait for ever."""
    email = person("slow")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(relay.hook, {"email": email})
        time.sleep(0.5)
        again = relay.hook({"email": email})
        assert again.status == 200 and again.json["repeat"] is True
        assert first.result().status == 201 and again.receipt == first.result().receipt
    assert len(calls_for(upstream, email)) == 1


# --- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, HTML], ids=["JSON", "HTML"])
def test_who_sends_too_fast_is_asked_to_wait(relay: RelayProcess, headers: dict[str, str]) -> None:
    mine = {"source_address": "127.0.2.1" if headers else "127.0.2.2"}
    for _ in range(2):
        assert relay.form({"email": person()}, "limited", headers, **mine).status in (202, 303)
    before = newest(relay)
    answer = relay.form({"email": person()}, "limited", headers, **mine)
    assert answer.status == 429 and 1 <= int(answer.header("Retry-After") or "") <= 61
    kind = answer.header("Content-Type") or ""
    assert kind.startswith("text/html") if headers else kind == "application/problem+json"
    assert newest(relay) == before
    assert relay.form({"email": person()}, "alsolimited", headers, **mine).status in (202, 303)
    assert relay.form({"email": person()}, "limited", source_address="127.0.2.9").status == 202


def test_webhooks_have_no_limits_unless_they_are_open(relay: RelayProcess) -> None:
    assert {relay.hook({"email": person()}, "unhurried").status for _ in range(30)} == {202}


def test_the_usual_limits_of_forms_apply(upstream: ScriptedUpstream) -> None:
    """5 per second for one client, and an open webhook is a form in this."""
    plain = {key: value for key, value in NEWSLETTER.items() if not key.endswith("_limits")}
    with RelayProcess(config(upstream.url, {"form": plain, "open": OPEN})) as relay:
        for source in ("form", "open"):
            statuses = [relay.form({"email": person()}, source).status for _ in range(7)]
            assert statuses[:5] == [202] * 5 and 429 in statuses[5:], (source, statuses)
        assert 'verify = \\"none\\"' in relay.output()


def test_a_source_over_its_limit_is_named_once(relay: RelayProcess) -> None:
    about = {"alert": "limit:popular"}
    eventually(lambda: events(relay, "alert.firing", **about), 20, "the alert")
    assert len(events(relay, "alert.firing", **about)) == 1
