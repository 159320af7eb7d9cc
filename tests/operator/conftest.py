"""A relay whose upstream takes people as their names say, and operators without a server."""

import time
from collections.abc import Iterator

import pytest

from relay.config.settings import Settings
from relay.operator.operator import Operator
from relay.outbox.outbox import Outbox
from relay.process.opening import open_outbox
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


@pytest.fixture
def outbox(settings: Settings) -> Outbox:
    """The outbox of the settings that a test file gives."""
    box = open_outbox(settings, time.time)
    box.prepare(settings.destinations)
    return box


@pytest.fixture
def operator(settings: Settings, outbox: Outbox) -> Operator:
    return Operator(settings, outbox)


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as process:
        yield process
