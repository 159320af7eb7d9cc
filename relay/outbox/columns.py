"""What all tables are made of: their register, the types of their columns, and partial indexes."""

import sqlalchemy as sa

metadata = sa.MetaData()

# 64 bits everywhere, but SQLite numbers rows by itself only under this very type.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Time: sa.Double[float] = sa.Double()
Bytes = sa.LargeBinary()


def partial_index(name: str, *columns: sa.Column[object], where: str, unique: bool = False) -> sa.Index:
    """A partial index: it holds the rows that are looked for and no others."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
