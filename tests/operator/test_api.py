"""What operators see and do through the API."""

import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.kit.client import request
from tests.kit.people import (
    HINT,
    SETTINGS,
    SOURCES,
    UNKNOWN,
    Moods,
    email,
    in_state,
    receipt_of,
)
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, problem_json

# --- the API: looking -----------------------------------------------------------------------------------

FIELDS = {
    *("receipt", "source", "state", "reason", "attempts", "may_be_duplicate", "received_at", "due_at"),
    *("delivered_at", "profile_id", "trace_id", "contact_hint", "dropped", "consent", "fence"),
}


def test_a_submission_is_shown_with_exactly_the_promised_fields(relay: RelayProcess) -> None:
    receipt, address = in_state(relay, "delivered")
    shown = relay.submission(receipt)
    listed = relay.api("GET", f"/api/submissions?contact={address}").json

    assert set(shown) == {*FIELDS, "history"}
    assert listed == {"submissions": [{k: v for k, v in shown.items() if k != "history"}], "next": None}
    assert (shown["state"], shown["source"], shown["attempts"]) == ("delivered", "hook", 0)
    assert shown["contact_hint"] is None, "the payload is gone"
    assert shown["profile_id"].isdigit() and shown["received_at"].endswith("Z")
    assert [(one["outcome"], one["status"]) for one in shown["history"]] == [("delivered", 201)]


@pytest.mark.parametrize(
    ("state", "reason", "attempts", "outcomes"),
    [
        ("refused", "upstream answered 400", 0, ["refused"]),
        ("parked", "unclear: ", 1, ["unclear"]),
        ("dead", "gave up: ", None, None),
        ("held", "honeypot", 0, []),
        ("invalid", "unmappable: ", 0, []),
    ],
)
def test_what_waits_for_a_person_says_why(
    relay: RelayProcess, state: str, reason: str, attempts: int | None, outcomes: list[str] | None
) -> None:
    receipt, address = in_state(relay, state)
    shown = relay.submission(receipt)

    assert shown["state"] == state
    assert shown["reason"].startswith(reason)
    assert attempts is None or shown["attempts"] == attempts
    if outcomes is None:
        assert {one["outcome"] for one in shown["history"]} == {"later"}
        assert len(shown["history"]) >= 2
    else:
        assert [one["outcome"] for one in shown["history"]] == outcomes
    assert shown["may_be_duplicate"] == (state == "parked")
    assert shown["trace_id"] == (problem_json(400)["trace_id"] if state in ("refused", "dead") else None)
    assert (shown["contact_hint"] is None) == (state == "invalid")
    assert address not in json.dumps(shown)


@pytest.mark.parametrize("asked", ["{}", "  {} ", "upper", "+49 171 {}", "0171/{}", "0049171{}"], ids=str)
def test_a_person_is_found_however_the_contact_is_written(relay: RelayProcess, asked: str) -> None:
    digits = str(uuid.uuid4().int)[:7]
    address = email("found")
    by_mail = "@" in asked or asked.strip() == "{}" or asked == "upper"
    receipt = receipt_of(relay.hook({"email": address, "phone": f"0171 {digits}"}))
    text = (
        (address.upper() if asked == "upper" else asked.format(address)) if by_mail else asked.format(digits)
    )

    found = relay.rows(history=False, contact=text)

    assert [row["receipt"] for row in found] == [receipt]


def test_lists_are_filtered_and_come_a_page_at_a_time(relay: RelayProcess) -> None:
    receipts = [in_state(relay, "held")[0] for _ in range(5)]
    foreign = receipt_of(relay.hook({"nothing": "mapped"}, "other"))

    def page(query: str) -> Any:
        return relay.api("GET", f"/api/submissions?{query}").json

    first = page("state=held&source=newsletter&limit=3")
    second = page(f"state=held&source=newsletter&limit=2&before={first['next']}")
    found = [row["receipt"] for row in [*first["submissions"], *second["submissions"]]]
    assert found == receipts[::-1]
    assert relay.api("POST", f"/api/submissions/{found[2]}/discard").status == 200
    assert page(f"state=held&source=newsletter&limit=2&before={first['next']}") == second, "it went away"
    assert [row["receipt"] for row in page("source=other&state=invalid")["submissions"]] == [foreign]
    assert page("source=nowhere") == {"submissions": [], "next": None}
    assert page(f"contact={email('nobody')}") == {"submissions": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        *("state=lost", "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=٣", "colour=red"),
        *("before=nonsense", f"before={UNKNOWN}", "before=AAAA", "since=yesterday", "until=9999999999999"),
        *("source=%00", "contact=a%00b", "reason=%00", "duplicate=perhaps"),
        *("state=held&state=dead", "source=hook&source=hook"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(relay: RelayProcess, query: str) -> None:
    assert relay.api("GET", f"/api/submissions?{query.replace('٣', '%D9%A3')}").status == 400


@pytest.mark.parametrize("limit", ["0", "1001", "100000", "9" * 15])
def test_a_limit_that_is_too_large_is_said_to_be(relay: RelayProcess, limit: str) -> None:
    refused = relay.api("GET", f"/api/submissions?limit={limit}")
    assert (refused.status, refused.json["detail"]) == (400, "limit must be 1 to 1000")


def test_the_status_tells_hold_backlog_and_quota(relay: RelayProcess) -> None:
    in_state(relay, "delivered")

    found = relay.status()

    assert set(found) == {"ocamba"}
    assert set(found["ocamba"]) == {
        *("hold_until", "hold_reason", "backlog", "oldest_seconds", "eta_seconds", "quota_used")
    }
    assert set(found["ocamba"]["quota_used"]) == {"100/second", "5000/minute"}
    assert found["ocamba"]["quota_used"]["5000/minute"] >= 1
    assert (found["ocamba"]["hold_reason"], found["ocamba"]["backlog"]) == (None, 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/submissions"),
        ("GET", f"/api/submissions/{UNKNOWN}"),
        ("POST", f"/api/submissions/{UNKNOWN}/replay"),
        ("POST", f"/api/submissions/{UNKNOWN}/discard"),
        ("POST", "/api/replay"),
        ("POST", "/api/find"),
        ("GET", "/api/audit"),
        ("GET", "/api/status"),
        ("POST", "/api/destinations/ocamba/pause"),
        ("POST", "/api/destinations/ocamba/resume"),
    ],
)
def test_nothing_is_told_or_done_without_the_token(relay: RelayProcess, method: str, path: str) -> None:
    wrong = {"Authorization": f"Bearer {relay.admin_token}x"}

    stranger = {"source_address": "127.0.3.1"}  # who guesses is not let in for a while, even with the token
    answers = [
        request(relay.port, method, path, **stranger),
        request(relay.port, method, path, None, wrong, **stranger),
    ]

    assert {answer.status for answer in answers} <= {401, 429}
    assert relay.status()["ocamba"]["hold_reason"] is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer "])
def test_the_word_before_a_token_is_taken_as_any_client_writes_it(relay: RelayProcess, scheme: str) -> None:
    tokens = relay.admin_token, relay.metrics_token
    admin, metrics = ({"Authorization": f"{scheme} {token}"} for token in tokens)
    assert relay.get("/api/status", admin).status == 200
    assert relay.get("/metrics", metrics).status == 200
    assert "failing" in relay.get("/readyz", metrics).json


def test_a_person_is_found_without_being_named_in_an_address(relay: RelayProcess) -> None:
    receipt, address = in_state(relay, "held")

    found = relay.api("POST", "/api/find", {"contact": f" {address.upper()}"})

    assert (found.status, found.json["next"]) == (200, None)
    assert [row["receipt"] for row in found.json["submissions"]] == [receipt]
    assert relay.api("POST", "/api/find", {"contact": email("nobody")}).json["submissions"] == []
    assert relay.api("POST", "/api/find", {}).status == 422
    assert relay.api("POST", "/api/find", {"contact": "12"}).status == 400


def test_whoever_signed_up_often_is_found_a_page_at_a_time(relay: RelayProcess) -> None:
    address = email("often")
    receipts = [relay.form({"email": address, "last_name": str(n)}).receipt for n in range(3)]
    found, following = [], {}
    while following is not None and len(found) < 9:
        page = relay.api("POST", "/api/find", {"contact": address, "limit": 2, **following}).json
        found += [row["receipt"] for row in page["submissions"]]
        following = {"before": page["next"]} if page["next"] else None
    assert found == receipts[::-1]
    for wrong in (
        {"limit": 0},
        {"limit": 1001},
        {"limit": "2"},
        {"limit": True},
        {"before": 7},
        {"before": "x"},
    ):
        assert relay.api("POST", "/api/find", {"contact": address, **wrong}).status == 400, wrong


def test_one_submission_is_found_by_each_of_its_ids(relay: RelayProcess) -> None:
    receipt = str(relay.form({"email": email("ids")}).receipt)
    refused, _ = in_state(relay, "refused")
    tried = set()
    for row in (relay.wait_state(receipt, "delivered"), relay.wait_state(refused, "refused")):
        for way in [way for way in ("receipt", "profile_id", "trace_id") if row.get(way)]:
            found = relay.api("POST", "/api/find", {way: row[way]}).json["submissions"]
            assert row["receipt"] in [one["receipt"] for one in found], way
            tried.add(way)
    assert tried == {"receipt", "profile_id", "trace_id"}
    assert relay.api("POST", "/api/find", {"receipt": "f" * 32}).json["submissions"] == []
    assert relay.api("POST", "/api/find", {"receipt": receipt, "contact": "a@b.de"}).status == 422


def test_a_test_of_a_source_counts_nowhere(relay: RelayProcess) -> None:
    before = relay.api("GET", "/api/sources").json
    made = relay.api("POST", "/api/sources/newsletter/test", {})
    assert made.status in (200, 201, 202), made.text
    after = relay.api("GET", "/api/sources").json
    assert after == before


@pytest.mark.parametrize("path", ["/api/find", "/api/replay", f"/api/submissions/{UNKNOWN}/replay"])
@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b"\xff", b'{"state": NaN}', b'{"state": "a", "state": "b"}', b"[" * 2000),
        *(b'{"state": "\\ud800"}', b'{"contact": "\\u0000"}', b'{"\\ud800": 1}', b'{"contact": ["a@b.de"]}'),
        *(b'{"expect": {"state": "held"}}', b'{"expect": {"state": 1, "fence": true}}', b'{"expect": 1e999}'),
    ],
)
def test_no_body_of_any_kind_is_a_fault(relay: RelayProcess, path: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {relay.admin_token}", "Content-Type": "application/json"}
    assert request(relay.port, "POST", path, body, headers).status in (400, 404, 422)


@pytest.mark.parametrize("path", ["%00", "%ed%a0%80", "x" * 3000, "..%2f", UNKNOWN + "%00"])
def test_no_address_of_any_kind_is_a_fault(relay: RelayProcess, path: str) -> None:
    assert relay.api("GET", f"/api/submissions/{path}").status == 404


def test_a_token_beside_a_cookie_is_refused(relay: RelayProcess) -> None:
    both = {"Authorization": f"Bearer {relay.admin_token}", "Cookie": "relay_session=x"}
    assert request(relay.port, "GET", "/api/status", None, both).status == 400


# --- the API: acting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["refused", "parked", "dead", "held"])
def test_a_replay_sends_it_and_keeps_its_history(
    relay: RelayProcess, moods: Moods, upstream: ScriptedUpstream, state: str
) -> None:
    receipt, address = in_state(relay, state)
    before = relay.submission(receipt)["history"]
    moods.kind.add(address)

    answer = relay.api("POST", f"/api/submissions/{receipt}/replay")

    assert (answer.status, answer.json["state"], answer.json["attempts"]) == (200, "queued", 0)
    found = relay.wait_state(receipt, "delivered")
    assert [one["outcome"] for one in found["history"]] == [
        *(one["outcome"] for one in before),
        "delivered",
    ]
    assert found["may_be_duplicate"] == (state == "parked"), "147: the risk is named"
    assert sum(one.created for one in upstream.arrivals if one.json["email"] == address) == 1


def test_an_invalid_one_stays_until_the_configuration_is_mended(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    receipt, address = in_state(relay, "invalid", "other")
    answer = relay.api("POST", f"/api/submissions/{receipt}/replay")
    assert answer.status == 409
    assert "email" in answer.json["detail"]
    assert relay.state(receipt) == "invalid"

    mended = SOURCES | {"other": SOURCES["other"] | {"fields": {"email": "mail"}}}
    relay.configure(config(upstream.url, mended, **SETTINGS))
    relay.hup()
    try:
        eventually(lambda: relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200)
    finally:
        relay.configure(config(upstream.url, SOURCES, **SETTINGS))
        relay.hup()
    relay.wait_state(receipt, "delivered")
    assert address in {one.json["email"] for one in upstream.creates}


def test_a_discarded_one_is_gone_for_good(relay: RelayProcess) -> None:
    receipt, address = in_state(relay, "refused")

    answer = relay.api("POST", f"/api/submissions/{receipt}/discard")

    assert (answer.status, answer.json["state"], answer.json["contact_hint"]) == (200, "discarded", None)
    for verb in ("replay", "discard"):
        assert relay.api("POST", f"/api/submissions/{receipt}/{verb}").status == 409
    assert relay.state(receipt) == "discarded"
    assert [row["receipt"] for row in relay.rows(history=False, contact=address)] == [receipt]


def test_what_is_being_sent_or_delivered_cannot_be_touched(relay: RelayProcess, moods: Moods) -> None:
    moods.gate.clear()
    receipt = receipt_of(relay.hook({"email": email("slow")}))
    relay.wait_state(receipt, "sending")

    during = [
        relay.api("POST", f"/api/submissions/{receipt}/{verb}").status for verb in ("replay", "discard")
    ]
    moods.gate.set()
    relay.wait_state(receipt, "delivered")
    after = [relay.api("POST", f"/api/submissions/{receipt}/{verb}").status for verb in ("replay", "discard")]

    assert during == after == [409, 409]
    assert len(relay.submission(receipt)["history"]) == 1


@pytest.mark.parametrize("verb", ["replay", "discard"])
def test_who_acts_on_what_has_changed_is_told_and_nothing_is_done(relay: RelayProcess, verb: str) -> None:
    receipt, _ = in_state(relay, "held")
    row = relay.submission(receipt)
    stale = [{"state": "invalid", "fence": row["fence"]}, {"state": "held", "fence": row["fence"] + 1}]

    for expect in stale:
        answer = relay.api("POST", f"/api/submissions/{receipt}/{verb}", {"expect": expect})
        told = answer.json
        about = [told.pop(name) for name in ("type", "title", "detail", "status")]
        assert (answer.status, about[-1]) == (409, 409)
        assert told == relay.submission(receipt), "each name that GET gives, null where there is nothing"
    assert relay.submission(receipt) == row
    seen = {"state": row["state"], "fence": row["fence"]}
    assert relay.api("POST", f"/api/submissions/{receipt}/{verb}", {"expect": seen}).status == 200


def test_what_nobody_read_is_not_written_down(relay: RelayProcess) -> None:
    before = relay.api("GET", "/api/audit?limit=1").json["audit"]
    headers = {"Authorization": f"Bearer {relay.admin_token}"}
    asked = request(relay.port, "HEAD", "/api/export?people=true", headers=headers)
    assert asked.status == 200 and not asked.body
    assert relay.api("GET", "/api/audit?limit=1").json["audit"] == before
    assert request(relay.port, "HEAD", "/api/export?format=pdf", headers=headers).status == 400


def test_what_takes_nothing_says_so(relay: RelayProcess) -> None:
    receipt, _ = in_state(relay, "held")
    for body in ({"expect": {"state": "held", "fence": 0}}, {"why": "curious"}):
        answer = relay.api("POST", f"/api/submissions/{receipt}/reveal", json=body)
        assert answer.status == 400 and answer.json["detail"].endswith("; it takes nothing")


def test_what_was_done_is_written_down(relay: RelayProcess) -> None:
    receipt, address = in_state(relay, "held")
    relay.api("POST", f"/api/submissions/{receipt}/discard")
    relay.api("POST", f"/api/submissions/{receipt}/discard")

    log = relay.api("GET", f"/api/audit?receipt={receipt}").json
    (act,) = log["audit"]
    assert (act["by"], act["action"], act["count"]) == ("admin", "discard", 1)
    assert (act["receipt"], act["detail"], log["next"]) == (receipt, {"was": "held"}, None)
    assert act["at"].endswith("Z")
    newest = relay.api("GET", "/api/audit?limit=1").json
    older = relay.api("GET", f"/api/audit?limit=1&before={newest['next']}").json
    assert newest["audit"] == [act] and older["audit"] != newest["audit"]
    assert address not in json.dumps(log)


def test_twenty_replays_at_once_are_one(relay: RelayProcess, moods: Moods) -> None:
    receipt, address = in_state(relay, "refused")
    moods.kind.add(address)

    with ThreadPoolExecutor(20) as crowd:
        paths = [f"/api/submissions/{receipt}/replay"] * 20
        answers = [answer.status for answer in crowd.map(lambda path: relay.api("POST", path), paths)]

    assert sorted(set(answers)) == [200, 409] and answers.count(200) == 1
    found = relay.wait_state(receipt, "delivered")
    assert [one["outcome"] for one in found["history"]] == ["refused", "delivered"]


def test_what_is_not_there_is_not_found(relay: RelayProcess) -> None:
    paths = [("GET", ""), ("POST", "/replay"), ("POST", "/discard")]
    answers = [relay.api(method, f"/api/submissions/{UNKNOWN}{path}") for method, path in paths]
    answers += [relay.api("POST", "/api/destinations/nowhere/pause")]
    assert [answer.status for answer in answers] == [404] * 4


def test_all_that_match_are_replayed_and_counted_first(
    relay: RelayProcess, moods: Moods, upstream: ScriptedUpstream
) -> None:
    people = [in_state(relay, "refused", "other") for _ in range(3)]
    elsewhere, _ = in_state(relay, "refused", "hook")
    moods.kind |= {address for _, address in people}
    asked = {"state": "refused", "source": "other"}

    counted = relay.api("POST", "/api/replay", asked | {"dry_run": True})
    assert (counted.status, counted.json) == (200, {"count": 3})
    assert relay.state(people[0][0]) == "refused"
    done = relay.api("POST", "/api/replay", asked)

    assert (done.status, set(done.json), done.json["count"]) == (200, {"count", "job"}, 3)
    for receipt, _ in people:
        relay.wait_state(receipt, "delivered")
    assert relay.state(elsewhere) == "refused"
    assert relay.api("POST", "/api/replay", asked).json["count"] == 0


@pytest.mark.parametrize("body", [None, {}, {"source": "hook"}, {"dry_run": True}])
def test_a_replay_of_all_needs_a_state(relay: RelayProcess, body: Any) -> None:
    assert relay.api("POST", "/api/replay", body).status == 422


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"state": "delivered"},
        {"state": "lost"},
        {"states": "dead"},
        {"state": 1},
        {"dry_run": "yes"},
    ],
)
def test_a_replay_of_all_that_makes_no_sense_is_refused(relay: RelayProcess, body: Any) -> None:
    assert relay.api("POST", "/api/replay", body).status == 400


def test_what_comes_while_it_is_paused_through_the_api_waits_until_it_is_resumed(relay: RelayProcess) -> None:
    paused = relay.api("POST", "/api/destinations/ocamba/pause")
    receipt = receipt_of(relay.hook({"email": email("waits")}))
    time.sleep(0.5)
    waiting = relay.submission(receipt)
    status_ = relay.status()["ocamba"]
    resumed = relay.api("POST", "/api/destinations/ocamba/resume")

    assert (paused.status, paused.json["hold_reason"], paused.json["hold_until"]) == (200, "paused", None)
    assert (waiting["state"], waiting["history"]) == ("queued", [])
    assert HINT.fullmatch(waiting["contact_hint"]), waiting["contact_hint"]
    assert (status_["backlog"], status_["eta_seconds"]) == (1, None)
    assert (resumed.status, resumed.json["hold_reason"]) == (200, None)
    relay.wait_state(receipt, "delivered", timeout=5)
