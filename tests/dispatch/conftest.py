"""The relay that a file of tests shares, and its doors."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest

from tests.dispatch.doors import Door, Open, Site
from tests.kit.judge import judge
from tests.kit.relay import NEWSLETTER, RelayProcess, config
from tests.kit.upstream import (
    ScriptedUpstream,
)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with RelayProcess(config("http://127.0.0.1:9", {"idle": NEWSLETTER})) as relay:
        yield Site(relay)


@pytest.fixture
def door(site: Site) -> Iterator[Open]:
    """Opens a door: `door(script, options of the upstream, url=, hook=, options of the destination…)`."""
    with ExitStack() as stack:
        opened: list[Door] = []

        def open_(
            script: Any = None,
            server: Mapping[str, Any] | None = None,
            url: str | None = None,
            hook: Mapping[str, Any] | None = None,
            **options: Any,
        ) -> Door:
            upstream = stack.enter_context(ScriptedUpstream(script, **(server or {})))
            made = site.open(upstream, url, hook, **options)
            stack.callback(site.close, made)
            opened.append(made)
            return made

        yield open_
        for one in opened:
            assert judge(one.sent, one.arrivals, one.rows(), limits=one.limits) == []
        assert "dispatcher.fault" not in site.relay.output()


@pytest.fixture(scope="module", autouse=True)
def together(request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Starts the scenarios of a file, which mostly wait, at once; what it yields waits for one of them."""
    scenario = getattr(request.module, "scenario", None)
    if scenario is None:
        yield lambda name: None
        return
    site = request.getfixturevalue("site")
    yield from scenario.run(site, {item.name for item in request.session.items})
