"""What Create Profile does not take follows in an update: one create, then the PATCH, whatever happens.

With a scripted upstream for all that can go wrong, and with the sandbox as a customer would try it.
"""

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit.canary import leaks
from tests.kit.client import Answer
from tests.kit.processes import eventually, free_port
from tests.kit.relay import HOOK, NEWSLETTER, ROOT, RelayProcess, config
from tests.kit.upstream import (
    PATH,
    Arrival,
    Reaction,
    ScriptedUpstream,
    create_then_reset,
    created,
    drop,
    hold,
    silent,
    status,
)

UPDATE = {
    "lists": {"value": ["17430755068336100383", "2"]},
    "comment": {"from": "message", "max_length": 200},
    "organization_id": "organization",
    "custom_properties": {"plan": "plan", "seats": {"from": "seats", "type": "integer"}},
}
UPDATED = HOOK | {"update": UPDATE, "wait": 0, "region": "DE"}
SOURCES = {
    "hook": UPDATED,
    "stringly": UPDATED | {"custom_properties_as": "string"},
    "patient": UPDATED | {"wait": 8, "reply": ["id", "country_code"]},
    "sparse": HOOK | {"update": {"comment": "message"}, "wait": 0},
    "identified": UPDATED | {"id": "event_id"},
    "form": NEWSLETTER | {"update": {"comment": "message"}},
    "plain": HOOK | {"wait": 0},
}
QUICK = {"limits": "500/second; 100000/minute", "retry": ["50ms"]}
FULL = {"message": "Call me", "organization": "99", "plan": "pro", "seats": "3"}
CHANGES = {
    "lists": ["17430755068336100383", "2"],
    "comment": "Call me",
    "organization_id": "99",
    "custom_properties": {"plan": "pro", "seats": 3},
}


class Script:
    """Reactions for the next PATCHes, in order; everything else is answered as usual."""

    def __init__(self) -> None:
        self.patches: list[Reaction] = []
        self.creates: Callable[[Arrival], Reaction] = lambda _: created()

    def __call__(self, arrival: Arrival) -> Reaction:
        if arrival.method != "PATCH":
            return self.creates(arrival)
        return self.patches.pop(0) if self.patches else status(204)


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def upstream(script: Script) -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(script) as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, **QUICK)) as process:
        yield process


@pytest.fixture(autouse=True)
def as_usual(script: Script) -> None:
    script.patches, script.creates = [], lambda _: created()


def person() -> str:
    return f"ada-{uuid.uuid4().hex[:12]}@example.com"


def sign_up(relay: RelayProcess, source: str = "hook", email: str | None = None, **fields: Any) -> Answer:
    return relay.hook({"email": email or person(), **FULL, **fields}, source)


def calls(
    upstream: ScriptedUpstream, answer: Answer, relay: RelayProcess
) -> tuple[list[Arrival], list[Arrival]]:
    """The creates that made this submission's profile, and the updates of it."""
    profile_id = relay.submission(answer.receipt or "")["profile_id"]
    arrivals = upstream.arrivals
    made = [one for one in arrivals if one.method == "POST" and one.profile_id == profile_id]
    return made, [one for one in arrivals if one.method == "PATCH" and one.path == f"{PATH}/{profile_id}"]


def outcomes(row: dict[str, Any]) -> list[tuple[str, str]]:
    return [(sent["kind"], sent["outcome"]) for sent in row["history"]]


# --- as it should be --------------------------------------------------------------------------------------


def test_the_update_follows_the_create_with_its_id(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = sign_up(relay, email=email)
    row = relay.wait_state(answer.receipt or "", "delivered")
    (made,), (updated,) = calls(upstream, answer, relay)
    assert made.json == {"email": email} and made.index < updated.index
    assert updated.json == CHANGES
    assert updated.headers["authorization"] == f"Bearer {relay.token}"
    assert updated.headers["content-type"] == "application/json"
    assert row["profile_id"] == made.profile_id and row["reason"] is None and row["delivered_at"]
    assert outcomes(row) == [("create", "delivered"), ("update", "delivered")]
    assert [sent["status"] for sent in row["history"]] == [201, 204]


def test_custom_properties_may_be_a_text(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    answer = sign_up(relay, "stringly")
    relay.wait_state(answer.receipt or "", "delivered")
    _, (updated,) = calls(upstream, answer, relay)
    assert isinstance(updated.json["custom_properties"], str)
    assert json.loads(updated.json["custom_properties"]) == CHANGES["custom_properties"]


def test_what_was_not_given_is_not_sent(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    answer = sign_up(relay, message=" ", organization=None, plan="", seats=7)
    relay.wait_state(answer.receipt or "", "delivered")
    _, (updated,) = calls(upstream, answer, relay)
    assert updated.json == {"lists": CHANGES["lists"], "custom_properties": {"seats": 7}}


def test_with_nothing_to_update_nothing_follows(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    answer = relay.hook({"email": person()}, "sparse")
    row = relay.wait_state(answer.receipt or "", "delivered")
    assert outcomes(row) == [("create", "delivered")]
    assert calls(upstream, answer, relay)[1] == []


def test_a_form_may_have_an_update_too(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    answer = relay.form({"email": person(), "message": "Hi\r\nthere"}, "form")
    relay.wait_state(answer.receipt or "", "delivered")
    assert calls(upstream, answer, relay)[1][0].json == {"comment": "Hi there"}
    assert 'name="message"' in relay.get("/forms/form").text


def test_who_waits_is_told_when_both_are_done(relay: RelayProcess, upstream: ScriptedUpstream) -> None:
    email = person()
    answer = sign_up(relay, "patient", email=email)
    assert answer.status == 201, answer.text
    (made,), (updated,) = calls(upstream, answer, relay)
    assert updated.status == 204
    assert answer.json["profile"] == {"id": made.profile_id, "country_code": "DE"}
    again = sign_up(relay, "patient", email=email)
    assert again.status == 200 and again.json["profile"] == answer.json["profile"]
    assert len(calls(upstream, answer, relay)[1]) == 1


def test_who_waits_in_vain_is_told_that_it_goes_on(relay: RelayProcess, script: Script) -> None:
    script.patches = [status(503)]
    answer = sign_up(relay, "patient")
    assert answer.status == 202 and answer.json["state"] == "queued"
    relay.wait_state(answer.receipt or "", "delivered")


def test_a_field_that_cannot_be_used_is_dropped_and_the_rest_goes_on(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    answer = sign_up(relay, message="x" * 201, seats="a few", phone="12")
    row = relay.wait_state(answer.receipt or "", "delivered")
    assert set(row["dropped"]) == {"comment", "custom_properties:seats", "mobile_phone_number"}
    _, (updated,) = calls(upstream, answer, relay)
    assert updated.json["custom_properties"] == {"plan": "pro"} and "comment" not in updated.json
    done = relay.cli("try", "--recorded", "hook")
    assert done.returncode == 0 and "looked at" in done.stdout
    assert relay.submission(answer.receipt or "")["contact_hint"], "what was dropped can still be looked up"


def test_when_it_is_done_nothing_of_it_is_left(relay: RelayProcess) -> None:
    canaries = {
        "comment": f"canary-comment-{uuid.uuid4().hex}",
        "email": f"canary-{uuid.uuid4().hex}@example.com",
    }
    answer = sign_up(relay, email=canaries["email"], message=canaries["comment"])
    row = relay.wait_state(answer.receipt or "", "delivered")
    assert row["contact_hint"] is None
    assert leaks(canaries, relay.evidence()) == []


# --- what can go wrong ------------------------------------------------------------------------------------

AGAIN = {
    "503": lambda: status(503),
    "500": lambda: status(500),
    "502": lambda: status(502),
    "404, not known everywhere yet": lambda: status(404),
    "a connection that is reset": create_then_reset,
    "a connection that is closed": drop,
    "a status nobody knows": lambda: status(999),
}


OFTEN = ("503", "404, not known everywhere yet", "a connection that is reset")


@pytest.mark.parametrize(
    "what", [what if what in OFTEN else pytest.param(what, marks=pytest.mark.slow) for what in AGAIN]
)
def test_an_update_is_tried_on_and_the_create_is_not(
    relay: RelayProcess, upstream: ScriptedUpstream, script: Script, what: str
) -> None:
    """More often than an unclear create would be: to update twice does no harm."""
    script.patches = [AGAIN[what]() for _ in range(3)]
    answer = sign_up(relay)
    row = relay.wait_state(answer.receipt or "", "delivered", timeout=30)
    made, updated = calls(upstream, answer, relay)
    assert (len(made), len(updated)) == (1, 4)
    assert [one.json for one in updated] == [CHANGES] * 4
    assert row["may_be_duplicate"] is False
    assert [kind for kind, _ in outcomes(row)] == ["create"] + ["update"] * 4
    assert relay.status()["ocamba"]["hold_reason"] is None


def test_seven_unclear_updates_are_not_the_end(
    relay: RelayProcess, upstream: ScriptedUpstream, script: Script
) -> None:
    script.patches = [status(500)] * 7
    answer = sign_up(relay)

    def done() -> bool:
        relay.api("POST", "/api/destinations/ocamba/resume")  # it is held for failing, longer each time
        return relay.state(answer.receipt or "") == "delivered"

    eventually(done, 60, "the update taken")
    assert [len(one) for one in calls(upstream, answer, relay)] == [1, 8]


def test_profiles_that_are_not_known_yet_are_no_outage(
    relay: RelayProcess, upstream: ScriptedUpstream, script: Script
) -> None:
    """Upstream answers, about those six: nobody else waits for them."""
    script.patches = [status(404)] * 18
    before = len(upstream.arrivals)
    answers = [sign_up(relay) for _ in range(6)]
    for answer in answers:
        relay.wait_state(answer.receipt or "", "delivered", timeout=30)
    assert [one.method for one in upstream.arrivals[before:] if one.is_look] == []


@pytest.mark.parametrize("code", [400, 405, 409, 422])
def test_an_update_that_is_refused_waits_for_a_person(
    relay: RelayProcess, upstream: ScriptedUpstream, script: Script, code: int
) -> None:
    script.patches = [status(code)]
    answer = sign_up(relay)
    row = relay.wait_state(answer.receipt or "", "parked")
    assert row["reason"] == f"created, but its update was refused: upstream answered {code}"
    assert row["profile_id"] and not row["may_be_duplicate"]
    assert relay.status()["ocamba"]["hold_reason"] is None, "it says nothing about the others"
    assert outcomes(row) == [("create", "delivered"), ("update", "refused")]
    assert relay.api("POST", f"/api/submissions/{answer.receipt}/replay").status == 200
    row = relay.wait_state(answer.receipt or "", "delivered")
    made, updated = calls(upstream, answer, relay)
    assert (len(made), len(updated)) == (1, 2) and updated[1].json == CHANGES
    assert not row["may_be_duplicate"], "what was sent again was its update"


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"id": null}', b'{"id": "../../x"}', b"nonsense"],
    ids=["no", "{}", "null", "path", "text"],
)
def test_without_an_id_it_waits_for_a_person(
    relay: RelayProcess, upstream: ScriptedUpstream, script: Script, body: bytes
) -> None:
    script.creates = lambda _: created(body=body)
    before = len(upstream.arrivals)
    answer = sign_up(relay)
    row = relay.wait_state(answer.receipt or "", "parked")
    assert row["reason"] == "created, but upstream named no id to update"
    assert row["profile_id"] is None and outcomes(row) == [("create", "delivered")]
    assert [one.method for one in upstream.arrivals[before:]] == ["POST"], "and it is not sent again"


def test_without_an_id_but_nothing_to_update_it_is_delivered(relay: RelayProcess, script: Script) -> None:
    script.creates = lambda _: created(body=b"")
    answer = relay.hook({"email": person()}, "plain")
    assert relay.wait_state(answer.receipt or "", "delivered")["profile_id"] is None


def test_a_limit_holds_the_update_like_everything(
    relay: RelayProcess, upstream: ScriptedUpstream, script: Script
) -> None:
    script.patches = [status(429, {"Retry-After": "1"})]
    answer = sign_up(relay)
    row = relay.wait_state(answer.receipt or "", "delivered")
    _, (first, second) = calls(upstream, answer, relay)
    assert second.at - first.at >= 1 and row["attempts"] == 0
    assert outcomes(row) == [("create", "delivered"), ("update", "wait"), ("update", "delivered")]


def test_one_profile_that_is_gone_holds_nobody(
    relay: RelayProcess, upstream: ScriptedUpstream, script: Script
) -> None:
    script.patches = [status(404)] * 3
    first = sign_up(relay)
    eventually(lambda: upstream.arrivals[-1].method == "PATCH", 10, "the first update")
    others = [relay.hook({"email": person()}, "plain") for _ in range(5)]
    for other in others:
        relay.wait_state(other.receipt or "", "delivered", timeout=5)
    relay.wait_state(first.receipt or "", "delivered")


@pytest.mark.slow
def test_a_token_that_is_wrong_for_the_update_holds_the_destination(
    upstream: ScriptedUpstream, script: Script, tmp_path: Path
) -> None:
    """401 is about us: nothing is lost, and the update goes out when the token is mended."""
    token = tmp_path / "token"
    token.write_text("one")
    script.patches = [status(401)]
    with RelayProcess(config(upstream.url, SOURCES, **QUICK | {"token": f"file:{token}"})) as relay:
        answer = sign_up(relay)
        eventually(lambda: relay.status()["ocamba"]["hold_reason"], 10, "the hold")
        assert relay.state(answer.receipt or "") == "queued"
        token.write_text("two")
        relay.wait_state(answer.receipt or "", "delivered")
        made, updated = calls(upstream, answer, relay)
        assert [one.headers["authorization"] for one in updated] == ["Bearer one", "Bearer two"]
        assert len(made) == 1


def test_an_unclear_create_is_still_an_unclear_create(upstream: ScriptedUpstream, script: Script) -> None:
    """Only the update is harmless: the create is parked, and nothing is updated."""
    script.creates = lambda _: silent()
    with RelayProcess(config(upstream.url, SOURCES, **QUICK, deadline=0.5, ambiguous="park")) as relay:
        answer = sign_up(relay)
        row = relay.wait_state(answer.receipt or "", "parked")
        assert row["may_be_duplicate"] and row["profile_id"] is None
        assert outcomes(row) == [("create", "unclear")]


def test_with_ambiguous_park_an_unclear_update_is_tried_on(
    upstream: ScriptedUpstream, script: Script
) -> None:
    script.patches = [silent(creates=False)]
    with RelayProcess(config(upstream.url, SOURCES, **QUICK, deadline=0.5, ambiguous="park")) as relay:
        row = relay.wait_state(sign_up(relay).receipt or "", "delivered")
        assert outcomes(row) == [("create", "delivered"), ("update", "unclear"), ("update", "delivered")]


def test_it_is_given_up_in_the_end_and_never_created_again(
    upstream: ScriptedUpstream, script: Script
) -> None:
    """A repeat of what was given up before anything was created is a new sign-up; this one is not."""
    script.patches = [status(503)] * 100
    with RelayProcess(config(upstream.url, SOURCES, **QUICK, give_up_after="1s")) as relay:
        body = {"email": person(), "event_id": uuid.uuid4().hex, **FULL}
        answer = relay.hook(body, "identified")
        row = relay.wait_state(answer.receipt or "", "dead")
        assert row["profile_id"] and row["reason"].startswith("gave up")
        again = relay.hook(body, "identified")
        assert again.receipt == answer.receipt and again.json["repeat"] is True
        script.patches = []
        listed = relay.cli("submissions", "show", answer.receipt or "").stdout
        assert "create  delivered  201" in listed and "update  later  503" in listed
        assert relay.api("POST", f"/api/submissions/{answer.receipt}/replay").status == 200
        relay.wait_state(answer.receipt or "", "delivered")
        made, updated = calls(upstream, answer, relay)
        assert len(made) == 1 and updated[-1].json == CHANGES


# --- crashes ----------------------------------------------------------------------------------------------


def test_a_crash_while_the_update_is_sent_sends_it_again(upstream: ScriptedUpstream, script: Script) -> None:
    release = threading.Event()
    script.patches = [hold(release, status(204))]
    before = len(upstream.arrivals)
    with RelayProcess(config(upstream.url, SOURCES, **QUICK)) as relay:
        answer = sign_up(relay)
        eventually(lambda: len(upstream.arrivals) == before + 2, 10, "the update")
        relay.kill9()
        release.set()
        relay.start()
        row = relay.wait_state(answer.receipt or "", "delivered", timeout=60)
        made, updated = calls(upstream, answer, relay)
        assert len(made) == 1 and [one.json for one in updated] == [CHANGES] * 2
        assert row["may_be_duplicate"] is False


def test_a_crash_between_the_two_loses_nothing(upstream: ScriptedUpstream, script: Script) -> None:
    script.patches = [status(503)] * 2
    with RelayProcess(config(upstream.url, SOURCES, **QUICK | {"retry": ["500ms"]})) as relay:
        answer = sign_up(relay)
        eventually(lambda: relay.submission(answer.receipt or "")["attempts"] == 1, 10, "the first attempt")
        relay.kill9()
        relay.start()
        row = relay.wait_state(answer.receipt or "", "delivered", timeout=60)
        made, updated = calls(upstream, answer, relay)
        assert len(made) == 1 and [one.json for one in updated] == [CHANGES] * 3
        assert not row["may_be_duplicate"]


# --- the quota --------------------------------------------------------------------------------------------


def test_updates_use_the_same_quota(script: Script) -> None:
    limits = {"limits": "4/second; 1000/minute"}
    with (
        ScriptedUpstream(script, windows=[(4, 1.0)]) as upstream,
        RelayProcess(config(upstream.url, SOURCES, **limits)) as relay,
    ):
        receipts = [sign_up(relay).receipt or "" for _ in range(6)]
        for receipt in receipts:
            relay.wait_state(receipt, "delivered")
        assert len(upstream.arrivals) == 12 and upstream.worst(1.0) <= 4 and upstream.violations == 0
        assert relay.status()["ocamba"]["quota_used"]["1000/minute"] == 12


# --- with the sandbox -------------------------------------------------------------------------------------


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The pretend upstream as a process of its own: its address and its log."""
    log, port = tmp_path / "sandbox.log", free_port()
    command = [sys.executable, "-m", "relay", "sandbox", "--port", str(port), "--log", str(log)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline().startswith("sandbox upstream on ")
        yield f"http://127.0.0.1:{port}{PATH}", log
        process.terminate()
        process.communicate(timeout=10)


def test_the_sandbox_takes_both_calls(sandbox: tuple[str, Path]) -> None:
    url, log = sandbox
    with RelayProcess(config(url, SOURCES)) as relay:
        email = person()
        answer = sign_up(relay, "patient", email=email)
        assert answer.status == 201, answer.text
        relay.wait_state(answer.receipt or "", "delivered")
        as_text = sign_up(relay, "stringly")
        relay.wait_state(as_text.receipt or "", "delivered")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["method"], line["status"]) for line in lines] == [("POST", 201), ("PATCH", 204)] * 2
    first, second = lines[:2]
    assert first["body"] == {"email": email} and second["body"] == CHANGES
    assert second["path"] == f"{PATH}/{first['id']}" and answer.json["profile"]["id"] == first["id"]
    assert lines[3]["body"]["custom_properties"] == '{"plan": "pro", "seats": 3}'


def test_an_update_follows_in_sandbox_mode() -> None:
    """As `make run` starts it: no token, its own pretend upstream."""
    table = config("https://api.ocamba.com/v1/hood/profiles", {"form": SOURCES["form"]})
    with RelayProcess(table, mode="serve", token=None) as relay:
        answer = relay.form({"email": person(), "message": "Hello"}, "form")
        row = relay.wait_state(answer.receipt or "", "delivered")
        assert outcomes(row) == [("create", "delivered"), ("update", "delivered")]
