"""A database as it is after a year: rows that are done, and rows that wait, on SQLite and PostgreSQL."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import sqlalchemy as sa

from relay import vault as vaults
from relay.delivery import Delivery
from relay.destination import Destination
from relay.outbox import storing
from relay.outbox.database import engine_for
from relay.outbox.hints import sealed_hint
from relay.outbox.outbox import Outbox
from relay.outbox.records import Entry
from relay.quota import parse_windows

SOURCES = ("newsletter", "hook")
STATES = ("held", "invalid", "refused", "parked", "dead")
DAYS = 30
_BULK = 1000
_FILLED = 10_000
_NUMBERS = {
    "sqlite": "(WITH RECURSIVE some(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM some WHERE n < :last)"
    " SELECT n FROM some) AS s",
    "postgresql": "generate_series(CAST(:first AS int), CAST(:last AS int)) AS n",
}
_WORDS = {
    "sqlite": ("printf('{0}%031x', n)", "CAST(printf('{0}%031x', n) AS BLOB)", "printf('1743%016d', n)"),
    "postgresql": (
        "'{0}' || lpad(to_hex(n), 31, '0')",
        "decode(md5('{0}' || n), 'hex')",
        "'1743' || lpad(n::text, 16, '0')",
    ),
}


@contextmanager
def outbox(url: str, key: str) -> Iterator[Outbox]:
    """Open a database that relays may have open, too."""
    box = Outbox(url, vaults.Vault([vaults.parse_key(key)]), time.time)
    box.prepare({"ocamba": Destination("ocamba", "http://127.0.0.1:9/", "token", parse_windows("10/second"))})
    try:
        yield box
    finally:
        box.stop()


def fill(
    url: str, key: str, delivered: int, waiting: int, states: tuple[str, ...] = ("queued", *STATES)
) -> None:
    """Fill an empty database: what is done came within the last weeks, what waits within a day.

    ``states``: those of what waits, in turns. Then PostgreSQL is told to do what it does by itself while a
    database fills in the course of a year.
    """
    with outbox(url, key) as box:
        _fill_delivered(url, delivered)
        for start in range(0, waiting, _BULK):
            entries = [_entry(box, number, states) for number in range(start, min(waiting, start + _BULK))]
            box.write(partial(_store, box, entries))
    engine = engine_for(url)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        if engine.dialect.name == "postgresql":
            conn.exec_driver_sql("SET statement_timeout = 0")
            conn.exec_driver_sql("VACUUM (ANALYZE)")
        else:
            conn.exec_driver_sql("ANALYZE")
    engine.dispose()


def _store(box: Outbox, entries: list[Entry], conn: sa.Connection) -> None:
    storing.store(conn, entries, time.time(), box.vault)


def _fill_delivered(url: str, count: int) -> None:
    engine = engine_for(url)
    receipt, blob, profile = _WORDS[engine.dialect.name]
    numbers = _NUMBERS[engine.dialect.name]
    rows = sa.text(
        "INSERT INTO deliveries (receipt, source, destination, state, received_at, due_at, changed_at,"
        " delivered_at, repeat_key, email_hash, profile_id, trace_id)"
        f" SELECT {receipt.format('d')}, CASE WHEN n % 10 < 7 THEN 'newsletter' ELSE 'hook' END, 'ocamba',"
        f" 'delivered', :since + n * :step, :since + n * :step, :since + n * :step, :since + n * :step,"
        f" {blob.format('r')}, {blob.format('e')}, {profile}, {receipt.format('7')} FROM {numbers}"
    )
    sends = sa.text(
        "INSERT INTO attempts (receipt, destination, kind, probe, started_at, held_until, ended_at, seconds,"
        f" outcome, status) SELECT {receipt.format('d')}, 'ocamba', 'create', false, :since + n * :step,"
        f" :since + n * :step, :since + n * :step, 0.2, 'delivered', 201 FROM {numbers}"
    )
    since = time.time() - DAYS * 86400
    for first in range(1, count + 1, _FILLED):
        given = {"first": first, "last": min(count, first + _FILLED - 1), "since": since}
        with engine.begin() as conn:
            for statement in (rows, sends):
                conn.execute(statement, {**given, "step": DAYS * 86400 / count})
    engine.dispose()


def _entry(box: Outbox, number: int, states: tuple[str, ...]) -> Entry:
    """Return one that waits."""
    state = states[number % len(states)]
    receipt, now = box.vault.receipt(), time.time() - number % 86400
    payload = {"profile": {"email": f"waiting{number}@example.com", "full_name": "Pat Doe"}}
    reason = None if state == "queued" else f"reason {number % 3}"
    delivery = Delivery(receipt, SOURCES[number % 2], "ocamba", state, now, now, reason=reason)
    return Entry(
        delivery=delivery,
        box=box.vault.seal(payload, receipt),
        repeat_key=box.vault.hash("content", str(number)),
        email_hash=box.vault.hash("contact", f"waiting{number}@example.com"),
        hint=sealed_hint(payload, receipt, box.vault),
        window=600,
    )
