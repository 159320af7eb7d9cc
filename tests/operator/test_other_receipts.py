"""A repeat was given a receipt of its own; who looks after it comes to the one row by either."""

from typing import Any

import pytest

from tests.kit.people import TRAP, Moods, email, receipt_of
from tests.kit.relay import RelayProcess


def twice(relay: RelayProcess, fields: dict[str, Any]) -> tuple[str, str]:
    """Somebody signs up twice: the receipt of the row, and the one that the repeat was given."""
    first, again = (receipt_of(relay.form(fields)) for _ in range(2))
    assert first != again
    return first, again


def held_twice(relay: RelayProcess) -> tuple[str, str, str]:
    address = email("held")
    return *twice(relay, {"email": address, TRAP: "bot"}), address


def acts(relay: RelayProcess, receipt: str) -> list[tuple[str, str]]:
    log = relay.api("GET", f"/api/audit?receipt={receipt}").json["audit"]
    return [(act["action"], act["receipt"]) for act in log]


def test_a_person_is_revealed_by_the_receipt_they_hold(relay: RelayProcess) -> None:
    first, again, address = held_twice(relay)

    answer = relay.api("POST", f"/api/submissions/{again}/reveal")

    assert (answer.status, answer.json["receipt"]) == (200, first)
    assert answer.json["profile"]["email"] == address


@pytest.mark.parametrize("verb", ["replay", "discard", "reveal"])
def test_an_act_is_written_down_under_the_row_by_whichever_receipt(relay: RelayProcess, verb: str) -> None:
    first, again, _ = held_twice(relay)

    assert relay.api("POST", f"/api/submissions/{again}/{verb}").status == 200

    assert acts(relay, first) == acts(relay, again) == [(verb, first)]


def test_a_correction_is_written_down_under_the_row_by_whichever_receipt(relay: RelayProcess) -> None:
    first, again = twice(relay, {"mail": email("invalid")})

    answer = relay.api("PATCH", f"/api/submissions/{again}", {"values": {"email": email("fine")}})

    assert (answer.status, answer.json["receipt"]) == (200, first)
    assert acts(relay, first) == [("edit", first)]


def test_what_could_not_be_mapped_is_explained_by_whichever_receipt(relay: RelayProcess) -> None:
    first, again = twice(relay, {"mail": email("invalid")})

    assert relay.submission(again) == relay.submission(first)
    assert relay.submission(again)["diagnosis"]["has"] == [{"key": "mail", "type": "text"}]


def test_its_sends_are_shown_by_whichever_receipt(relay: RelayProcess, moods: Moods) -> None:
    first, again = twice(relay, {"email": email("refused")})
    relay.wait_state(first, "refused")

    assert [sent["outcome"] for sent in relay.submission(again)["history"]] == ["refused"]


def test_it_is_found_by_the_beginning_of_whichever_receipt(relay: RelayProcess) -> None:
    first, again, _ = held_twice(relay)

    done = relay.command_line("submissions", "show", again[:12], "--json")

    assert (done.returncode, done.stderr) == (0, "")
    assert first in done.stdout
