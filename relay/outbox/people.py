"""People, inside a transaction: whether somebody is stored already, whatever else was said of them then."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.delivery import CHECK, DEAD, DISCARDED, HELD, QUEUED
from relay.outbox.records import Entry
from relay.outbox.schema import deliveries

_c = deliveries.c
_COUNTS = (
    sa.not_(_c.is_test),
    # What may be a bot's does not stand in the way of the person it imitates.
    _c.state != HELD,
    sa.not_(sa.and_(_c.state == QUEUED, _c.lane == CHECK)),
    sa.or_(_c.state.not_in((DEAD, DISCARDED)), _c.profile_id.is_not(None)),
)
"""Rows that were sent, will be, or that a person decides about: as `statements.is_superseded` has it."""


class People:
    """Those of a source who are met again.

    Two are the same person with the same e-mail address, or with the same number where one of them has no
    address: a family may share a telephone.
    """

    def __init__(self) -> None:
        self._emails: set[bytes] = set()
        self._phones: dict[bytes, bool] = {}
        """By number, whether somebody without an address has it."""

    def meet(self, conn: Connection, entries: Sequence[Entry]) -> list[bool]:
        """Say of each entry of one source whether its person is stored, or was met before."""
        for email, phone in _stored(conn, entries):
            self._know(email, phone)
        return [self._is_known(entry) for entry in entries]

    def _is_known(self, entry: Entry) -> bool:
        email, phone = entry.email_hash, entry.phone_hash
        found = email in self._emails or (phone in self._phones and (email is None or self._phones[phone]))
        if not found:
            self._know(email, phone)
        return found

    def _know(self, email: bytes | None, phone: bytes | None) -> None:
        if email is not None:
            self._emails.add(email)
        if phone is not None:
            self._phones[phone] = self._phones.get(phone, False) or email is None


def _stored(conn: Connection, entries: Sequence[Entry]) -> Iterator[tuple[bytes | None, bytes | None]]:
    """Yield the hashes of the contacts of rows that have one in common with an entry."""
    sources = {entry.delivery.source for entry in entries}
    hashes: dict[Any, list[bytes]] = {
        _c.email_hash: [entry.email_hash for entry in entries if entry.email_hash],
        _c.phone_hash: [entry.phone_hash for entry in entries if entry.phone_hash],
    }
    for column, some in hashes.items():  # each by its own index
        alike = sa.select(_c.email_hash, _c.phone_hash).where(
            column.in_(some), _c.source.in_(sources), *_COUNTS
        )
        for email, phone in conn.execute(alike):
            yield email and bytes(email), phone and bytes(phone)
