"""What is done costs who looks nothing: how many steps SQLite makes for few rows and for many."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import KEPT
from relay.outbox import figures, listing, upkeep, wanted
from relay.outbox.figures import HOUR
from relay.outbox.outbox import Outbox
from relay.outbox.schema import deliveries
from relay.outbox.wanted import Wanted
from relay.vault import Vault

NOW = 1_800_000_000.0
FEW, MANY = 500, 5_000
Question = Callable[[Connection], Any]


def hashed(number: int) -> bytes:
    return number.to_bytes(16, "big")


def row(number: int, **more: Any) -> dict[str, Any]:
    """One of a source that is asked for now and then, done long ago unless said otherwise."""
    at = NOW - 3000 * HOUR + number
    return {
        "receipt": f"{number:032x}",
        "source": "rare" if number < 20 else "a" if number % 3 else "b",
        "destination": "d",
        "state": "delivered",
        "reason": None,
        "profile_id": f"p{number}",
        "trace_id": f"t{number}",
        "email_hash": hashed(number),
        "phone_hash": hashed(number + 10**9),
        "repeat_key": hashed(number + 2 * 10**9),
        **dict.fromkeys(("received_at", "due_at", "changed_at"), at),
        **more,
    }


def filled(folder: Path, done: int) -> Outbox:
    """A database with so many rows that are done, and a hundred that wait."""
    folder.mkdir()
    made = Outbox(f"sqlite:///{folder / 'relay.db'}", Vault([secrets.token_bytes(32)]), lambda: NOW)
    made.prepare(sandbox=False)
    rows = [row(number) for number in range(done)]
    for number in range(100):
        at = NOW - HOUR + number
        state = ("queued", *KEPT)[number % 6]
        times = dict.fromkeys(("received_at", "due_at", "changed_at"), at)
        rows.append(row(10**6 + number, state=state, reason=f"reason {number % 2}", **times))
    made.write(lambda conn: conn.execute(sa.insert(deliveries), rows))
    return made


def listed(**more: Any) -> Question:
    return lambda conn: wanted.newest_first(conn, Wanted(**more), None, 20)


QUESTIONS: dict[str, Question] = {
    "the backlog": listing.backlog,
    "where anything is to go": listing.destinations_waited_for,
    "what is to be sent": listing.to_send,
    "who waits for a lane": lambda conn: listing.waiting(conn, "d", NOW),
    "how many are invalid": lambda conn: listing.count(conn, "a", "invalid"),
    "the arrivals of a day": lambda conn: figures.arrived(conn, "a", NOW - 24 * HOUR, NOW),
    "the arrivals of a week": lambda conn: figures.arrivals(conn, "a", NOW - 168 * HOUR, 168),
    "the newest of a source": lambda conn: figures.last_received(conn, "rare"),
    "its last states": lambda conn: figures.last_states(conn, "rare", 10),
    "what needs somebody": lambda conn: figures.waiting(conn, KEPT),
    "how many need anybody": figures.needing,
    "what is old enough to go": lambda conn: upkeep.old(conn, "a", NOW - 720 * HOUR, 100),
    "who keeps anything": upkeep.sources_that_keep,
    "a list of all": listed(),
    "a list of what is queued": listed(state="queued"),
    "a list of what waits in a source": listed(state="held", source="a"),
    "a list of what nobody has": listed(reason="nothing has it"),
    "a list of a rare source": listed(source="rare"),
    "a list of what is discarded": listed(state="discarded"),
    "a list of what may be twice": listed(duplicate=True),
    "a list of an hour long ago": listed(since=NOW - 5000 * HOUR, until=NOW - 4999 * HOUR),
    "a list of the last hour": listed(since=NOW - HOUR),
    "somebody by address": listed(contact_hashes=(hashed(3),)),
    "nobody by address": listed(contact_hashes=(hashed(10**12),)),
    "one by its profile": listed(named={"profile_id": "p7"}),
    "one by its trace": listed(named={"trace_id": "t7"}),
    "one by its receipt": lambda conn: listing.row(conn, f"{7:032x}"),
    "how many need somebody": lambda conn: wanted.count(conn, Wanted(state="held")),
}


def steps(outbox: Outbox, question: Question) -> int:
    """How many tens of steps SQLite's machine made."""
    made = 0

    def step() -> int:
        nonlocal made
        made += 1
        return 0

    def counted(conn: Connection) -> None:
        driver: Any = conn.connection.driver_connection
        driver.set_progress_handler(step, 10)
        try:
            question(conn)
        finally:
            driver.set_progress_handler(None, 10)

    outbox.write(counted)
    return made


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Outbox, Outbox]]:
    folder = tmp_path_factory.mktemp("growth")
    made = filled(folder / "few", FEW), filled(folder / "many", MANY)
    yield made
    for one in made:
        one.stop()


@pytest.mark.parametrize("name", QUESTIONS)
def test_what_is_done_costs_who_looks_nothing(databases: tuple[Outbox, Outbox], name: str) -> None:
    few, many = (steps(one, QUESTIONS[name]) for one in databases)
    assert many <= 1.5 * few + 20, "ten times the rows"


def test_a_question_that_walks_through_everything_would_be_seen(databases: tuple[Outbox, Outbox]) -> None:
    few, many = (
        steps(one, lambda conn: conn.execute(sa.text("SELECT sum(sends) FROM deliveries")))
        for one in databases
    )
    assert many > 5 * few
