"""A database of the version before, with a backlog in it, is upgraded and drained."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import ScriptedUpstream
from tests.outbox.data.make import KEY

DUMP = Path(__file__).parent / "data/0.1.0.sql"
SOURCES = {"newsletter": NEWSLETTER | {"fields": NEWSLETTER["fields"] | {"full_name": "name"}}, "hook": HOOK}
WIDE = {"limits": "1000/second"}
BEFORE = {"delivered": 1, "refused": 1, "held": 1, "invalid": 1, "sending": 1, "queued": 5}


def restored(path: Path) -> None:
    """Make the database, as if it had been left a minute ago."""
    with sqlite3.connect(path) as database:
        database.executescript(DUMP.read_text(encoding="utf-8"))
        (newest,) = database.execute("SELECT max(received_at) FROM deliveries").fetchone()
        later = time.time() - 60 - newest
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, *_ in database.execute(f"PRAGMA table_info({table})").fetchall():
                if column.endswith(("_at", "_until")):
                    database.execute(f"UPDATE {table} SET {column} = {column} + {later}")
    database.close()
    path.chmod(0o600)


@pytest.fixture
def upstream() -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream() as made:
        yield made


def version_and_columns(path: Path) -> tuple[int, set[tuple[str, str]]]:
    """The version of a database, and every column that it has."""
    with sqlite3.connect(path) as database:
        (version,) = database.execute("SELECT version FROM schema_version").fetchone()
        tables = (
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.type = 'table'"
        )
        columns = set(database.execute(tables).fetchall())
    database.close()
    return version, columns


@pytest.fixture
def relay_of_before(upstream: ScriptedUpstream, tmp_path: Path) -> Iterator[RelayProcess]:
    """The database as the version before left it, and nothing that was started on it yet."""
    restored(tmp_path / "relay.db")
    keys = {"RELAY_SECRET_KEYS": KEY}
    settings = config(upstream.url, SOURCES, **WIDE)
    with RelayProcess(settings, folder=tmp_path, env=keys, start=False) as made:
        yield made


@pytest.fixture
def relay(relay_of_before: RelayProcess) -> RelayProcess:
    return relay_of_before.start()


def test_the_database_is_as_the_version_before_left_it(tmp_path: Path) -> None:
    restored(tmp_path / "relay.db")
    with sqlite3.connect(tmp_path / "relay.db") as database:
        rows = database.execute("SELECT state, count(*) FROM deliveries GROUP BY state").fetchall()
        assert dict(rows) == BEFORE
    database.close()


def test_no_command_changes_it_but_migrate(relay_of_before: RelayProcess) -> None:
    """Who looks with the new version's command leaves a server that runs one that can be started again."""
    path = relay_of_before.database_path
    before = version_and_columns(path)
    for words in (("status",), ("submissions", "list"), ("pause",), ("backup", "copy.db")):
        done = relay_of_before.cli(*words)
        assert done.returncode == 1 and "schema version 1" in done.stderr, (words, done.stderr)
        assert "relay migrate" in done.stderr and done.stderr.count("\n") == 1
    assert version_and_columns(path) == before

    done = relay_of_before.cli("migrate")
    assert done.returncode == 0 and "the old database is kept as" in done.stdout, done.stderr
    assert "upgrading it from schema version 1 to " in done.stdout and not done.stderr
    assert relay_of_before.cli("status").returncode == 0


def test_a_dump_of_it_is_marked_as_restored_before_anything_is_sent(
    relay_of_before: RelayProcess, upstream: ScriptedUpstream
) -> None:
    """Who is told to start the server instead would send all that it holds once more, unmarked."""
    done = relay_of_before.cli("restored")
    assert done.returncode == 1 and "`relay migrate`" in done.stderr and "the start" not in done.stderr
    for words in ("migrate", "restored"):
        assert relay_of_before.cli(words).returncode == 0
    relay = relay_of_before.start()
    assert relay.status()["ocamba"]["hold_reason"] == "restored"
    waiting = relay.rows(state="queued")
    assert len(waiting) == 6 and all(row["may_be_duplicate"] for row in waiting)
    assert upstream.arrivals == []


def test_a_server_of_the_version_before_goes_on_until_it_is_restarted(
    relay_of_before: RelayProcess,
) -> None:
    """What its every call and its every estimate reads is still there."""
    before = version_and_columns(relay_of_before.database_path)
    assert relay_of_before.cli("migrate").returncode == 0
    after = version_and_columns(relay_of_before.database_path)
    assert after[0] > before[0] and after[1] > before[1]


def test_its_backlog_waits_for_who_paused_it_and_then_is_sent_once(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    assert relay.status()["ocamba"]["hold_reason"] == "paused"
    assert relay.output().count("outbox.upgrading") == 1  # it answers nobody meanwhile
    # Nobody knows whether the one that was on its way has arrived.
    assert relay.counts()["queued"] == 6
    assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
    people = [f"q{number}@example.com" for number in range(5)]
    for person in people:
        (row,) = relay.rows(contact=person)
        relay.wait_state(row["receipt"], "delivered")
    assert sorted(call.json["email"] for call in upstream.creates) == people
    (unclear,) = relay.rows(contact="eve@example.com")
    assert (unclear["state"], unclear["may_be_duplicate"]) == ("queued", True)


def test_what_it_kept_can_be_read_found_acted_on_and_erased(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    (held,) = relay.rows(state="held")
    assert held["contact_hint"] == "c***@example.com"
    assert relay.api("POST", f"/api/submissions/{held['receipt']}/replay").status == 200
    (refused,) = relay.rows(contact="bob@example.com")
    assert relay.api("POST", f"/api/submissions/{refused['receipt']}/discard").status == 200
    (invalid,) = relay.rows(state="invalid")
    assert "email (text)" in relay.submission(invalid["receipt"])["diagnosis"]["says"]
    done = relay.cli("erase", "--contact", "ada@example.com")
    assert done.returncode == 0 and "1 submission erased" in done.stdout, done.stderr
    assert relay.rows(contact="ada@example.com") == []


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "another"}], ids=["no key", "a key"])
def test_a_suspect_that_it_held_is_not_replayed_when_the_person_came_by_meanwhile(
    relay: RelayProcess, upstream: ScriptedUpstream, headers: dict[str, str]
) -> None:
    assert relay.api("POST", "/api/destinations/ocamba/resume").status == 200
    (held,) = relay.rows(state="held")
    said = {"name": "Cy Example", "email": "cy@example.com"}
    assert held["contact_hint"] == "c***@example.com"
    person = relay.form(said, headers=headers).receipt or ""
    assert person != held["receipt"]
    relay.wait_state(person, "delivered")

    answer = relay.api("POST", f"/api/submissions/{held['receipt']}/replay")
    job = relay.wait_job(relay.api("POST", "/api/replay", {"state": "held"}).json["job"])

    assert job["outcomes"] == {"same as delivered": 1}
    assert answer.status == 409 and person in answer.text, (answer.status, answer.text)
    assert relay.state(held["receipt"]) == "held"
    assert sum(call.json["email"] == "cy@example.com" for call in upstream.creates) == 1


def test_a_repeat_of_what_it_took_in_is_still_a_repeat(relay: RelayProcess) -> None:
    proof = {"Authorization": f"Bearer {relay.hook_secret}"}
    again = relay.form({"email": "nonsense"}, "hook", proof)
    assert again.json["repeat"] is True
