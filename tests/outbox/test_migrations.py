"""The tables and their steps: forward only, several processes at once, refused when newer, killed midway."""

import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from relay.clock import SteadyClock
from relay.outbox.columns import metadata
from relay.outbox.database import engine_for
from relay.outbox.errors import Unavailable, Unfit
from relay.outbox.migrations import STEPS, Newer, migrate, version
from relay.outbox.outbox import Outbox
from relay.outbox.rights import check_storing
from relay.outbox.schema import deliveries
from relay.vault import Vault, new_key, parse_key
from tests.kit.processes import eventually
from tests.kit.relay import ROOT

KEY = new_key()
ROW = {
    "receipt": "r1",
    "source": "form",
    "destination": "ocamba",
    "state": "queued",
    "received_at": 1.0,
    "due_at": 1.0,
    "changed_at": 1.0,
}


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'relay.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    made = engine_for(url)
    yield made
    made.dispose()


def add_colour(conn: sa.Connection) -> None:
    """A step such as a later relay may have."""
    conn.execute(sa.text("ALTER TABLE deliveries ADD COLUMN colour TEXT"))
    conn.execute(sa.text("UPDATE deliveries SET colour = 'green'"))


LATER = (*STEPS, add_colour)


def columns(engine: sa.Engine) -> set[str]:
    return {column["name"] for column in sa.inspect(engine).get_columns("deliveries")}


def outbox_of(url: str) -> Outbox:
    return Outbox(url, Vault([parse_key(KEY)]), SteadyClock())


def test_an_empty_database_gets_every_table(engine: sa.Engine) -> None:
    assert migrate(engine) == (0, len(STEPS))

    assert set(sa.inspect(engine).get_table_names()) == {*metadata.tables, "schema_version"}
    indexes = {index["name"] for index in sa.inspect(engine).get_indexes("deliveries")}
    assert indexes >= {index.name for index in deliveries.indexes}


@pytest.mark.postgres
def test_postgresql_tidies_up_before_a_fifth_of_the_rows_is_new(postgres_url: str) -> None:
    engine = engine_for(postgres_url)
    migrate(engine)
    with engine.begin() as conn:
        said = conn.scalar(sa.text("SELECT reloptions FROM pg_class WHERE relname = 'deliveries'"))
    engine.dispose()
    kinds = ("vacuum", "vacuum_insert", "analyze")
    assert sorted(said) == sorted(f"autovacuum_{kind}_scale_factor=0.02" for kind in kinds)


def test_migrating_again_changes_nothing(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.begin() as conn:
        conn.execute(sa.insert(deliveries), [ROW])

    assert migrate(engine) == (len(STEPS), len(STEPS))

    with engine.begin() as conn:
        assert conn.scalar(sa.select(deliveries.c.receipt)) == "r1"


def test_a_later_step_is_taken_once_and_keeps_the_rows(engine: sa.Engine) -> None:
    migrate(engine)
    with engine.begin() as conn:
        conn.execute(sa.insert(deliveries), [ROW])

    assert migrate(engine, LATER) == (len(STEPS), len(LATER))
    assert migrate(engine, LATER) == (len(LATER), len(LATER))

    with engine.begin() as conn:
        assert conn.execute(sa.text("SELECT receipt, colour FROM deliveries")).all() == [("r1", "green")]
        assert version(conn) == len(LATER)


def test_an_empty_database_takes_all_steps_in_order(engine: sa.Engine) -> None:
    assert migrate(engine, LATER) == (0, len(LATER))
    assert "colour" in columns(engine)


def test_a_step_that_fails_leaves_everything_as_it_was(engine: sa.Engine) -> None:
    def fail(conn: sa.Connection) -> None:
        raise ZeroDivisionError

    migrate(engine)
    with pytest.raises(ZeroDivisionError):
        migrate(engine, (*LATER, fail))

    with engine.begin() as conn:
        assert version(conn) == len(STEPS)
    assert "colour" not in columns(engine)
    assert migrate(engine, LATER) == (len(STEPS), len(LATER))


def test_many_that_migrate_at_once_take_each_step_once(url: str) -> None:
    first = engine_for(url)
    migrate(first)
    engines = [engine_for(url) for _ in range(6)]

    with ThreadPoolExecutor(6) as crowd:
        found = list(crowd.map(lambda one: migrate(one, LATER), engines))

    assert sorted(found) == [(len(STEPS), len(LATER))] + [(len(LATER), len(LATER))] * 5
    for one in [first, *engines]:
        one.dispose()


def test_a_newer_database_is_refused(engine: sa.Engine) -> None:
    migrate(engine, LATER)

    with pytest.raises(Newer, match=f"version {len(LATER)}.* knows {len(STEPS)}"):
        migrate(engine)

    assert "colour" in columns(engine)


def test_an_outbox_leaves_a_newer_database_untouched(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    engine = engine_for(f"sqlite:///{path}")
    migrate(engine, LATER)
    engine.dispose()
    before = hashlib.sha256(path.read_bytes()).hexdigest()

    outbox = outbox_of(f"sqlite:///{path}")
    with pytest.raises(Unfit, match="run a newer relay"):
        outbox.prepare(sandbox=False)
    outbox.stop()

    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert [one.name for one in tmp_path.iterdir()] == ["relay.db"]


@pytest.mark.postgres
def test_an_outbox_leaves_a_newer_postgresql_untouched(postgres_url: str) -> None:
    engine = engine_for(postgres_url)
    migrate(engine, LATER)

    outbox = outbox_of(postgres_url)
    with pytest.raises(Unfit, match="run a newer relay"):
        outbox.prepare(sandbox=False)
    outbox.stop()

    with engine.begin() as conn:
        assert version(conn) == len(LATER)
        assert conn.scalar(sa.text("SELECT count(*) FROM meta")) == 0
    engine.dispose()


def meeting_a_server(url: str, has: str, wants: str, later: Callable[[sa.Connection], None]) -> None:
    """Migrate while a server has one table, and asks for another as soon as it is waited for."""
    engine, theirs = engine_for(url), engine_for(url)
    migrate(engine)
    waiting = sa.text(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM"
        " pg_database WHERE datname = current_database())"
    )
    with ThreadPoolExecutor(1) as crowd, theirs.connect() as other, theirs.connect() as looking:
        other.execute(sa.text(f"LOCK TABLE {has} IN ROW EXCLUSIVE MODE"))
        ours = crowd.submit(migrate, engine, (*STEPS, later))
        eventually(lambda: looking.scalar(waiting), 20, "the migration, which waits")
        other.execute(sa.text(f"SELECT count(*) FROM {wants}"))
        other.rollback()
        assert ours.result(30) == (len(STEPS), len(STEPS) + 1)
    assert "colour" in columns(engine)
    engine.dispose()
    theirs.dispose()


@pytest.mark.postgres
def test_a_step_holds_nothing_that_a_server_wants_while_it_waits_for_what_that_has(postgres_url: str) -> None:
    """A server that sends has its destination first; that took as many tries as there are."""
    tries: list[float] = []

    def later(conn: sa.Connection) -> None:
        add_colour(conn)
        tries.append(time.monotonic())
        conn.execute(sa.text("ALTER TABLE destinations ADD COLUMN shade TEXT"))

    meeting_a_server(postgres_url, "destinations", "deliveries", later)
    assert len(tries) == 1


@pytest.mark.postgres
def test_a_migration_that_meets_a_server_of_the_version_before_is_tried_again(postgres_url: str) -> None:
    """Each holds a table that the other wants, and PostgreSQL ends the one that waited first."""
    meeting_a_server(postgres_url, "deliveries", "destinations", add_colour)


@pytest.mark.parametrize(
    "made",
    [
        "sessions (id INTEGER, data TEXT)",
        "jobs (id INTEGER)",
        "meta (id INTEGER)",
        "schema_version (version VARCHAR(50))",
        "schema_version (version INTEGER)",
    ],
)
def test_tables_of_another_program_are_named_and_left_alone(engine: sa.Engine, made: str) -> None:
    name = made.partition(" ")[0]
    with engine.begin() as conn:
        conn.execute(sa.text(f"CREATE TABLE {made}"))

    with pytest.raises(Unfit, match=rf"another program \({name}\).*of its own"):
        migrate(engine)

    assert sa.inspect(engine).get_table_names() == [name]


@pytest.mark.parametrize("name", ["jobs", "deliveries"])
def test_a_table_of_another_program_among_ours_is_named_and_left_alone(engine: sa.Engine, name: str) -> None:
    """Earlier relays made theirs around it, and all went well but for what it is for."""
    migrate(engine)
    with engine.begin() as conn:
        conn.execute(sa.text(f"ALTER TABLE {name} RENAME TO put_away"))
        conn.execute(sa.text(f"CREATE TABLE {name} (id INTEGER, data TEXT)"))
        conn.execute(sa.text("UPDATE schema_version SET version = version - 1"))

    with pytest.raises(Unfit, match=rf"another program \({name}\).*of its own"):
        migrate(engine)

    assert [column["name"] for column in sa.inspect(engine).get_columns(name)] == ["id", "data"]


ROWS = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk"
NUMBERS = "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO clerk"


@pytest.mark.postgres
def test_a_role_that_may_change_rows_uses_what_another_has_made(postgres_url: str) -> None:
    engine = engine_for(postgres_url)
    migrate(engine)
    with engine.begin() as conn:
        conn.execute(sa.text("DROP ROLE IF EXISTS clerk"))
        conn.execute(sa.text("CREATE ROLE clerk LOGIN"))
        conn.execute(sa.text(ROWS))

    outbox = outbox_of(postgres_url.replace("postgres@", "clerk@"))
    with pytest.raises(Unfit, match=re.escape(NUMBERS)):  # each sign-up would be answered 503
        outbox.prepare(sandbox=False)
    with engine.begin() as conn:
        conn.execute(sa.text(NUMBERS))
    outbox.prepare(sandbox=False)
    outbox.write(check_storing)
    for table in metadata.tables:
        with engine.begin() as conn:
            conn.execute(sa.text(f"REVOKE DELETE ON {table} FROM clerk"))
        with pytest.raises(Unavailable, match=re.escape(ROWS)):
            outbox.write(check_storing)
        with engine.begin() as conn:
            conn.execute(sa.text(ROWS))
    outbox.write(check_storing)
    outbox.stop()
    engine.dispose()


# --- real processes -------------------------------------------------------------------------------------

PREPARE = """
import sys, time
from relay.clock import SteadyClock
from relay.outbox.outbox import Outbox
from relay.vault import Vault, parse_key
outbox = Outbox(sys.argv[1], Vault([parse_key(sys.argv[2])]), SteadyClock())
sys.stdin.readline()
outbox.prepare(sandbox=False)
print(outbox.vault.hash("same for all").hex())
outbox.stop()
"""
STUCK = """
import sys, time
from relay.outbox.database import engine_for
from relay.outbox.migrations import STEPS, migrate
from tests.outbox.test_migrations import add_colour

def stuck(conn):
    add_colour(conn)
    print("in the middle", flush=True)
    time.sleep(60)

migrate(engine_for(sys.argv[1]), (*STEPS, stuck))
"""


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_processes_that_start_together_on_an_empty_database_agree(url: str) -> None:
    """None is turned away, there is one hash key, and the tables are made once."""
    processes = [python(PREPARE, url, KEY) for _ in range(4)]

    results = [process.communicate("go\n", timeout=60) for process in processes]

    assert [process.returncode for process in processes] == [0] * 4, [error for _, error in results]
    assert len({said for said, _ in results}) == 1
    engine = engine_for(url)
    with engine.begin() as conn:
        assert conn.execute(sa.text("SELECT version FROM schema_version")).all() == [(len(STEPS),)]
        assert conn.scalar(sa.text("SELECT count(*) FROM meta WHERE key = 'hash_key'")) == 1
    engine.dispose()


def test_one_killed_in_the_middle_of_a_step_leaves_the_older_version(url: str) -> None:
    engine = engine_for(url)
    migrate(engine)
    with engine.begin() as conn:
        conn.execute(sa.insert(deliveries), [ROW])
    engine.dispose()

    with python(STUCK, url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def can_go_on() -> bool:
        try:
            return migrate(engine, LATER) == (len(STEPS), len(LATER))
        except sa.exc.OperationalError:  # PostgreSQL has not noticed yet that its client is gone
            return False

    assert eventually(can_go_on, 20, "the next start")
    with engine.begin() as conn:
        assert conn.execute(sa.text("SELECT receipt, colour FROM deliveries")).all() == [("r1", "green")]
    engine.dispose()


def test_one_killed_while_it_makes_the_tables_leaves_an_empty_database(tmp_path: Path) -> None:
    path = tmp_path / "relay.db"
    with python(STUCK, f"sqlite:///{path}") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    outbox = outbox_of(f"sqlite:///{path}")
    assert outbox.read(version) == 0
    outbox.prepare(sandbox=False)
    assert outbox.read(version) == len(STEPS)
    outbox.stop()
    with sqlite3.connect(path) as link:
        assert link.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    link.close()
