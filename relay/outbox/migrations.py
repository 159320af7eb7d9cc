"""The steps that bring a database up to date: forward only, refused when it is newer."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from relay.outbox import rights
from relay.outbox.columns import metadata
from relay.outbox.database import unhurried
from relay.outbox.errors import Unfit
from relay.outbox.locks import MIGRATING, one_at_a_time
from relay.outbox.operating import audit, heard, jobs, notices, refusals, unmapped
from relay.outbox.schema import (
    UNFINISHED,
    aliases,
    aliases_id_index,
    deliveries,
    destinations,
    sessions,
    waiting_index,
)

_c = deliveries.c


class Newer(RuntimeError):
    """The database was written by a newer relay."""


def _first(conn: Connection) -> None:
    metadata.create_all(conn)


def _making(one: sa.Table | sa.Index) -> Callable[[Connection], None]:
    """Return the step that brings a table or an index; a new database has it from the start."""
    return lambda conn: one.create(conn, checkfirst=True)


def _plain_keys(conn: Connection) -> None:
    _add_column(conn, _c.plain_key)
    _create_index(conn, "deliveries_plain_key")


def _sizes(conn: Connection) -> None:
    _add_column(conn, _c.size)
    held = _c.state == "held", _c.payload.is_not(None)
    conn.execute(sa.update(deliveries).where(*held).values(size=sa.func.length(_c.payload)))
    _create_index(conn, "deliveries_held")


def _add_column(conn: Connection, column: sa.Column[Any]) -> None:
    if column.name in {known["name"] for known in sa.inspect(conn).get_columns(column.table.name)}:
        return
    made = sa.schema.CreateColumn(column).compile(dialect=conn.dialect)
    conn.execute(sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {made}"))


def _adding(column: sa.Column[Any]) -> Callable[[Connection], None]:
    """Return the step that adds a column."""
    return lambda conn: _add_column(conn, column)


def _create_index(conn: Connection, name: str) -> None:
    (index,) = (one for one in deliveries.indexes if one.name == name)
    index.create(conn, checkfirst=True)


def _outages(conn: Connection) -> None:
    """Count unclear sends, and remember while upstream fails when one was tried.

    The column ``refused``, which is of no use any more, stays: a server of 0.1.0 that goes on until it is
    restarted asks for it with every call and every estimate.
    """
    _add_column(conn, _c.unclear)
    for name in ("unclear", "refusing", "tried_at", "answers"):
        _add_column(conn, destinations.c[name])
    conn.execute(sa.update(deliveries).where(UNFINISHED).values(unclear=_c.silent + _c.errors))
    failing = destinations.c.hold_reason == "failing"
    conn.execute(sa.update(destinations).where(failing).values(tried_at=destinations.c.hold_until))


def _twins(conn: Connection) -> None:
    """Recognise a repeat whatever key it carries."""
    _add_column(conn, _c.twin_key)
    _create_index(conn, "deliveries_twin_key")


def _plain_twins(conn: Connection) -> None:
    """Know of suspects, and of rows that gave their twin key up, whose twin they would be."""
    _add_column(conn, _c.plain_twin)
    _create_index(conn, "deliveries_plain_twin")


def _looked_at(conn: Connection) -> None:
    """Tell tests from arrivals, and serve every list and search of operators by an index."""
    _add_column(conn, _c.is_test)
    conn.execute(sa.update(deliveries).where(_c.reason == "test").values(is_test=True))
    conn.execute(sa.text("DROP INDEX IF EXISTS deliveries_arrivals"))
    lists = "of_source", "reason", "duplicate", "discarded"
    for name in (*lists, "profile", "trace", "groups", "tests"):
        _create_index(conn, f"deliveries_{name}")


def _indexes_apart(conn: Connection) -> None:
    """Let indexes serve alone: SQLite took their conditions for ends of a search, or read the rows."""
    for name in ("deliveries_waiting", "deliveries_groups"):
        conn.execute(sa.text(f"DROP INDEX IF EXISTS {name}"))
        _create_index(conn, name)


def _imported(conn: Connection) -> None:
    """Tell what tables brought from arrivals."""
    _add_column(conn, _c.is_imported)
    conn.execute(sa.text("DROP INDEX IF EXISTS deliveries_came"))
    _create_index(conn, "deliveries_arrived")


def _tidied_often(conn: Connection) -> None:
    """Have PostgreSQL tidy up after some thousand changes. By itself it waits for a fifth of the table: the
    newest weeks, which every page asks for, would be the ones that no index answers alone."""
    if conn.dialect.name == "postgresql" and (conn.dialect.server_version_info or ()) >= (13,):
        kinds = ("vacuum", "vacuum_insert", "analyze")  # the second is new in 13
        settings = ", ".join(f"autovacuum_{kind}_scale_factor = 0.02" for kind in kinds)
        conn.execute(sa.text(f"ALTER TABLE deliveries SET ({settings})"))


def _waiting_since(conn: Connection) -> None:
    """Answer by the index alone since when each waits: since it came, or was replayed."""
    conn.execute(sa.text("DROP INDEX IF EXISTS deliveries_unfinished"))
    _create_index(conn, "deliveries_unfinished")


def _alias_keys(conn: Connection) -> None:
    """Know a silent repeat again by the key that came with it."""
    _add_column(conn, aliases.c.id_hash)
    aliases_id_index.create(conn, checkfirst=True)


def _faults_kept(conn: Connection) -> None:
    """Remember a fault, and what a person's hold covers, through another hold (see ``holds``)."""
    for name in ("misconfigured", "asked_reason", "halved_at"):
        _add_column(conn, destinations.c[name])


STEPS: tuple[Callable[[Connection], None], ...] = (
    _first,
    _making(sessions),
    _making(audit),
    _making(waiting_index),
    _plain_keys,
    _making(jobs),
    _outages,
    _twins,
    _making(refusals),
    _sizes,
    _adding(_c.contact_hint),
    _making(aliases),
    _making(notices),
    _adding(_c.ignored_files),
    _making(unmapped),
    _plain_twins,
    _looked_at,
    _indexes_apart,
    _imported,
    _making(heard),
    _tidied_often,
    _waiting_since,
    _alias_keys,
    _adding(jobs.c.seen_at),
    _faults_kept,
    _adding(_c.moved_by),
    _adding(jobs.c.act),
)
"""Step n brings a database of version n - 1 to version n. Steps are added, never changed, but
that an index which a later one drops is no longer made, and nothing is dropped that older servers ask for."""

_DEADLOCK = "40P01"
_TRIES = 10
"""Servers of the version before go on meanwhile, and may hold one table and want what a step holds."""


def in_silence(before: int, after: int) -> None:
    """Say nothing of an upgrade."""


def migrate(
    engine: Engine,
    steps: tuple[Callable[[Connection], None], ...] = STEPS,
    *,
    upgrading: Callable[[int, int], object] | None = in_silence,
) -> tuple[int, int]:
    """Bring a database up to date and return its versions before and after.

    One transaction under a lock, so that several may start at once. ``upgrading`` is told the versions before
    one that an older relay made is changed; None: it is not. Raises Newer, Unfit.
    """
    for _ in range(_TRIES):
        try:
            return _migrated(engine, steps, upgrading)
        except sa.exc.OperationalError as problem:
            if getattr(problem.orig, "sqlstate", None) != _DEADLOCK:
                raise
    return _migrated(engine, steps, upgrading)


def _migrated(
    engine: Engine,
    steps: tuple[Callable[[Connection], None], ...],
    upgrading: Callable[[int, int], object] | None,
) -> tuple[int, int]:
    with engine.connect() as conn, unhurried(conn), conn.begin():  # on SQLite this is BEGIN IMMEDIATE
        if conn.dialect.name == "postgresql":
            # A step over many rows, or the wait for another's, takes as long as it takes.
            conn.execute(sa.text("SET LOCAL statement_timeout = 0"))
            conn.execute(sa.text("SET LOCAL lock_timeout = 0"))
            conn.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        one_at_a_time(conn, MIGRATING)
        if not _has_our_tables(conn):  # who may change rows only can use what another role made
            conn.execute(sa.text("CREATE TABLE schema_version (version INTEGER NOT NULL)"))
        if lacking := rights.lacking(conn):
            raise Unfit(lacking)
        before = version(conn)
        if before > len(steps):
            raise Newer(
                f"the database has schema version {before}, this relay knows {len(steps)}: run a newer relay"
            )
        if 0 < before < len(steps):
            _begin_upgrade(conn, before, len(steps), upgrading)
        for step in steps[before:]:
            step(conn)
        if before < len(steps):
            conn.execute(sa.text("DELETE FROM schema_version"))
            conn.execute(
                sa.text("INSERT INTO schema_version (version) VALUES (:version)"),
                {"version": len(steps)},
            )
        return before, len(steps)


def _take_tables(conn: Connection) -> None:
    """Take every table before the first step, in the order in which servers do.

    A step that wants one late would meet a server that has it and waits for what earlier steps hold, and so
    at every try: of a million rows these take longer than a server takes to come.
    """
    there = set(sa.inspect(conn).get_table_names())
    ordered = (destinations, jobs, *metadata.sorted_tables)
    names = ", ".join(one.name for one in ordered if one.name in there)
    conn.execute(sa.text(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE"))


def _begin_upgrade(
    conn: Connection, before: int, known: int, upgrading: Callable[[int, int], object] | None
) -> None:
    """Say that an older database is upgraded, and take its tables. Raises Unfit where it is not to be."""
    if upgrading is None:
        # Not that a start does, too: it would send what a dump holds, before `restored` is run.
        raise Unfit(
            f"the database has schema version {before}, this relay knows {known}: `relay migrate` upgrades "
            "it; an older relay cannot be started on it then"
        )
    upgrading(before, known)
    if conn.dialect.name == "postgresql":
        _take_tables(conn)


def _has_our_tables(conn: Connection) -> bool:
    """Whether there are tables, all of them made by a relay. Raises Unfit if others have their names."""
    names = {"schema_version", *metadata.tables}
    looked = sa.inspect(conn)
    found = names.intersection(looked.get_table_names())
    theirs = found
    if {"schema_version", deliveries.name} <= found:
        theirs = {name for name in found if not _is_ours(name, looked.get_columns(name))}
    if theirs:
        said = ", ".join(sorted(theirs))
        raise Unfit(
            f"the database has tables of another program ({said}); they were left alone. "
            "Give the relay a database of its own, or a schema (?options=-c%20search_path%3D…)"
        )
    return bool(found)


def _is_ours(name: str, columns: Iterable[Mapping[str, Any]]) -> bool:
    """Whether a table has the columns that the first relay to make it gave it; others came by steps."""
    if name not in metadata.tables:
        return True
    own = metadata.tables[name].columns
    needed = {one.name for one in own if not one.nullable and one.server_default is None}
    return needed <= {one["name"] for one in columns}


def version(conn: Connection) -> int:
    """Return the schema version of a database, 0 for an empty one."""
    if not sa.inspect(conn).has_table("schema_version"):
        return 0
    return int(conn.scalar(sa.text("SELECT max(version) FROM schema_version")) or 0)
