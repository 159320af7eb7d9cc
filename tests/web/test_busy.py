"""Three operators look at a time, and only two may: what the third is told, and who is not concerned."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from relay.outbox import database
from relay.outbox.looking import looking
from relay.process.relay import Relay
from relay.web import create_app
from tests.kit.inside import ADMIN_TOKEN, relay_inside

OPERATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}


@pytest.fixture
def relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    monkeypatch.setattr(database, "_LOOKER_WAITS", 0.3)
    with relay_inside(tmp_path) as relay:
        yield relay


@contextmanager
def two_looking(relay: Relay) -> Iterator[None]:
    """While two questions take their time."""
    inside, release = threading.Semaphore(0), threading.Event()

    def hold(_: Connection) -> None:
        inside.release()
        release.wait(20)

    def look() -> None:
        with looking():
            relay.outbox.read(hold)

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for _ in lookers:
        assert inside.acquire(timeout=10)
    yield
    release.set()
    for looker in lookers:
        looker.join(10)


def test_the_third_who_looks_is_told_to_come_back_and_nobody_else_waits(relay: Relay) -> None:
    client = create_app(relay).test_client()
    with two_looking(relay):
        answer = client.get("/api/submissions", headers=OPERATOR)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "try again" in json.loads(answer.data)["detail"]
        signed_up = client.post("/submit/newsletter", data={"email": "ada@example.com"})
        assert signed_up.status_code == 202
        found = client.post("/api/find", json={"contact": "ada@example.com"}, headers=OPERATOR)
        assert found.status_code == 200 and len(found.json["submissions"]) == 1
        assert client.get("/readyz").status_code == 200
    assert client.get("/api/submissions", headers=OPERATOR).status_code == 200
