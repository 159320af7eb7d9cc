"""What can be wrong with a store, in the words the rest of the relay knows."""

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

_LOCKED = (
    "lock timeout: another session keeps a lock on what is stored; pg_stat_activity shows who is "
    "idle in transaction, and pg_terminate_backend(pid) ends it"
)


class Unavailable(RuntimeError):
    """The outbox cannot be reached or written now; nothing was stored."""


class Busy(Unavailable):
    """A question took too long, or too many are asked at a time."""


class Crossed(Unavailable):
    """Another process did something with the same person at that moment; nothing was stored."""


class OverBudget(RuntimeError):
    """A source has as many suspects as it may; nothing was stored."""


class Full(Unavailable):
    """There is no space left on the disk."""


class Unfit(RuntimeError):
    """The database is not one this relay may use: foreign, damaged, newer, or somebody else's."""


class Damaged(Unfit, Unavailable):
    """The file is no SQLite database, or a broken one."""


def is_fatal(problem: BaseException) -> bool:
    """Whether the storage itself has failed, so that only a restart can tell what was written.

    After a failed fsync the system may have forgotten what it could not write.
    """
    text = str(getattr(problem, "orig", problem)).lower()
    return isinstance(problem, DBAPIError) and any(
        said in text for said in ("disk i/o error", "malformed", "not a database")
    )


def is_crowded(problem: SQLAlchemyError) -> bool:
    """Whether PostgreSQL, or a pooler before it, has no connection more to give."""
    text = str(getattr(problem, "orig", problem)).lower()
    return any(said in text for said in ("too many", "connection slots are reserved", "no more connections"))


def took_too_long(problem: SQLAlchemyError) -> bool:
    """Whether a question was ended, or never got a connection."""
    text = str(getattr(problem, "orig", problem)).lower()
    is_ended = "interrupted" in text or "statement timeout" in text
    return isinstance(problem, sa.exc.TimeoutError) or (isinstance(problem, DBAPIError) and is_ended)


def translate(problem: SQLAlchemyError) -> Exception:
    """Return our own error for the database's. What it says holds no values: they are not in it."""
    said = str(getattr(problem, "orig", problem))
    text = said.lower()
    if "not a database" in text or "malformed" in text:
        return Damaged("the database file is damaged or no SQLite database; it was left as it is")
    if "is full" in text or "no space" in text:
        return Full("the disk is full")
    if "lock timeout" in text:
        return Unavailable(_LOCKED)
    if isinstance(problem, DBAPIError | sa.exc.TimeoutError):
        return Unavailable(said.splitlines()[0][:200] if said else "the database is away")
    return problem
