"""A relay whose upstream takes people as their names say."""

from collections.abc import Iterator

import pytest

from tests.kit.people import SETTINGS, SOURCES, Moods
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream


@pytest.fixture(scope="module")
def moods() -> Moods:
    return Moods()


@pytest.fixture(scope="module")
def upstream(moods: Moods) -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(moods) as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as process:
        yield process
