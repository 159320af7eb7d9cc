"""However much is stored, a page asks the database as few questions, in one transaction of its own."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from sqlalchemy import event
from sqlalchemy.engine import Engine

from relay.delivery import STATES
from relay.outbox import listing
from relay.outbox.operating import audit, jobs, refusals, unmapped
from relay.outbox.schema import attempts, deliveries
from relay.process.relay import Relay
from relay.web import create_app
from tests.kit.inside import ADMIN_TOKEN, relay_inside
from tests.outbox.outboxes import pause

FEW, MANY = 20, 200
MOST_STATEMENTS, MOST_TRANSACTIONS = 30, 2  # one of these finds the session
ONE, JOB = f"{0:032x}", f"{0:016x}"
PAGES = (
    "/dashboard",
    "/dashboard/needs-you",
    "/dashboard/submissions",
    "/dashboard/submissions?state=held&source=hook&reason=reason+1",
    "/dashboard/submissions?since=2020-01-01&until=2030-01-01",
    "/dashboard/submissions?duplicate=1",
    f"/dashboard/submissions/{ONE}",
    "/dashboard/sources",
    "/dashboard/sources/newsletter",
    "/dashboard/destinations",
    "/dashboard/jobs",
    f"/dashboard/jobs/{JOB}",
    "/dashboard/audit",
    "/dashboard/live/overview",
    "/dashboard/live/needs-you",
    "/dashboard/live/destinations",
    f"/dashboard/live/jobs/{JOB}",
    "/api/status",
    "/api/sources",
    "/api/submissions",
    "/api/submissions?since=2020-01-01T00:00:00Z&until=2030-01-01T00:00:00Z",
    "/api/submissions?limit=1000",
    f"/api/submissions/{ONE}",
    "/api/jobs",
    "/api/audit",
)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    with relay_inside(tmp_path_factory.mktemp("relay")) as running:
        pause(running.outbox)
        yield running


@pytest.fixture(scope="module")
def client(relay: Relay) -> FlaskClient:
    made = create_app(relay).test_client()
    assert made.post("/dashboard/login", data={"token": ADMIN_TOKEN}).status_code == 303
    return made


def fill(relay: Relay, numbers: range) -> None:
    """More of everything that is listed anywhere; all sends and acts are about one."""
    now = relay.outbox.time()
    times = dict.fromkeys(("received_at", "due_at", "changed_at"), now)
    rows: dict[sa.Table, Any] = {
        deliveries: lambda n: {
            "receipt": f"{n:032x}",
            "source": ("newsletter", "hook")[n % 2],
            "destination": "ocamba",
            "state": STATES[n % len(STATES)],
            "reason": f"reason {n % 3}",
            "may_be_duplicate": n % 2 == 0,
            **times,
        },
        attempts: lambda _: {
            "receipt": ONE,
            "destination": "ocamba",
            "kind": "create",
            "probe": False,
            "started_at": now,
            "held_until": now,
            "ended_at": now,
            "outcome": "later",
        },
        audit: lambda _: {"at": now, "by": "admin", "action": "replay", "receipt": ONE, "count": 1},
        jobs: lambda n: {
            "name": f"{n:016x}",
            "action": "replay",
            "filter": "{}",
            "dry_run": False,
            "by": "admin",
            "state": "done",
            "after": 0,
            "upto": 0,
            "total": 0,
            "done": 0,
            "outcomes": "{}",
            "made_at": now,
            "ended_at": now,
        },
        refusals: lambda n: {"source": "hook", "cause": f"{n}", "hour": 0, "count": 1, "last_at": now},
        unmapped: lambda n: {"source": "hook", "name": f"name {n}", "last_at": now},
    }
    for table, row in rows.items():
        some = [row(n) for n in numbers]
        relay.outbox.write(lambda conn, table=table, some=some: conn.execute(sa.insert(table), some))


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """How many statements and transactions this thread begins meanwhile."""
    found, mine = {"statements": 0, "transactions": 0}, threading.get_ident()

    def add(name: str) -> None:
        found[name] += threading.get_ident() == mine

    listeners = {
        "before_cursor_execute": lambda *_: add("statements"),
        "begin": lambda *_: add("transactions"),
    }
    for name, listener in listeners.items():
        event.listen(Engine, name, listener)
    try:
        yield found
    finally:
        for name, listener in listeners.items():
            event.remove(Engine, name, listener)


def walked(client: FlaskClient) -> dict[str, dict[str, int]]:
    """What each page asks, once it is known what came in hours that are over."""
    found = {}
    for path in PAGES:
        for _ in range(2):
            with counted() as asked:
                assert look(client, path) == 200, path
        found[path] = asked
    return found


def look(client: FlaskClient, path: str) -> int:
    if not path.startswith("/api"):
        return client.get(path).status_code
    by_token = client.application.test_client()
    return by_token.get(path, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}).status_code


def test_a_page_asks_as_little_of_ten_times_as_many_rows(relay: Relay, client: FlaskClient) -> None:
    fill(relay, range(FEW))
    few = walked(client)
    fill(relay, range(FEW, MANY))
    many = walked(client)

    assert many == few
    assert max(asked["statements"] for asked in many.values()) <= MOST_STATEMENTS
    assert max(asked["transactions"] for asked in many.values()) <= MOST_TRANSACTIONS


def test_a_question_for_each_row_would_be_seen(relay: Relay) -> None:
    with counted() as asked:
        for _ in range(3):
            relay.outbox.read(listing.row, secrets.token_hex(16))
    assert asked == {"statements": 3, "transactions": 3}
