"""What goes wrong beneath an outbox, and that it goes on when that is over."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from relay.delivery import QUEUED
from relay.outbox import migrations, postgresql, upkeep
from relay.outbox.database import engine_for
from relay.outbox.errors import Full, Unavailable
from relay.outbox.outbox import Outbox
from relay.outbox.records import Entry
from relay.outbox.sqlite import sqlite_module
from relay.outbox.writer import CHECKPOINT, Writer
from tests.kit import services
from tests.kit.processes import eventually
from tests.outbox.outboxes import Store, bring_to, count, entry, health, put, row, state

FULL = """
CREATE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = 'disk_full',
        MESSAGE = 'could not extend file "base/5/16384": No space left on device';
END $$;
CREATE TRIGGER no_space BEFORE INSERT ON deliveries EXECUTE FUNCTION no_space();
"""


@pytest.mark.postgres
def test_a_full_disk_of_postgresql_is_over_when_it_is_over(postgres_url: str) -> None:
    store = Store(postgres_url)
    outbox = store.open()
    outbox.write(lambda conn: conn.execute(sa.text(FULL)))
    for _ in range(2):
        with pytest.raises(Full):
            put(outbox)
    assert outbox.is_full

    outbox.write(lambda conn: conn.execute(sa.text("DROP TRIGGER no_space ON deliveries")))

    assert state(outbox, put(outbox).delivery.receipt) == QUEUED
    assert not outbox.is_full
    store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_postgresql_that_was_set_up_without_utf8_does_as_well(postgres_url: str, encoding: str) -> None:
    """As initdb makes them where LANG is unset, and psycopg would then give bytes in place of text."""
    engine = sa.create_engine(postgres_url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        name = f"in_{encoding.lower()}_{sa.make_url(postgres_url).database}"
        how = f"TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        conn.execute(sa.text(f'CREATE DATABASE "{name}" {how}'))
    url = sa.make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    store = Store(url)

    outbox = store.open()

    assert state(outbox, put(outbox).delivery.receipt) == QUEUED
    store.close()


def test_what_comes_after_the_end_is_refused_and_waits_for_nobody(sqlite_store: Store) -> None:
    outbox = sqlite_store.opened[0]
    late = [entry(outbox, f"n{number}") for number in range(20)]
    together = threading.Barrier(20)

    def sign_up(number: int) -> bool:
        together.wait()
        if number == 10:
            outbox.stop()
        try:
            return bool(outbox.put(late[number]).delivery.receipt)
        except Unavailable:
            return False

    with ThreadPoolExecutor(20) as crowd:
        stored = list(crowd.map(sign_up, range(20), timeout=60))

    assert not stored[10]
    assert count(sqlite_store.open()) == sum(stored)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_everybody_in_a_batch_is_told_when_the_storage_fails_in_it(tmp_path: Path) -> None:
    """One change is wrong, so all are done one by one; the next finds the disk broken."""
    broken = sqlite_module().OperationalError("disk I/O error")
    deaths: list[BaseException] = []
    writer = Writer(engine_for(f"sqlite:///{tmp_path / 'relay.db'}"), lambda *_: [], deaths.append)
    is_at_work, go_on = threading.Event(), threading.Event()

    def hold_up(_: Any) -> None:
        is_at_work.set()
        go_on.wait(30)

    def be_wrong(_: Any) -> None:
        raise ValueError

    def find_the_disk_broken(_: Any) -> None:
        raise sa.exc.OperationalError("COMMIT", None, broken)

    with ThreadPoolExecutor(5) as crowd:
        crowd.submit(writer.submit, hold_up)
        assert is_at_work.wait(30)
        told = []
        for work in (be_wrong, find_the_disk_broken, lambda _: None, CHECKPOINT):
            told.append(crowd.submit(writer.submit, work))
            eventually(lambda: writer._queue.qsize() == len(told), 10, "the next in the batch")
        go_on.set()
        errors = [one.exception(30) for one in told]
    writer._thread.join(30)

    assert [type(error) for error in errors] == [
        ValueError,
        sa.exc.OperationalError,
        Unavailable,
        Unavailable,
    ]
    assert [type(death) for death in deaths] == [sa.exc.OperationalError]


@pytest.mark.postgres
def test_who_comes_while_the_server_has_no_connection_to_spare_waits_for_one_of_ours(
    postgres_url: str,
) -> None:
    engine = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    role = f"few_{sa.make_url(postgres_url).database}"
    with engine.connect() as conn:
        conn.execute(sa.text(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 2"))
        conn.execute(sa.text(f"ALTER DATABASE {engine.url.database} OWNER TO {role}"))
        conn.execute(sa.text(f"GRANT ALL ON SCHEMA public TO {role}"))
    engine.dispose()
    store = Store(postgres_url.replace("postgres@", f"{role}@"))
    outbox = store.open()
    entries = [entry(outbox, f"n{number}") for number in range(20)]
    together = threading.Barrier(20)

    def sign_up(one: Entry) -> str:
        together.wait()
        return outbox.put(one).delivery.receipt

    with ThreadPoolExecutor(20) as crowd:
        receipts = set(crowd.map(sign_up, entries, timeout=60))

    assert len(receipts) == count(outbox) == 20
    store.close()


@pytest.mark.postgres
@pytest.mark.parametrize("usual", ["serializable", "repeatable read"])
def test_who_signs_up_at_one_moment_is_kept_however_strictly_transactions_are_kept_apart(
    postgres_url: str, postgres_cluster: services.Postgres, usual: str
) -> None:
    """Of two that cross, the stricter ways refuse one: it is to be tried again, which nothing here does."""
    name = sa.make_url(postgres_url).database
    postgres_cluster.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{usual}'")
    store = Store(postgres_url)
    outbox = store.open()
    entries = [entry(outbox, f"n{number // 2}") for number in range(40)]

    with ThreadPoolExecutor(20) as crowd:
        receipts = set(crowd.map(lambda one: outbox.put(one).delivery.receipt, entries, timeout=60))

    assert len(receipts) == count(outbox) == 20
    store.close()


@pytest.mark.postgres
def test_a_step_over_many_rows_takes_as_long_as_it_takes(postgres_url: str) -> None:
    engine = engine_for(postgres_url)

    def slow(conn: sa.Connection) -> None:
        patience = conn.scalar(sa.text("SHOW statement_timeout")), conn.scalar(sa.text("SHOW lock_timeout"))
        assert patience == ("0", "0")
        conn.execute(sa.text("SELECT pg_sleep(1)"))

    @event.listens_for(engine, "checkout")
    def hurry(connection: Any, *_: Any) -> None:
        connection.patience = 0.5

    migrations.migrate(engine, (*migrations.STEPS, slow))

    with engine.begin() as conn:
        assert conn.scalar(sa.text("SHOW statement_timeout")) == "10s"
    engine.dispose()


@pytest.mark.long
def test_a_postgresql_that_hangs_is_away_until_it_answers_again(own_cluster: services.Postgres) -> None:
    engine = postgresql.engine_for(own_cluster.create_database(), seconds=1)
    with engine.connect() as held, engine.connect() as conn:
        pid = held.scalar(sa.text("SELECT pg_backend_pid()"))
        conn.execute(sa.text("SELECT 1"))
        own_cluster.pause()
        try:
            for some in (held, conn):
                with pytest.raises(sa.exc.OperationalError):
                    some.execute(sa.text("SELECT 2"))
        finally:
            own_cluster.resume()
    with engine.begin() as conn:
        assert conn.scalar(sa.text("SELECT 3")) == 3  # no late answer to what was asked before
        assert conn.scalar(sa.text("SELECT pg_backend_pid()")) != pid
    engine.dispose()


@pytest.mark.postgres
def test_statements_are_prepared_unless_a_pooler_stands_between(postgres_url: str) -> None:
    with services.pooler(postgres_url) as pooled:
        found = []
        for url in (postgres_url, pooled, f"{pooled}?prepare_threshold=7"):
            engine = postgresql.engine_for(url)
            with engine.connect() as conn:
                connection: Any = conn.connection.driver_connection
                found.append(connection.prepare_threshold)
            engine.dispose()
    assert found == [5, None, 7]


@pytest.mark.postgres
def test_what_the_address_of_a_database_says_goes_first(postgres_url: str) -> None:
    said = "options=-c%20statement_timeout%3D7s%20-c%20search_path%3Drelay&keepalives_idle=60"
    engine = postgresql.engine_for(f"{postgres_url}?{said}&prepare_threshold=none", seconds=1)
    with engine.connect() as conn:
        shown = [conn.scalar(sa.text(f"SHOW {name}")) for name in ("statement_timeout", "search_path", "jit")]
        connection: Any = conn.connection.driver_connection
        assert shown == ["7s", "relay", "off"]
        assert "keepalives_idle=60" in connection.info.dsn
        assert connection.prepare_threshold is None
        assert connection.patience == 7 + 5
    engine.dispose()


def test_a_copy_that_other_tools_restored_can_be_marked(store: Store, outbox: Outbox) -> None:
    receipt = bring_to(outbox, QUEUED)

    outbox.write(lambda conn: upkeep.hold_all_restored(conn, outbox.now(conn)))

    assert health(outbox).hold_reason == "restored"
    found = row(outbox, receipt)
    assert (found["state"], bool(found["may_be_duplicate"])) == (QUEUED, True)
