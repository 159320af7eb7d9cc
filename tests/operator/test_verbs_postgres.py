"""The verbs on PostgreSQL: two relays on one database, and each job is done by one of them."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.config import settings as configuration
from relay.operator.errors import CannotDo
from relay.operator.filter import Filter
from relay.operator.operator import Operator
from relay.process.opening import open_outbox
from tests.kit.client import post_json
from tests.kit.people import SETTINGS, SOURCES, TRAP, email, receipt_of
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config, toml
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


def test_a_cancelled_job_is_noted_with_all_that_was_done(postgres_url: str, tmp_path: Path) -> None:
    asked = {"RELAY_DATABASE_URL": postgres_url, "RELAY_SECRET_KEYS": "ab" * 32}
    file = tmp_path / "relay.toml"
    file.write_text(toml(config("http://127.0.0.1:9/", SOURCES)), encoding="utf-8")
    settings = configuration.load({**asked, "RELAY_CONFIG": str(file)}, offline=True)
    outbox = open_outbox(settings, time.time)
    outbox.prepare(settings.destinations)
    operator = Operator(settings, outbox)
    job = operator.make_job("discard", Filter(state="held"))["job"]
    engine = sa.create_engine(postgres_url)

    with engine.connect() as another, ThreadPoolExecutor() as pool:  # it is in the middle of a batch
        another.execute(sa.text("UPDATE jobs SET done = 100, total = 100"))
        cancelled = pool.submit(operator.cancel, job)
        eventually(lambda: is_waiting(engine), 10, "a cancel that waits for the batch")
        another.commit()

    assert cancelled.result()["done"] == 100
    assert operator.audit(Filter(limit=1))["audit"][0]["count"] == 100
    with pytest.raises(CannotDo, match="is over: it is cancelled"):
        operator.cancel(job)
    engine.dispose()
    outbox.stop()


def is_waiting(engine: sa.Engine) -> bool:
    with engine.connect() as conn:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%jobs%'"
        )
        return bool(conn.scalar(sa.text(waiting)))


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
