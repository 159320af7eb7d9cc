"""Rights: whether a submission could be stored now, and what a PostgreSQL role, and its server, leave out."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from relay.outbox.columns import metadata
from relay.outbox.errors import Unavailable
from relay.outbox.statements import put_meta

_AS_A_SUBMISSION = sa.text("LOCK TABLE deliveries IN ROW EXCLUSIVE MODE")
_RIGHTS = "SELECT, INSERT, UPDATE, DELETE"
_FSYNC = sa.select(sa.func.current_setting("fsync", True))
_LACKS = sa.text(
    """
    SELECT quote_ident(current_user), quote_ident(current_schema()),
      EXISTS (SELECT FROM unnest(CAST(:tables AS text[])) AS name, unnest(CAST(:rights AS text[])) AS needed
              WHERE NOT has_table_privilege(to_regclass(name), needed))
      OR NOT has_table_privilege('schema_version', 'SELECT'),
      EXISTS (SELECT FROM unnest(CAST(:numbered AS text[]), CAST(:by AS text[])) AS numbered (name, number)
              WHERE to_regclass(name) IS NOT NULL
              AND NOT has_sequence_privilege(pg_get_serial_sequence(name, number), 'USAGE, UPDATE'))
    """
)


def lacking(conn: Connection) -> str | None:
    """Return what a role lacks on PostgreSQL, and who gives it how. SQLite has files' rights alone."""
    if conn.dialect.name != "postgresql":
        return None
    tables = metadata.tables.values()
    numbered = [column for table in tables if (column := table.autoincrement_column) is not None]
    asked = {
        "tables": [table.name for table in tables],
        "rights": _RIGHTS.split(", "),
        "numbered": [column.table.name for column in numbered],
        "by": [column.name for column in numbered],
    }
    role, schema, tables_lack, sequences_lack = conn.execute(_LACKS, asked).one()
    grants = []
    if tables_lack:
        grants.append(f"GRANT {_RIGHTS} ON ALL TABLES IN SCHEMA {schema} TO {role}")
    if sequences_lack:
        grants.append(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}")
    return f"the database's role {role} lacks rights: {'; '.join(grants)}" if grants else None


def check_storing(conn: Connection) -> None:
    """Make a small change. Raises Unavailable if nothing could be stored now."""
    if conn.dialect.name == "postgresql":  # where rights and locks are of a table
        if found := lacking(conn):
            raise Unavailable(found)
        conn.execute(_AS_A_SUBMISSION)
    put_meta(conn, "pinged", b"1")


def risks(conn: Connection) -> list[str]:
    """Return which settings of a PostgreSQL's server break a promise whatever the relay asks for."""
    if conn.dialect.name != "postgresql" or conn.scalar(_FSYNC) != "off":
        return []
    return [
        "PostgreSQL had fsync = off at the start: unless its storage sees to that by itself, a power "
        "cut loses who was answered, or damages all; set it on, and restart the relay"
    ]
