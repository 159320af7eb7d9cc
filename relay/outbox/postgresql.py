"""What is particular to PostgreSQL: limits in time, on its side and, should it fall silent, on ours."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

_SILENT_SECONDS = 5.0
"""Beyond what a statement may take: the server ends those itself, unless it hangs or is unreachable."""
_OPTIONS = (
    "-c jit=off -c statement_timeout={:.0f} -c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000"
)

_COMMIT = "SET LOCAL synchronous_commit = on; COMMIT"


class Impatient(psycopg.Connection[Any]):
    """A connection that is given up when the server does not answer.

    The server's own limits are kept by the server: behind a frozen disk, a paused machine or a network that
    swallows packets nobody would end a wait.
    """

    patience = math.inf

    def commit(self) -> None:
        """Commit what outlives a crash of the server from then on, whatever is usual there.

        Said with each commit, and in one message: a pooler's next transaction may be another session's.
        """
        if self.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
            self.execute(_COMMIT, prepare=False)  # of two statements none can be prepared
        else:
            super().commit()

    def wait(self, gen: Any, *rest: Any, **options: Any) -> Any:
        """Wait for an answer. Raises psycopg.OperationalError after ``patience`` seconds."""
        if math.isfinite(self.patience):
            options["timeout"] = self.patience
        try:
            return super().wait(gen, *rest, **options)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == psycopg.pq.TransactionStatus.ACTIVE:
                self.pgconn.finish()  # an answer may still come, and would be taken for the next one's
            raise


def engine_for(url: str, seconds: float = 10.0, **pool: Any) -> Engine:
    """Return an engine whose statements take ``seconds`` at most. What the URL says of them goes first."""
    address = sa.make_url(url)
    said = address.query
    usual = {"pool_size": 8, "max_overflow": 24, "pool_timeout": 5}
    limits = {
        "connect_timeout": 5,
        "tcp_user_timeout": 15_000,  # milliseconds, as the rest of a line that went dead
        "keepalives_idle": 10,
        "keepalives_interval": 3,
        "keepalives_count": 3,
    }
    engine = sa.create_engine(
        address.difference_update_query(["prepare_threshold"]),
        hide_parameters=True,
        isolation_level="READ COMMITTED",  # whatever is usual there: stricter ones refuse who crosses another
        pool_pre_ping=True,
        **{**usual, **pool},
        connect_args={
            **{name: limit for name, limit in limits.items() if name not in said},
            **_prepared(said.get("prepare_threshold")),
            "client_encoding": "utf8",  # whatever the database has; of SQL_ASCII text would come as bytes
            "options": f"{_OPTIONS.format(seconds * 1000)} {said.get('options', '')}".rstrip(),
        },
    )

    @event.listens_for(engine, "do_connect")
    def connect(_: Any, __: Any, words: list[Any], options: dict[str, Any]) -> Impatient:
        connection = Impatient.connect(*words, **options)
        connection.patience = seconds + _SILENT_SECONDS
        if "prepare_threshold" not in said and _is_pooled(connection):
            connection.prepare_threshold = None
        if "statement_timeout" in str(said.get("options", "")):
            connection.patience = _patience(connection)
        return connection

    event.listen(engine, "handle_error", _leave_read_only)
    return engine


def _leave_read_only(context: sa.engine.ExceptionContext) -> None:
    """Give up a session that began read-only, or with what is a standby by now: it would stay so."""
    if isinstance(context.original_exception, psycopg.errors.ReadOnlySqlTransaction):
        context.is_disconnect = True


def _is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether a pooler may change sessions: it tells another number than the session's that it lends has.

    What is prepared in one is unknown to the next, or is something else.
    """
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    connection.rollback()
    return row is None or row[0] != connection.info.backend_pid


def _patience(connection: psycopg.Connection[Any]) -> float:
    """Return for how long an answer is waited for where the address says how long a statement may take."""
    query = "SELECT setting::float / 1000 FROM pg_settings WHERE name = 'statement_timeout'"
    row = connection.execute(query).fetchone()
    connection.rollback()
    return ((row[0] if row else 0) or math.inf) + _SILENT_SECONDS


def _prepared(threshold: Any) -> dict[str, int | None]:
    """Return what the address says of the use from which on a statement is prepared; ``none`` for never."""
    return {} if threshold is None else {"prepare_threshold": None if threshold == "none" else int(threshold)}


@contextmanager
def unhurried(conn: Connection) -> Iterator[None]:
    """Wait for answers as long as they take: for a transaction that lifts the server's own limits, too."""
    connection: Any = conn.connection.driver_connection
    usual, connection.patience = connection.patience, math.inf
    try:
        yield
    finally:
        connection.patience = usual
