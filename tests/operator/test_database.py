"""The database as a whole: erasing, backup, keys, schema."""

import re
import shutil
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from relay.operator.filter import Filter
from relay.operator.operator import Operator
from relay.outbox.schema import deliveries
from relay.process.opening import open_outbox
from tests.kit.inside import offline
from tests.kit.people import SOURCES, TRAP, Moods, email, failed, in_state, ran, receipt_of
from tests.kit.relay import NEWSLETTER, RelayProcess, StartFailed, config
from tests.kit.upstream import ScriptedUpstream

# --- erasing --------------------------------------------------------------------------------------------


def test_a_person_is_erased_in_every_state_and_file(relay: RelayProcess) -> None:
    address, digits = email("erase-me"), str(uuid.uuid4().int)[:7]
    delivered = receipt_of(relay.hook({"email": address, "phone": f"0171 {digits}"}))
    profile = relay.wait_state(delivered, "delivered")["profile_id"]
    held = receipt_of(relay.form({"email": address.upper(), TRAP: "bot"}))
    unmapped = receipt_of(relay.hook({"contact": {"mail": address}}))
    unmapped_phone = receipt_of(relay.hook({"call": f"+49 171 {digits}"}))
    other = in_state(relay, "held")[0]

    by_mail = ran(relay, "erase", "--contact", f" {address}")
    by_phone = ran(relay, "erase", "--contact", f"+49171{digits}")

    assert by_mail == f"3 submissions erased\ndelete upstream: profile {profile}\n"
    assert by_phone == "1 submission erased\n"
    left = {row["receipt"] for row in relay.rows(history=False)}
    assert left.isdisjoint({delivered, held, unmapped, unmapped_phone}) and other in left
    assert relay.rows(history=False, contact=address) == []
    assert relay.get(f"/receipts/{delivered}", {"Accept": "application/json"}).status == 404
    assert ran(relay, "erase", "--contact", address) == "0 submissions erased\n"
    again = relay.hook({"email": address})
    assert (again.status, "repeat" in again.json) == (202, False), "nothing of it is remembered"


def test_whom_somebody_suspect_names_is_erased_too(relay: RelayProcess) -> None:
    address = email("named")
    named = receipt_of(relay.form({"email": email("bot"), "first_name": f"Ask {address}", TRAP: "bot"}))
    other = receipt_of(relay.form({"email": email("bot"), "first_name": f"Ask x{address}", TRAP: "bot"}))

    assert ran(relay, "erase", "--contact", address) == "1 submission erased\n"

    left = {row["receipt"] for row in relay.rows(history=False)}
    assert named not in left and other in left


def test_nobody_else_is_erased(relay: RelayProcess) -> None:
    ours = email("ann")
    others = [f"jo{ours}", f"jo.{ours}", f"{ours}.example", f"{ours}x"]
    kept = [receipt_of(relay.hook({"contact": {"mail": one}})) for one in others]
    gone = [
        receipt_of(relay.hook({"note": f"{before}{ours}{after}"})) for before, after in ("\n.", "< ", "<>")
    ]
    assert ran(relay, "erase", "--contact", ours) == "3 submissions erased\n"
    left = {row["receipt"] for row in relay.rows(history=False)}
    assert left.issuperset(kept) and left.isdisjoint(gone)


def test_nobody_is_erased_whose_number_only_begins_like_that(relay: RelayProcess) -> None:
    digits = str(uuid.uuid4().int)[:7]
    ann = receipt_of(relay.hook({"mail": "bad", "call": f"0151 {digits}8"}))
    split = receipt_of(relay.hook({"mail": f"kunde{digits}@example.com", "call": "0170"}))
    gone = [
        receipt_of(relay.hook({"email": "bad", "remark": text}, "hook"))
        for text in (f"ruf mich an: 0151-{digits}", f"+49 (0)151 {digits}", f"tel:+49151{digits}")
    ]
    assert ran(relay, "erase", "--contact", f"+49151{digits}") == "3 submissions erased\n"
    assert ran(relay, "erase", "--contact", f"{digits}0170") == "0 submissions erased\n"
    left = {row["receipt"] for row in relay.rows(history=False)}
    assert left.isdisjoint(gone) and left.issuperset({ann, split})


@pytest.mark.parametrize("text", ["", " ", "a", "@", "x@", "12345", "000000"])
def test_what_is_no_contact_erases_nothing(relay: RelayProcess, text: str) -> None:
    before = len(relay.rows(history=False))
    assert "must be an e-mail address or a phone number" in failed(
        relay, "erase", f"--contact={text}", code=2
    )
    assert len(relay.rows(history=False)) == before


@pytest.mark.long
def test_however_many_there_are_of_a_person_none_is_left(tmp_path: Path) -> None:
    settings = offline(tmp_path, {"newsletter": NEWSLETTER})
    outbox = open_outbox(settings, time.time)
    outbox.prepare(settings.destinations)
    operator = Operator(settings, outbox)
    operator.test("newsletter", {"email": "many@example.com"}, send=True)

    def copy(conn: Any) -> None:
        copied = [column.name for column in deliveries.c if column.name not in ("seq", "receipt", "payload")]
        names = ", ".join(copied)
        values = ", ".join("NULL" if name in ("repeat_key", "twin_key") else name for name in copied)
        numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100100) "
        receipts = f"SELECT printf('%032x', i), {values} FROM n, deliveries"
        conn.execute(sa.text(f"INSERT INTO deliveries (receipt, {names}) {numbers} {receipts}"))

    outbox.write(copy)
    assert operator.erase("many@example.com").count == 100_101
    assert operator.submissions(Filter()) == []


def test_one_that_is_being_sent_is_erased_the_next_time(relay: RelayProcess, moods: Moods) -> None:
    moods.gate.clear()
    address = email("slow")
    receipt = receipt_of(relay.hook({"email": address}))
    relay.wait_state(receipt, "sending")

    done = relay.cli("erase", "--contact", address)
    moods.gate.set()
    assert done.returncode == 1
    assert done.stdout.startswith("0 submissions erased\nnot erased yet, as they are being sent: 1;")
    profile = relay.wait_state(receipt, "delivered")["profile_id"]
    assert ran(relay, "erase", "--contact", address).endswith(f"delete upstream: profile {profile}\n")


def test_who_erases_somebody_is_told_that_upstream_may_have_a_profile_without_a_known_id(
    relay: RelayProcess,
) -> None:
    parked, address = in_state(relay, "parked")

    told = ran(relay, "erase", "--contact", address)

    assert told.startswith("1 submission erased\nlook for the contact upstream: of 1 submission it may have")
    assert parked not in {row["receipt"] for row in relay.rows(history=False)}


# --- backup, keys, schema -------------------------------------------------------------------------------


def test_a_backup_is_restored_held_and_goes_on_when_told(tmp_path: Path) -> None:
    copy = tmp_path / "backup.db"
    with ScriptedUpstream() as upstream:
        settings = config(upstream.url, SOURCES)
        with RelayProcess(settings) as relay:
            sent = receipt_of(relay.hook({"email": email("sent")}))
            relay.wait_state(sent, "delivered")
            relay.api("POST", "/api/destinations/ocamba/pause")
            waiting = receipt_of(relay.hook({"email": email("waiting")}))
            assert f"with the keys in {relay.database_path}.keys only" in ran(relay, "backup", str(copy))
            relay.api("POST", "/api/destinations/ocamba/resume")
            relay.wait_state(waiting, "delivered")
            keys = relay.database_path.with_name("relay.db.keys").read_text()
        assert copy.stat().st_mode & 0o777 == 0o600

        folder = tmp_path / "restored"
        folder.mkdir()
        shutil.copy(copy, folder / "relay.db")
        (folder / "relay.db.keys").write_text(keys)
        (folder / "relay.db.keys").chmod(0o600)
        with RelayProcess(settings, folder=folder) as relay:
            assert relay.status()["ocamba"]["hold_reason"] == "restored"
            assert relay.hook({"email": email("new")}).status == 202
            time.sleep(1)
            assert len(upstream.arrivals) == 2
            found = relay.submission(waiting)
            assert (found["state"], found["may_be_duplicate"]) == ("queued", True)
            assert relay.state(sent) == "delivered"
            ran(relay, "resume")
            # A restored pace is not known: every recent slot counts as taken at the start.
            relay.wait_drained(90)
            assert len(upstream.creates) == 4


def test_nobody_is_left_behind_on_the_way_to_postgresql(postgres_url: str) -> None:
    """As operations.md shows it: the new database takes what comes, while the old one sends what it has."""
    with ScriptedUpstream() as upstream:
        settings = config(upstream.url, SOURCES)
        new = RelayProcess(settings, database_url=postgres_url, start=False)
        with RelayProcess(settings) as old, new:
            old.api("POST", "/api/destinations/ocamba/pause")
            left = receipt_of(old.hook({"email": email("left")}))
            assert old.term(20) == 0
            assert new.cli("migrate").returncode == 0
            assert new.cli("pause").returncode == 0
            new.start()
            came = receipt_of(new.hook({"email": email("came")}))
            old.start()
            old.api("POST", "/api/destinations/ocamba/resume")
            old.wait_state(left, "delivered")
            assert new.state(came) == "queued"
            assert old.term(20) == 0
            assert new.cli("resume").returncode == 0
            new.wait_state(came, "delivered")
            assert len(upstream.creates) == 2


def test_keys_are_rotated_beside_the_server(tmp_path: Path) -> None:
    old, newer = (
        RelayProcess(config("http://127.0.0.1:9/"), start=False, folder=tmp_path)
        .cli("keys", "new")
        .stdout.strip()
        for _ in range(2)
    )
    assert re.fullmatch(r"[0-9a-f]{64}", old) and old != newer
    with ScriptedUpstream() as upstream:
        settings = config(upstream.url, SOURCES)
        relay = RelayProcess(settings, env={"RELAY_SECRET_KEYS": old}, folder=tmp_path)
        with relay:
            people = [in_state(relay, "held") for _ in range(3)]
            both = {"RELAY_SECRET_KEYS": f"{newer},{old}"}
            told = relay.cli("keys", "rotate", env=both)
            assert (told.returncode, told.stderr) == (0, "")
            assert told.stdout.startswith("3 payloads encrypted with the newest key\n")
            assert old not in told.stdout + told.stderr and newer not in told.stdout

            relay.env["RELAY_SECRET_KEYS"] = f"{newer},{old}"
            relay.restart()
            assert ran(relay, "keys", "rotate").startswith("done")
            relay.env["RELAY_SECRET_KEYS"] = newer
            relay.restart()
            receipt, address = people[0]
            assert [row["receipt"] for row in relay.rows(history=False, contact=address)] == [receipt]
            relay.api("POST", f"/api/submissions/{receipt}/replay")
            relay.wait_state(receipt, "delivered")
            assert [one.json["email"] for one in upstream.creates] == [address]


def test_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    relay = RelayProcess(config("http://127.0.0.1:9/"), start=False, folder=tmp_path)
    first, again = relay.cli("migrate"), relay.cli("migrate")
    assert re.fullmatch(r"the database has schema version \d+\n", first.stdout)
    assert again.stdout == first.stdout
    with sqlite3.connect(relay.database_path) as link:
        link.execute("UPDATE schema_version SET version = 99")
    link.close()
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir() if "relay.db" in path.name)

    for words in (["migrate"], ["status"], ["submissions", "list"]):
        done = relay.cli(*words)  # a process of its own closes its files when it ends
        assert done.returncode == 1 and "run a newer relay" in done.stderr

    after = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir() if "relay.db" in path.name)
    assert [name for name, _ in after] == [name for name, _ in before]
    assert after == before


def test_a_damaged_key_of_the_databases_own_is_told_in_a_line() -> None:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url)) as relay:
        relay.term(30)
        with sqlite3.connect(relay.database_path) as database:
            database.execute(
                "UPDATE meta SET value = substr(value, 1, length(value) - 1) WHERE key = 'hash_key'"
            )
        database.close()

        with pytest.raises(StartFailed, match="exit 3") as started:
            relay.start()
        status = relay.cli("status")

        assert "is damaged" in str(started.value) and "Traceback" not in str(started.value)
        assert status.returncode == 1 and status.stderr.count("\n") == 1 and "is damaged" in status.stderr
