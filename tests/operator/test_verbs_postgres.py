"""The verbs on PostgreSQL: two relays on one database, and each job is done by one of them."""

import time
from collections.abc import Iterator

import pytest

from tests.kit.client import post_json
from tests.kit.people import SETTINGS, SOURCES, TRAP, email, receipt_of
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

COUNT = 150


@pytest.fixture
def pair(postgres_url: str) -> Iterator[tuple[RelayProcess, RelayProcess, ScriptedUpstream]]:
    with ScriptedUpstream() as upstream, ScriptedUpstream() as receiver:
        table = config(upstream.url, SOURCES, **SETTINGS)
        keys = {"RELAY_SECRET_KEYS": "ab" * 32}
        told = keys | {"RELAY_ALERT_URL": receiver.url}
        with RelayProcess(table, database_url=postgres_url, env=told) as first:
            shared = {**told, "RELAY_ADMIN_TOKEN": first.admin_token, "HOOK_SECRET": first.hook_secret}
            with RelayProcess(table, database_url=postgres_url, env=shared) as second:
                second.admin_token, second.hook_secret = first.admin_token, first.hook_secret
                yield first, second, receiver


def test_one_job_is_done_once_by_two_relays(
    pair: tuple[RelayProcess, RelayProcess, ScriptedUpstream],
) -> None:
    first, second, receiver = pair
    for _ in range(COUNT):
        receipt_of(first.form({"email": email("held"), TRAP: "bot"}))
    corrected = receipt_of(first.hook({"mail": "x"}))
    post_json(second.port, "hook", b"{}", {"Authorization": "Bearer wrong"})

    asked = {"action": "replay", "filter": {"state": "held"}}
    made = first.api("POST", "/api/jobs", asked).json
    patched = second.api("PATCH", f"/api/submissions/{corrected}", {"values": {"email": email("mended")}})

    assert (made["count"], patched.status) == (COUNT, 200)
    found = second.wait_job(made["job"])
    assert (found["done"], found["outcomes"]) == (COUNT, {"queued": COUNT})
    first.wait_state(corrected, "delivered")
    first.wait_drained(60)
    assert first.counts() == {"delivered": COUNT + 1}
    causes = eventually(lambda: first.api("GET", "/api/sources").json["hook"]["refusals"], 10, "the cause")
    assert causes and causes[0]["cause"].startswith("wrong token")
    acts = [act["action"] for act in second.api("GET", "/api/audit").json["audit"]]
    assert acts.count("replay many") == acts.count("replay many: done") == acts.count("edit") == 1

    first.hook({"nothing": "mapped"})
    receiver.wait_for(1, timeout=30)
    time.sleep(12)
    assert [one.json["alert"] for one in receiver.arrivals].count("invalid:ocamba") == 1
    (row,) = second.rows(history=False, state="invalid")
    assert second.api("POST", f"/api/submissions/{row['receipt']}/reveal").json["body"] == {
        "nothing": "mapped"
    }
    assert "diagnosis" in second.submission(row["receipt"])
    exported = second.api("GET", "/api/export?state=delivered&format=csv")
    assert len(exported.text.splitlines()) == COUNT + 2
