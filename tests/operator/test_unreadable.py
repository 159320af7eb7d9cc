"""What cannot be decrypted any more is shown, given up, and ends nothing that looks at many."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.people import SETTINGS, SOURCES, email, in_state, receipt_of
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream

WHY = "cannot be read: an encrypted payload is damaged"


@pytest.fixture
def own() -> Iterator[RelayProcess]:
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as relay:
        yield relay


def damage(relay: RelayProcess, receipt: str) -> None:
    """Flip the last bit of a payload on the disk."""
    with sqlite3.connect(relay.database_path, timeout=10) as link:
        ((box,),) = link.execute("SELECT payload FROM deliveries WHERE receipt = ?", (receipt,)).fetchall()
        damaged = box[:-1] + bytes([box[-1] ^ 1])
        link.execute("UPDATE deliveries SET payload = ? WHERE receipt = ?", (damaged, receipt))
    link.close()


@pytest.mark.parametrize("state", ["invalid", "held", "refused"])
def test_it_is_shown_and_can_be_given_up(relay: RelayProcess, state: str) -> None:
    receipt, _ = in_state(relay, state)
    damage(relay, receipt)

    shown = relay.submission(receipt)
    command = relay.command_line("submissions", "show", receipt)
    revealed = relay.api("POST", f"/api/submissions/{receipt}/reveal")
    discarded = relay.api("POST", f"/api/submissions/{receipt}/discard")

    expected = {"says": WHY, "has": [], "missing": [], "unusable": []} if state == "invalid" else None
    assert (shown["state"], shown.get("diagnosis")) == (state, expected)
    assert (command.returncode, command.stderr) == (0, "")
    assert (revealed.status, revealed.json["detail"]) == (409, WHY)
    assert (discarded.status, discarded.json["state"]) == (200, "discarded")


def test_the_others_are_mapped_to_see_all_the_same(own: RelayProcess) -> None:
    receipts = [in_state(own, "invalid")[0] for _ in range(3)]
    damage(own, receipts[1])

    done = own.command_line("try", "--recorded")

    assert (done.returncode, done.stderr) == (0, "")
    assert f"{receipts[1]}  hook  fails\n  {WHY}\n" in done.stdout
    assert "3 stored submissions looked at, 0 would be worse" in done.stdout


def test_the_others_get_the_newest_key_all_the_same(tmp_path: Path) -> None:
    newer = RelayProcess(config("http://127.0.0.1:9/"), start=False, folder=tmp_path).cli("keys", "new")
    with ScriptedUpstream() as upstream, RelayProcess(config(upstream.url, SOURCES)) as relay:
        receipts = [receipt_of(relay.hook({"mail": email("kept")})) for _ in range(3)]
        damage(relay, receipts[0])
        keys = relay.database_path.with_name("relay.db.keys")
        keys.write_text(f"{newer.stdout.strip()},{keys.read_text()}")

        done = relay.cli("keys", "rotate")

        assert done.returncode == 1 and done.stdout.startswith("2 payloads encrypted"), done
        assert "1 stored payload cannot be read, and is as before: an encrypted" in done.stderr
        keys.write_text(newer.stdout)
        relay.restart()
        assert all(relay.submission(one)["diagnosis"]["has"] for one in receipts[1:])
