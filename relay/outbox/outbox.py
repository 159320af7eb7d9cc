"""The outbox: the durable list of deliveries, and the attempts that are upstream's quota ledger.

SQLAlchemy Core on SQLite (one server process, one writer thread that commits in batches) or
PostgreSQL (any number of processes; the database's clock). Every change of a delivery is guarded by
the state, and by the fence, that it was read with.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.clock import SteadyClock
from relay.delivery import RETRY
from relay.destination import Destination
from relay.health import Health
from relay.outbox import holds, listing, timekeeping, upkeep
from relay.outbox.arrivals import Arrivals
from relay.outbox.claiming import Sending
from relay.outbox.errors import Unavailable
from relay.outbox.holds import health_of, save_health
from relay.outbox.locks import locked_if_free
from relay.outbox.records import Claim, Decide, Decision, Look, NothingYet, ToCheck, Turn
from relay.outbox.schema import deliveries
from relay.outbox.statements import TO_CHECK
from relay.outbox.store import Store
from relay.outbox.timekeeping import Stamp
from relay.outcome import Seen, Wait
from relay.quota import even_pace
from relay.vault import Vault


class Outbox(Store):
    """A store, and the few verbs that are more than a function handed to ``read`` or ``write``."""

    def __init__(self, url: str, vault: Vault, clock: Callable[[], float]) -> None:
        super().__init__(url, vault, clock)
        self._tells_promotions = False if self._is_sqlite else None
        self._sending = Sending(self.now, self._destinations)
        self._arrivals = Arrivals()

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
        return self.write(self._sending.record, claim, seconds, decide, end_known)

    def looked(
        self, look: Look, destination: Destination, seen: Seen | Wait, seconds: float, jitter: float
    ) -> Health:
        """Record what a look showed; return what is known of the destination now."""
        return self.write(self._sending.looked, look, destination, seen, seconds, jitter)

    def recover(self, decide: Decide, *, every: bool) -> list[Decision]:
        """Settle deliveries whose sender has gone: ``every`` sending one, or those past their lease.

        Their slots in the ledger stay taken until the lease's end.
        """
        return self.write(self._sending.recover, decide, every)

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
        is_another = self.write(holds.meet, destination.name, way)
        self._destinations[destination.name] = destination
        return is_another

    # --- time -------------------------------------------------------------------------------------

    def keep_time(self, offset: float, boot: str) -> float:
        """At start on SQLite: carry what was stored over to this process's clock.

        Returns by how many seconds it must be put forward, so that nothing stored lies ahead of it.
        """
        longest = max((max(d.retry) for d in self._destinations.values()), default=0.0) * 1.2
        stamp = Stamp(boot, offset)
        return self.write(lambda conn: timekeeping.begin(conn, stamp, self.now(conn), longest))

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

    # --- upkeep -----------------------------------------------------------------------------------

    def arrivals(self, source: str, hours: int, now: float) -> list[int]:
        """Return how many came to a source in so many hours of the clock, the present one last."""
        return self.read(self._arrivals.by_hour, source, now, hours)

    def with_payloads(self, source: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield whole rows that have payloads, newest first; some MiB are read at a time."""
        before: int | None = None
        while rows := self.read(listing.with_payloads, source=source, before=before):
            before = rows[-1]["seq"]
            yield from rows

    def expire(self, retention: Mapping[str, float], otherwise: float, limit: int = 500) -> dict[str, int]:
        """Delete what is older than its source's retention, and payloads kept beside delivered ones.

        ``otherwise``: the retention of sources that are gone from the configuration. Returns how many
        there were of each source, at most ``limit`` at a time.
        """
        sources = self.read(upkeep.sources_that_keep)
        counts = {name: self._expire(name, retention.get(name, otherwise), limit) for name in sources}
        return {name: count for name, count in counts.items() if count}

    def _expire(self, source: str, seconds: float, limit: int) -> int:
        old = self.read(lambda conn: upkeep.old(conn, source, self.now(conn) - seconds, limit))
        if not old:
            return 0
        return self.write(lambda conn: upkeep.expire(conn, old, self.now(conn) - seconds))

    def forget_strays(self, after: int, limit: int = 500) -> int:
        """Delete some of the attempts that belong to nothing and count in no window any more.

        Return the number after which the next time is to begin: the whole table is looked through in turns.
        """
        windows = [window.seconds for one in self._destinations.values() for window in one.windows]
        kept = max([upkeep.STRAYS_SECONDS, *windows])
        found = self.read(lambda conn: upkeep.strays(conn, after, self.now(conn) - kept, limit))
        if found[0]:
            self.write(upkeep.forget_attempts, found[0])
        return found[1]
