"""A standby takes the place of a PostgreSQL that is gone, and lacks what was written last."""

import secrets
import signal

import pytest
from sqlalchemy import make_url

from tests.kit import services
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

pytestmark = pytest.mark.postgres

KEYS = {"RELAY_SECRET_KEYS": secrets.token_hex(32)}


def both(url: str, first: services.Postgres, second: services.Postgres) -> str:
    """The address of whichever of two takes writes, as the documentation has it."""
    hosts = f"host=127.0.0.1:{first.port}&host=127.0.0.1:{second.port}"
    return f"postgresql+psycopg://postgres@/{make_url(url).database}?{hosts}&target_session_attrs=read-write"


def accepted(relay: RelayProcess, number: int, name: str) -> None:
    for one in range(number):
        assert relay.form({"email": f"{name}{one}@example.com"}).status == 202


def test_who_may_have_been_sent_before_a_standby_took_over_is_marked(
    own_cluster: services.Postgres,
) -> None:
    url = own_cluster.create_database()
    with ScriptedUpstream() as upstream, own_cluster.standby() as standby:
        address = both(url, own_cluster, standby)
        with RelayProcess(config(upstream.url), database_url=address, env=KEYS) as relay:
            accepted(relay, 1, "before")
            relay.wait_drained(20)
            relay.api("POST", "/api/destinations/ocamba/pause")
            accepted(relay, 5, "lost")
            eventually(lambda: _rows(standby, url) == 6, 20, "what the standby knows")
            standby.stop()
            relay.api("POST", "/api/destinations/ocamba/resume")
            relay.wait_drained(20)

            own_cluster.stop(signal.SIGQUIT)
            standby.start().promote()
            eventually(lambda: relay.readyz() == 200, 30, "the relay going on")
            relay.api("POST", "/api/destinations/ocamba/resume")
            accepted(relay, 1, "after")
            relay.wait_drained(30)

            emails = [str(arrival.json["email"]) for arrival in upstream.arrivals if not arrival.is_look]
            assert sum(email.startswith("lost") for email in emails) == 10, "nobody can know it"
            assert len(emails) == 12
            marked = [row["may_be_duplicate"] for row in relay.rows()]
            assert marked == [False, *[True] * 5, False], "newest first"


def test_a_server_that_does_not_tell_of_promotions_is_sent_from_all_the_same(
    own_cluster: services.Postgres,
) -> None:
    url = own_cluster.create_database()
    hide = "ALTER FUNCTION pg_current_wal_insert_lsn() RENAME TO hidden"
    own_cluster.execute(hide, str(make_url(url).database))
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(config(upstream.url), database_url=url, env=KEYS) as relay,
    ):
        accepted(relay, 3, "hosted")
        relay.wait_drained(20)
        assert [row["may_be_duplicate"] for row in relay.rows()] == [False] * 3
        assert len(upstream.arrivals) == 3


def _rows(server: services.Postgres, url: str) -> int:
    found: int = server.execute("SELECT count(*) FROM deliveries", str(make_url(url).database))[0][0]
    return found
