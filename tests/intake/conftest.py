"""One real server with a source per rule, for the files that have none of their own."""

from collections.abc import Iterator

import pytest

from tests.intake.counter import SOURCES, WIDE, mood
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(mood) as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, **WIDE)) as process:
        yield process


@pytest.fixture
def paused(relay: RelayProcess) -> Iterator[None]:
    """Nothing is sent during the test."""
    assert relay.api("POST", "/api/destinations/ocamba/pause").status == 200
    yield
    assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
