"""The database as a whole: keys, copies, erasing a person, mapping everything again to see."""

from collections.abc import Iterator
from pathlib import Path

from relay.operator import erasure, finding, trial
from relay.operator.actor import REVEAL, VIEW
from relay.operator.desk import Desk
from relay.operator.erasure import Erased
from relay.operator.errors import CannotDo
from relay.operator.filter import Filter
from relay.operator.wording import count_of, is_or_are
from relay.outbox import listing, upkeep


class Whole(Desk):
    """The verbs about the database as a whole."""

    def rotate_keys(self) -> Iterator[int]:
        """Encrypt everything with the newest key; yields how many payloads are done so far.

        Raises CannotDo at the end, if some could not be read.
        """
        self.actor.must(REVEAL)
        done, after = 0, 0
        unread: list[str] = []
        outbox, vault = self._outbox, self._outbox.vault
        outbox.write(upkeep.rewrap_hash_key, vault)
        while stale := outbox.read(listing.stale, newest=vault.newest_id, after=after):
            failed = outbox.write(upkeep.reseal, rows=stale, vault=vault)
            unread += failed
            done, after = done + len(stale) - len(failed), stale[-1][0]
            yield done
        self._note("rotate keys", count=done)
        if unread:
            told = f"{count_of(len(unread), 'stored payload')} cannot be read, and {is_or_are(len(unread))}"
            raise CannotDo(f"{told} as before: {unread[-1]}")

    def backup(self, target: Path) -> None:
        """Copy the database while it is in use. Raises FileExistsError, Unfit."""
        self.actor.must(REVEAL)
        self._outbox.backup(target)

    def restored(self) -> None:
        """Hold everything: this database is a copy, and what was queued then may have been sent since."""
        self.actor.must(REVEAL)
        self._outbox.write(lambda conn: upkeep.hold_all_restored(conn, self._outbox.now(conn)))
        self._note("restored")

    def erase(self, text: str) -> Erased:
        """Delete every submission of a person, also those that only decrypting can find. Raises CannotDo."""
        self.actor.must(REVEAL)
        if not erasure.is_contact(text):
            raise CannotDo(erasure.NO_CONTACT)
        hashes = finding.hashes(text, self._settings, self._outbox.vault)
        rows = list(self._all(Filter(hashes=hashes)))
        mentioned = erasure.Mentioned(text, finding.readings(text, self._settings))
        rows += erasure.that_mention(self._outbox.with_payloads(), mentioned, self._outbox.vault)
        found = {row["receipt"]: row for row in rows}
        gone = self._outbox.write(upkeep.erase, list(found))
        self._outbox.checkpoint()
        self._note("erase", count=len(gone))
        ids = {row["profile_id"] for row in found.values()} | {profile_id for profile_id, _ in gone}
        told = tuple(sorted(one for one in ids if one))
        return Erased(len(gone), len(found) - len(gone), told, sum(is_untold for _, is_untold in gone))

    def try_recorded(self, only: str | None) -> Iterator[trial.Change]:
        """Map what is stored with the present configuration, and say what would be different.

        Names fields, never values. Raises Missing.
        """
        self.actor.must(VIEW)
        if only is not None:
            self._source(only)
        vault = self._outbox.vault
        return (trial.compared(row, self._settings, vault) for row in self._outbox.with_payloads(only))
