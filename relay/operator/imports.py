"""Old sign-ups of a table become submissions: the same mapping, contact and consent rules as at the door.

They wait in the lane of replays, behind fresh ones. A row of somebody who is stored already is a repeat,
whatever else it says, so that a table may be imported again after a crash, or with its mistakes mended.
"""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from relay.delivery import QUEUED, RETRY
from relay.intake.entry import entry_of
from relay.operator.errors import Misnamed, Unfitting
from relay.operator.exports import as_typed
from relay.operator.table import Row, Table
from relay.outbox import storing
from relay.outbox.locks import MOVING, one_at_a_time
from relay.outbox.outbox import Outbox
from relay.outbox.people import People
from relay.outbox.records import Entry, Stored
from relay.outbox.statements import stamped
from relay.sources.body import JSON, Submission
from relay.sources.leaving import has_left, never_said_yes
from relay.sources.mapping import CONTACTS, Mapped
from relay.sources.paths import Path
from relay.sources.rules import Rule
from relay.sources.source import Source
from relay.sources.unmapped import known_names, unmapped
from relay.vault import Vault

_BATCH = 250
_SHOWN = 20


@dataclass(frozen=True)
class Problem:
    """Why a row was not taken: by line, with the names of fields and never a value."""

    line: int
    why: str
    cells: tuple[str, ...] = field(repr=False)
    """As they are, in the order of the table's columns."""


@dataclass
class Imported:
    """How far an import has come. ``problems``: the first of them."""

    rows: int = 0
    queued: int = 0
    repeats: int = 0
    refused: int = 0
    problems: list[Problem] = field(default_factory=list)
    unread_from: int | None = None
    """The line from which on nothing could be read."""
    guessed: str | None = None
    """The encoding of its text, where that may be another."""


Tell = Callable[[Imported], None]
"""Called after each batch with how far it has come."""
Reject = Callable[[Problem, Sequence[str]], None]
"""Called with each row that was not taken, and the columns of its table."""


@dataclass(frozen=True)
class Import:
    """One table into one source. ``names``: what a column is called in the source, by column."""

    source: Source
    table: Table
    names: Mapping[str, str]

    def __post_init__(self) -> None:
        """Raises Misnamed for a column or a name of the source that is not there, Unfitting for two columns
        that are one, or without a contact.
        """
        columns = ", ".join(self.table.columns)[:300]
        if unknown := sorted(set(self.names) - set(self.table.columns)):
            raise Misnamed(f"there is no column {unknown[0]!r}; there are {columns}")
        for name in self.names.values():
            if name not in self.source.mapping.rules and unmapped(self.source, {name: "x"}):
                known = ", ".join(known_names(self.source))[:300]
                raise Misnamed(f"{self.source.name} looks at no {name!r}; it looks at {known}")
        keys = dict.fromkeys(self._keys.values(), "x")
        if not (self._contacts() or self.source.mapping.has_contact_fields(keys)):
            raise Unfitting(f"no column holds a contact of {self.source.name}: map one of {columns}")

    def _contacts(self) -> set[str]:
        """Return the contacts that columns are mapped to by name, wherever their rules look."""
        return set(CONTACTS) & set(self.source.mapping.rules) & set(self.names.values())

    @cached_property
    def _keys(self) -> Mapping[str, str]:
        """The keys of a body under which cells stand, by column: without columns that mapped ones replace.

        Raises Unfitting.
        """
        mapped = {name: place_of(self.source, name) or name for name in self.names.values()}
        replaced = {key for name, key in mapped.items() for key in _replaced(self.source, name, key)}
        found = {column: mapped[name] for column, name in self.names.items()}
        for column in filter(None, self.table.columns):
            key = place_of(self.source, column) or column
            if column not in found and key not in replaced:
                found[column] = key
        by_key: dict[str, str] = {}
        for column, key in found.items():
            if other := by_key.get(key):
                pair = " and ".join(map(repr, sorted((other, column))))
                raise Unfitting(
                    f"the columns {pair} are both the {key} of {self.source.name}: map one of them"
                )
            by_key[key] = column
        return found

    def run(
        self, outbox: Outbox, found: Imported, tell: Tell, reject: Reject, *, dry_run: bool = False
    ) -> None:
        """Store every row that can be used, a batch in a commit; with ``dry_run`` only look.

        ``found`` is told after each batch, however this ends.
        """
        people = People()
        found.guessed = self.table.encoding if self.table.is_guess else None
        rows = self.table.rows()
        while batch := list(itertools.islice(rows, _BATCH)):
            entries: list[Entry] = []
            at = outbox.time()
            for row in batch:
                made = self._entry(row, outbox.vault, at)
                if isinstance(made, Entry):
                    entries.append(made)
                else:
                    found.refused += 1
                    found.problems += [made] if len(found.problems) < _SHOWN else []
                    reject(made, self.table.columns)
            found.rows += len(batch)
            repeats = self._repeats(outbox, entries, people) if dry_run else self._store(outbox, entries)
            found.repeats += repeats
            found.queued += len(entries) - repeats
            tell(found)
        found.unread_from = self.table.unread_from

    def _entry(self, row: Row, vault: Vault, at: float) -> Entry | Problem:
        if row.problem:
            return Problem(row.line, row.problem, row.cells)
        cells = dict(zip(self.table.columns, map(as_typed, row.cells), strict=False))
        fields, mapping = self._fields(cells), self.source.mapping
        if self._is_gone(fields):
            return Problem(row.line, "left, or said no", row.cells)
        given = self._given(cells)
        mapped = mapping.correct(fields, given) if given else mapping.apply(fields)
        if not mapped.ok:
            why = "; ".join(f"{name}: {' '.join(said)}" for name, said in mapped.errors.items())
            return Problem(row.line, why, row.cells)
        return self._made(fields, mapped, vault, at)

    def _is_gone(self, fields: Mapping[str, Any]) -> bool:
        """Whether the export of a list, which tells of everybody, has somebody who is not on it (any more).

        It does not say so in the fields of a message that `unless` looks at: a preset's would find nobody.
        """
        if self.source.takes_who_left:
            return False
        # Where people are asked for each contact, their answers are.
        return has_left(fields) or (not self.source.mapping.consent and never_said_yes(fields))

    def _made(self, fields: dict[str, Any], mapped: Mapped, vault: Vault, at: float) -> Entry:
        sent = submission_of(fields, at)
        # Nobody is asked for a captcha here.
        entry = entry_of(replace(self.source, captcha=None), sent, mapped, QUEUED, None, vault)
        # The same row is a repeat however long ago it was imported.
        delivery = replace(entry.delivery, lane=RETRY)
        return replace(entry, delivery=delivery, window=None, is_silent=False, is_imported=True)

    def _fields(self, cells: Mapping[str, str]) -> dict[str, Any]:
        """Return the body that a row stands for; a profile field stands where its rule looks first."""
        return {self._keys[column]: cell for column, cell in cells.items() if column in self._keys}

    def _given(self, cells: Mapping[str, str]) -> dict[str, str]:
        """Return the cells of profile fields whose rules look for labels, which no body can be made for."""
        named = {self.names[column]: cell for column, cell in cells.items() if column in self.names}
        rules = self.source.mapping.rules
        return {
            name: cell for name, cell in named.items() if name in rules and not place_of(self.source, name)
        }

    @staticmethod
    def _repeats(outbox: Outbox, entries: list[Entry], people: People) -> int:
        """Return how many entries would be repeats; ``people``: whom the table named before."""

        def look(conn: Any) -> int:
            there = people.meet(conn, entries)
            fresh = [entry for entry, known in zip(entries, there, strict=True) if not known]
            return sum(there) + sum(storing.known(conn, fresh, outbox.now(conn)))

        return outbox.read(look)

    @staticmethod
    def _store(outbox: Outbox, entries: list[Entry]) -> int:
        """Store entries of people who are not stored yet, and return how many were there already."""

        def change(conn: Any) -> int:
            one_at_a_time(conn, MOVING)  # of two imports at once, the second finds whom the first brought
            now = outbox.now(conn)
            known = People().meet(conn, entries)
            made = [stamped(entry, now) for entry, there in zip(entries, known, strict=True) if not there]
            stored = storing.store(conn, made, now, outbox.vault)
            return sum(known) + sum(isinstance(one, Stored) and one.repeat for one in stored)

        return outbox.write(change) if entries else 0


def place_of(source: Source, name: str) -> str | None:
    """Return the key of a body under which the rule of a profile field finds a value."""
    rule = source.mapping.rules.get(name)
    return first_place(rule) if rule is not None else None


def first_place(rule: Rule) -> str | None:
    """Return the first key of a body that a rule looks at; None if it looks for labels."""
    return next((place.text for place in rule.places if isinstance(place, Path)), None)


def _replaced(source: Source, name: str, key: str) -> Iterator[str]:
    """Yield the keys at which nothing may stand so that what stands at ``key`` is what is taken.

    What a rule looks at later may stay: it counts where that is blank. ``name``: what a column was mapped to;
    for a profile field, it is the whole of it.
    """
    yield key
    for field_, rule in source.mapping.every.items():
        first, joined = ([getattr(place, "text", "") for place in some] for some in (rule.first, rule.joined))
        if key in first:
            yield from first[: first.index(key)]
        elif key in joined:
            yield from first
            yield from joined if name == field_ else ()


def submission_of(fields: dict[str, Any], at: float, key: str | None = None) -> Submission:
    """Return a submission that nobody posted. ``key``: what recognises it, where its fields hold no id."""
    raw = json.dumps(fields, ensure_ascii=False).encode()
    return Submission(fields, raw, JSON, at, key)
