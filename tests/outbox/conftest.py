"""The same outbox on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from relay.outbox.outbox import Outbox
from tests.kit import services
from tests.outbox.outboxes import Store, empty


@pytest.fixture(scope="module")
def one_postgres_url(postgres_cluster: services.Postgres) -> str:
    """A database for many tests: making one takes longer than most of them."""
    return postgres_cluster.create_database()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        made = Store(f"sqlite:///{tmp_path / 'relay.db'}")
    else:
        made = Store(request.getfixturevalue("one_postgres_url"))
    made.open()
    yield made
    made.close()
    if not made.is_sqlite:
        empty(made.url)


@pytest.fixture
def outbox(store: Store) -> Outbox:
    return store.opened[0]


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Iterator[Store]:
    made = Store(f"sqlite:///{tmp_path / 'relay.db'}")
    made.open()
    yield made
    made.close()
