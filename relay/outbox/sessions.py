"""Operators' sessions on the dashboard: kept in the database, so that one can be ended from here."""

import contextlib
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.errors import Unavailable
from relay.outbox.outbox import Outbox
from relay.outbox.schema import sessions

IDLE_SECONDS = 30 * 60.0
LONGEST_SECONDS = 12 * 3600.0
_TOUCH_SECONDS = 20.0  # how stale ``seen_at`` may be: a page is read more often than a row need be written


@dataclass(frozen=True)
class Session:
    """Somebody who has shown a token: the operator's name, and the secrets of the session.

    ``fingerprint``: of the token that was shown; another token for that name ends the session.
    """

    operator: str
    fingerprint: str
    csrf: str = field(repr=False)


class Sessions:
    """The sessions of an outbox. The cookie's value is never stored, its SHA-256 is."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def begin(self, operator: str, fingerprint: str) -> str:
        """Begin a session and return what the cookie holds; sessions that are over are forgotten."""
        word = secrets.token_urlsafe(32)

        def insert(conn: Connection) -> None:
            now = self._outbox.now(conn)
            conn.execute(sa.delete(sessions).where(_is_over(now)))
            row = {"id": _hash(word), "operator": operator, "fingerprint": fingerprint}
            row |= {"csrf": secrets.token_hex(20)}
            times = {"created_at": now, "seen_at": now}
            conn.execute(sa.insert(sessions), [row | times])

        self._outbox.write(insert)
        return word

    def find(self, word: str, *, touch: bool) -> Session | None:
        """Return the session of a cookie unless it is over. ``touch``: a person asked, so it goes on."""

        def look(conn: Connection) -> Any:
            now = self._outbox.now(conn)
            found = conn.execute(sa.select(sessions).where(sessions.c.id == _hash(word), ~_is_over(now)))
            row = found.mappings().first()
            return row and (row, now)

        found = self._outbox.read(look)
        if found is None:
            return None
        row, now = found
        if touch and now - row["seen_at"] > _TOUCH_SECONDS:
            with contextlib.suppress(Unavailable):  # who only looks is let look while nothing can be written
                self._outbox.write(_touch, row["id"], now)
        return Session(row["operator"], row["fingerprint"], row["csrf"])

    def end(self, word: str) -> None:
        """End a session."""
        self._outbox.write(lambda conn: conn.execute(sa.delete(sessions).where(sessions.c.id == _hash(word))))


def _touch(conn: Connection, session: str, now: float) -> None:
    conn.execute(sa.update(sessions).where(sessions.c.id == session).values(seen_at=now))


def _is_over(now: float) -> sa.ColumnElement[bool]:
    return sa.or_(sessions.c.seen_at < now - IDLE_SECONDS, sessions.c.created_at < now - LONGEST_SECONDS)


def _hash(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()
