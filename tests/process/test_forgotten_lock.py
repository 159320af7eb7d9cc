"""A lock that somebody left in PostgreSQL: sign-ups are taken, and nothing can be sent."""

import time

import psycopg
import pytest
from sqlalchemy import make_url

from relay.vault import new_key
from tests.kit import services
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


def warnings_of(relay: RelayProcess) -> list[str]:
    ready = relay.get("/readyz", headers={"Authorization": f"Bearer {relay.metrics_token}"})
    assert ready.status == 200, "sign-ups are taken"
    return list(ready.json["warnings"])


@pytest.mark.postgres
@pytest.mark.long
@pytest.mark.parametrize("lock", ["LOCK TABLE attempts", "SELECT * FROM destinations FOR UPDATE"])
def test_a_lock_that_stops_sending_is_told_with_its_remedy_until_it_is_gone(
    postgres_url: str, lock: str
) -> None:
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(
            config(upstream.url), database_url=postgres_url, env={"RELAY_SECRET_KEYS": new_key()}
        ) as relay,
    ):
        address = make_url(postgres_url).set(drivername="postgresql").render_as_string()
        with psycopg.connect(address) as forgotten:
            forgotten.execute(lock.encode())
            assert relay.form({"email": "ada@example.com"}).status == 202
            eventually(lambda: warnings_of(relay), 50, "a warning")
            eventually(lambda: '"alert.firing", "alert": "stuck:ocamba"' in relay.output(), 20, "an alert")
            assert "nothing can be sent to ocamba" in warnings_of(relay)[0]
            assert "pg_terminate_backend" in warnings_of(relay)[0]
            assert upstream.arrivals == []
        relay.wait_drained(20)
        assert len(upstream.arrivals) == 1
        assert warnings_of(relay) == []


@pytest.mark.postgres
@pytest.mark.long
def test_a_database_that_was_away_for_long_locks_nothing_when_it_is_back(
    own_cluster: services.Postgres,
) -> None:
    url = own_cluster.create_database()
    keys = {"RELAY_SECRET_KEYS": new_key()}
    with RelayProcess(config("http://127.0.0.1:9/"), database_url=url, env=keys) as relay:
        own_cluster.stop()
        time.sleep(35)
        own_cluster.start()
        eventually(lambda: relay.readyz() == 200, 15, "readyz telling that it is back")
        until = time.monotonic() + 2
        while time.monotonic() < until:  # until what is sent has tried it again, too
            assert warnings_of(relay) == []
