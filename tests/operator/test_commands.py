"""What operators do by command, beside a running server."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.kit.people import (
    SETTINGS,
    SOURCES,
    UNKNOWN,
    Moods,
    email,
    failed,
    in_state,
    ran,
    receipt_of,
)
from tests.kit.processes import eventually
from tests.kit.relay import RelayProcess, config
from tests.kit.upstream import ScriptedUpstream, status


def test_the_command_line_prints_exactly_what_the_api_says(relay: RelayProcess) -> None:
    receipts = [in_state(relay, "held")[0] for _ in range(3)]
    address = in_state(relay, "refused")[1]

    def api(path: str) -> Any:
        return relay.api("GET", path).json

    listed = json.loads(ran(relay, "submissions", "list", "--state", "held", "--limit", "2", "--json"))
    assert listed == api("/api/submissions?state=held&limit=2")
    assert [row["receipt"] for row in listed["submissions"]] == receipts[:0:-1]
    mine = json.loads(ran(relay, "submissions", "list", "--contact", address, "--source", "hook", "--json"))
    assert mine == api(f"/api/submissions?contact={address}&source=hook")
    assert len(mine["submissions"]) == 1
    shown = json.loads(ran(relay, "submissions", "show", receipts[0], "--json"))
    assert shown == api(f"/api/submissions/{receipts[0]}")
    told = json.loads(ran(relay, "status", "--json"))
    asked = api("/api/status")
    for one in (told["ocamba"], asked["ocamba"]):
        one.pop("oldest_seconds"), one.pop("quota_used")
    assert told == asked


def test_lists_for_people_name_nobody(relay: RelayProcess) -> None:
    receipt, address = in_state(relay, "held")
    text = ran(relay, "submissions", "list")
    shown = ran(relay, "submissions", "show", receipt)

    assert receipt in text and "honeypot" in text
    assert text.splitlines()[0].split()[:2] == ["received", "(UTC)"]
    assert address not in text + shown
    assert "contact" in shown and "sent       never" in shown
    assert "ocamba: sending; backlog" in ran(relay, "status")


def test_commands_replay_and_discard_by_receipt_and_by_filter(relay: RelayProcess, moods: Moods) -> None:
    people = [in_state(relay, "refused") for _ in range(3)]
    moods.kind |= {address for _, address in people}
    (first, _), (second, contact), (third, _) = people

    assert ran(relay, "submissions", "replay", first) == f"{first} queued\n"
    assert ran(relay, "submissions", "replay", "--contact", contact) == f"{second} queued\n"
    assert ran(relay, "submissions", "discard", third) == f"{third} discarded\n"

    assert relay.wait_state(first, "delivered") and relay.wait_state(second, "delivered")
    assert relay.state(third) == "discarded"
    assert third in failed(relay, "submissions", "replay", third)
    held = [in_state(relay, "held")[0] for _ in range(2)]
    wanted = ["--state", "held", "--source", "newsletter", "--limit", "2"]
    done = relay.command_line("submissions", "discard", *wanted)
    assert (done.returncode, done.stdout.split()[::2]) == (0, held[::-1])
    assert done.stdout.split()[1::2] == ["discarded"] * 2
    assert "--limit" in done.stderr


def test_of_a_job_that_only_counted_nothing_is_said_to_be_done(relay: RelayProcess) -> None:
    receipt, _ = in_state(relay, "held")
    asked = {"action": "discard", "filter": {"state": "held"}, "dry_run": True}
    name = relay.api("POST", "/api/jobs", asked).json["job"]
    count = relay.wait_job(name)["outcomes"]["discarded"]

    (line,) = [line for line in ran(relay, "jobs").splitlines() if line.startswith(name)]

    assert "discard, only counted" in line and f"{count} would be discarded" in line
    assert f"{count} would be discarded" in ran(relay, "jobs", "follow", name)
    assert relay.state(receipt) == "held"


def test_what_comes_while_a_command_has_paused_it_waits_until_one_resumes_it(relay: RelayProcess) -> None:
    assert ran(relay, "pause", "ocamba") == "ocamba: paused\n"
    receipt = receipt_of(relay.hook({"email": email("waits")}))
    assert "held (paused) until resumed" in ran(relay, "status")
    assert relay.state(receipt) == "queued"
    assert ran(relay, "resume") == "ocamba: resumed\n"
    relay.wait_state(receipt, "delivered", timeout=5)


def test_resuming_what_upstream_asked_us_to_wait_for_says_that_the_wait_goes_on() -> None:
    full = status(429, headers={"Retry-After": "600"})
    kept = r"ocamba: held until [\d-]+ [\d:]+ \(UTC\): upstream asked for this wait, and it is kept\n"
    with (
        ScriptedUpstream(lambda _: full) as upstream,
        RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as relay,
    ):
        relay.hook({"email": email("waits")})
        eventually(lambda: relay.status()["ocamba"]["hold_reason"], 10, "the wait")
        assert re.fullmatch(kept, ran(relay, "resume"))
        assert ran(relay, "pause") == "ocamba: paused\n"
        assert re.fullmatch(kept, ran(relay, "resume"))
        assert relay.status()["ocamba"]["hold_reason"].startswith("rate limited")


WRONG = [
    ["nonsense"],
    ["submissions"],
    ["submissions", "list", "--state", "lost"],
    ["submissions", "list", "--limit", "0"],
    ["submissions", "list", "--limit", "many"],
    ["submissions", "list", "--colour", "red"],
    ["submissions", "replay"],
    ["submissions", "discard"],
    ["pause", "nowhere"],
    ["keys", "lose"],
    ["erase"],
    ["backup"],
    ["try"],
    ["try", "hook", "-", "--header", "no colon"],
    ["try", "nowhere", "-"],
    ["try", "--recorded", "nowhere"],
    ["try", "hook", "/nowhere.json"],
    ["try", "hook", "/"],
    ["sign", "nowhere"],
    ["sign", "hook", "/nowhere.json"],
    ["presets", "show", "nowhere"],
    ["resume", "nowhere"],
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_is_asked_wrongly_is_said_in_one_line_with_status_2(
    relay: RelayProcess, words: list[str]
) -> None:
    failed(relay, *words, code=2)


def test_what_fails_is_said_in_one_line_with_status_1(relay: RelayProcess, tmp_path: Path) -> None:
    assert "no such submission" in failed(relay, "submissions", "show", UNKNOWN)
    assert UNKNOWN in failed(relay, "submissions", "replay", UNKNOWN)
    assert "exists already" in failed(relay, "backup", str(relay.config_path))
    assert failed(relay, "backup", str(tmp_path / "nowhere" / "copy.db"))
    elsewhere = {"RELAY_DATABASE_URL": f"sqlite:///{tmp_path / 'none.db'}"}
    assert "RELAY_DATABASE_URL" in failed(relay, "status", env=elsewhere)
    assert not (tmp_path / "none.db").exists()
    other_key = {"RELAY_SECRET_KEYS": "ab" * 32}
    assert "RELAY_SECRET_KEYS" in failed(relay, "status", env=other_key)


def test_a_body_can_be_tried_without_storing_anything(relay: RelayProcess, tmp_path: Path) -> None:
    before = len(relay.rows(history=False))
    body = tmp_path / "body.json"
    body.write_text('{"email": "Ada@Example.com ", "phone": "nonsense", "name": "Ada"}')

    printed = ran(relay, "try", "hook", str(body))
    profile, _, dropped = printed.partition("}\n")
    assert json.loads(profile + "}") == {"email": "Ada@example.com", "full_name": "Ada"}
    assert dropped.startswith("dropped: ")
    typed = relay.command_line("try", "newsletter", "-", input="email=ada%40example.com&first_name=Ada")
    assert json.loads(typed.stdout) == {"email": "ada@example.com", "full_name": "Ada"}
    wrong = relay.command_line("try", "hook", "-", input='{"email": "nonsense"}')
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("email: ")
    assert len(relay.rows(history=False)) == before
