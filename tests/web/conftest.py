"""A relay for each file of tests, with the sources that the file names."""

from collections.abc import Iterator

import pytest

from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, created
from tests.web.sent import WIDE, newest


@pytest.fixture(scope="module")
def upstream(request: pytest.FixtureRequest) -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(getattr(request.module, "mood", lambda _: created())) as server:
        yield server


@pytest.fixture(scope="module")
def relay(request: pytest.FixtureRequest, upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, request.module.SOURCES, **WIDE)) as process:
        yield process


@pytest.fixture
def unharmed(relay: RelayProcess, upstream: ScriptedUpstream) -> Iterator[None]:
    """Nothing that the test does may store anything or reach upstream."""
    relay.wait_drained()
    before, calls = newest(relay), len(upstream.arrivals)
    yield
    assert newest(relay) == before, "something was stored"
    assert len(upstream.arrivals) == calls, "something was sent"


@pytest.fixture
def no_faults(relay: RelayProcess) -> Iterator[None]:
    """Input alone never makes the program stumble."""
    seen = len(relay.output())
    yield
    new = relay.output()[seen:]
    assert "Traceback" not in new and "request.fault" not in new, new[-2000:]
