"""The outbox: the durable list of deliveries, and the attempts that are upstream's quota ledger.

SQLAlchemy Core on SQLite (one server process, one writer thread that commits in batches) or
PostgreSQL (any number of processes; the database's clock). Every change of a delivery is guarded by
the state, and by the fence, that it was read with.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from relay.clock import SteadyClock
from relay.config.environment import is_sqlite
from relay.delivery import (
    INVALID,
    RETRY,
    Delivery,
)
from relay.destination import Destination
from relay.health import Health, at_once, paused, resumed
from relay.outbox import listing, moves, schema, storing, timekeeping, upkeep
from relay.outbox.audit import Act
from relay.outbox.claiming import Sending, ledger, locked, next_due
from relay.outbox.database import engine_for
from relay.outbox.errors import Damaged, Full, OverBudget, Unavailable, Unfit, is_fatal, translate
from relay.outbox.holds import health_of, save_health
from relay.outbox.moves import Changed, Expected, Mended, Moved, Same
from relay.outbox.records import (
    Claim,
    Decide,
    Decision,
    Entry,
    Look,
    NoRoom,
    NothingYet,
    Stored,
    ToCheck,
    Turn,
)
from relay.outbox.schema import deliveries, destinations, meta
from relay.outbox.sqlite import check_is_ours, create_private, sqlite_module, truncate_wal
from relay.outbox.statements import (
    ANY_INVALID,
    DATABASE_CLOCK,
    FRESH_DUE,
    RETRY_IS_DUE,
    TO_CHECK,
    get_meta,
    insert_ignoring,
    put_meta,
    stamped,
)
from relay.outbox.timekeeping import Stamp
from relay.outbox.writer import CHECKPOINT, Writer
from relay.outcome import Seen, Wait
from relay.quota import even_pace
from relay.vault import Vault

_CHECKED_BYTES = 256 * 1024 * 1024
"""Larger files are not read through at start, which would take long."""


class Outbox:
    """One database. ``clock`` returns seconds since 1970; PostgreSQL uses its own instead."""

    def __init__(self, url: str, vault: Vault, clock: Callable[[], float]) -> None:
        self.url = url
        self.vault = vault
        self._clock = clock
        self._is_sqlite = is_sqlite(url)
        self._engine = engine_for(url)
        self._reader = engine_for(url, reading=True) if self._is_sqlite else self._engine
        self._writer: Writer | None = None
        self._on_death: Callable[[BaseException], None] = lambda death: None
        self._destinations: dict[str, Destination] = {}
        self._sending = Sending(self.now, self._destinations)
        self._has_invalid: bool | None = None
        self.is_full = False
        """Set while the disk is nearly full: what is stored already goes on, nothing new is taken.

        PostgreSQL's disk is not ours to look at: there the next write that succeeds ends it.
        """
        self.on_full: Callable[[], object] = lambda: None
        """Called when a write fails for lack of space: gives back what was kept for that."""

    # --- life -------------------------------------------------------------------------------------

    def prepare(
        self, destinations_: Mapping[str, Destination] | None = None, *, sandbox: bool | None = None
    ) -> None:
        """Bring the schema up to date, load the hash key, and get to know the destinations.

        ``sandbox``: whether pretend people are to be kept here; None for commands that do not care.
        Raises Unfit, Unavailable, KeyMissing.
        """
        self._destinations.update(destinations_ or {})
        if self._is_sqlite:
            create_private(Path(self.url.removeprefix("sqlite:///")))
        try:
            if self._is_sqlite:
                self._check_file()
            schema.migrate(self._engine)
            with self._engine.begin() as conn:
                self._load_hash_key(conn)
                if sandbox is not None:
                    upkeep.check_purpose(conn, sandbox)
                upkeep.restore_if_copied(conn)
                for name in destinations_ or ():
                    insert_ignoring(conn, destinations, {"name": name}, ["name"])
            self._give_hints()
        except schema.Newer as problem:
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
        path = Path(self.url.removeprefix("sqlite:///"))
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

    def write(self, change: Callable[[Connection], Any]) -> Any:
        """Run a change in a transaction and return its result once it is committed.

        On SQLite it may be run again, after a rollback, if another change of its batch failed.
        Raises Unavailable.
        """
        try:
            if self._writer is not None:
                return self._writer.submit(change)
            with self._engine.begin() as conn:
                result = change(conn)
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None
        self._wrote()
        return result

    def _wrote(self) -> None:
        if not self._is_sqlite:
            self.is_full = False

    def read(self, look: Callable[[Connection], Any]) -> Any:
        """Run a query and return its result. Raises Unavailable."""
        try:
            with self._reader.begin() as conn:
                return look(conn)
        except SQLAlchemyError as problem:
            if self._writer is not None and is_fatal(problem):
                self._on_death(problem)
            raise self._translated(problem) from None

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

    def keep_time(self, offset: float, boot: str) -> float:
        """At start on SQLite: carry what was stored over to this process's clock.

        Returns by how many seconds it must be put forward, so that nothing stored lies ahead of it.
        """
        longest = max((max(d.retry) for d in self._destinations.values()), default=0.0) * 1.2
        stamp = Stamp(boot, offset)
        return float(self.write(lambda conn: timekeeping.begin(conn, stamp, self.now(conn), longest)))

    def shift(self, clock: SteadyClock, seconds: float, boot: str) -> None:
        """Follow a wall clock that was set, and move what was stamped by as much.

        Both in the writer's turn: no claim sees the one without the other.
        """
        before, wall = clock.offset, clock.wall + seconds

        def change(conn: Connection) -> None:
            clock.follow(timekeeping.follow(conn, boot, clock() - clock.offset, before, wall))

        try:
            self.write(change)
        except Unavailable:
            clock.follow(before)
            raise
        clock.wall = wall

    # --- intake -----------------------------------------------------------------------------------

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
                with self._engine.begin() as conn:
                    stored = self._store_batch(conn, [entry])[0]
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None
        self._wrote()
        if isinstance(stored, NoRoom):
            raise OverBudget(entry.delivery.source)
        found: Stored = stored
        return found

    def _store_batch(self, conn: Connection, entries: Sequence[Entry]) -> list[Stored | NoRoom]:
        now = self.now(conn)
        # Hosts' clocks differ; and one that was set since must not keep what came before for later.
        is_late = [not self._is_sqlite or entry.delivery.received_at > now for entry in entries]
        entries = [stamped(one, now) if late else one for one, late in zip(entries, is_late, strict=True)]
        stored = storing.store(conn, entries, now, self.vault, any_invalid=self._any_invalid(conn))
        if any(entry.delivery.state == INVALID for entry in entries):
            self._has_invalid = True
        return stored

    def _any_invalid(self, conn: Connection) -> bool:
        """Whether there may be an invalid delivery: mostly not, which saves a query per batch."""
        if not self._is_sqlite:  # another process may have stored one
            return True
        if self._has_invalid is None:
            self._has_invalid = conn.scalar(ANY_INVALID) is not None
        return self._has_invalid

    def count(self, source: str, state: str) -> int:
        """Return how many submissions of a source are in a state."""
        return int(self.read(lambda conn: listing.count(conn, source, state)))

    # --- dispatch ---------------------------------------------------------------------------------

    def idle_until(self, destination: str) -> float | None:
        """Return when the next delivery is due, None if one is: a look that costs no turn of the writer."""

        def look(conn: Connection) -> float | None:
            values = {"destination": destination, "now": self.now(conn), "source": ""}
            if any(conn.execute(lane, values).first() for lane in (FRESH_DUE, RETRY_IS_DUE)):
                return None
            return next_due(conn, destination)

        found: float | None = self.read(look)
        return found

    def claim(self, destination: Destination, turn: Turn) -> Claim | Look | NothingYet:
        """Hand out the next delivery: its attempt recorded as started and its slot taken, in one commit.

        While upstream fails, a look at it comes first.
        """
        claimed: Claim | Look | NothingYet = self.write(
            lambda conn: self._sending.claim(conn, destination, turn)
        )
        if isinstance(claimed, Claim):
            turn.source = claimed.delivery.source
            turn.count += 1
            if claimed.delivery.lane == RETRY:
                turn.retry_at = claimed.started_at + even_pace(destination.windows)
        return claimed

    def record(
        self, claim: Claim, seconds: float, decide: Decide, *, end_known: bool = True
    ) -> Decision | None:
        """Record how an attempt ended. None if the delivery is no longer this claim's.

        ``end_known``: False when upstream may still see the call; then its slot is held to the lease's end.
        """
        recorded: Decision | None = self.write(
            lambda conn: self._sending.record(conn, claim, seconds, decide, end_known)
        )
        return recorded

    def looked(
        self, look: Look, destination: Destination, seen: Seen | Wait, seconds: float, jitter: float
    ) -> Health:
        """Record what a look showed; return what is known of the destination now."""
        health: Health = self.write(
            lambda conn: self._sending.looked(conn, look, destination, seen, seconds, jitter)
        )
        return health

    def recover(self, decide: Decide, *, every: bool) -> list[Decision]:
        """Settle deliveries whose sender has gone: ``every`` sending one, or those past their lease.

        Their slots in the ledger stay taken until the lease's end.
        """
        recovered: list[Decision] = self.write(lambda conn: self._sending.recover(conn, decide, every))
        return recovered

    def take_to_check(self, lease_seconds: float, without: Sequence[str] = ()) -> "ToCheck | None":
        """Hand out a delivery to be checked; it is due again after the lease if nothing comes of it.

        ``without``: sources whose deliveries are left alone for now.
        """

        def take(conn: Connection) -> ToCheck | None:
            now = self.now(conn)
            row = conn.execute(locked(conn, TO_CHECK), {"now": now, "without": without}).mappings().first()
            if row is None:
                return None
            conn.execute(
                sa.update(deliveries)
                .where(deliveries.c.receipt == row["receipt"])
                .values(due_at=now + lease_seconds)
            )
            again = row["due_at"] != row["received_at"]
            age = now - row["received_at"]
            return ToCheck(row["receipt"], row["source"], row["destination"], again, age, row["payload"])

        taken: ToCheck | None = self.write(take) if self._has_to_check(without) else None
        return taken

    def _has_to_check(self, without: Sequence[str]) -> bool:
        def look(conn: Connection) -> bool:
            return conn.execute(TO_CHECK, {"now": self.now(conn), "without": without}).first() is not None

        return bool(self.read(look))

    def pass_check(self, receipt: str, window: float | None) -> bool:
        """Let a delivery that was checked be sent, unless it is by now the repeat of another."""
        return bool(self.write(lambda conn: moves.let_pass(conn, receipt, window, self.now(conn))))

    def fail_check(self, receipt: str, reason: str) -> bool:
        """Hold a delivery that failed its check: nobody repeats it, and its body goes."""
        return bool(
            self.write(lambda conn: moves.hold_back(conn, receipt, reason, self.vault, self.now(conn)))
        )

    # --- destinations -----------------------------------------------------------------------------

    def health(self, name: str) -> Health:
        """Return what is known of a destination."""
        found: Health = self.read(lambda conn: health_of(conn, name))
        return found

    def change_hold(self, name: str, change: Callable[[Health, float], Health]) -> Health:
        """Change a destination's hold as a person or a reload asks, and return what it is now."""

        def apply(conn: Connection) -> Health:
            health, now = health_of(conn, name, lock=True), self.now(conn)
            changed = change(health, now)
            if changed != health:
                save_health(conn, name, changed, now)
            return changed

        changed: Health = self.write(apply)
        return changed

    def meet(self, destination: Destination) -> None:
        """Get to know a destination that is new or has changed. Raises Unavailable."""
        self.write(lambda conn: insert_ignoring(conn, destinations, {"name": destination.name}, ["name"]))
        self._destinations[destination.name] = destination

    def pause(self, name: str) -> Health:
        """Send nothing until a person resumes."""
        return self.change_hold(name, lambda health, _: paused(health))

    def resume(self, name: str) -> Health:
        """End a hold, whatever its reason; a limit that upstream named is still obeyed."""
        return self.change_hold(name, resumed)

    def probe_now(self, name: str) -> Health:
        """Try a destination that is held for a fault, at once."""
        return self.change_hold(name, at_once)

    def ledger(self, destination: Destination) -> tuple[float, list[float]]:
        """Return the time, and the recent slots as ``quota`` wants them."""

        def look(conn: Connection) -> tuple[float, list[float]]:
            now = self.now(conn)
            return now, [held for held, _ in ledger(conn, destination, now)]

        found: tuple[float, list[float]] = self.read(look)
        return found

    def waiting(self, destination: str) -> dict[str, int]:
        """Return how many fresh deliveries wait, by source; due retries under the empty name."""
        found: dict[str, int] = self.read(lambda conn: listing.waiting(conn, destination, self.now(conn)))
        return found

    def backlog(self) -> list[tuple[str, str, int, float]]:
        """Return (destination, state, count, oldest received_at) of all that is not finished."""
        found: list[tuple[str, str, int, float]] = self.read(listing.backlog)
        return found

    def time(self) -> float:
        """Return the time all processes agree on, in seconds since 1970."""
        return float(self.read(self.now))

    def sources_all_invalid(self, count: int) -> list[str]:
        """Return the sources whose last so many submissions all failed to be mapped."""
        found: list[str] = self.read(lambda conn: listing.sources_all_invalid(conn, count))
        return found

    def change_episodes(self, current: set[str]) -> tuple[set[str], set[str]]:
        """Make ``current`` the alerts that are firing; return which began and which are over.

        Of several processes that ask at once, one is told of each. What only one of them sees, such as a
        source over its limits, is over when nobody has seen it for a while.
        """
        changed: tuple[set[str], set[str]] = self.write(
            lambda conn: upkeep.change_episodes(conn, self.now(conn), current)
        )
        return changed

    # --- operators --------------------------------------------------------------------------------

    def get(self, receipt: str) -> Delivery | None:
        """Return one delivery, without its payload; the receipt may be one that a repeat was given."""
        found: Delivery | None = self.read(lambda conn: storing.named(conn, receipt))
        return found

    def settled(self, receipt: str) -> Stored | None:
        """Return one delivery as its repeat would find it: with what its sender may see of the answer."""

        def look(conn: Connection) -> Stored | None:
            found = storing.find(conn, deliveries.c.receipt == receipt)
            return storing.repeat_of(conn, found) if found else None

        found: Stored | None = self.read(look)
        return found

    def rows(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        contact_hashes: tuple[bytes, ...] | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return rows without payloads, newest first."""
        found: list[dict[str, Any]] = self.read(
            lambda conn: listing.rows(
                conn, state=state, source=source, contact_hashes=contact_hashes, limit=limit
            )
        )
        return found

    def row(self, receipt: str) -> dict[str, Any] | None:
        """Return one whole row."""
        found: dict[str, Any] | None = self.read(lambda conn: listing.row(conn, receipt))
        return found

    def with_payloads(self, source: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield whole rows that have payloads, newest first; some MiB are read at a time."""
        before: int | None = None
        while rows := self.read(partial(listing.with_payloads, source=source, before=before)):
            before = rows[-1]["seq"]
            yield from rows

    def history(self, receipt: str) -> list[dict[str, Any]]:
        """Return every send of a delivery, in order."""
        found: list[dict[str, Any]] = self.read(lambda conn: listing.history(conn, receipt))
        return found

    def requeue(
        self,
        receipt: str,
        expect: Expected,
        *,
        window: float | None = None,
        mended: Mended | None = None,
        act: Act | None = None,
    ) -> Moved | Changed | Same:
        """Queue a delivery for replay if it is as it was seen, and no other that says the same was sent.

        ``window``: seconds in which the same content counts as one sign-up. ``act`` goes into the audit
        log in the same commit.
        """
        moved: Moved | Changed | Same = self.write(
            lambda conn: moves.requeue(conn, receipt, expect, window, mended, act, self.now(conn))
        )
        return moved

    def discard(self, receipt: str, expect: Expected, *, act: Act | None = None) -> Moved | Changed:
        """Give a delivery up for good, its payload erased, if it is as it was seen."""
        moved: Moved | Changed = self.write(
            lambda conn: moves.discard(conn, receipt, expect, act, self.now(conn))
        )
        return moved

    def _move(self, receipt: str, was: str, values: dict[str, Any], lane: int | None = None) -> bool:
        as_read = [deliveries.c.receipt == receipt, deliveries.c.state == was]
        if lane is not None:
            as_read.append(deliveries.c.lane == lane)

        def change(conn: Connection) -> bool:
            now = self.now(conn)
            stamped = {key: now if value is _NOW else value for key, value in values.items()}
            result = conn.execute(sa.update(deliveries).where(*as_read).values(**stamped, changed_at=now))
            return bool(result.rowcount == 1)

        return bool(self.write(change))

    # --- housekeeping -----------------------------------------------------------------------------

    def expire(self, retention: Mapping[str, float], otherwise: float, limit: int = 500) -> dict[str, int]:
        """Delete what is older than its source's retention, and payloads kept beside delivered ones.

        ``otherwise``: the retention of sources that are gone from the configuration. Returns how many
        there were of each source, at most ``limit`` at a time.
        """
        sources = self.read(upkeep.sources_that_keep)
        counts = {name: self._expire(name, retention.get(name, otherwise), limit) for name in sources}
        return {name: count for name, count in counts.items() if count}

    def _expire(self, source: str, seconds: float, limit: int) -> int:
        return int(self.write(lambda conn: upkeep.expire(conn, source, self.now(conn) - seconds, limit)))

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

    def mark_restored(self) -> None:
        """Hold every destination: this is a copy, and what was queued then may have been sent since."""
        self.write(lambda conn: upkeep.hold_all_restored(conn, self.now(conn)))

    def version(self) -> int:
        """Return the schema version of the database, 0 for an empty one."""
        found: int = self.read(schema.version)
        return found

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
            target.unlink()  # half a backup looks like one
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

    def erase(self, receipts: Sequence[str]) -> list[str | None]:
        """Delete deliveries, but none that is being sent; slots in use stay counted.

        Returns, for each that is gone, the id of its profile upstream if it has one.
        """
        gone: list[str | None] = self.write(lambda conn: upkeep.erase(conn, receipts))
        return gone

    def stale(self) -> list[tuple[str, bytes | None, bytes | None]]:
        """Return (receipt, payload, hint) of some MiB that are not sealed with the newest key."""
        found: list[tuple[str, bytes | None, bytes | None]] = self.read(
            lambda conn: listing.stale(conn, self.vault.newest_id)
        )
        return found

    def reseal(self, rows: Sequence[tuple[str, bytes | None, bytes | None]]) -> None:
        """Seal what is still as it was read with the newest key. Raises KeyMissing, ValueError."""
        self.write(lambda conn: upkeep.reseal(conn, rows, self.vault))

    def rewrap_hash_key(self) -> None:
        """Seal the hash key with the newest key; no hash changes."""
        self.write(lambda conn: put_meta(conn, "hash_key", self.vault.rewrap_hash_key()))

    def ping(self) -> None:
        """Commit a small change. Raises Unavailable if nothing could be stored now."""
        self.write(lambda conn: put_meta(conn, "pinged", b"1"))


_NOW: Any = object()
"""Stands for the time of the change, which only the outbox knows."""
