"""The tables of the outbox, and the indexes that its questions need."""

import sqlalchemy as sa

from relay.outbox.columns import Bytes, Serial, Time, metadata, partial_index

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
    sa.Column("is_test", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("is_imported", sa.Boolean, nullable=False, server_default=sa.false()),
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
    sa.Column("moved_by", sa.BigInteger),  # the act, in the audit log, of the last job that moved it
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
    _c.replayed_at,
    where=_UNFINISHED,
)
partial_index("deliveries_held", _c.source, _c.size, where="state = 'held'")
partial_index("deliveries_left", _c.changed_at, where=_LEFT)
_ARRIVED = "source <> '' AND NOT is_test AND NOT is_imported"
_arrived = _c.source, _c.received_at, _c.is_test, _c.is_imported
partial_index("deliveries_arrived", *_arrived, where=_ARRIVED)
ARRIVED = sa.text("deliveries.source <> '' AND NOT deliveries.is_test AND NOT deliveries.is_imported")
"""All rows but tests and what tables brought, said in the words of an index that only who says so may use.
SQLite would take a plain one for every question about a source, and walk through all that is done. What the
words name is in the index, else SQLite looks at every row to see whether they hold."""
partial_index("deliveries_of_source", _c.source, _c.seq, where="seq > 0")
OF_SOURCE = sa.text("deliveries.seq > 0")
"""All rows, in the words of the index for lists of a source; said only where no better one serves."""
partial_index("deliveries_reason", _c.reason, _c.seq, where="reason IS NOT NULL")
partial_index("deliveries_duplicate", _c.seq, where="may_be_duplicate")
DUPLICATE = sa.text("deliveries.may_be_duplicate")
partial_index("deliveries_discarded", _c.seq, where="state = 'discarded'")
DISCARDED_ONES = sa.text("deliveries.state = 'discarded'")
partial_index("deliveries_profile", _c.profile_id, where="profile_id IS NOT NULL")
partial_index("deliveries_trace", _c.trace_id, where="trace_id IS NOT NULL")
_NEEDS_SOMEBODY = "state IN ('held','invalid','refused','parked','dead') AND NOT is_test"
_groups = _c.state, _c.source, _c.reason, _c.received_at, _c.is_test
partial_index("deliveries_groups", *_groups, where=_NEEDS_SOMEBODY)
NEEDS_SOMEBODY = sa.text(
    "deliveries.state IN ('held','invalid','refused','parked','dead') AND NOT deliveries.is_test"
)
"""What waits for a person, but tests: counted by group without a look at the rows."""
partial_index("deliveries_tests", _c.destination, _c.state, where="is_test")
TESTS = sa.text("deliveries.is_test")
_BY_STATE = f"{_UNFINISHED} AND destination <> ''"
waiting_index = partial_index("deliveries_waiting", _c.state, _c.seq, where=_BY_STATE)
BY_STATE = sa.text(f"deliveries.{_UNFINISHED} AND deliveries.destination <> ''")
"""Rows that are not done, for who asks for a state: in the very words of the index, without which SQLite does
not use it."""
UNFINISHED = sa.text(f"deliveries.{_UNFINISHED}")
"""The same for who counts them all. SQLite would take the index above for that too, and fetch every row."""
LEFT = sa.text("deliveries.state = 'delivered' AND deliveries.payload IS NOT NULL")
"""Delivered rows whose payload is kept for a contact that was dropped."""

aliases = sa.Table(
    "aliases",
    metadata,
    sa.Column("receipt", sa.Text, primary_key=True),
    sa.Column("of", sa.Text, sa.ForeignKey("deliveries.receipt", ondelete="CASCADE"), nullable=False),
    sa.Column("received_at", Time, nullable=False),
    sa.Column("id_hash", Bytes),
)
"""Receipts of repeats whose senders are not to know that they are: another name of a row. ``id_hash``: of the
key that the sender named with it."""
sa.Index("aliases_of", aliases.c.of)
aliases_id_index = partial_index("aliases_id", aliases.c.id_hash, where="id_hash IS NOT NULL")

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
    sa.Column("misconfigured", sa.Text),
    sa.Column("asked_reason", sa.Text),
    sa.Column("forbidden_receipt", sa.Text),
    sa.Column("parallel", sa.Integer),
    sa.Column("halved_at", Time),
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
