"""The archive: what operators, alerts and upkeep read and change of what is stored."""

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from relay.outbox import listing, upkeep
from relay.outbox.errors import Unavailable, Unfit
from relay.outbox.sqlite import sqlite_module, truncate_wal
from relay.outbox.store import Store
from relay.outbox.writer import CHECKPOINT


class Archive(Store):
    """A store, as those see it who look after it."""

    def time(self) -> float:
        """Return the time all processes agree on, in seconds since 1970."""
        return self.read(self.now)

    def arrivals(self, source: str, hours: int, now: float) -> list[int]:
        """Return how many came to a source in so many hours of the clock, the present one last."""
        return self.read(lambda conn: self._arrivals.by_hour(conn, source, now, hours))

    # --- operators --------------------------------------------------------------------------------

    def with_payloads(self, source: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield whole rows that have payloads, newest first; some MiB are read at a time."""
        before: int | None = None
        while rows := self.read(partial(listing.with_payloads, source=source, before=before)):
            before = rows[-1]["seq"]
            yield from rows

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
            self.write(lambda conn: upkeep.forget_attempts(conn, found[0]))
        return found[1]

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
