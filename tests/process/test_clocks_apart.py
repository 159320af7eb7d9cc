"""Machines on one PostgreSQL whose clocks disagree: all of them time a form by the database's."""

import re
import time
from pathlib import Path

import pytest

from tests.faults.tools import WallClock
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

pytestmark = pytest.mark.postgres
HOUR = 3600


def shown_at(relay: RelayProcess) -> float:
    """When the form was handed out, as its signed timestamp says."""
    found = re.search(r'name="relay_ts" value="(\d+)\.', relay.get("/forms/newsletter").text)
    assert found
    return int(found[1]) / 1000


def test_nobody_is_too_fast_because_the_clocks_of_two_machines_disagree(
    tmp_path: Path, postgres_url: str
) -> None:
    """Whoever took ten seconds was held where the machine that read their form was nine behind."""
    clock = WallClock(tmp_path)
    clock.set(HOUR)
    with (
        ScriptedUpstream() as upstream,
        RelayProcess(
            config(upstream.url), database_url=postgres_url, env=clock.environment, command=clock.command
        ) as relay,
    ):

        def warnings() -> list[str]:
            return [str(one) for one in relay.readiness().json["warnings"] if "clock" in one]

        assert abs(shown_at(relay) - time.time()) < 1
        assert warnings() == ["this machine's clock is 1 hour ahead of the database's: set it by NTP"]
        clock.set(0)
        eventually(lambda: not warnings(), 10, "the end of the warning")
        assert abs(shown_at(relay) - time.time()) < 1
