"""The tables of what operators do and are told; what is in them stands in the files of their names."""

import sqlalchemy as sa

from relay.outbox.columns import Serial, Time, metadata, partial_index

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("at", Time, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("receipt", sa.Text),
    sa.Column("filter", sa.Text),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("detail", sa.Text),
)
"""Who did what. Names of fields and of people who operate, never a value of somebody who signed up."""
sa.Index("audit_receipt", audit.c.receipt)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("filter", sa.Text, nullable=False),
    sa.Column("dry_run", sa.Boolean, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("after", sa.BigInteger, nullable=False),  # the seq that was done last
    sa.Column("upto", sa.BigInteger, nullable=False),  # the last seq there was when it was made
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("done", sa.Integer, nullable=False),
    sa.Column("outcomes", sa.Text, nullable=False),
    sa.Column("problem", sa.Text),
    sa.Column("made_at", Time, nullable=False),
    sa.Column("ended_at", Time),
    sa.Column("owner", sa.Text),
    sa.Column("lease_until", Time),
    sa.Column("act", sa.BigInteger),  # what the audit log says of its making
    sa.Column("seen_at", Time),  # what has changed since then is not meant; NULL where nobody kept it
)
partial_index("jobs_open", jobs.c.id, where="ended_at IS NULL")

refusals = sa.Table(
    "refusals",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("cause", sa.Text, primary_key=True),
    sa.Column("hour", sa.BigInteger, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("last_at", Time, nullable=False),
)
"""What was refused and not kept: how often, by cause. No row says who was refused."""

unmapped = sa.Table(
    "unmapped",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("last_at", Time, nullable=False),
)
"""Names that a source posts and nothing looks at."""

heard = sa.Table(
    "heard",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("last_at", Time, nullable=False),
)
"""When a sign-up of each source was last accepted; at first, when the source was first known."""

notices = sa.Table(
    "notices",
    metadata,
    sa.Column("id", Serial, primary_key=True),
    sa.Column("channel", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("lease_until", Time),
)
"""What operators are still to be told."""
