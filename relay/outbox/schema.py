"""The tables of the outbox, and the numbered steps that bring any older database up to date."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from relay.outbox.columns import Bytes, Serial, Time, metadata, partial_index
from relay.outbox.operating import audit, jobs, notices, refusals, unmapped

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("seq", Serial, primary_key=True),
    sa.Column("receipt", sa.Text, nullable=False, unique=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("lane", sa.SmallInteger, nullable=False, server_default="0"),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("due_at", Time, nullable=False),
    sa.Column("changed_at", Time, nullable=False),
    sa.Column("delivered_at", Time),
    sa.Column("replayed_at", Time),
    sa.Column("lease_until", Time),
    sa.Column("fence", sa.Integer, nullable=False, server_default="0"),
    sa.Column("sends", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("silent", sa.Integer, nullable=False, server_default="0"),
    sa.Column("errors", sa.Integer, nullable=False, server_default="0"),
    sa.Column("unclear", sa.Integer, nullable=False, server_default="0"),
    sa.Column("forbidden_at", Time),
    sa.Column("may_be_duplicate", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("profile_id", sa.Text),
    sa.Column("trace_id", sa.Text),
    sa.Column("dropped", sa.Text),
    sa.Column("ignored_files", sa.Text),
    sa.Column("consent", sa.Text),
    sa.Column("reply", sa.Text),
    sa.Column("payload", Bytes),
    sa.Column("size", sa.Integer, nullable=False, server_default="0"),
    sa.Column("contact_hint", Bytes),
    sa.Column("repeat_key", Bytes),
    sa.Column("plain_key", Bytes),
    sa.Column("twin_key", Bytes),
    sa.Column("plain_twin", Bytes),
    sa.Column("id_hash", Bytes),
    sa.Column("email_hash", Bytes),
    sa.Column("phone_hash", Bytes),
)
_c = deliveries.c


_UNFINISHED = "state IN ('queued','sending','held','invalid','refused','parked','dead')"
_LEFT = "state = 'delivered' AND payload IS NOT NULL"


sa.Index("deliveries_repeat_key", _c.repeat_key, unique=True)
partial_index("deliveries_plain_key", _c.plain_key, where="plain_key IS NOT NULL")
partial_index("deliveries_twin_key", _c.twin_key, where="twin_key IS NOT NULL", unique=True)
partial_index("deliveries_plain_twin", _c.plain_twin, where="plain_twin IS NOT NULL")
partial_index("deliveries_id_hash", _c.id_hash, where="id_hash IS NOT NULL")
partial_index("deliveries_email_hash", _c.email_hash, where="email_hash IS NOT NULL")
partial_index("deliveries_phone_hash", _c.phone_hash, where="phone_hash IS NOT NULL")
partial_index(
    "deliveries_fresh",
    _c.destination,
    _c.source,
    _c.due_at,
    _c.seq,
    where="state = 'queued' AND lane = 0",
)
partial_index("deliveries_retry", _c.destination, _c.due_at, _c.seq, where="state = 'queued' AND lane = 1")
partial_index("deliveries_check", _c.due_at, where="state = 'queued' AND lane = 2")
partial_index("deliveries_sending", _c.lease_until, where="state = 'sending'")
partial_index(
    "deliveries_unfinished",
    _c.destination,
    _c.state,
    _c.received_at,
    where=_UNFINISHED,
)
partial_index("deliveries_held", _c.source, _c.size, where="state = 'held'")
partial_index("deliveries_left", _c.changed_at, where=_LEFT)
_ARRIVED = "received_at > 0"
_arrivals = partial_index("deliveries_arrivals", _c.source, _c.received_at, where=_ARRIVED)
ARRIVED = sa.text(f"deliveries.{_ARRIVED}")
"""All rows, said in the words of an index that only who says so may use. SQLite would take a plain one for
every question about a source, and walk through all that is done."""
_waiting = partial_index("deliveries_waiting", _c.state, _c.seq, where=_UNFINISHED)
UNFINISHED = sa.text(f"deliveries.{_UNFINISHED}")
"""Rows that are not done. Asked for in the very words of the index, without which SQLite does not use it."""
LEFT = sa.text("deliveries.state = 'delivered' AND deliveries.payload IS NOT NULL")
"""Delivered rows whose payload is kept for a contact that was dropped."""

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("receipt", sa.Text, primary_key=True),
    sa.Column("of", sa.Text, sa.ForeignKey("deliveries.receipt", ondelete="CASCADE"), nullable=False),
    sa.Column("received_at", Time, nullable=False),
)
"""Receipts of repeats whose senders are not to know that they are: another name of a row."""
sa.Index("aliases_of", aliases.c.of)

attempts = sa.Table(
    "attempts",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    # No foreign key: a slot stays taken although its delivery was erased.
    sa.Column("receipt", sa.Text, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("probe", sa.Boolean, nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("held_until", Time, nullable=False),
    sa.Column("ended_at", Time),
    sa.Column("seconds", Time),
    sa.Column("outcome", sa.Text),
    sa.Column("status", sa.Integer),
)
sa.Index("attempts_ledger", attempts.c.destination, attempts.c.held_until)
sa.Index("attempts_receipt", attempts.c.receipt)

destinations = sa.Table(
    "destinations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("hold_until", Time),
    sa.Column("hold_reason", sa.Text),
    sa.Column("hold_seconds", Time, nullable=False, server_default="0"),
    sa.Column("failing", sa.Text),
    sa.Column("unclear", sa.Integer, nullable=False, server_default="0"),
    sa.Column("refusing", sa.Text),
    sa.Column("tried_at", Time),
    sa.Column("answers", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("forbidden_receipt", sa.Text),
    sa.Column("parallel", sa.Integer),
    sa.Column("successes", sa.Integer, nullable=False, server_default="0"),
    sa.Column("delivered_at", Time),
)

holds = sa.Table(
    "holds",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("started_at", Time, nullable=False),
    sa.Column("ended_at", Time),
    sa.Column("reason", sa.Text, nullable=False),
)
sa.Index("holds_destination", holds.c.destination, holds.c.ended_at)

meta = sa.Table(
    "meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", Bytes, nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("operator", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("csrf", sa.Text, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("seen_at", Time, nullable=False),
)


class Newer(RuntimeError):
    """The database was written by a newer relay."""


def _first(conn: Connection) -> None:
    metadata.create_all(conn)


def _sessions(conn: Connection) -> None:
    sessions.create(conn, checkfirst=True)


def _audited(conn: Connection) -> None:
    audit.create(conn, checkfirst=True)


def _arrivals_indexed(conn: Connection) -> None:
    _arrivals.create(conn, checkfirst=True)
    _waiting.create(conn, checkfirst=True)


def _plain_keys(conn: Connection) -> None:
    _add_column(conn, _c.plain_key)
    _create_index(conn, "deliveries_plain_key")


def _sizes(conn: Connection) -> None:
    _add_column(conn, _c.size)
    held = _c.state == "held", _c.payload.is_not(None)
    conn.execute(sa.update(deliveries).where(*held).values(size=sa.func.length(_c.payload)))
    _create_index(conn, "deliveries_held")


def _hints(conn: Connection) -> None:
    _add_column(conn, _c.contact_hint)


def _add_column(conn: Connection, column: sa.Column[Any]) -> None:
    if column.name in {known["name"] for known in sa.inspect(conn).get_columns(column.table.name)}:
        return  # a new database has it from the start
    made = sa.schema.CreateColumn(column).compile(dialect=conn.dialect)
    conn.execute(sa.text(f"ALTER TABLE {column.table.name} ADD COLUMN {made}"))


def _create_index(conn: Connection, name: str) -> None:
    (index,) = (one for one in deliveries.indexes if one.name == name)
    index.create(conn, checkfirst=True)


def _jobs(conn: Connection) -> None:
    jobs.create(conn, checkfirst=True)


def _outages(conn: Connection) -> None:
    """Count unclear sends, and remember while upstream fails when one was tried."""
    _add_column(conn, _c.unclear)
    for name in ("unclear", "refusing", "tried_at", "answers"):
        _add_column(conn, destinations.c[name])
    if "refused" in {known["name"] for known in sa.inspect(conn).get_columns("destinations")}:
        conn.execute(sa.text("ALTER TABLE destinations DROP COLUMN refused"))
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


def _refusals(conn: Connection) -> None:
    refusals.create(conn, checkfirst=True)


def _aliased(conn: Connection) -> None:
    aliases.create(conn, checkfirst=True)


def _notices(conn: Connection) -> None:
    notices.create(conn, checkfirst=True)


def _ignored_files(conn: Connection) -> None:
    _add_column(conn, _c.ignored_files)


def _unmapped(conn: Connection) -> None:
    unmapped.create(conn, checkfirst=True)


STEPS: tuple[Callable[[Connection], None], ...] = (
    _first,
    _sessions,
    _audited,
    _arrivals_indexed,
    _plain_keys,
    _jobs,
    _outages,
    _twins,
    _refusals,
    _sizes,
    _hints,
    _aliased,
    _notices,
    _ignored_files,
    _unmapped,
    _plain_twins,
)
"""Step n brings a database of version n - 1 to version n. Steps are added, never changed."""

_LOCK = 0x5167_6E75_7052  # any number that nobody else takes an advisory lock on


def migrate(engine: Engine, steps: tuple[Callable[[Connection], None], ...] = STEPS) -> tuple[int, int]:
    """Bring a database up to date and return its versions before and after.

    One transaction under a lock, so that several may start at once. Raises Newer.
    """
    with engine.begin() as conn:  # on SQLite this is BEGIN IMMEDIATE
        if conn.dialect.name == "postgresql":
            # A step over many rows, or the wait for another's, takes as long as it takes.
            conn.execute(sa.text("SET LOCAL statement_timeout = 0"))
            conn.execute(sa.text("SET LOCAL lock_timeout = 0"))
            conn.execute(sa.text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        conn.execute(sa.text("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)"))
        before = version(conn)
        if before > len(steps):
            raise Newer(
                f"the database has schema version {before}, this relay knows {len(steps)}: run a newer relay"
            )
        for step in steps[before:]:
            step(conn)
        if before < len(steps):
            conn.execute(sa.text("DELETE FROM schema_version"))
            conn.execute(
                sa.text("INSERT INTO schema_version (version) VALUES (:version)"),
                {"version": len(steps)},
            )
        return before, len(steps)


def version(conn: Connection) -> int:
    """Return the schema version of a database, 0 for an empty one."""
    if not sa.inspect(conn).has_table("schema_version"):
        return 0
    return int(conn.scalar(sa.text("SELECT max(version) FROM schema_version")) or 0)
