"""A command that is killed in the middle leaves everything as it was or done, and is run again."""

from pathlib import Path

import pytest

from tests.faults.tools import KILL, was_hit, wrapped
from tests.kit.people import SOURCES, email, receipt_of
from tests.kit.relay import RELAY, RelayProcess, config

LONG = {f"field {number}": "x" * 10_000 for number in range(20)}
"""What is sealed anew at once is bounded by bytes: some such bodies."""
SYNCS = "fsync,fdatasync"


def killed_at(relay: RelayProcess, when: int, *words: str) -> bool:
    """Run a command and kill it at its n-th sync of the database; return whether it came to that."""
    log = relay.folder / f"{when}.strace"
    spoilt = wrapped(SYNCS, KILL, when, relay.database_path, log)
    plain, relay.command = relay.command, [*spoilt, *RELAY, *words]
    relay.start(wait_ready=False)
    relay.wait(60)
    relay.command = plain
    return was_hit(log)


@pytest.mark.parametrize("when", [1, 2, 4])
def test_keys_are_rotated_however_often_the_command_is_killed(tmp_path: Path, when: int) -> None:
    old, newer = "ab" * 32, "cd" * 32
    relay = RelayProcess(
        config("http://127.0.0.1:1/", SOURCES), folder=tmp_path, env={"RELAY_SECRET_KEYS": old}
    )
    with relay:
        receipts = {receipt_of(relay.hook(LONG | {"mail": email("long")})) for _ in range(40)}
        assert relay.term(30) == 0
        relay.env["RELAY_SECRET_KEYS"] = f"{newer},{old}"

        assert killed_at(relay, when, "keys", "rotate")

        assert relay.command_line("keys", "rotate").stdout.endswith("older backups still need them\n")
        relay.env["RELAY_SECRET_KEYS"] = newer
        assert relay.command_line("keys", "rotate").stdout.startswith("done"), "nothing needs the old key"
        relay.start()
        assert {row["receipt"] for row in relay.rows(history=False)} == receipts
        assert relay.command_line("try", "--recorded").stderr == ""


def test_an_import_that_is_killed_stands_in_the_audit_log(tmp_path: Path) -> None:
    lines = ["email", *(email(str(number)) for number in range(600))]
    (tmp_path / "old.csv").write_text("\n".join(lines))
    with RelayProcess(config("http://127.0.0.1:1/", SOURCES), folder=tmp_path) as relay:
        assert relay.term(30) == 0

        assert killed_at(relay, 4, "import", "hook", str(tmp_path / "old.csv"))

        relay.start()
        stored = len(relay.rows(history=False))
        acts = relay.api("GET", "/api/audit").json["audit"]
        assert 0 < stored < 600
        said = [(act["action"], act["count"], act["detail"]["stage"]) for act in acts]
        assert said == [("import", 0, "begun")]


@pytest.mark.parametrize("when", [1, 2])
def test_a_person_is_erased_whole_or_not_at_all(tmp_path: Path, when: int) -> None:
    address = email("gone")
    with RelayProcess(config("http://127.0.0.1:1/", SOURCES), folder=tmp_path) as relay:
        receipts = {receipt_of(relay.hook({"mail": address, "n": number})) for number in range(5)}
        assert relay.term(30) == 0

        assert killed_at(relay, when, "erase", "--contact", address)

        relay.start()
        assert {row["receipt"] for row in relay.rows(history=False)} in (receipts, set())
        assert relay.command_line("erase", "--contact", address).returncode == 0
        assert relay.rows(history=False) == []
