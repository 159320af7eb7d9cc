"""What is done to many at once: counted first, in pieces, over restarts, and what became of each."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.kit.people import SETTINGS, SOURCES, Moods, email, in_state, receipt_of
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


def made(relay: RelayProcess, action: str, dry_run: bool = False, **filter_: str) -> Any:
    answer = relay.api("POST", "/api/jobs", {"action": action, "filter": filter_, "dry_run": dry_run})
    assert answer.status == 202, answer.text
    assert set(answer.json) == {"job", "count", "more_than"}
    return answer.json


def job(relay: RelayProcess, name: str) -> Any:
    return relay.api("GET", f"/api/jobs/{name}").json


def ended(relay: RelayProcess, name: str) -> Any:
    return relay.wait_job(name)


def test_a_job_does_what_its_filter_meant_when_it_was_made(relay: RelayProcess, moods: Moods) -> None:
    people = [in_state(relay, "refused", "other") for _ in range(3)]
    elsewhere, _ = in_state(relay, "refused")
    moods.kind |= {address for _, address in people}

    told = made(relay, "replay", state="refused", source="other")
    assert (told["count"], told["more_than"]) == (3, False)
    found = ended(relay, told["job"])

    assert (found["action"], found["state"], found["by"]) == ("replay", "done", "admin")
    assert found["filter"] == {"state": "refused", "source": "other"}
    assert (found["total"], found["done"], found["outcomes"]) == (3, 3, {"queued": 3})
    for receipt, _ in people:
        relay.wait_state(receipt, "delivered")
    assert relay.state(elsewhere) == "refused"
    assert relay.api("GET", "/api/jobs?limit=1").json["jobs"] == [found]


def test_a_row_says_which_job_moved_it_and_no_other_does(relay: RelayProcess, moods: Moods) -> None:
    moved, address = in_state(relay, "refused", "other")
    left, _ = in_state(relay, "refused")
    moods.kind.add(address)

    ended(relay, made(relay, "replay", dry_run=True, state="refused", source="other")["job"])
    assert acts_on(relay, moved) == []
    name = made(relay, "replay", state="refused", source="other")["job"]
    ended(relay, name)

    relay.wait_state(moved, "delivered")
    assert [(one["by"], one["action"], one["detail"]["job"]) for one in acts_on(relay, moved)] == [
        ("admin", "replay many", name)
    ]
    assert acts_on(relay, left) == []


def acts_on(relay: RelayProcess, receipt: str) -> Any:
    return relay.api("GET", f"/api/audit?receipt={receipt}").json["audit"]


def test_the_outcomes_say_what_became_of_each(relay: RelayProcess) -> None:
    mapped, address = in_state(relay, "held")
    for _ in range(2):
        in_state(relay, "invalid")
    before = relay.rows(history=False, state="invalid", source="hook")

    told = made(relay, "replay", state="invalid", source="hook")
    assert ended(relay, told["job"])["outcomes"] == {"unmappable": len(before)}
    assert {row["state"] for row in before} == {"invalid"}
    thrown = ended(relay, made(relay, "discard", state="invalid", source="hook")["job"])
    assert thrown["outcomes"] == {"discarded": len(before)}
    assert relay.rows(history=False, state="invalid", source="hook") == []
    assert relay.state(mapped) == "held"
    assert address not in json.dumps(thrown)


def test_a_dry_run_says_what_would_become_of_each_and_does_nothing(relay: RelayProcess) -> None:
    receipts = [in_state(relay, "held")[0] for _ in range(2)]

    told = made(relay, "discard", dry_run=True, state="held", source="newsletter")
    found = ended(relay, told["job"])

    assert (found["state"], found["dry_run"]) == ("counted", True)
    assert found["outcomes"] == {"discarded": told["count"]} and told["count"] >= 2
    assert {relay.state(receipt) for receipt in receipts} == {"held"}


def test_rows_of_a_time_or_a_reason_are_meant_alone(relay: RelayProcess) -> None:
    in_state(relay, "held")
    time.sleep(0.01)
    receipt, _ = in_state(relay, "held")
    since = relay.submission(receipt)["received_at"]

    assert made(relay, "discard", dry_run=True, state="held", since=since)["count"] == 1
    assert made(relay, "discard", dry_run=True, state="held", since=since, until=since)["count"] == 0
    assert made(relay, "discard", dry_run=True, state="held", reason="another")["count"] == 0
    assert made(relay, "discard", dry_run=True, state="held", reason="honeypot")["count"] >= 2


def test_a_counted_job_is_done_to_what_was_counted(relay: RelayProcess) -> None:
    first = in_state(relay, "held")[0]
    counted = made(relay, "discard", dry_run=True, state="held", source="newsletter")
    later = in_state(relay, "held")[0]

    asked = {"action": "discard", "counted": counted["job"]}
    answer = relay.api("POST", "/api/jobs", asked)
    assert answer.status == 202 and answer.json["count"] == counted["count"]
    assert ended(relay, answer.json["job"])["outcomes"] == {"discarded": counted["count"]}

    assert (relay.state(first), relay.state(later)) == ("discarded", "held")
    for wrong, status in (
        ({**asked, "action": "replay"}, 422),
        ({**asked, "counted": answer.json["job"]}, 422),
        ({**asked, "counted": "0" * 16}, 404),
    ):
        assert relay.api("POST", "/api/jobs", wrong).status == status


def test_what_came_to_its_state_after_the_look_is_not_meant(relay: RelayProcess) -> None:
    seen = in_state(relay, "refused", "other")[0]
    relay.api("POST", "/api/destinations/ocamba/pause")
    waiting = receipt_of(relay.hook({"email": email("refused")}, "other"))
    counted = made(relay, "discard", dry_run=True, state="refused", source="other")
    relay.api("POST", "/api/destinations/ocamba/resume")
    relay.wait_state(waiting, "refused")

    begun = relay.api("POST", "/api/jobs", {"action": "discard", "counted": counted["job"]}).json

    assert begun["count"] == counted["count"]
    assert ended(relay, begun["job"])["outcomes"] == {"discarded": counted["count"]}
    assert (relay.state(seen), relay.state(waiting)) == ("discarded", "refused")
    relay.wait_job(made(relay, "discard", state="refused", source="other")["job"])
    assert relay.state(waiting) == "discarded"


def test_what_may_be_a_duplicate_is_meant_alone(relay: RelayProcess) -> None:
    in_state(relay, "held")
    body = {"action": "discard", "filter": {"state": "held", "duplicate": True}, "dry_run": True}
    assert relay.api("POST", "/api/jobs", body).json["count"] == 0
    body["filter"]["duplicate"] = "yes"
    assert relay.api("POST", "/api/jobs", body).status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"action": "replay"}, 422),
        ({"action": "replay", "filter": {}}, 422),
        ({"action": "replay", "filter": {"source": "hook"}}, 422),
        ({"action": "export", "filter": {"state": "held"}}, 422),
        ({"action": "replay", "filter": {"state": "delivered"}}, 400),
        ({"action": "replay", "filter": {"state": "held", "since": "noon"}}, 400),
        ({"action": "replay", "filter": {"state": "held", "contact": "a@example.com"}}, 400),
        ({"action": "replay", "filter": {"state": "held"}, "dry_run": 1}, 400),
        ({"action": "replay", "filter": "held"}, 400),
        ({"action": ["replay"], "filter": {"state": "held"}}, 400),
    ],
    ids=str,
)
def test_a_job_that_makes_no_sense_is_refused(relay: RelayProcess, body: Any, status: int) -> None:
    newest = "/api/jobs?limit=1"
    before = [job["job"] for job in relay.api("GET", newest).json["jobs"]]
    assert relay.api("POST", "/api/jobs", body).status == status
    assert [job["job"] for job in relay.api("GET", newest).json["jobs"]] == before


def test_what_is_no_job_is_not_found(relay: RelayProcess) -> None:
    for name in ("0" * 16, "x", "%00", "%ed%a0%80"):
        assert relay.api("GET", f"/api/jobs/{name}").status == 404
        assert relay.api("POST", f"/api/jobs/{name}/cancel").status == 404


def test_a_job_that_is_over_cannot_be_cancelled(relay: RelayProcess) -> None:
    name = made(relay, "replay", state="dead", source="nowhere")["job"]
    assert ended(relay, name)["outcomes"] == {}
    assert relay.api("POST", f"/api/jobs/{name}/cancel").status == 409


@pytest.fixture
def crowded() -> Iterator[tuple[RelayProcess, int]]:
    """A relay that sends nothing, with many held."""
    count = 400
    with ScriptedUpstream() as upstream:
        sources = SOURCES | {"newsletter": SOURCES["newsletter"] | {"client_limits": "none"}}
        with RelayProcess(config(upstream.url, sources, **SETTINGS)) as relay:
            relay.api("POST", "/api/destinations/ocamba/pause")
            for _ in range(count):
                receipt_of(relay.form({"email": email("held"), "relay_leave_empty": "bot"}))
            yield relay, count


def test_a_job_survives_a_crash_and_counts_each_row_once(crowded: tuple[RelayProcess, int]) -> None:
    relay, count = crowded
    name = made(relay, "discard", state="held")["job"]
    eventually(lambda: job(relay, name)["done"], 10, "the first batch", 0.005)
    relay.kill9()
    relay.start()

    found = ended(relay, name)

    assert (found["total"], found["done"], found["outcomes"]) == (count, count, {"discarded": count})
    assert relay.counts() == {"discarded": count}


def test_a_cancelled_job_stops_where_it_is(crowded: tuple[RelayProcess, int]) -> None:
    relay, count = crowded
    late = receipt_of(relay.hook({"nothing": "mapped"}))
    name = made(relay, "replay", state="held")["job"]
    cancelled = relay.api("POST", f"/api/jobs/{name}/cancel")
    time.sleep(1)

    found = job(relay, name)

    assert cancelled.status in (200, 409), cancelled.text
    if cancelled.status == 200:
        assert found["state"] == "cancelled" and found["done"] < count
        states = relay.counts()
        assert (states["held"], states.get("queued", 0)) == (count - found["done"], found["done"])
    assert relay.state(late) == "invalid"


def test_jobs_are_done_in_the_order_they_were_made_in_over_a_crash(crowded: tuple[RelayProcess, int]) -> None:
    """Whoever discards the rest means what an earlier replay leaves."""
    relay, count = crowded
    first = made(relay, "replay", state="held")
    second = made(relay, "discard", state="held")
    relay.kill9()
    relay.start()

    assert ended(relay, first["job"])["outcomes"] == {"queued": count}
    found = ended(relay, second["job"])
    assert found["total"] == found["done"] == second["count"]
    changed = {"changed meanwhile": second["count"]} if second["count"] else {}
    assert found["outcomes"] == changed, "every one was replayed before"


def test_a_relay_that_ends_gives_its_job_back(crowded: tuple[RelayProcess, int]) -> None:
    relay, count = crowded
    told = made(relay, "discard", state="held")
    eventually(lambda: job(relay, told["job"])["done"], 10, "its beginning", every=0.005)
    relay.term(30)
    with contextlib.closing(sqlite3.connect(relay.database_path)) as found:
        assert found.execute("SELECT owner, lease_until FROM jobs").fetchall() == [(None, None)]
    relay.start()
    assert ended(relay, told["job"])["outcomes"] == {"discarded": count}
