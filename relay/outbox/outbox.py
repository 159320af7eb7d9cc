"""The outbox: the durable list of deliveries, and the attempts that are upstream's quota ledger.

SQLAlchemy Core on SQLite (one server process, one writer thread that commits in batches) or
PostgreSQL (any number of processes; the database's clock). Every change of a delivery is guarded by
the state, and by the fence, that it was read with.
"""

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from relay.delivery import RETRY
from relay.destination import Destination
from relay.health import Health
from relay.outbox import holds, upkeep
from relay.outbox.archive import Archive
from relay.outbox.database import connected
from relay.outbox.errors import Crossed, OverBudget, Unavailable
from relay.outbox.holds import health_of, save_health
from relay.outbox.locks import locked_if_free
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
from relay.outbox.schema import deliveries
from relay.outbox.statements import TO_CHECK
from relay.outcome import Seen, Wait
from relay.quota import even_pace

_CROSSED_MOST = 3
"""So often one submission is tried that other processes cross."""


class Outbox(Archive):
    """What intake and dispatch do with a database; those who look after it have ``Archive``."""

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
                stored = self._put_beside_others(entry)
        except SQLAlchemyError as problem:
            raise self._translated(problem) from None
        self._wrote()
        if isinstance(stored, NoRoom):
            raise OverBudget(entry.delivery.source)
        found: Stored = stored
        return found

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

    # --- dispatch ---------------------------------------------------------------------------------

    def claim(self, destination: Destination, turn: Turn) -> Claim | Look | NothingYet:
        """Hand out the next delivery: its attempt recorded as started and its slot taken, in one commit.

        While upstream fails, a look at it comes first.
        """

        def take(conn: Connection) -> Claim | Look | NothingYet:
            if self._tells_promotions is None:
                self._tells_promotions = upkeep.tells_promotions(conn)
            if self._tells_promotions:
                upkeep.mark_if_promoted(conn)
            return self._sending.claim(conn, destination, turn)

        claimed = self.write(take)
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
        return self.write(lambda conn: self._sending.record(conn, claim, seconds, decide, end_known))

    def looked(
        self, look: Look, destination: Destination, seen: Seen | Wait, seconds: float, jitter: float
    ) -> Health:
        """Record what a look showed; return what is known of the destination now."""
        return self.write(lambda conn: self._sending.looked(conn, look, destination, seen, seconds, jitter))

    def recover(self, decide: Decide, *, every: bool) -> list[Decision]:
        """Settle deliveries whose sender has gone: ``every`` sending one, or those past their lease.

        Their slots in the ledger stay taken until the lease's end.
        """
        return self.write(lambda conn: self._sending.recover(conn, decide, every))

    def take_to_check(
        self, lease_seconds: float, *, known: Sequence[str], patience: float, without: Sequence[str] = ()
    ) -> ToCheck | None:
        """Hand out a delivery to be checked; it is due again after the lease if nothing comes of it.

        ``without``: sources whose deliveries are left alone for now. Those of a source that is not
        ``known`` are for who knows it, for so many seconds.
        """
        asked = {"without": without, "known": known, "patience": patience}

        def take(conn: Connection) -> ToCheck | None:
            now = self.now(conn)
            row = conn.execute(locked_if_free(conn, TO_CHECK), {"now": now, **asked}).mappings().first()
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

        return self.write(take) if self._has_to_check(asked) else None

    def _has_to_check(self, asked: dict[str, Any]) -> bool:
        def look(conn: Connection) -> bool:
            return conn.execute(TO_CHECK, {"now": self.now(conn), **asked}).first() is not None

        return self.read(look)

    # --- destinations -----------------------------------------------------------------------------

    def change_hold(self, name: str, change: Callable[[Health, float], Health]) -> Health:
        """Change a destination's hold as a person or a reload asks, and return what it is now.

        The time is told when nobody else changes it any more.
        """

        def apply(conn: Connection) -> Health:
            health, now = health_of(conn, name, lock=True), self.now(conn)
            changed = change(health, now)
            if changed != health:
                save_health(conn, name, changed, now)
            return changed

        return self.write(apply)

    def meet(self, destination: Destination) -> bool:
        """Get to know a destination that is new or has changed. Raises Unavailable.

        Returns whether it was last reached by another address or token.
        """
        way = self.vault.hash("way", destination.url, destination.token)
        is_another = self.write(lambda conn: holds.meet(conn, destination.name, way))
        self._destinations[destination.name] = destination
        return is_another
