"""An upstream for the files that have none of their own."""

from collections.abc import Iterator

import pytest

from tests.kit.upstream import ScriptedUpstream, delay


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    """It takes a moment for every call, so that there is always something in flight."""
    with ScriptedUpstream(lambda _: delay(0.15)) as server:
        yield server
