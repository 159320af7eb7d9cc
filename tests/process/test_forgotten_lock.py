"""A lock that somebody left in PostgreSQL: sign-ups are taken, and nothing can be sent."""

import psycopg
import pytest
from sqlalchemy import make_url

from relay.vault import new_key
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


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

        def warnings() -> list[str]:
            ready = relay.get("/readyz", headers={"Authorization": f"Bearer {relay.metrics_token}"})
            assert ready.status == 200, "sign-ups are taken"
            return list(ready.json["warnings"])

        address = make_url(postgres_url).set(drivername="postgresql").render_as_string()
        with psycopg.connect(address) as forgotten:
            forgotten.execute(lock.encode())
            assert relay.form({"email": "ada@example.com"}).status == 202
            eventually(warnings, 50, "a warning")
            eventually(lambda: '"alert.firing", "alert": "stuck:ocamba"' in relay.output(), 20, "an alert")
            assert "nothing can be sent to ocamba" in warnings()[0]
            assert "pg_terminate_backend" in warnings()[0]
            assert upstream.arrivals == []
        relay.wait_drained(20)
        assert len(upstream.arrivals) == 1
        assert warnings() == []
