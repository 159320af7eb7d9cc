"""Figures for the morning, on both databases."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from relay.outbox import arrivals, figures, listing
from relay.outbox.figures import HOUR
from relay.outbox.outbox import Outbox
from relay.outbox.schema import deliveries
from relay.vault import Vault

NOW = 1_800_000_000.0


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Outbox]:
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'relay.db'}" if is_sqlite else request.getfixturevalue("postgres_url")
    made = Outbox(url, Vault([secrets.token_bytes(32)]), lambda: NOW)
    made.prepare(sandbox=False)
    yield made
    made.stop()


def put(outbox: Outbox, hours_ago: float, source: str = "a", state: str = "queued", **more: Any) -> None:
    at = NOW - hours_ago * HOUR
    row = {"receipt": secrets.token_hex(16), "source": source, "destination": "d", "state": state}
    row |= {"received_at": at, "due_at": at, "changed_at": at, **more}
    outbox.write(lambda conn: conn.execute(sa.insert(deliveries), [row]))


def test_arrivals_are_counted_by_the_hour_and_source(outbox: Outbox) -> None:
    for hours_ago in (0.5, 0.1, 1.5, 2.5, 3.5):
        put(outbox, hours_ago)
    put(outbox, 0.5, source="b")

    found = outbox.read(figures.arrivals, "a", NOW - 3 * HOUR, 3)

    assert found == [1, 1, 2]


def test_hours_that_are_over_are_counted_again_only_after_a_while(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours_ago in (0.0, 0.5):
        put(outbox, hours_ago)
    assert outbox.arrivals("a", 3, NOW) == [0, 1, 1]

    for hours_ago in (0.0, 0.5):
        put(outbox, hours_ago)
    assert outbox.arrivals("a", 3, NOW) == [0, 1, 2], "what comes now is seen at once"

    monkeypatch.setattr(arrivals, "AGAIN_SECONDS", 0.0)
    assert outbox.arrivals("a", 3, NOW) == [0, 2, 2]

    monkeypatch.undo()
    assert outbox.arrivals("a", 3, NOW + HOUR) == [2, 2, 0], "an hour later it is counted anew"


def test_of_hours_long_over_what_was_erased_shows_with_the_next_hour(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours_ago in (0.5, 3.5):
        put(outbox, hours_ago)
    assert outbox.arrivals("a", 5, NOW) == [1, 0, 0, 1, 0]
    monkeypatch.setattr(arrivals, "AGAIN_SECONDS", 0.0)
    outbox.write(lambda conn: conn.execute(sa.delete(deliveries)))

    assert outbox.arrivals("a", 5, NOW) == [1, 0, 0, 0, 0]
    assert outbox.arrivals("a", 5, NOW + HOUR) == [0, 0, 0, 0, 0]


def test_a_source_without_submissions_has_hours_of_none(outbox: Outbox) -> None:
    assert outbox.read(figures.arrivals, "a", NOW - 3 * HOUR, 3) == [0, 0, 0]
    assert outbox.read(figures.last_received, "a") is None


def test_what_a_table_brought_is_no_arrival(outbox: Outbox) -> None:
    for number in range(3):
        put(outbox, 5 + number, state="invalid")
    put(outbox, 1, is_imported=True)

    assert outbox.arrivals("a", 3, NOW) == [0, 0, 0]
    assert outbox.read(figures.arrived, "a", NOW - 2 * HOUR, NOW) == 0
    assert outbox.read(figures.last_received, "a") == NOW - 5 * HOUR
    assert outbox.read(figures.last_states, "a", 3) == ["invalid"] * 3, "nor a sign that its form works"


def test_the_last_one_is_the_newest_of_its_source(outbox: Outbox) -> None:
    for hours_ago, source in ((5, "a"), (2, "a"), (1, "b")):
        put(outbox, hours_ago, source)

    assert outbox.read(figures.last_received, "a") == NOW - 2 * HOUR


def test_a_destination_is_known_by_what_waits_for_it(outbox: Outbox) -> None:
    put(outbox, 1, destination="here")
    put(outbox, 1, destination="removed", state="parked")
    put(outbox, 1, destination="served", state="delivered")

    assert outbox.read(listing.destinations_waited_for) == {"here", "removed"}


def test_what_waits_is_grouped_by_state_source_and_reason(outbox: Outbox) -> None:
    put(outbox, 3, state="held", reason="honeypot")
    put(outbox, 1, state="held", reason="honeypot")
    put(outbox, 2, state="invalid", reason="no contact")
    put(outbox, 2, state="queued")

    found = outbox.read(figures.waiting, ("held", "invalid"))

    assert sorted(map(str, found)) == sorted(
        map(
            str,
            (
                {"state": "held", "source": "a", "reason": "honeypot", "count": 2, "newest": NOW - HOUR},
                {
                    "state": "invalid",
                    "source": "a",
                    "reason": "no contact",
                    "count": 1,
                    "newest": NOW - 2 * HOUR,
                },
            ),
        )
    )
