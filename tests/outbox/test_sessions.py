"""Sessions of the dashboard, on both databases."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.outbox.outbox import Outbox
from relay.outbox.sessions import IDLE_SECONDS, LONGEST_SECONDS, Sessions
from relay.vault import Vault

START = 1_800_000_000.0


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outbox]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'relay.db'}" if is_sqlite else request.getfixturevalue("postgres_url")
    made = Outbox(url, Vault([secrets.token_bytes(32)]), Clock())
    made.prepare(sandbox=False)
    yield made
    made.stop()


def age(outbox: Outbox, seconds: float, *columns: str) -> None:
    """Let so much time go by since a session began or was last seen."""
    changes = ", ".join(f"{column} = {column} - {seconds}" for column in columns)
    outbox.write(lambda conn: conn.execute(sa.text(f"UPDATE sessions SET {changes}")))


def test_a_session_is_found_by_its_cookie_only(outbox: Outbox) -> None:
    sessions = Sessions(outbox)

    word = sessions.begin("ada", "f1")

    found = sessions.find(word, touch=True)
    assert found is not None and (found.operator, found.fingerprint) == ("ada", "f1")
    assert sessions.find(word + "x", touch=True) is None
    assert sessions.find("", touch=True) is None


def test_the_cookie_is_not_in_the_database(outbox: Outbox) -> None:
    word = Sessions(outbox).begin("ada", "f1")

    stored = outbox.read(lambda conn: conn.execute(sa.text("SELECT * FROM sessions")).all())

    assert word not in str(stored)


def test_a_session_that_is_ended_is_gone_and_no_other(outbox: Outbox) -> None:
    sessions = Sessions(outbox)
    one, other = sessions.begin("ada", "f1"), sessions.begin("ada", "f1")

    sessions.end(one)

    assert sessions.find(one, touch=True) is None
    assert sessions.find(other, touch=True) is not None


def test_an_idle_session_is_over(outbox: Outbox) -> None:
    sessions = Sessions(outbox)
    word = sessions.begin("ada", "f1")

    age(outbox, IDLE_SECONDS - 60, "seen_at", "created_at")
    assert sessions.find(word, touch=False) is not None
    age(outbox, 61, "seen_at", "created_at")

    assert sessions.find(word, touch=True) is None


def test_asking_keeps_a_session_going_and_polling_does_not(outbox: Outbox) -> None:
    sessions = Sessions(outbox)
    asked, polled = sessions.begin("ada", "f1"), sessions.begin("ada", "f1")
    age(outbox, IDLE_SECONDS - 60, "seen_at", "created_at")

    sessions.find(asked, touch=True)
    sessions.find(polled, touch=False)
    age(outbox, 120, "seen_at", "created_at")

    assert sessions.find(asked, touch=True) is not None
    assert sessions.find(polled, touch=True) is None


def test_no_session_lasts_longer_than_half_a_day(outbox: Outbox) -> None:
    sessions = Sessions(outbox)
    word = sessions.begin("ada", "f1")

    age(outbox, LONGEST_SECONDS + 1, "created_at")

    assert sessions.find(word, touch=True) is None


def test_sessions_that_are_over_are_forgotten_when_one_begins(outbox: Outbox) -> None:
    sessions = Sessions(outbox)
    sessions.begin("ada", "f1")
    age(outbox, LONGEST_SECONDS + 1, "created_at")

    sessions.begin("bob", "f2")

    assert outbox.read(lambda conn: conn.scalar(sa.text("SELECT count(*) FROM sessions"))) == 1
