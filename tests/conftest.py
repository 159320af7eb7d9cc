"""Servers and seeds that any test may ask for."""

import os
import random
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeVar

import hypothesis
import pytest

from tests.kit import services

Server = TypeVar("Server")
SEED = int(os.environ.get("TEST_SEED") or random.SystemRandom().randrange(2**32))
MARKS = {
    "postgres_cluster": "postgres",
    "postgres_url": "postgres",
    "own_cluster": "postgres",
    "redis_server": "redis",
    "redis_url": "redis",
    "own_redis": "redis",
}

LONG = (
    "browser/",
    "process/",
    "cli/test_sandbox_senders.py",
    "config/test_samples.py",
    "dispatch/test_update.py",
    "intake/test_after_the_commit.py",
    "intake/test_captcha_process.py",
    "intake/test_concurrency.py",
    "intake/test_door.py",
    "intake/test_mended.py",
    "intake/test_spam.py",
    "operator/test_alerts.py",
    "operator/test_database.py",
    "operator/test_jobs.py",
    "operator/test_killed_commands.py",
    "operator/test_told.py",
    "operator/test_verbs_postgres.py",
    "outbox/test_claiming.py",
    "outbox/test_storage.py",
    "server/test_hostile_clients.py",
    "server/test_slow_clients.py",
    "test_benchmarks.py",
    "test_deploy.py",
    "test_package.py",
    "values/test_clock.py",
    "web/test_labour.py",
)
"""Where most time goes: real processes, browsers, and what has to be waited for. A tenth of the tests, more
than half of their time."""

hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")  # on a busy machine nothing is judged by the clock


def _running(server: AbstractContextManager[Server]) -> Iterator[Server]:
    try:
        with server as running:
            yield running
    except services.Missing as missing:
        services.lacking(missing)


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[services.Postgres]:
    """One PostgreSQL for the whole run; to stop or freeze one, take `own_cluster`."""
    yield from _running(services.postgres())


@pytest.fixture
def postgres_url(postgres_cluster: services.Postgres) -> Iterator[str]:
    """The URL of a fresh, empty database."""
    url = postgres_cluster.create_database()
    yield url
    postgres_cluster.drop_database(url)


@pytest.fixture
def own_cluster() -> Iterator[services.Postgres]:
    """A PostgreSQL that may be stopped, or frozen."""
    yield from _running(services.postgres())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[services.Redis]:
    """One Redis for the whole run; to stop or freeze one, take `own_redis`."""
    yield from _running(services.redis())


@pytest.fixture
def own_redis() -> Iterator[services.Redis]:
    """A Redis that may be stopped, or frozen."""
    yield from _running(services.redis())


@pytest.fixture
def redis_url(redis_server: services.Redis) -> str:
    """The URL of an empty Redis."""
    redis_server.flush()
    return redis_server.url


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """The seed of this run; repeat one with TEST_SEED=… ."""
    print(f"TEST_SEED={SEED}")
    record_property("seed", SEED)
    return SEED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(Path(__file__).parent).as_posix().startswith(LONG):
            item.add_marker("long")
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARKS:
                item.add_marker(MARKS[fixture])


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """A tool that a test finds missing is treated like a server that is."""
    try:
        return (yield)
    except services.Missing as missing:
        services.lacking(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.failed and "seed" in getattr(item, "fixturenames", ()):
        report.sections.append(("seed", f"repeat with TEST_SEED={SEED}"))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = {report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)}
    for reason in sorted(r for r in reasons if "apt-get" in r):
        terminalreporter.write_line(reason)
