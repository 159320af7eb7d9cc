"""Databases: engines for SQLite and PostgreSQL, the one thread that writes to SQLite, and their errors."""

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

BUSY_SECONDS = 5
_CHECKPOINT_MILLISECONDS = 250
_BATCH = 128
# So many batches of submissions in so short a time are more than one client causes.
_BUSY_BATCHES = 4
_BUSY_SPAN_SECONDS = 0.012
_GATHER_SECONDS = 0.002


class Unavailable(RuntimeError):
    """The outbox cannot be reached or written now; nothing was stored."""


class Full(Unavailable):
    """There is no space left on the disk."""


class Unfit(RuntimeError):
    """The database is not one this relay may use: foreign, damaged, newer, or somebody else's."""


class Damaged(Unfit, Unavailable):
    """The file is no SQLite database, or a broken one."""


# --- engines --------------------------------------------------------------------------------------------


def sqlite_module() -> Any:
    """Return the SQLite to use: pysqlite3's, without the WAL-reset bug, where it is installed."""
    try:
        from pysqlite3 import dbapi2
    except ImportError:
        import sqlite3 as dbapi2
    return dbapi2


def is_old_sqlite() -> bool:
    """Whether the SQLite in use has the WAL-reset corruption bug, fixed in 3.51.3."""
    version = tuple(int(part) for part in sqlite_module().sqlite_version.split("."))
    return version < (3, 51, 3)


def engine_for(url: str, *, reading: bool = False) -> Engine:
    if not url.startswith("sqlite"):
        return _postgresql(url)
    engine = sa.create_engine(
        url,
        hide_parameters=True,  # errors must not quote what was stored
        module=sqlite_module(),
        poolclass=sa.QueuePool,
        pool_size=4 if reading else 1,
        max_overflow=8,
        connect_args={"check_same_thread": False, "timeout": BUSY_SECONDS},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=ON",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(conn: Connection) -> None:
        connection: Any = conn.connection.driver_connection
        statement = "BEGIN" if reading else "BEGIN IMMEDIATE"
        try:
            connection.execute(statement)
        except sqlite_module().Error as problem:  # SQLAlchemy wraps no error of an event's
            raise sa.exc.OperationalError(statement, None, problem) from None

    return engine


def _postgresql(url: str) -> Engine:
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=8,
        max_overflow=24,
        pool_timeout=5,
        connect_args={
            "connect_timeout": 5,
            "options": "-c statement_timeout=10000 -c lock_timeout=5000 "
            "-c idle_in_transaction_session_timeout=15000",
        },
    )


def create_private(path: Path) -> None:
    """Create the database file so that its WAL and it are readable by the owner only."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as problem:
        raise Unfit(f"{path} cannot be written: {problem.strerror}") from None
    if not os.access(path, os.R_OK | os.W_OK):
        # Before SQLite makes a WAL that may not be written either, and would stay so.
        raise Unfit(f"{path} cannot be written: look at its owner and mode")


def check_is_ours(path: Path) -> None:
    """Refuse another program's SQLite file, before it is opened for writing. Raises Unfit, Damaged."""
    if not path.stat().st_size:
        return
    sqlite = sqlite_module()
    try:
        link = sqlite.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)
        try:
            names = {row[0] for row in link.execute("SELECT name FROM sqlite_master")}
        finally:
            link.close()
    except sqlite.OperationalError:
        return  # what is in the way is told where the file is opened for good
    except sqlite.DatabaseError:
        raise Damaged(f"{path} is damaged or no SQLite database; it was left as it is") from None
    if names and "schema_version" not in names:
        raise Unfit(f"{path} is another program's database; it was left as it is")


def truncate_wal(conn: Connection) -> bool:
    """Copy the WAL into the database and empty it. False if a reader or a full disk was in the way."""
    connection: Any = conn.connection.driver_connection
    try:
        busy, length, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if busy or copied < length:  # somebody reads for long; waiting would hold up those who write
            return False
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite_module().OperationalError as problem:
        if "full" not in str(problem):
            raise
        return False
    return not busy


def is_fatal(problem: BaseException) -> bool:
    """Whether the storage itself has failed, so that only a restart can tell what was written.

    After a failed fsync the system may have forgotten what it could not write.
    """
    text = str(getattr(problem, "orig", problem)).lower()
    return isinstance(problem, DBAPIError) and any(
        said in text for said in ("disk i/o error", "malformed", "not a database")
    )


def _is_locked(problem: BaseException) -> bool:
    """Whether another program holds the lock: all who wait are told, not one after the other."""
    return isinstance(problem, DBAPIError) and "is locked" in str(problem.orig).lower()


def translate(problem: SQLAlchemyError) -> Exception:
    """Return our own error for the database's. What it says holds no values: they are not in it."""
    text = str(getattr(problem, "orig", problem)).lower()
    if "not a database" in text or "malformed" in text:
        return Damaged("the database file is damaged or no SQLite database; it was left as it is")
    if "is full" in text or "no space" in text:
        return Full("the disk is full")
    if isinstance(problem, DBAPIError | sa.exc.TimeoutError):
        return Unavailable(text.splitlines()[0][:200] if text else "the database is away")
    return problem


# --- the writer -----------------------------------------------------------------------------------------

CHECKPOINT: Any = object()
_STOP: Any = object()


class Job:
    """Something to be written, and its result once it is committed.

    One lock instead of the library's Future: this is on the way of every submission.
    """

    __slots__ = ("_done", "_error", "_result", "work")

    def __init__(self, work: Any) -> None:
        self.work = work
        self._done = threading.Lock()
        self._done.acquire()
        self._result: Any = None
        self._error: BaseException | None = None

    def finish(self, result: Any = None, error: BaseException | None = None) -> None:
        self._result, self._error = result, error
        self._done.release()

    def result(self) -> Any:
        """Wait for the commit, and return what the work returned or raise what it raised."""
        self._done.acquire()
        if self._error is not None:
            raise self._error
        return self._result


class Writer:
    """The one thread that writes to SQLite. Callers wait for the commit of the batch they are in."""

    def __init__(
        self,
        engine: Engine,
        store: Callable[[Connection, Sequence[Any]], Sequence[Any]],
        on_death: Callable[[BaseException], None],
        on_full: Callable[[], object] = lambda: None,
    ) -> None:
        """``on_full`` gives back space that was kept for when there is none."""
        self._engine = engine
        self._store = store
        self._on_death = on_death
        self._on_full = on_full
        self._queue: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._recent: deque[float] = deque(maxlen=_BUSY_BATCHES)
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Any) -> Any:
        """Write a change, or an entry for ``store``; return its result once it is committed."""
        job = Job(work)
        self._queue.put(job)
        return job.result()

    def stop(self) -> None:
        """Write what is queued, and end."""
        self._queue.put(Job(_STOP))
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._engine.connect() as conn:
                while self._take_batch(conn):
                    pass
        except BaseException as death:
            self._on_death(death)
            raise

    def _take_batch(self, conn: Connection) -> bool:
        batch = [self._queue.get()]
        if not callable(batch[0].work):
            self._gather()
        while len(batch) < _BATCH and not self._queue.empty():
            batch.append(self._queue.get())
        jobs = [job for job in batch if job.work is not _STOP and job.work is not CHECKPOINT]
        if jobs:
            self._commit(conn, jobs)
        for job in batch:
            if job.work is CHECKPOINT:
                job.finish(self._truncate(conn))
        return all(job.work is not _STOP for job in batch)

    def _truncate(self, conn: Connection) -> bool:
        """Empty the WAL; with less patience than for a commit, as submissions wait behind it."""
        connection: Any = conn.connection.driver_connection
        connection.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_MILLISECONDS}")
        try:
            return truncate_wal(conn)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")

    def _gather(self) -> None:
        """Under load, let more submissions into the batch: fewer commits for the same work."""
        now = time.monotonic()
        self._recent.append(now)
        if now - self._recent[0] < _BUSY_SPAN_SECONDS and len(self._recent) == _BUSY_BATCHES:
            time.sleep(_GATHER_SECONDS)

    def _commit(self, conn: Connection, jobs: list[Job]) -> None:
        try:
            with conn.begin():
                results = self._work(conn, [job.work for job in jobs])
        except Exception as problem:
            if isinstance(problem, SQLAlchemyError) and isinstance(translate(problem), Full):
                # Before another commit takes the room: an emptied WAL is most of what can be had.
                self._on_full()
                truncate_wal(conn)
            if len(jobs) == 1 or is_fatal(problem) or _is_locked(problem):
                for job in jobs:
                    job.finish(error=problem)
                if is_fatal(problem):
                    raise
                return
            for job in jobs:  # one at a time, so that only the one that fails does
                self._commit(conn, [job])
            return
        for job, result in zip(jobs, results, strict=True):
            job.finish(result)

    def _work(self, conn: Connection, works: list[Any]) -> list[Any]:
        entries = [work for work in works if not callable(work)]
        stored = iter(self._store(conn, entries)) if entries else iter(())
        return [work(conn) if callable(work) else next(stored) for work in works]
