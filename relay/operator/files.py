"""Files: rows go out as one, old sign-ups come in as one; and the test of a source."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from relay.operator import exports, testing
from relay.operator.actor import ACT, REVEAL, VIEW
from relay.operator.desk import Desk
from relay.operator.errors import Nonsense
from relay.operator.filter import Filter
from relay.operator.imports import Import, Imported, Reject, Tell
from relay.operator.table import Table
from relay.outbox.wanted import MANY
from relay.outbox.wanted import count as count_rows


class Files(Desk):
    """The verbs about files."""

    def export(
        self, filter_: Filter, format_: str, *, people: bool = False, is_read: bool = True
    ) -> Iterator[str]:
        """Return a file of what a filter shows, piece by piece. ``people``: with names and contacts.

        ``is_read``: False where nobody gets any of it, which is nothing to write down. Raises Nonsense.
        """
        self.actor.must(REVEAL if people else VIEW)
        if format_ not in exports.FORMATS:
            raise Nonsense(f"format must be one of {', '.join(exports.FORMATS)}")
        rows = self._all(filter_, whole=people)
        if is_read:
            detail = {"format": format_, "people": people}
            count = self._outbox.read(count_rows, wanted=self._meant(filter_))
            self._note("export", count=min(count, MANY), filter=filter_.said(), detail=detail)
        return exports.written(rows, format_, self._settings, self._outbox.vault, people=people)

    def import_table(
        self,
        source: str,
        file: BinaryIO,
        names: Mapping[str, str],
        *,
        encoding: str | None = None,
        tell: Tell = lambda _: None,
        reject: Reject = lambda _problem, _columns: None,
        dry_run: bool = False,
    ) -> Imported:
        """Take the rows of a table in as submissions of a source, behind fresh ones.

        ``names``: what a column is called in the source; ``tell`` is called after each batch, ``reject`` with
        each row that cannot be used. Raises Missing, Unfitting, Nonsense.
        """
        self.actor.must(REVEAL)
        made = Import(self._source(source), Table(file, encoding), names)
        found, stage = Imported(), "stopped"
        if dry_run:
            made.run(self._outbox, found, tell, reject, dry_run=True)
            return found
        # Before anybody is stored: who is killed in the middle writes nothing more.
        self._note("import", count=0, detail={"source": source, "stage": "begun"})
        try:
            made.run(self._outbox, found, tell, reject)
            stage = "over"
        finally:
            detail = {"source": source, "repeats": found.repeats, "refused": found.refused, "stage": stage}
            self._note("import", count=found.queued, detail=detail)
        return found

    def test(
        self, source: str, contact: Mapping[str, str], *, send: bool = False, once: str = ""
    ) -> dict[str, Any]:
        """Have somebody made up sign up at a source; sent only to the operator's own ``contact``.

        ``once``: a name for this test, under which it is made once. Raises Missing, Unfitting.
        """
        self.actor.must(ACT)
        found = testing.signed_up(self._source(source), self._outbox, contact, send=send, once=once)
        self._note("test", receipt=found["receipt"], detail={"source": source, "send": send})
        return found
