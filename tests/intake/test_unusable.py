"""What is no sign-up, and what is kept although it is none."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.intake.counter import HTML, QUICK_HOOK, SOURCES, WIDE, calls_for, events, newest, person
from tests.kit.client import request
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

# --- what is not a sign-up ----------------------------------------------------------------------------


def test_what_only_excludes_is_answered_and_forgotten(relay: RelayProcess) -> None:
    before = newest(relay)
    for source, body in (
        ("picky", {"event": "deleted", "email": person()}),
        ("picky", {}),
        ("tested", {"is_test": True, "email": person()}),
    ):
        answer = relay.hook(body, source)
        assert 200 <= answer.status < 300 and answer.receipt is None
    answer = relay.hook({"email": person()}, "tested", {"X-Test": "True"})
    assert 200 <= answer.status < 300
    answer = relay.form({"event": "other", "email": person()}, "pickyform")
    assert 200 <= answer.status < 300
    assert newest(relay) == before
    assert relay.hook({"event": "signup", "email": person()}, "picky").status == 202
    assert relay.hook({"is_test": False, "email": person()}, "tested").status == 202


def test_a_browser_that_only_excludes_sees_a_page(relay: RelayProcess) -> None:
    answer = relay.form({"event": "other", "email": person()}, "pickyform", HTML)
    assert answer.status in (200, 303)
    assert answer.status == 303 or (answer.header("Content-Type") or "").startswith("text/html")


def test_what_is_excluded_must_be_proven_all_the_same(relay: RelayProcess) -> None:
    wrong = {"Authorization": "Bearer wrong"}
    assert relay.hook({"event": "deleted"}, "picky", wrong).status == 401
    assert relay.hook({"is_test": True}, "tested", wrong).status == 401


def test_an_unsigned_ping_is_answered_and_stores_nothing(relay: RelayProcess) -> None:
    before = newest(relay)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = request(relay.port, "POST", "/submit/pinged", b"webhook_id=12345", form)
    assert 200 <= answer.status < 300
    for other in (b"webhook_id=12345&email=a@example.com", b"webhook_id=" + b"1" * 13, b"xwebhook_id=1"):
        assert request(relay.port, "POST", "/submit/pinged", other, form).status == 401
    assert newest(relay) == before


def test_a_handshake_is_answered_by_get(relay: RelayProcess) -> None:
    assert relay.get("/submit/shaking").status == 200
    good = f"?hub.mode=subscribe&hub.challenge=4%3C2&hub.verify_token={relay.hook_secret}"
    echo = relay.get("/submit/echoing" + good)
    assert (echo.status, echo.body) == (200, b"4<2")
    assert not (echo.header("Content-Type") or "").startswith("text/html")
    assert relay.get("/submit/echoing?hub.challenge=42&hub.verify_token=wrong").status == 401
    assert relay.get("/submit/echoing?hub.challenge=42").status == 401


@pytest.mark.parametrize("source", ["form", "hook", "off"])
def test_where_there_is_no_handshake_get_is_refused(relay: RelayProcess, source: str) -> None:
    answer = relay.get(f"/submit/{source}")
    assert answer.status == 405 and "POST" in (answer.header("Allow") or "")


def test_a_source_that_is_switched_off_takes_nothing(relay: RelayProcess) -> None:
    before = newest(relay)
    for headers in ({}, HTML):
        answer = relay.form({"email": person()}, "off", headers)
        assert answer.status == 503 and (answer.header("Retry-After") or "").isdigit()
        assert answer.receipt is None
    assert newest(relay) == before


def test_an_unknown_source_is_not_found(relay: RelayProcess) -> None:
    for name in ("nobody", "FORM", "form/x", "..%2fform", "form%00", "%ff"):
        assert relay.form({"email": person()}, name).status == 404, name


# --- kept although unusable ---------------------------------------------------------------------------


def test_a_proven_webhook_is_kept_although_it_cannot_be_mapped(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    calls = len(upstream.arrivals)
    answer = relay.hook({"email": "nonsense@", "name": person()}, "unhurried")
    assert answer.status == 422 and answer.json["receipt"] and set(answer.json["errors"]) == {"email"}
    row = relay.submission(answer.receipt or "")
    assert row["state"] == "invalid" and "nonsense" not in str(row)
    assert len(upstream.arrivals) == calls
    again = relay.hook({"email": "nonsense@", "name": "Ada"}, "unhurried")
    assert again.receipt != answer.receipt
    assert relay.get(f"/receipts/{answer.receipt}").json["state"] == "kept"


def test_an_unproven_one_is_not_kept(relay: RelayProcess) -> None:
    before = newest(relay)
    answer = relay.hook({"email": "nonsense@"}, "open")
    assert answer.status == 422 and "receipt" not in answer.json
    answer = relay.form({"email": "nonsense@"}, "form")
    assert answer.status == 422 and "receipt" not in answer.json
    assert newest(relay) == before


def test_a_repeat_of_an_invalid_one_is_mapped_again(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    body = {"contact": {"email": email}}
    first = relay.hook(body, "mendable")
    again = relay.hook(body, "mendable")
    assert first.status == again.status == 422
    assert again.receipt == first.receipt and again.json["repeat"] is True
    mended = SOURCES | {"mendable": QUICK_HOOK | {"fields": {"email": "contact.email"}}}
    reloads = len(events(relay, "config.reloaded"))
    relay.configure(config(upstream.url, mended, **WIDE))
    relay.hup()
    eventually(lambda: len(events(relay, "config.reloaded")) > reloads, 10, "the reload")
    now = relay.hook(body, "mendable")
    assert now.status == 200 and now.receipt == first.receipt
    relay.wait_state(first.receipt or "", "delivered")
    assert len(calls_for(upstream, email)) == 1


def test_a_form_without_any_mapped_field_is_the_owners_mistake(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    answer = relay.form({"e-mail": person(), "name": "Ada"}, "form")
    assert answer.status == 202 and answer.json["state"] == "received"
    assert relay.state(answer.receipt or "") == "invalid"
    page = relay.form({"e-mail": person(), "name": "Ada"}, "form", HTML)
    assert page.status == 303
    (line,) = eventually(lambda: events(relay, "source.misconfigured", receipt=answer.receipt), 5, "the log")
    assert line["level"] == "error" and line["source"] == "form"
    assert relay.form({}, "form").status == 422, "an empty body"
    # What relay.js posts of a form in which nothing is.
    before = newest(relay)
    for added in (
        {"relay_suggest": "ask"},
        {"relay_page": "x", "_next": ""},
        {"relay_ts": "1", "relay_shown": "de"},
    ):
        assert relay.form(added, "form").status == 422, added
    assert newest(relay) == before
    assert relay.form({"email": "", "name": "Ada"}, "form").status == 422, "the field is there"


def test_at_most_a_hundred_of_the_owners_mistakes_are_kept(relay: RelayProcess) -> None:
    """A peer nearby may stand for many, and still leaves some for another's."""

    def kept(address: str) -> int:
        def one(number: int) -> int:
            fields = {"mail": f"{number}-{person()}"}
            return relay.form(fields, "mistaken", source_address=address).status

        with ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(one, range(100)))
        assert set(statuses) == {202, 422}
        return statuses.count(202)

    assert [kept("127.0.9.1"), kept("127.0.9.2")] == [80, 20]
    assert len(relay.rows(False, source="mistaken")) == 100
    assert relay.form({"email": person()}, "mistaken").status == 202


def test_retention_ends_what_is_kept(upstream: ScriptedUpstream) -> None:
    short = {"hook": QUICK_HOOK | {"retention": "1s"}, "long": QUICK_HOOK}
    with RelayProcess(config(upstream.url, short)) as relay:
        for source in short:
            assert relay.hook({"email": "nonsense@"}, source).status == 422
        delivered = relay.hook({"email": person()}).receipt or ""
        relay.wait_state(delivered, "delivered")
        time.sleep(1.1)
        relay.restart()
        eventually(lambda: not relay.rows(False, source="hook", state="invalid"), 10, "the end of retention")
        assert len(relay.rows(False, source="long", state="invalid")) == 1


# --- counting -----------------------------------------------------------------------------------------


def counted(relay: RelayProcess, source: str) -> dict[str, float]:
    """How many submissions of a source came to what, by the metrics."""
    found = re.findall(r"^relay_submissions_total\{(.*)\} (\S+)$", relay.metrics(), re.MULTILINE)
    labelled = [(dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(number)) for labels, number in found]
    return {labels["result"]: number for labels, number in labelled if labels["source"] == source}


def test_every_submission_is_counted_by_what_became_of_it(relay: RelayProcess) -> None:
    mine = {"source_address": "127.0.2.20"}
    email = person()
    relay.form({"email": email}, "counted", **mine)
    relay.form({"email": email}, "counted", **mine)
    relay.form({"email": person(), "relay_leave_empty": "x"}, "counted", **mine)
    relay.form({"mail": person()}, "counted", **mine)
    relay.form({"email": "nonsense"}, "counted", **mine)
    relay.form({"email": person()}, "counted", **mine)  # the sixth within the hour
    relay.form({"email": person()}, "counted", {"Origin": "https://evil.example"}, **mine)
    request(relay.port, "POST", "/submit/counted", b"x=%", {"Content-Type": "text/plain"})
    expected = {"accepted": 1, "repeat": 1, "held": 1, "invalid": 1, "rejected": 3, "limited": 1}
    assert counted(relay, "counted") == expected
