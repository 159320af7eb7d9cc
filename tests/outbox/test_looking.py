"""Who looks at many rows: through two connections of their own, each question bounded in time."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox import database, writer
from relay.outbox.errors import Busy
from relay.outbox.looking import looking
from relay.outbox.outbox import Outbox
from relay.vault import Vault, parse_key
from tests.kit.stored import rows_of
from tests.outbox.outboxes import KEY, OCAMBA, Clock, Store, put

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture
def quick_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOOK_SECONDS", 1.0)
    monkeypatch.setattr(database, "_LOOKER_WAITS", 0.5)


@pytest.fixture
def outbox(quick_limits: None, store: Store) -> Iterator[Outbox]:
    yield store.open()


def ask(outbox: Outbox, question: str) -> object:
    """What somebody who looks is told, or why not."""
    try:
        with looking():
            return outbox.read(lambda conn: conn.execute(sa.text(question)).scalar())
    except Busy as problem:
        return problem


def test_a_question_without_an_end_is_ended(outbox: Outbox) -> None:
    assert isinstance(ask(outbox, ENDLESS), Busy)
    assert ask(outbox, "SELECT 7") == 7, "the connection is as good as before"


def test_two_ask_at_a_time_and_who_signs_up_does_not_wait(outbox: Outbox) -> None:
    release, answered = threading.Event(), list[object]()
    inside = threading.Semaphore(0)

    def hold(conn: Connection) -> int:
        inside.release()
        release.wait(20)
        return 1

    def look() -> None:
        with looking():
            answered.append(outbox.read(hold))

    lookers = [threading.Thread(target=look) for _ in range(2)]
    for looker in lookers:
        looker.start()
    for _ in lookers:
        assert inside.acquire(timeout=10)
    assert isinstance(ask(outbox, "SELECT 1"), Busy), "the third"
    assert put(outbox, "ada").repeat is False
    assert rows_of(outbox), "and what is no look goes on"
    release.set()
    for looker in lookers:
        looker.join(10)
    assert answered == [1, 1]


def test_who_signs_up_does_not_wait_until_the_log_can_be_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it patient, it would wait for who looks, and empty the log then."""
    monkeypatch.setattr(writer, "_PATIENT_MILLISECONDS", 600_000)
    outbox = Outbox(f"sqlite:///{tmp_path / 'relay.db'}", Vault([parse_key(KEY)]), Clock())
    outbox.prepare({"ocamba": OCAMBA}, sandbox=False)
    outbox.start(lambda death: None)
    inside, release = threading.Event(), threading.Event()

    def hold(conn: Connection) -> None:
        conn.execute(sa.text("SELECT count(*) FROM deliveries")).scalar()
        inside.set()
        release.wait(20)

    def look() -> None:
        with looking():
            outbox.read(hold)

    looker = threading.Thread(target=look)
    looker.start()
    assert inside.wait(10)
    emptied = [outbox.checkpoint() for _ in range(3)]
    release.set()
    looker.join(10)
    assert outbox.checkpoint() and not any(emptied)
    outbox.stop()
