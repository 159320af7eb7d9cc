"""Who looks: what one page or list reads, through one of few connections, in one transaction."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from relay.outbox.database import connected

Result = TypeVar("Result")
"""What a question, or a change, comes to."""


class Look:
    """One page's reading. A connection is taken for its first question and kept until it is over.

    A transaction for each question would cost more than most of the questions; and as there are few
    connections, few pages are made at a time, whatever is clicked.
    """

    def __init__(self) -> None:
        self._conn: Connection | None = None

    def read(self, engine: Engine, question: Callable[[Connection], Result]) -> Result:
        """Return the answer to a question; after one that failed the next begins anew."""
        try:
            if self._conn is None:
                self._conn = connected(engine)
                self._conn.begin()
            return question(self._conn)
        except SQLAlchemyError:  # the transaction may be of no use any more
            self.end()
            raise

    def end(self) -> None:
        """Give the connection back."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()


LOOK: ContextVar[Look | None] = ContextVar("look", default=None)
"""Set while an operator's page or call is answered."""


@contextmanager
def looking() -> Iterator[None]:
    """Read as one who looks meanwhile."""
    look = Look()
    before = LOOK.set(look)
    try:
        yield
    finally:
        LOOK.reset(before)
        look.end()
