"""Who of a table is stored already: by contact within a source, whatever else is said of them."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from relay.delivery import CHECK, DEAD, DELIVERED, DISCARDED, HELD, PARKED, QUEUED, REFUSED, SENDING
from relay.outbox.outbox import Outbox
from relay.outbox.people import People
from relay.outbox.records import Entry
from relay.outbox.schema import deliveries
from tests.outbox.outboxes import bring_to, entry, put

ADA, BOB, PHONE = b"ada's address", b"bob's address", b"a number"


def person(outbox: Outbox, email: bytes | None, phone: bytes | None = None, source: str = "form") -> Entry:
    return replace(entry(outbox, source=source), email_hash=email, phone_hash=phone)


def met(outbox: Outbox, *entries: Entry) -> list[bool]:
    found: list[bool] = outbox.read(People().meet, entries)
    return found


def known_by(outbox: Outbox, email: bytes | None, phone: bytes | None = None, **more: object) -> None:
    """Give the rows that are stored these contacts."""
    values = {"email_hash": email, "phone_hash": phone, **more}
    outbox.write(lambda conn: conn.execute(sa.update(deliveries).values(values)))


@pytest.mark.parametrize("state", [QUEUED, SENDING, DELIVERED, REFUSED, PARKED])
def test_who_was_or_may_be_sent_is_known(outbox: Outbox, state: str) -> None:
    bring_to(outbox, state)
    known_by(outbox, ADA)
    assert met(outbox, person(outbox, ADA), person(outbox, BOB)) == [True, False]


@pytest.mark.parametrize("state", [DEAD, DISCARDED, HELD])
def test_who_was_given_up_or_may_be_a_bot_is_not(outbox: Outbox, state: str) -> None:
    bring_to(outbox, state)
    known_by(outbox, ADA)
    assert met(outbox, person(outbox, ADA)) == [False]


def test_who_was_given_up_after_the_profile_was_made_is_known(outbox: Outbox) -> None:
    bring_to(outbox, DEAD)
    known_by(outbox, ADA, profile_id="17")
    assert met(outbox, person(outbox, ADA)) == [True]


def test_neither_a_test_nor_who_is_still_checked_is_anybody(outbox: Outbox) -> None:
    put(outbox, token="a captcha's")
    known_by(outbox, ADA, lane=CHECK)
    assert met(outbox, person(outbox, ADA)) == [False]
    known_by(outbox, ADA, lane=0, is_test=True)
    assert met(outbox, person(outbox, ADA)) == [False]


def test_who_is_known_at_one_source_is_new_at_another(outbox: Outbox) -> None:
    put(outbox)
    known_by(outbox, ADA)
    assert met(outbox, person(outbox, ADA, source="other")) == [False]


@pytest.mark.parametrize(
    ("stored", "comes", "is_known"),
    [
        ((ADA, PHONE), (ADA, None), True),
        ((ADA, PHONE), (None, PHONE), True),
        ((None, PHONE), (ADA, PHONE), True),
        ((None, PHONE), (None, PHONE), True),
        ((ADA, PHONE), (BOB, PHONE), False),  # a family
        ((ADA, None), (None, PHONE), False),
    ],
)
def test_the_same_address_or_the_same_number_without_one_is_the_same_person(
    outbox: Outbox,
    stored: tuple[bytes | None, bytes | None],
    comes: tuple[bytes | None, bytes | None],
    is_known: bool,
) -> None:
    put(outbox)
    known_by(outbox, *stored)
    assert met(outbox, person(outbox, *comes)) == [is_known]
    assert met(outbox, person(outbox, *stored, "other"), person(outbox, *comes, "other")) == [False, is_known]
