"""The one thread that writes to SQLite: it commits in batches, and callers wait for their batch."""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from relay.outbox.errors import Full, Unavailable, is_fatal, translate
from relay.outbox.sqlite import BUSY_SECONDS, truncate_wal

_PATIENT_MILLISECONDS = 250
_PATIENT_AFTER_SECONDS = 10.0
"""While people look at pages the WAL cannot always be emptied. Who signs up waits for that only when it has
not been possible for so long."""
_BATCH = 128
# So many batches of submissions in so short a time are more than one client causes.
_BUSY_BATCHES = 4
_BUSY_SPAN_SECONDS = 0.012
_GATHER_SECONDS = 0.002

CHECKPOINT: Any = object()
_STOP: Any = object()


def _is_locked(problem: BaseException) -> bool:
    """Whether another program holds the lock: all who wait are told, not one after the other."""
    return isinstance(problem, DBAPIError) and "is locked" in str(problem.orig).lower()


class Write:
    """Something to be written, and its result once it is committed.

    One lock instead of the library's Future: this is on the way of every submission.
    """

    __slots__ = ("_done", "_error", "_result", "is_open", "work")

    def __init__(self, work: Any) -> None:
        self.work = work
        self.is_open = True
        self._done = threading.Lock()
        self._done.acquire()
        self._result: Any = None
        self._error: BaseException | None = None

    def finish(self, result: Any = None, error: BaseException | None = None) -> None:
        self._result, self._error, self.is_open = result, error, False
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
        self._queue: queue.SimpleQueue[Write] = queue.SimpleQueue()
        self._batch: list[Write] = []
        self._closing = threading.Lock()
        self._closed = False
        self._recent: deque[float] = deque(maxlen=_BUSY_BATCHES)
        self._emptied_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="outbox-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Any) -> Any:
        """Write a change, or an entry for ``store``; return its result once it is committed."""
        write = Write(work)
        with self._closing:
            if self._closed:
                raise Unavailable("the relay is stopping")
            self._queue.put(write)
        return write.result()

    def stop(self) -> None:
        """Write what is queued, and end; what comes later is refused."""
        with self._closing:
            self._closed = True
            self._queue.put(Write(_STOP))
        self._thread.join()

    def _run(self) -> None:
        try:
            with self._engine.connect() as conn:
                while self._take_batch(conn):
                    pass
        except BaseException as death:
            self._refuse_what_waits(death)
            self._on_death(death)
            raise

    def _refuse_what_waits(self, death: BaseException) -> None:
        """Nobody waits for ever for a thread that is gone: neither in its batch nor behind it."""
        with self._closing:
            self._closed = True
            waiting = [write for write in self._batch if write.is_open]
            while not self._queue.empty():
                waiting.append(self._queue.get())
            for write in waiting:
                write.finish(error=Unavailable(f"the writer has died: {type(death).__name__}"))

    def _take_batch(self, conn: Connection) -> bool:
        batch = self._batch = [self._queue.get()]
        if not callable(batch[0].work):
            self._gather()
        while len(batch) < _BATCH and not self._queue.empty():
            batch.append(self._queue.get())
        writes = [write for write in batch if write.work is not _STOP and write.work is not CHECKPOINT]
        if writes:
            self._commit(conn, writes)
        for write in batch:
            if write.work is CHECKPOINT:
                write.finish(self._truncate(conn))
        return all(write.work is not _STOP for write in batch)

    def _truncate(self, conn: Connection) -> bool:
        """Empty the WAL; with less patience than for a commit, as submissions wait behind it."""
        connection: Any = conn.connection.driver_connection
        is_late = time.monotonic() - self._emptied_at > _PATIENT_AFTER_SECONDS
        connection.execute(f"PRAGMA busy_timeout = {_PATIENT_MILLISECONDS if is_late else 0}")
        try:
            is_empty = truncate_wal(conn)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
        if is_empty:
            self._emptied_at = time.monotonic()
        return is_empty

    def _gather(self) -> None:
        """Under load, let more submissions into the batch: fewer commits for the same work."""
        now = time.monotonic()
        self._recent.append(now)
        if now - self._recent[0] < _BUSY_SPAN_SECONDS and len(self._recent) == _BUSY_BATCHES:
            time.sleep(_GATHER_SECONDS)

    def _commit(self, conn: Connection, writes: list[Write]) -> None:
        try:
            with conn.begin():
                results = self._work(conn, [write.work for write in writes])
        except Exception as problem:
            if isinstance(problem, SQLAlchemyError) and isinstance(translate(problem), Full):
                # Before another commit takes the room: an emptied WAL is most of what can be had.
                self._on_full()
                truncate_wal(conn)
            if len(writes) == 1 or is_fatal(problem) or _is_locked(problem):
                for write in writes:
                    write.finish(error=problem)
                if is_fatal(problem):
                    raise
                return
            for write in writes:  # one at a time, so that only the one that fails does
                self._commit(conn, [write])
            return
        for write, result in zip(writes, results, strict=True):
            write.finish(result)

    def _work(self, conn: Connection, works: list[Any]) -> list[Any]:
        entries = [work for work in works if not callable(work)]
        stored = iter(self._store(conn, entries)) if entries else iter(())
        return [work(conn) if callable(work) else next(stored) for work in works]
