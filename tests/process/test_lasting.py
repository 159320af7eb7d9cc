"""What was answered outlives a crash of PostgreSQL, whatever its administrators set for speed."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import make_url

from tests.kit import services
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

pytestmark = pytest.mark.postgres


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as found:
        yield found


def setting(cluster: services.Postgres, url: str, said: str) -> None:
    cluster.execute(f"ALTER DATABASE {make_url(url).database} SET {said}")


@pytest.mark.parametrize("pooled", [False, True])
def test_what_was_answered_outlives_a_crash_where_commits_are_not_waited_for(
    own_cluster: services.Postgres, upstream: ScriptedUpstream, pooled: bool
) -> None:
    url = own_cluster.create_database()
    setting(own_cluster, url, "synchronous_commit = off")
    own_cluster.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    own_cluster.execute("SELECT pg_reload_conf()")
    with ExitStack() as stack:
        address = stack.enter_context(services.pooler(url)) if pooled else url
        relay = stack.enter_context(RelayProcess(config(upstream.url), database_url=address))
        relay.api("POST", "/api/destinations/ocamba/pause")
        answers = [relay.form({"email": f"ada{number}@example.com"}) for number in range(5)]
        own_cluster.stop(signal.SIGQUIT)
        assert [answer.status for answer in answers] == [202] * 5

        own_cluster.start()
        eventually(lambda: relay.readyz() == 200, 30, "the relay going on")
        assert relay.counts() == {"queued": 5}


def test_a_server_that_does_not_write_to_its_disk_is_told_of(
    own_cluster: services.Postgres, upstream: ScriptedUpstream
) -> None:
    url = own_cluster.create_database()
    own_cluster.execute("ALTER SYSTEM SET fsync = off")
    own_cluster.execute("SELECT pg_reload_conf()")
    with RelayProcess(config(upstream.url), database_url=url) as relay:
        (warning,) = relay.readiness().json["warnings"]
        assert "fsync = off" in warning
        told = [line.data["warning"] for line in relay.log_lines() if line.data and "warning" in line.data]
        assert told == [warning]

        own_cluster.execute("ALTER SYSTEM RESET fsync")
        own_cluster.execute("SELECT pg_reload_conf()")
        relay.restart()
        assert relay.readiness().json["warnings"] == []
