"""The outbox: the durable list of deliveries, and the attempts that are upstream's quota ledger.

SQLAlchemy Core on SQLite (one server process, one writer thread that commits in batches) or
PostgreSQL (any number of processes; the database's clock). Every change of a delivery is guarded by
the state, and by the fence, that it was read with.
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from relay import schema
from relay.clock import SteadyClock
from relay.database import (
    CHECKPOINT,
    Damaged,
    Full,
    Unavailable,
    Unfit,
    Writer,
    check_is_ours,
    create_private,
    engine_for,
    is_fatal,
    sqlite_module,
    translate,
    truncate_wal,
)
from relay.delivery import (
    CHECK,
    DELIVERED,
    DISCARDED,
    FRESH,
    HELD,
    INVALID,
    KEPT,
    KEY_REUSED,
    QUEUED,
    RETRY,
    SENDING,
    Delivery,
)
from relay.destination import PROBED, RESTORED, Destination, Health, paused, resumed
from relay.entry import Claim, Decide, Decision, Entry, Known, NothingYet, Stored, ToCheck, Turn
from relay.outcome import MAX_WAIT_SECONDS
from relay.quota import even_pace, is_half_used, next_free
from relay.schema import LEFT, UNFINISHED, attempts, deliveries, destinations, holds, meta
from relay.statements import (
    ANY_INVALID,
    ATTEMPT,
    DATABASE_CLOCK,
    DUE_RETRIES,
    FINISH,
    FRESH_AFTER,
    FRESH_ANY,
    FRESH_DUE,
    HEALTH,
    INVALID_KEYS,
    IS_SENDING,
    LEDGER,
    NEXT_DUE,
    NEXT_RETRY,
    RETRY_IS_DUE,
    REUSED,
    SETTLE,
    START,
    TO_CHECK,
    changes_of,
    delivery_of,
    get_meta,
    give_key_up,
    in_state,
    insert_all,
    insert_ignoring,
    is_superseded,
    put_meta,
    row_of,
    stamped,
)
from relay.vault import Vault

_CHECKED_BYTES = 256 * 1024 * 1024
"""Larger files are not read through at start, which would take long."""
LEASE_GRACE_SECONDS = 10.0
"""A lease is the deadline of a call and this much, for what comes before and after it."""
_RETRY_EVERY = 10


class Outbox:
    """One database. ``clock`` returns seconds since 1970; PostgreSQL uses its own instead."""

    def __init__(self, url: str, vault: Vault, clock: Callable[[], float]) -> None:
        self.url = url
        self.vault = vault
        self._clock = clock
        self._is_sqlite = url.startswith("sqlite")
        self._engine = engine_for(url)
        self._reader = engine_for(url, reading=True) if self._is_sqlite else self._engine
        self._writer: Writer | None = None
        self._on_death: Callable[[BaseException], None] = lambda death: None
        self._destinations: dict[str, Destination] = {}
        self._has_invalid: bool | None = None
        self.is_full = False
        """Set while the disk is nearly full: what is stored already goes on, nothing new is taken."""
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
        self._destinations = {**self._destinations, **(destinations_ or {})}
        if self._is_sqlite:
            create_private(Path(self.url.removeprefix("sqlite:///")))
        try:
            if self._is_sqlite:
                self._check_file()
            schema.migrate(self._engine)
            with self._engine.begin() as conn:
                self._load_hash_key(conn)
                if sandbox is not None:
                    _check_purpose(conn, sandbox)
                _restore_if_copied(conn)
                for name in destinations_ or ():
                    insert_ignoring(conn, destinations, {"name": name}, ["name"])
        except schema.Newer as problem:
            raise Unfit(str(problem)) from None
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None

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
            self._writer = None
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
                return change(conn)
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None

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

    def keep_time(self, offset: float, boot: str) -> None:
        """At start on SQLite: carry what was stored over to this process's clock.

        Times of this run of the machine are moved by what the wall clock was set since; of an earlier run
        nothing is known, so every recent slot counts as taken now, and no wait is longer than it was.
        """

        def change(conn: Connection) -> None:
            stamp = f"{boot} {offset}".encode()
            known = (get_meta(conn, "clock") or b"").decode().split(" ")
            put_meta(conn, "clock", stamp)
            if len(known) == 2 and known[0] == boot and boot:
                self._shift(conn, offset - float(known[1]))
            elif conn.scalar(sa.select(sa.func.count()).select_from(attempts)):
                self._forget_time(conn)

        self.write(change)

    def shift(self, clock: SteadyClock, seconds: float, boot: str) -> None:
        """Follow a wall clock that was set, and move what lies ahead by as much.

        Both in the writer's turn: no claim sees the one without the other.
        """
        before, after = clock.offset, clock.offset + seconds

        def change(conn: Connection) -> None:
            clock.follow(after)
            self._shift(conn, seconds)
            put_meta(conn, "clock", f"{boot} {after}".encode())

        try:
            self.write(change)
        except Unavailable:
            clock.follow(before)
            raise

    @staticmethod
    def _shift(conn: Connection, seconds: float) -> None:
        if abs(seconds) < 1:
            return
        unfinished = sa.and_(UNFINISHED, deliveries.c.state.in_((QUEUED, SENDING)))
        conn.execute(
            sa.update(deliveries)
            .where(unfinished)
            .values(
                due_at=deliveries.c.due_at + seconds,
                lease_until=deliveries.c.lease_until + seconds,
                received_at=deliveries.c.received_at + seconds,
                replayed_at=deliveries.c.replayed_at + seconds,
                forbidden_at=deliveries.c.forbidden_at + seconds,
            )
        )
        conn.execute(
            sa.update(holds).values(
                started_at=holds.c.started_at + seconds, ended_at=holds.c.ended_at + seconds
            )
        )
        recent = sa.select(attempts.c.id).order_by(attempts.c.id.desc()).limit(_RECENT_ATTEMPTS)
        conn.execute(
            sa.update(attempts)
            .where(attempts.c.id.in_(recent.scalar_subquery()))
            .values(held_until=attempts.c.held_until + seconds)
        )
        conn.execute(
            sa.update(destinations).values(
                hold_until=destinations.c.hold_until + seconds,
                delivered_at=destinations.c.delivered_at + seconds,
            )
        )

    def _forget_time(self, conn: Connection) -> None:
        now = self.now(conn)
        recent = sa.select(attempts.c.id).order_by(attempts.c.id.desc()).limit(_RECENT_ATTEMPTS)
        conn.execute(
            sa.update(attempts).where(attempts.c.id.in_(recent.scalar_subquery())).values(held_until=now)
        )
        longest = max((max(d.retry) for d in self._destinations.values()), default=0.0) * 1.2
        for lanes, latest in ((deliveries.c.lane == RETRY, now + longest), (deliveries.c.lane != RETRY, now)):
            late = UNFINISHED, deliveries.c.state == QUEUED, lanes, deliveries.c.due_at > latest
            conn.execute(sa.update(deliveries).where(*late).values(due_at=latest))
        conn.execute(
            sa.update(destinations)
            .where(destinations.c.hold_until > now + MAX_WAIT_SECONDS)
            .values(hold_until=now + MAX_WAIT_SECONDS)
        )

    # --- intake -----------------------------------------------------------------------------------

    def put(self, entry: Entry) -> Stored:
        """Store an entry, or find the one it repeats; committed when this returns. Raises Unavailable."""
        if self.is_full:
            raise Unavailable("the disk is nearly full")
        try:
            if self._writer is not None:
                stored: Stored = self._writer.submit(entry)
                return stored
            with self._engine.begin() as conn:
                return self._store_batch(conn, [entry])[0]
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None

    def _store_batch(self, conn: Connection, entries: Sequence[Entry]) -> list[Stored]:
        now = self.now(conn)
        entries = [stamped(entry, now) for entry in entries] if not self._is_sqlite else entries
        invalid = self._invalid_ones(conn, entries)
        if any(entry.delivery.state == INVALID for entry in entries):
            self._has_invalid = True
        plain = [e for e in entries if e.is_plain and e.raw_key not in invalid]
        inserted = set(insert_all(conn, [row_of(entry) for entry in plain]))
        return [
            Stored(entry.delivery)
            if entry.delivery.receipt in inserted
            else self._store_one(conn, entry, now, may_mend=entry.raw_key in invalid)
            for entry in entries
        ]

    def _invalid_ones(self, conn: Connection, entries: Sequence[Entry]) -> set[bytes]:
        keys = [e.raw_key for e in entries if e.raw_key and e.delivery.state != INVALID]
        if not keys or not self._any_invalid(conn):
            return set()
        return {key for key in conn.scalars(INVALID_KEYS, {"keys": keys}) if key}

    def _any_invalid(self, conn: Connection) -> bool:
        """Whether there may be an invalid delivery: mostly not, which saves a query per batch."""
        if not self._is_sqlite:  # another process may have stored one
            return True
        if self._has_invalid is None:
            self._has_invalid = conn.scalar(ANY_INVALID) is not None
        return self._has_invalid

    def _store_one(self, conn: Connection, entry: Entry, now: float, *, may_mend: bool) -> Stored:
        """Store an entry that may have something in common with an earlier one.

        ``may_mend``: whether the same bytes are there, as invalid.
        """
        if may_mend and entry.delivery.state == QUEUED:
            if mended := self._find(conn, deliveries.c.repeat_key == entry.raw_key):
                if mended.state == INVALID:
                    return Stored(self._promote(conn, mended, entry, now), repeat=True)
        if entry.plain_key:
            earlier = self._find(conn, deliveries.c.repeat_key == entry.plain_key)
            if earlier and not is_superseded(earlier, entry.window, now):
                return self._repeat(conn, earlier)
        if entry.id_hash and self._is_reused(conn, entry):
            entry = replace(entry, delivery=replace(entry.delivery, reason=KEY_REUSED))
        for _ in range(3):
            if list(insert_all(conn, [row_of(entry)])):
                return Stored(entry.delivery)
            earlier = self._find(conn, deliveries.c.repeat_key == entry.repeat_key)
            if earlier and not is_superseded(earlier, entry.window, now):
                return self._repeat(conn, earlier)
            if earlier:
                give_key_up(conn, earlier)
        raise Unavailable("a repeat changed while it was looked at")

    def _repeat(self, conn: Connection, earlier: Delivery) -> Stored:
        text = conn.scalar(sa.select(deliveries.c.reply).where(deliveries.c.receipt == earlier.receipt))
        return Stored(earlier, repeat=True, reply=json.loads(text) if text else None)

    def _is_reused(self, conn: Connection, entry: Entry) -> bool:
        keys = {"id_hash": entry.id_hash, "repeat_key": entry.repeat_key}
        return conn.scalar(REUSED, keys) is not None

    def _promote(self, conn: Connection, delivery: Delivery, entry: Entry, now: float) -> Delivery:
        """Queue an invalid delivery whose repeat could be mapped."""
        taken = self._find(conn, deliveries.c.repeat_key == entry.repeat_key)
        mended = replace(delivery, state=QUEUED, reason=None, due_at=now, dropped=entry.delivery.dropped)
        mended = replace(mended, lane=entry.delivery.lane)
        conn.execute(
            sa.update(deliveries)
            .where(deliveries.c.receipt == delivery.receipt, deliveries.c.state == INVALID)
            .values(
                **changes_of(mended),
                payload=self.vault.seal(dict(entry.delivery.payload), delivery.receipt),
                repeat_key=None if taken else entry.repeat_key,
                email_hash=entry.email_hash,
                phone_hash=entry.phone_hash,
                consent=entry.consent,
                changed_at=now,
                replayed_at=now,
            )
        )
        return mended

    def _find(self, conn: Connection, condition: Any) -> Delivery | None:
        row = conn.execute(sa.select(deliveries).where(condition)).mappings().first()
        return delivery_of(row) if row else None

    def count(self, source: str, state: str) -> int:
        """Return how many submissions of a source are in a state."""
        query = sa.select(sa.func.count()).where(
            *in_state(state), deliveries.c.source == source, deliveries.c.state == state
        )
        return int(self.read(lambda conn: conn.scalar(query)))

    # --- dispatch ---------------------------------------------------------------------------------

    def idle_until(self, destination: str) -> float | None:
        """Return when the next delivery is due, None if one is: a look that costs no turn of the writer."""

        def look(conn: Connection) -> float | None:
            values = {"destination": destination, "now": self.now(conn), "source": ""}
            if any(conn.execute(lane, values).first() for lane in (FRESH_DUE, RETRY_IS_DUE)):
                return None
            return self._next_due(conn, destination)

        found: float | None = self.read(look)
        return found

    def claim(self, destination: Destination, turn: Turn) -> Claim | NothingYet:
        """Hand out the next delivery: its attempt recorded as started and its slot taken, in one commit."""
        claimed: Claim | NothingYet = self.write(lambda conn: self._claim(conn, destination, turn))
        if isinstance(claimed, Claim):
            turn.source = claimed.delivery.source
            turn.count += 1
            if claimed.delivery.lane == RETRY:
                turn.retry_at = claimed.started_at + even_pace(destination.windows)
        return claimed

    def _claim(self, conn: Connection, destination: Destination, turn: Turn) -> Claim | NothingYet:
        health = self._health(conn, destination.name, lock=True)
        now = self.now(conn)
        if health.hold_reason and not health.is_held(now):
            health = replace(health, hold_until=None, hold_reason=None)
            self._save_health(conn, destination.name, health, now)
        if health.is_held(now) and not health.may_probe(now):
            return NothingYet(health.ends_at or math.inf, "held")
        ledger = self._ledger(conn, destination, now)
        if sum(open_ for _, open_ in ledger) >= health.lane_width(destination):
            return NothingYet(math.inf, "parallel")
        slots = [held for held, _ in ledger]
        free = next_free(destination.windows, slots, now)
        if free > now:
            return NothingYet(free, "quota")
        probe = health.is_held(now)
        # Thousands of retries would use up each minute in its first seconds, and keep fresh ones waiting.
        no_retry = now < turn.retry_at and is_half_used(destination.windows, slots, now)
        row = self._next(conn, destination.name, turn, now, no_retry)
        if row is None:
            due = self._next_due(conn, destination.name)
            return NothingYet(max(due, turn.retry_at) if no_retry else due, "empty")
        return self._start(conn, destination, health, row, now, probe)

    def _ledger(self, conn: Connection, destination: Destination, now: float) -> list[tuple[float, bool]]:
        """Return, by time, when each recent slot's call ended or its lease ends, and whether it is open."""
        widest = max(window.seconds for window in destination.windows)
        rows = conn.execute(LEDGER, {"destination": destination.name, "since": now - widest - 1})
        return [(held, ended is None and held > now) for held, ended in rows]

    def _next(self, conn: Connection, name: str, turn: Turn, now: float, no_retry: bool) -> Any:
        """Return the row to send: sources take turns with their oldest fresh one.

        Every tenth slot goes to a due retry or replay.
        """
        values = {"destination": name, "now": now, "source": turn.source}
        lanes = [FRESH_AFTER, FRESH_ANY]
        if not no_retry:
            first = turn.count % _RETRY_EVERY == _RETRY_EVERY - 1
            lanes = [NEXT_RETRY, *lanes] if first else [*lanes, NEXT_RETRY]
        for lane in lanes:
            if row := conn.execute(self._locked(lane), values).mappings().first():
                return row
        return None

    def _locked(self, query: Any) -> Any:
        return query if self._is_sqlite else query.with_for_update(skip_locked=True)

    def _next_due(self, conn: Connection, name: str) -> float:
        due = conn.scalar(NEXT_DUE, {"destination": name})
        return math.inf if due is None else float(due)

    def _start(
        self,
        conn: Connection,
        destination: Destination,
        health: Health,
        row: Any,
        now: float,
        probe: bool,
    ) -> Claim:
        delivery = replace(delivery_of(row), state=SENDING)
        delivery = replace(delivery, fence=delivery.fence + 1, sends=delivery.sends + 1)
        lease_until = now + destination.deadline + LEASE_GRACE_SECONDS
        conn.execute(
            START,
            {
                "this_receipt": delivery.receipt,
                "fence": delivery.fence,
                "sends": delivery.sends,
                "lease_until": lease_until,
            },
        )
        attempt = conn.execute(
            ATTEMPT,
            {
                "receipt": delivery.receipt,
                "destination": destination.name,
                "started_at": now,
                "held_until": lease_until,
                "kind": "update" if delivery.is_update else "create",
                "probe": probe,
            },
        ).scalar_one()
        if probe:  # nobody else may probe until this one is back
            self._save_health(conn, destination.name, replace(health, hold_until=lease_until), now)
        return Claim(delivery, attempt, lease_until, now, probe, row["payload"])

    def record(
        self, claim: Claim, seconds: float, decide: Decide, *, end_known: bool = True
    ) -> Decision | None:
        """Record how an attempt ended. None if the delivery is no longer this claim's.

        ``end_known``: False when upstream may still see the call; then its slot is held to the lease's end.
        """
        recorded: Decision | None = self.write(
            lambda conn: self._record(conn, claim, seconds, decide, end_known)
        )
        return recorded

    def _record(
        self, conn: Connection, claim: Claim, seconds: float, decide: Decide, end_known: bool
    ) -> Decision | None:
        name = claim.delivery.destination
        health = self._health(conn, name, lock=True)
        now = self.now(conn)
        decision = decide(claim.delivery, self._known(conn, claim.delivery, health, now))
        guarded = {"this_receipt": claim.delivery.receipt, "this_fence": claim.delivery.fence}
        settled = self._settled(decision, now)
        unchanged = {"keep_payload": "payload" not in settled, "new_payload": None, "new_reply": None}
        values = {**unchanged, **{f"new_{name}": value for name, value in settled.items()}}
        changed = conn.execute(SETTLE, {**guarded, **values}).rowcount
        self._finish(conn, claim.attempt, decision, seconds, now if end_known else None, now)
        if not changed:
            return None
        if decision.health != health:
            self._save_health(conn, name, decision.health, now)
        return decision

    def _settled(self, decision: Decision, now: float) -> dict[str, Any]:
        delivery = decision.delivery
        values = {**changes_of(delivery), "changed_at": now, "lease_until": None}
        if decision.reply is not None:
            values["reply"] = json.dumps(decision.reply)
        if decision.box is not None:
            values["payload"] = decision.box
        elif delivery.state == DELIVERED and not delivery.dropped:
            values["payload"] = None
        return values

    def _finish(
        self,
        conn: Connection,
        attempt: int,
        decision: Decision,
        seconds: float,
        held_until: float | None,
        now: float,
    ) -> None:
        conn.execute(
            FINISH,
            {
                "this_attempt": attempt,
                "new_ended_at": now,
                "new_seconds": seconds,
                "new_outcome": decision.outcome.word,
                "new_status": decision.outcome.status,
                "new_held_until": held_until,
            },
        )

    def _known(self, conn: Connection, delivery: Delivery, health: Health, now: float) -> Known:
        return Known(
            now,
            health,
            lambda: self._sendable_seconds(conn, delivery, now),
            lambda: self._has_room(conn, delivery.destination, now),
        )

    def _has_room(self, conn: Connection, name: str, now: float) -> bool:
        destination = self._destinations.get(name)
        if destination is None:
            return False
        held = [held for held, _ in self._ledger(conn, destination, now)]
        return next_free(destination.windows, held, now) <= now

    def _sendable_seconds(self, conn: Connection, delivery: Delivery, now: float) -> float:
        """Return a delivery's age, or that of its replay, without the time its destination was held."""
        since = delivery.received_at if delivery.replayed_at is None else delivery.replayed_at
        rows = conn.execute(
            sa.select(holds.c.started_at, holds.c.ended_at).where(
                holds.c.destination == delivery.destination,
                sa.or_(holds.c.ended_at.is_(None), holds.c.ended_at > since),
            )
        )
        held: float = sum(
            max(0.0, (now if ended is None else ended) - max(started, since)) for started, ended in rows
        )
        return now - since - held

    def recover(self, decide: Decide, *, every: bool) -> list[Decision]:
        """Settle deliveries whose sender has gone: ``every`` sending one, or those past their lease.

        Their slots in the ledger stay taken until the lease's end.
        """
        recovered: list[Decision] = self.write(lambda conn: self._recover(conn, decide, every))
        return recovered

    def _recover(self, conn: Connection, decide: Decide, every: bool) -> list[Decision]:
        now = self.now(conn)
        gone = [IS_SENDING] if every else [IS_SENDING, deliveries.c.lease_until < now]
        # The destination before the row, as a result that comes in takes them: else both wait for ever.
        for name in sorted(conn.scalars(sa.select(deliveries.c.destination).where(*gone).distinct())):
            self._health(conn, name, lock=True)
        query = sa.select(deliveries).where(*gone).limit(_AT_ONCE)
        rows = conn.execute(self._locked(query)).mappings().all()
        return [self._recover_one(conn, row, decide, now) for row in rows]

    def _recover_one(self, conn: Connection, row: Any, decide: Decide, now: float) -> Decision:
        delivery = delivery_of(row)
        health = self._health(conn, delivery.destination, lock=True)
        decision = decide(delivery, self._known(conn, delivery, health, now))
        conn.execute(
            sa.update(deliveries)
            .where(deliveries.c.receipt == delivery.receipt, deliveries.c.fence == delivery.fence)
            .values(**self._settled(decision, now), fence=delivery.fence + 1)
        )
        conn.execute(
            sa.update(attempts)
            .where(attempts.c.receipt == delivery.receipt, attempts.c.ended_at.is_(None))
            .values(ended_at=now, outcome=decision.outcome.word)
        )
        if decision.health != health:
            self._save_health(conn, delivery.destination, decision.health, now)
        return decision

    def take_to_check(self, lease_seconds: float, without: Sequence[str] = ()) -> "ToCheck | None":
        """Hand out a delivery to be checked; it is due again after the lease if nothing comes of it.

        ``without``: sources whose deliveries are left alone for now.
        """

        def take(conn: Connection) -> ToCheck | None:
            now = self.now(conn)
            row = conn.execute(self._locked(TO_CHECK), {"now": now, "without": without}).mappings().first()
            if row is None:
                return None
            conn.execute(
                sa.update(deliveries)
                .where(deliveries.c.receipt == row["receipt"])
                .values(due_at=now + lease_seconds)
            )
            return ToCheck(row["receipt"], row["source"], row["destination"], row["payload"])

        taken: ToCheck | None = self.write(take) if self._has_to_check(without) else None
        return taken

    def _has_to_check(self, without: Sequence[str]) -> bool:
        def look(conn: Connection) -> bool:
            return conn.execute(TO_CHECK, {"now": self.now(conn), "without": without}).first() is not None

        return bool(self.read(look))

    def pass_check(self, receipt: str, lane: int) -> bool:
        """Let a delivery that was checked be sent."""
        return self._move(receipt, QUEUED, {"lane": lane, "due_at": _NOW}, lane=CHECK)

    def fail_check(self, receipt: str, reason: str) -> bool:
        """Hold a delivery that failed its check; from now on nobody repeats it."""
        held = {"state": HELD, "lane": FRESH, "reason": reason, "repeat_key": None}
        return self._move(receipt, QUEUED, held, lane=CHECK)

    # --- destinations -----------------------------------------------------------------------------

    def health(self, name: str) -> Health:
        """Return what is known of a destination."""
        found: Health = self.read(lambda conn: self._health(conn, name))
        return found

    def _health(self, conn: Connection, name: str, lock: bool = False) -> Health:
        query = HEALTH if not lock or self._is_sqlite else HEALTH.with_for_update()
        row = conn.execute(query, {"this_name": name}).mappings().first()
        if row is None:
            return Health()
        values = {key: row[key] for key in row if key != "name"}
        values["failing"] = tuple(json.loads(values["failing"] or "[]"))
        return Health(**values)

    def _save_health(self, conn: Connection, name: str, health: Health, now: float) -> None:
        before = self._health(conn, name)
        values = {field.name: getattr(health, field.name) for field in fields(Health)}
        values["failing"] = json.dumps(health.failing)
        conn.execute(sa.update(destinations).where(destinations.c.name == name).values(values))
        if before.hold_reason == health.hold_reason:
            return
        # One row per hold: they are taken off a delivery's age, and tell an operator what happened.
        ended = holds.c.destination == name, holds.c.ended_at.is_(None)
        conn.execute(sa.update(holds).where(*ended).values(ended_at=now))
        if health.hold_reason:
            conn.execute(sa.insert(holds).values(destination=name, started_at=now, reason=health.hold_reason))

    def change_hold(self, name: str, change: Callable[[Health, float], Health]) -> Health:
        """Change a destination's hold as a person or a reload asks, and return what it is now."""

        def apply(conn: Connection) -> Health:
            health, now = self._health(conn, name, lock=True), self.now(conn)
            changed = change(health, now)
            if changed != health:
                self._save_health(conn, name, changed, now)
            return changed

        changed: Health = self.write(apply)
        return changed

    def pause(self, name: str) -> Health:
        """Send nothing until a person resumes."""
        return self.change_hold(name, lambda health, _: paused(health))

    def resume(self, name: str) -> Health:
        """End a hold, whatever its reason; a limit that upstream named is still obeyed."""
        return self.change_hold(name, resumed)

    def probe_now(self, name: str) -> Health:
        """Try a destination that is held for a fault, at once."""

        def due(health: Health, now: float) -> Health:
            return replace(health, hold_until=now) if health.reason_kind in PROBED else health

        return self.change_hold(name, due)

    def ledger(self, destination: Destination) -> tuple[float, list[float]]:
        """Return the time, and the recent slots as ``quota`` wants them."""

        def look(conn: Connection) -> tuple[float, list[float]]:
            now = self.now(conn)
            return now, [held for held, _ in self._ledger(conn, destination, now)]

        found: tuple[float, list[float]] = self.read(look)
        return found

    def waiting(self, destination: str) -> dict[str, int]:
        """Return how many fresh deliveries wait, by source; retries under the empty name."""
        fresh = (
            sa.select(deliveries.c.source, sa.func.count())
            .where(
                deliveries.c.destination == destination,
                deliveries.c.state == QUEUED,
                deliveries.c.lane == FRESH,
            )
            .group_by(deliveries.c.source)
        )

        def look(conn: Connection) -> dict[str, int]:
            counts = {str(row[0]): int(row[1]) for row in conn.execute(fresh)}
            counts[""] = conn.scalar(DUE_RETRIES, {"destination": destination, "now": self.now(conn)}) or 0
            return counts

        found: dict[str, int] = self.read(look)
        return found

    def backlog(self) -> list[tuple[str, str, int, float]]:
        """Return (destination, state, count, oldest received_at) of all that is not finished."""
        query = (
            sa.select(
                deliveries.c.destination,
                deliveries.c.state,
                sa.func.count(),
                sa.func.min(deliveries.c.received_at),
            )
            .where(UNFINISHED)
            .group_by(deliveries.c.destination, deliveries.c.state)
        )
        rows: list[tuple[str, str, int, float]] = self.read(
            lambda conn: [tuple(row) for row in conn.execute(query)]
        )
        return rows

    def time(self) -> float:
        """Return the time all processes agree on, in seconds since 1970."""
        return float(self.read(self.now))

    def sources_all_invalid(self, count: int) -> list[str]:
        """Return the sources whose last so many submissions all failed to be mapped."""
        invalid = (
            sa.select(deliveries.c.source)
            .where(UNFINISHED, deliveries.c.state == INVALID)
            .group_by(deliveries.c.source)
            .having(sa.func.count() >= count)
        )

        def look(conn: Connection) -> list[str]:
            return [source for source in conn.scalars(invalid) if self._last_invalid(conn, source, count)]

        found: list[str] = self.read(look)
        return found

    @staticmethod
    def _last_invalid(conn: Connection, source: str, count: int) -> bool:
        last = (
            sa.select(deliveries.c.state)
            .where(deliveries.c.source == source)
            .order_by(deliveries.c.seq.desc())
            .limit(count)
        )
        return set(conn.scalars(last)) == {INVALID}

    def change_episodes(self, current: set[str]) -> tuple[set[str], set[str]]:
        """Make ``current`` the alerts that are firing; return which began and which are over.

        Of several processes that ask at once, one is told of each. What only one of them sees, such as a
        source over its limits, is over when nobody has seen it for a while.
        """

        def change(conn: Connection) -> tuple[set[str], set[str]]:
            if not self._is_sqlite:
                conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_EPISODES_LOCK)))
            now = self.now(conn)
            known = conn.execute(sa.select(meta.c.key, meta.c.value).where(meta.c.key.startswith(_EPISODE)))
            seen = {key.removeprefix(_EPISODE): float(value) for key, value in known}
            for key in current:
                put_meta(conn, _EPISODE + key, str(now).encode())
            patience = 0.0 if self._is_sqlite else _UNSEEN_SECONDS
            over = {key for key, at in seen.items() if key not in current and now - at >= patience}
            for key in over:
                conn.execute(sa.delete(meta).where(meta.c.key == _EPISODE + key))
            return current - seen.keys(), over

        changed: tuple[set[str], set[str]] = self.write(change)
        return changed

    # --- operators --------------------------------------------------------------------------------

    def get(self, receipt: str) -> Delivery | None:
        """Return one delivery, without its payload."""
        found: Delivery | None = self.read(lambda conn: self._find(conn, deliveries.c.receipt == receipt))
        return found

    def settled(self, receipt: str) -> Stored | None:
        """Return one delivery as its repeat would find it: with what its sender may see of the answer."""

        def look(conn: Connection) -> Stored | None:
            found = self._find(conn, deliveries.c.receipt == receipt)
            return self._repeat(conn, found) if found else None

        found: Stored | None = self.read(look)
        return found

    def rows(
        self,
        *,
        state: str | None = None,
        source: str | None = None,
        contact_hashes: tuple[bytes, ...] | None = None,
        before: str | None = None,
        receipt: str | None = None,
        with_payload: bool = False,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Return whole rows, newest first; ``before`` is the receipt a page ended with."""
        query = sa.select(deliveries).order_by(deliveries.c.seq.desc()).limit(limit)
        if state is not None:
            query = query.where(*in_state(state), deliveries.c.state == state)
        if source is not None:
            query = query.where(deliveries.c.source == source)
        if receipt is not None:
            query = query.where(deliveries.c.receipt == receipt)
        if with_payload:
            query = query.where(deliveries.c.payload.is_not(None))
        if contact_hashes is not None:
            query = query.where(
                sa.or_(
                    deliveries.c.email_hash.in_(contact_hashes),
                    deliveries.c.phone_hash.in_(contact_hashes),
                )
            )
        if before is not None:
            last = sa.select(deliveries.c.seq).where(deliveries.c.receipt == before)
            query = query.where(deliveries.c.seq < last.scalar_subquery())
        found: list[dict[str, Any]] = self.read(
            lambda conn: [dict(row) for row in conn.execute(query).mappings()]
        )
        return found

    def history(self, receipt: str) -> list[dict[str, Any]]:
        """Return every send of a delivery, in order."""
        query = sa.select(attempts).where(attempts.c.receipt == receipt).order_by(attempts.c.id)
        found: list[dict[str, Any]] = self.read(
            lambda conn: [dict(row) for row in conn.execute(query).mappings()]
        )
        return found

    def free_key(self, repeat_key: bytes, window: float | None) -> str | None:
        """Return the receipt of the delivery that has a key, as long as it counts; else free the key."""

        def change(conn: Connection) -> str | None:
            earlier = self._find(conn, deliveries.c.repeat_key == repeat_key)
            if earlier is None:
                return None
            if not is_superseded(earlier, window, self.now(conn)):
                return earlier.receipt
            give_key_up(conn, earlier)
            return None

        found: str | None = self.write(change)
        return found

    def requeue(self, receipt: str, was: str, values: dict[str, Any] | None = None) -> bool:
        """Queue a delivery for replay if it is still in the state it was read in."""
        return self._move(
            receipt,
            was,
            {
                **_changes_for_replay(),
                **(values or {}),
            },
        )

    def discard(self, receipt: str, was: str) -> bool:
        """Give a delivery up for good, its payload erased, if it is still in the state it was read in."""
        return self._move(receipt, was, {"state": DISCARDED, "payload": None, "reason": "discarded"})

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

    def expire(self, source: str, seconds: float, limit: int = 500) -> int:
        """Delete what retention says of a source, and payloads kept beside delivered ones."""

        def sweep(conn: Connection) -> int:
            old = deliveries.c.source == source, deliveries.c.changed_at < self.now(conn) - seconds
            kept = (
                sa.select(deliveries.c.receipt)
                .where(UNFINISHED, *old, deliveries.c.state.in_(KEPT))
                .limit(limit)
            )
            receipts = list(conn.scalars(kept))
            if receipts:
                conn.execute(sa.delete(deliveries).where(deliveries.c.receipt.in_(receipts)))
            left = sa.update(deliveries).where(LEFT, *old).values(payload=None)
            return len(receipts) + int(conn.execute(left).rowcount)

        return int(self.write(sweep))

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

        def delete(conn: Connection) -> list[str | None]:
            gone: list[str | None] = []
            for start in range(0, len(receipts), _AT_ONCE):
                some = deliveries.c.receipt.in_(receipts[start : start + _AT_ONCE])
                query = sa.delete(deliveries).where(some, sa.not_(IS_SENDING))
                gone += conn.scalars(query.returning(deliveries.c.profile_id))
            return gone

        gone: list[str | None] = self.write(delete)
        return gone

    def stale_boxes(self, limit: int) -> list[tuple[str, bytes]]:
        """Return (receipt, payload) of payloads that are not sealed with the newest key."""
        newest = self.vault.newest_id
        query = (
            sa.select(deliveries.c.receipt, deliveries.c.payload)
            .where(
                deliveries.c.payload.is_not(None),
                sa.func.substr(deliveries.c.payload, 1, len(newest)) != newest,
            )
            .limit(limit)
        )
        rows: list[tuple[str, bytes]] = self.read(lambda conn: [tuple(row) for row in conn.execute(query)])
        return rows

    def reseal(self, boxes: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Replace (receipt, old, new) payloads that are still as they were read."""

        def change(conn: Connection) -> None:
            for receipt, old, new in boxes:
                conn.execute(
                    sa.update(deliveries)
                    .where(deliveries.c.receipt == receipt, deliveries.c.payload == old)
                    .values(payload=new)
                )

        self.write(change)

    def rewrap_hash_key(self) -> None:
        """Seal the hash key with the newest key; no hash changes."""
        self.write(lambda conn: put_meta(conn, "hash_key", self.vault.rewrap_hash_key()))

    def ping(self) -> None:
        """Commit a small change. Raises Unavailable if nothing could be stored now."""
        self.write(lambda conn: put_meta(conn, "pinged", b"1"))


_RECENT_ATTEMPTS = 10_000
_AT_ONCE = 1000
_UNSEEN_SECONDS = 30.0
_EPISODE = "alert:"
_EPISODES_LOCK = 0x5167_6E75_7053
_NOW: Any = object()
"""Stands for the time of the change, which only the outbox knows."""


def _changes_for_replay() -> dict[str, Any]:
    return {
        "state": QUEUED,
        "lane": RETRY,
        "due_at": _NOW,
        "replayed_at": _NOW,
        "reason": "replayed",
        "attempts": 0,
        "silent": 0,
        "errors": 0,
        "forbidden_at": None,
    }


def _check_purpose(conn: Connection, sandbox: bool) -> None:
    """Keep pretend and real people apart, for ever. Raises Unfit."""
    purpose = b"sandbox" if sandbox else b"real"
    insert_ignoring(conn, meta, {"key": "purpose", "value": purpose}, ["key"])
    found = get_meta(conn, "purpose")
    if found == b"sandbox" and not sandbox:
        raise Unfit(
            "this database was made in sandbox mode; with a real token use another: set RELAY_DATABASE_URL"
        )
    if found == b"real" and sandbox:
        raise Unfit(
            "this database holds real submissions, and there is no token: set OCAMBA_TOKEN, "
            "or unset RELAY_DATABASE_URL to try the sandbox"
        )


def _restore_if_copied(conn: Connection) -> None:
    """A server started on a backup holds everything: what was queued then may have been sent since."""
    made_at = get_meta(conn, "backup")
    if made_at is None:
        return
    conn.execute(sa.delete(meta).where(meta.c.key == "backup"))
    conn.execute(
        sa.update(deliveries)
        .where(deliveries.c.state.in_((QUEUED, SENDING)))
        .values(state=QUEUED, may_be_duplicate=True)
    )
    # Held since the copy was made: nothing could be sent in between, so nothing gives up over it.
    conn.execute(sa.update(holds).where(holds.c.ended_at.is_(None)).values(ended_at=float(made_at)))
    held = sa.select(destinations.c.name, sa.literal(float(made_at)), sa.literal(RESTORED))
    conn.execute(sa.insert(holds).from_select(["destination", "started_at", "reason"], held))
    conn.execute(sa.update(destinations).values(hold_until=None, hold_reason=RESTORED))
