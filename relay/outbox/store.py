"""A store: one database, how it is opened, written to and read from, and the time it goes by."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from relay.config.environment import is_sqlite, sqlite_path
from relay.destination import Destination
from relay.outbox import migrations, storing, upkeep
from relay.outbox.database import connected, engine_for, lookers_engine_for
from relay.outbox.errors import (
    Busy,
    Crossed,
    Damaged,
    Full,
    OverBudget,
    Unavailable,
    Unfit,
    is_fatal,
    took_too_long,
    translate,
)
from relay.outbox.looking import LOOK, Result
from relay.outbox.records import Entry, NoRoom, Stored
from relay.outbox.schema import destinations, meta
from relay.outbox.sqlite import check_is_ours, create_private, sqlite_module, truncate_wal
from relay.outbox.statements import DATABASE_CLOCK, get_meta, insert_ignoring, stamped
from relay.outbox.writer import CHECKPOINT, Writer
from relay.vault import Vault

Given = ParamSpec("Given")
_CROSSED_MOST = 3
"""So often one submission is tried that other processes cross."""
_CHECKED_BYTES = 256 * 1024 * 1024
"""Larger files are not read through at start, which would take long."""


class Store:
    """One database. ``clock`` returns seconds since 1970; PostgreSQL uses its own instead."""

    def __init__(self, url: str, vault: Vault, clock: Callable[[], float]) -> None:
        self.url = url
        self.vault = vault
        self._clock = clock
        self._is_sqlite = is_sqlite(url)
        self._engine = engine_for(url)
        self._reader = engine_for(url, reading=True) if self._is_sqlite else self._engine
        self._lookers = lookers_engine_for(url)
        self._writer: Writer | None = None
        self._on_death: Callable[[BaseException], None] = lambda death: None
        self._destinations: dict[str, Destination] = {}
        self.is_full = False
        """Set while the disk is nearly full: what is stored already goes on, nothing new is taken.

        PostgreSQL's disk is not ours to look at: there the next write that succeeds ends it.
        """
        self._failed = False
        self.on_full: Callable[[], object] = lambda: None
        """Called when a write fails for lack of space: gives back what was kept for that."""

    # --- life -------------------------------------------------------------------------------------

    def prepare(
        self,
        destinations_: Mapping[str, Destination] | None = None,
        *,
        sandbox: bool | None = None,
        upgrading: Callable[[int, int], object] | None = migrations.in_silence,
    ) -> None:
        """Bring the schema up to date, load the hash key, and get to know the destinations.

        ``sandbox``: whether pretend people are to be kept here; None for commands that do not care.
        ``upgrading`` is told the versions before a database of an older relay is changed, which none can be
        started on then; None: it is not changed.
        Raises Unfit, Unavailable, CannotOpen.
        """
        self._destinations.update(destinations_ or {})
        if self._is_sqlite:
            create_private(sqlite_path(self.url))
        try:
            if self._is_sqlite:
                self._check_file()
            migrations.migrate(self._engine, upgrading=upgrading)
            with self._engine.begin() as conn:
                self._load_hash_key(conn)
                if sandbox is not None:
                    upkeep.check_purpose(conn, sandbox)
                upkeep.restore_if_copied(conn)
                for name in destinations_ or ():
                    insert_ignoring(conn, destinations, {"name": name}, ["name"])
            self._give_hints()
        except migrations.Newer as problem:
            raise Unfit(str(problem)) from None
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None

    def _give_hints(self) -> None:
        """Give the rows that an earlier version stored their hints, some MiB at a time."""
        with self._engine.begin() as conn:
            after = upkeep.hints_given_up_to(conn)
        while after is not None:
            with self._engine.begin() as conn:
                after = upkeep.give_hints(conn, self.vault, after)

    def _check_file(self) -> None:
        """Refuse a damaged or foreign file, before anything is written to it. Raises Unfit, Damaged."""
        path = sqlite_path(self.url)
        check_is_ours(path)
        if path.stat().st_size > _CHECKED_BYTES:
            return
        with self._reader.begin() as conn:
            verdict = conn.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if verdict != "ok":
            raise Damaged(f"{path} is damaged; it was left as it is. Restore a backup, or recover it")

    def _load_hash_key(self, conn: Connection) -> None:
        sealed = get_meta(conn, "hash_key")
        if sealed is None:
            insert_ignoring(conn, meta, {"key": "hash_key", "value": self.vault.new_hash_key()}, ["key"])
            sealed = get_meta(conn, "hash_key")
        assert sealed is not None
        self.vault.use_hash_key(sealed)

    def start(self, on_death: Callable[[BaseException], None]) -> None:
        """Start the writer thread (SQLite). ``on_death`` is told if it, or a reader, cannot go on."""
        if self._is_sqlite and self._writer is None:
            self._on_death = on_death
            self._writer = Writer(self._engine, self._store_batch, on_death, self.on_full)

    def stop(self) -> None:
        """Finish what is being written, and close."""
        if self._writer is not None:
            self._writer.stop()
        self._engine.dispose()
        self._reader.dispose()
        self._lookers.dispose()

    # --- use --------------------------------------------------------------------------------------

    def read(
        self,
        look: Callable[Concatenate[Connection, Given], Result],
        *given: Given.args,
        **more: Given.kwargs,
    ) -> Result:
        """Run a query with what it is given, and return its result.

        Raises Unavailable, and Busy for who only looks.
        """
        page = LOOK.get()
        try:
            if page is not None:
                return page.read(self._lookers, lambda conn: look(conn, *given, **more))
            with connected(self._reader) as conn, conn.begin():
                return look(conn, *given, **more)
        except SQLAlchemyError as problem:
            if page is not None and took_too_long(problem):
                raise Busy("the database is busy") from None
            if self._writer is not None and is_fatal(problem):
                self._on_death(problem)
            raise self._translated(problem) from None

    def write(
        self,
        change: Callable[Concatenate[Connection, Given], Result],
        *given: Given.args,
        **more: Given.kwargs,
    ) -> Result:
        """Run a change with what it is given in a transaction; return its result once it is committed.

        On SQLite it may be run again, after a rollback, if another change of its batch failed.
        Raises Unavailable.
        """
        try:
            if self._writer is not None:
                written: Result = self._writer.submit(lambda conn: change(conn, *given, **more))
                return written
            with connected(self._engine) as conn, conn.begin():
                result = change(conn, *given, **more)
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None
        self._wrote()
        return result

    def put(self, entry: Entry) -> Stored:
        """Store an entry, or find the one it repeats; committed when this returns.

        Raises Unavailable, OverBudget.
        """
        if self.is_full and self._is_sqlite:
            raise Unavailable("the disk is nearly full")
        try:
            if self._writer is not None:
                stored = self._writer.submit(entry)
            else:
                stored = self._put_beside_others(entry)
        except SQLAlchemyError as problem:
            self._failed = True
            raise self._translated(problem) from None
        self._failed = False
        self._wrote()
        if isinstance(stored, NoRoom):
            raise OverBudget(entry.delivery.source)
        found: Stored = stored
        return found

    @property
    def takes_nothing(self) -> bool:
        """Whether the last entry could not be stored, or the next one cannot."""
        return self._failed or (self.is_full and self._is_sqlite)

    def _put_beside_others(self, entry: Entry) -> Stored | NoRoom:
        """Store an entry on PostgreSQL. Who is crossed by another looks at what that one left."""
        tries = _CROSSED_MOST
        while True:
            try:
                with connected(self._engine) as conn, conn.begin():
                    return self._store_batch(conn, [entry])[0]
            except (IntegrityError, Crossed):
                tries -= 1
                if not tries:
                    raise

    def _store_batch(self, conn: Connection, entries: Sequence[Entry]) -> list[Stored | NoRoom]:
        now = self.now(conn)
        # Hosts' clocks differ; and one that was set since must not keep what came before for later.
        is_late = [not self._is_sqlite or entry.delivery.received_at > now for entry in entries]
        entries = [stamped(one, now) if late else one for one, late in zip(entries, is_late, strict=True)]
        return storing.store(conn, entries, now, self.vault)

    def _wrote(self) -> None:
        if not self._is_sqlite:
            self.is_full = False

    def _translated(self, problem: SQLAlchemyError) -> Exception:
        error = translate(problem)
        if isinstance(error, Full):
            self.is_full = True
        return error

    def now(self, conn: Connection) -> float:
        """Return the time all processes agree on, in seconds since 1970."""
        if self._is_sqlite:
            return self._clock()
        return float(conn.scalar(DATABASE_CLOCK) or 0)

    def time(self) -> float:
        """Return the time all processes agree on, in seconds since 1970."""
        return self.read(self.now)

    # --- copies -----------------------------------------------------------------------------------

    def checkpoint(self) -> bool:
        """Copy the WAL into the database and empty it, so that erased payloads are gone from both.

        Returns whether that worked; a reader can be in the way for a moment. Only SQLite needs it.
        """
        if not self._is_sqlite:
            return True
        if self._writer is not None:
            return bool(self._writer.submit(CHECKPOINT))
        with self._engine.connect() as conn:
            return truncate_wal(conn)

    def backup(self, target: Path) -> None:
        """Copy the database, while it is in use, into a new file that says of itself that it is a copy.

        SQLite only. Raises Unfit, FileExistsError.
        """
        if not self._is_sqlite:
            raise Unfit("backup copies SQLite files; for PostgreSQL use pg_dump")
        handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.close(handle)
        try:
            self._copy_into(target)
        except sqlite_module().Error as problem:
            # Half a backup looks like one; and its journal would empty whatever is given that name later.
            for left in ("", "-journal", "-wal", "-shm"):
                target.with_name(target.name + left).unlink(missing_ok=True)
            raise Unavailable(f"the copy could not be written: {problem}") from None

    def _copy_into(self, target: Path) -> None:
        copy = sqlite_module().connect(str(target))
        made_at = str(self._clock()).encode()
        try:
            with self._reader.connect() as conn:
                source: Any = conn.connection.driver_connection
                source.backup(copy)  # in one go: every write beside it would make it begin again
            copy.execute("INSERT OR REPLACE INTO meta (key, value) VALUES ('backup', ?)", (made_at,))
            copy.execute("DELETE FROM meta WHERE key = 'clock'")
            copy.commit()
            copy.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            copy.close()
