"""What operators do: the API and the command line beside a running server, metrics, alerts.

Catalogue: K 131; O 143 (the API), 146, 147, 153, 156; S 115, 120; D 66; F 90, 91.
"""

import json
import re
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.kit.canary import leaks
from tests.kit.client import Answer, request
from tests.kit.processes import eventually, send
from tests.kit.relay import HOOK, NEWSLETTER, RelayProcess, config
from tests.kit.upstream import (
    Arrival,
    Reaction,
    ScriptedUpstream,
    created,
    drop,
    hold,
    problem_json,
    status,
)

TRAP = "relay_leave_empty"
SOURCES: dict[str, Any] = {
    "newsletter": NEWSLETTER | {"honeypot": TRAP},
    "hook": HOOK | {"wait": 0, "region": "DE"},
    "other": HOOK | {"wait": 0},
}
SETTINGS: dict[str, Any] = {
    "limits": "100/second; 5000/minute",
    "ambiguous": "park",
    "give_up_after": "1s",
    "retry": ["1s"],
}
UNKNOWN = "0" * 32
HINT = re.compile(r"[a-z]\*+@example\.com|\*+\d+")


class Moods:
    """How upstream takes somebody: by the name, and better once it is told to be kind."""

    def __init__(self) -> None:
        self.kind: set[str] = set()
        self.gate = threading.Event()

    def __call__(self, arrival: Arrival) -> Reaction:
        email = str((arrival.json or {}).get("email", ""))
        mood, _, _ = email.partition("-")
        if email in self.kind:
            return created()
        if mood == "slow":
            return hold(self.gate, create_first=True)
        moods = {"refused": status(400, json=problem_json(400)), "parked": drop(), "dead": status(503)}
        return moods.get(mood, created())


@pytest.fixture(scope="module")
def moods() -> Moods:
    return Moods()


@pytest.fixture(scope="module")
def upstream(moods: Moods) -> Iterator[ScriptedUpstream]:
    with ScriptedUpstream(moods) as server:
        yield server


@pytest.fixture(scope="module")
def relay(upstream: ScriptedUpstream) -> Iterator[RelayProcess]:
    with RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as process:
        yield process


def email(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:12]}@example.com"


def receipt_of(answer: Answer) -> str:
    assert answer.receipt, (answer.status, answer.text)
    return answer.receipt


def in_state(relay: RelayProcess, state: str, source: str = "hook") -> tuple[str, str]:
    """Somebody signs up and comes to a state; returns the receipt and the address."""
    address = email(state)
    if state == "held":
        return receipt_of(relay.form({"email": address, TRAP: "bot"})), address
    if state == "invalid":
        return receipt_of(relay.hook({"mail": address}, source)), address
    receipt = receipt_of(relay.hook({"email": address}, source))
    relay.wait_state(receipt, state)
    if state in ("parked", "dead"):  # five in a row would hold the destination
        relay.wait_state(receipt_of(relay.hook({"email": email("fine")}, source)), "delivered")
    return receipt, address


# --- the API: looking -----------------------------------------------------------------------------------

FIELDS = {
    *("receipt", "source", "state", "reason", "attempts", "may_be_duplicate", "received_at", "due_at"),
    *("delivered_at", "profile_id", "trace_id", "contact_hint", "dropped", "consent"),
}


def test_a_submission_is_shown_with_exactly_the_promised_fields(relay: RelayProcess) -> None:
    receipt, address = in_state(relay, "delivered")
    shown = relay.submission(receipt)
    listed = relay.api("GET", f"/api/submissions?contact={address}").json

    assert set(shown) == {*FIELDS, "history"}
    assert listed == {"submissions": [{k: v for k, v in shown.items() if k != "history"}], "next": None}
    assert (shown["state"], shown["source"], shown["attempts"]) == ("delivered", "hook", 0)
    assert shown["contact_hint"] is None, "the payload is gone"
    assert shown["profile_id"].isdigit() and shown["received_at"].endswith("Z")
    assert [(one["outcome"], one["status"]) for one in shown["history"]] == [("delivered", 201)]


@pytest.mark.parametrize(
    ("state", "reason", "attempts", "outcomes"),
    [
        ("refused", "upstream answered 400", 0, ["refused"]),
        ("parked", "unclear: ", 1, ["unclear"]),
        ("dead", "gave up: ", None, None),
        ("held", "honeypot", 0, []),
        ("invalid", "unmappable: ", 0, []),
    ],
)
def test_what_waits_for_a_person_says_why(
    relay: RelayProcess, state: str, reason: str, attempts: int | None, outcomes: list[str] | None
) -> None:
    receipt, address = in_state(relay, state)
    shown = relay.submission(receipt)

    assert shown["state"] == state
    assert shown["reason"].startswith(reason)
    assert attempts is None or shown["attempts"] == attempts
    if outcomes is None:
        assert {one["outcome"] for one in shown["history"]} == {"later"}
        assert len(shown["history"]) >= 2
    else:
        assert [one["outcome"] for one in shown["history"]] == outcomes
    assert shown["may_be_duplicate"] == (state == "parked")
    assert shown["trace_id"] == (problem_json(400)["trace_id"] if state in ("refused", "dead") else None)
    assert (shown["contact_hint"] is None) == (state == "invalid")
    assert address not in json.dumps(shown)


@pytest.mark.parametrize("asked", ["{}", "  {} ", "upper", "+49 171 {}", "0171/{}", "0049171{}"], ids=str)
def test_a_person_is_found_however_the_contact_is_written(relay: RelayProcess, asked: str) -> None:
    digits = str(uuid.uuid4().int)[:7]
    address = email("found")
    by_mail = "@" in asked or asked.strip() == "{}" or asked == "upper"
    receipt = receipt_of(relay.hook({"email": address, "phone": f"0171 {digits}"}))
    text = (
        (address.upper() if asked == "upper" else asked.format(address)) if by_mail else asked.format(digits)
    )

    found = relay.rows(history=False, contact=text)

    assert [row["receipt"] for row in found] == [receipt]


def test_lists_are_filtered_and_come_a_page_at_a_time(relay: RelayProcess) -> None:
    receipts = [in_state(relay, "held")[0] for _ in range(5)]
    foreign = receipt_of(relay.hook({"nothing": "mapped"}, "other"))

    def page(query: str) -> Any:
        return relay.api("GET", f"/api/submissions?{query}").json

    first = page("state=held&source=newsletter&limit=3")
    second = page(f"state=held&source=newsletter&limit=2&before={first['next']}")
    found = [row["receipt"] for row in [*first["submissions"], *second["submissions"]]]
    assert found == receipts[::-1]
    assert first["next"] == found[2]
    assert [row["receipt"] for row in page("source=other&state=invalid")["submissions"]] == [foreign]
    assert page("source=nowhere") == {"submissions": [], "next": None}
    assert page(f"contact={email('nobody')}") == {"submissions": [], "next": None}


@pytest.mark.parametrize(
    "query", ["state=lost", "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=٣", "colour=red"]
)
def test_a_list_that_makes_no_sense_is_refused(relay: RelayProcess, query: str) -> None:
    assert relay.api("GET", f"/api/submissions?{query.replace('٣', '%D9%A3')}").status == 400


def test_the_status_tells_hold_backlog_and_quota(relay: RelayProcess) -> None:
    in_state(relay, "delivered")

    found = relay.status()

    assert set(found) == {"ocamba"}
    assert set(found["ocamba"]) == {
        *("hold_until", "hold_reason", "backlog", "oldest_seconds", "eta_seconds", "quota_used")
    }
    assert set(found["ocamba"]["quota_used"]) == {"100/second", "5000/minute"}
    assert found["ocamba"]["quota_used"]["5000/minute"] >= 1
    assert (found["ocamba"]["hold_reason"], found["ocamba"]["backlog"]) == (None, 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/submissions"),
        ("GET", f"/api/submissions/{UNKNOWN}"),
        ("POST", f"/api/submissions/{UNKNOWN}/replay"),
        ("POST", f"/api/submissions/{UNKNOWN}/discard"),
        ("POST", "/api/replay"),
        ("GET", "/api/status"),
        ("POST", "/api/destinations/ocamba/pause"),
        ("POST", "/api/destinations/ocamba/resume"),
    ],
)
def test_143_nothing_is_told_or_done_without_the_token(relay: RelayProcess, method: str, path: str) -> None:
    wrong = {"Authorization": f"Bearer {relay.admin_token}x"}

    answers = [request(relay.port, method, path), request(relay.port, method, path, None, wrong)]

    assert {answer.status for answer in answers} <= {401, 429}
    assert relay.status()["ocamba"]["hold_reason"] is None


# --- the API: acting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["refused", "parked", "dead", "held"])
def test_a_replay_sends_it_and_keeps_its_history(
    relay: RelayProcess, moods: Moods, upstream: ScriptedUpstream, state: str
) -> None:
    receipt, address = in_state(relay, state)
    before = relay.submission(receipt)["history"]
    moods.kind.add(address)

    answer = relay.api("POST", f"/api/submissions/{receipt}/replay")

    assert (answer.status, answer.json["state"], answer.json["attempts"]) == (200, "queued", 0)
    found = relay.wait_state(receipt, "delivered")
    assert [one["outcome"] for one in found["history"]] == [
        *(one["outcome"] for one in before),
        "delivered",
    ]
    assert found["may_be_duplicate"] == (state == "parked"), "147: the risk is named"
    assert sum(one.created for one in upstream.arrivals if one.json["email"] == address) == 1


def test_an_invalid_one_stays_until_the_configuration_is_mended(
    relay: RelayProcess, upstream: ScriptedUpstream
) -> None:
    receipt, address = in_state(relay, "invalid", "other")
    answer = relay.api("POST", f"/api/submissions/{receipt}/replay")
    assert answer.status == 409
    assert "email" in answer.json["detail"]
    assert relay.state(receipt) == "invalid"

    mended = SOURCES | {"other": SOURCES["other"] | {"fields": {"email": "mail"}}}
    relay.configure(config(upstream.url, mended, **SETTINGS))
    relay.hup()
    try:
        eventually(lambda: relay.api("POST", f"/api/submissions/{receipt}/replay").status == 200)
    finally:
        relay.configure(config(upstream.url, SOURCES, **SETTINGS))
        relay.hup()
    relay.wait_state(receipt, "delivered")
    assert address in {one.json["email"] for one in upstream.creates}


def test_a_discarded_one_is_gone_for_good(relay: RelayProcess) -> None:
    receipt, address = in_state(relay, "refused")

    answer = relay.api("POST", f"/api/submissions/{receipt}/discard")

    assert (answer.status, answer.json["state"], answer.json["contact_hint"]) == (200, "discarded", None)
    for verb in ("replay", "discard"):
        assert relay.api("POST", f"/api/submissions/{receipt}/{verb}").status == 409
    assert relay.state(receipt) == "discarded"
    assert [row["receipt"] for row in relay.rows(history=False, contact=address)] == [receipt]


def test_131_what_is_being_sent_or_delivered_cannot_be_touched(relay: RelayProcess, moods: Moods) -> None:
    moods.gate.clear()
    receipt = receipt_of(relay.hook({"email": email("slow")}))
    relay.wait_state(receipt, "sending")

    during = [
        relay.api("POST", f"/api/submissions/{receipt}/{verb}").status for verb in ("replay", "discard")
    ]
    moods.gate.set()
    relay.wait_state(receipt, "delivered")
    after = [relay.api("POST", f"/api/submissions/{receipt}/{verb}").status for verb in ("replay", "discard")]

    assert during == after == [409, 409]
    assert len(relay.submission(receipt)["history"]) == 1


def test_146_twenty_replays_at_once_are_one(relay: RelayProcess, moods: Moods) -> None:
    receipt, address = in_state(relay, "refused")
    moods.kind.add(address)

    with ThreadPoolExecutor(20) as crowd:
        paths = [f"/api/submissions/{receipt}/replay"] * 20
        answers = [answer.status for answer in crowd.map(lambda path: relay.api("POST", path), paths)]

    assert sorted(set(answers)) == [200, 409] and answers.count(200) == 1
    found = relay.wait_state(receipt, "delivered")
    assert [one["outcome"] for one in found["history"]] == ["refused", "delivered"]


def test_153_what_is_not_there_is_not_found(relay: RelayProcess) -> None:
    paths = [("GET", ""), ("POST", "/replay"), ("POST", "/discard")]
    answers = [relay.api(method, f"/api/submissions/{UNKNOWN}{path}") for method, path in paths]
    answers += [relay.api("POST", "/api/destinations/nowhere/pause")]
    assert [answer.status for answer in answers] == [404] * 4


def test_all_that_match_are_replayed_and_counted_first(
    relay: RelayProcess, moods: Moods, upstream: ScriptedUpstream
) -> None:
    people = [in_state(relay, "refused", "other") for _ in range(3)]
    elsewhere, _ = in_state(relay, "refused", "hook")
    moods.kind |= {address for _, address in people}
    asked = {"state": "refused", "source": "other"}

    counted = relay.api("POST", "/api/replay", asked | {"dry_run": True})
    assert (counted.status, counted.json) == (200, {"count": 3})
    assert relay.state(people[0][0]) == "refused"
    done = relay.api("POST", "/api/replay", asked)

    assert (done.status, done.json) == (200, {"count": 3})
    for receipt, _ in people:
        relay.wait_state(receipt, "delivered")
    assert relay.state(elsewhere) == "refused"
    assert relay.api("POST", "/api/replay", asked).json == {"count": 0}


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"state": "delivered"},
        {"state": "lost"},
        {"states": "dead"},
        {"state": 1},
        {"dry_run": "yes"},
    ],
)
def test_a_replay_of_all_that_makes_no_sense_is_refused(relay: RelayProcess, body: Any) -> None:
    assert relay.api("POST", "/api/replay", body).status == 400


def test_pausing_and_resuming_through_the_api(relay: RelayProcess) -> None:
    paused = relay.api("POST", "/api/destinations/ocamba/pause")
    receipt = receipt_of(relay.hook({"email": email("waits")}))
    time.sleep(0.5)
    waiting = relay.submission(receipt)
    status_ = relay.status()["ocamba"]
    resumed = relay.api("POST", "/api/destinations/ocamba/resume")

    assert (paused.status, paused.json["hold_reason"], paused.json["hold_until"]) == (200, "paused", None)
    assert (waiting["state"], waiting["history"]) == ("queued", [])
    assert HINT.fullmatch(waiting["contact_hint"]), waiting["contact_hint"]
    assert (status_["backlog"], status_["eta_seconds"]) == (1, None)
    assert (resumed.status, resumed.json["hold_reason"]) == (200, None)
    relay.wait_state(receipt, "delivered", timeout=5)


# --- the command line, beside the server ----------------------------------------------------------------


def ran(relay: RelayProcess, *words: str, **more: Any) -> str:
    """What a command printed; it must have worked, and told no secret and nobody's address."""
    done = relay.cli(*words, **more)
    assert (done.returncode, done.stderr) == (0, ""), (words, done.returncode, done.stderr)
    assert leaks(relay.secrets, [("output", done.stdout)]) == []
    return done.stdout


def failed(relay: RelayProcess, *words: str, code: int = 1, **more: Any) -> str:
    """What a command said on its one line when it failed."""
    done = relay.cli(*words, **more)
    assert (done.returncode, done.stdout) == (code, ""), (words, done.returncode, done.stdout, done.stderr)
    assert re.fullmatch(r"[^\n]+\n", done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


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
    assert len(text.splitlines()) <= 100
    assert address not in text + shown
    assert "contact_hint" in shown
    assert "ocamba: sending; backlog" in ran(relay, "status")


def test_replaying_and_discarding_by_receipt_and_by_filter(relay: RelayProcess, moods: Moods) -> None:
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
    done = relay.cli("submissions", "discard", *wanted)
    assert (done.returncode, done.stdout.split()[::2]) == (0, held[::-1])
    assert done.stdout.split()[1::2] == ["discarded"] * 2
    assert "--limit" in done.stderr


def test_pausing_and_resuming_by_command(relay: RelayProcess) -> None:
    assert ran(relay, "pause", "ocamba") == "ocamba: paused\n"
    receipt = receipt_of(relay.hook({"email": email("waits")}))
    assert "held (paused) until resumed" in ran(relay, "status")
    assert relay.state(receipt) == "queued"
    assert ran(relay, "resume") == "ocamba: resumed\n"
    relay.wait_state(receipt, "delivered", timeout=5)


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
]


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_is_asked_wrongly_is_said_in_one_line_with_status_2(
    relay: RelayProcess, words: list[str]
) -> None:
    failed(relay, *words, code=2)


def test_what_fails_is_said_in_one_line_with_status_1(relay: RelayProcess, tmp_path: Path) -> None:
    assert "no such submission" in failed(relay, "submissions", "show", UNKNOWN)
    assert UNKNOWN in failed(relay, "submissions", "replay", UNKNOWN)
    assert "no source nowhere" in failed(relay, "try", "nowhere", "-")
    assert "exists already" in failed(relay, "backup", str(relay.config_path))
    assert failed(relay, "backup", str(tmp_path / "nowhere" / "copy.db"))
    assert failed(relay, "try", "hook", str(tmp_path / "nothing.json"))
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
    typed = relay.cli("try", "newsletter", "-", input="email=ada%40example.com&first_name=Ada")
    assert json.loads(typed.stdout) == {"email": "ada@example.com", "full_name": "Ada"}
    wrong = relay.cli("try", "hook", "-", input='{"email": "nonsense"}')
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert wrong.stderr.startswith("email: ")
    assert len(relay.rows(history=False)) == before


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


@pytest.mark.parametrize("text", ["", " ", "a", "@", "x@", "12345", "000000"])
def test_what_is_no_contact_erases_nothing(relay: RelayProcess, text: str) -> None:
    before = len(relay.rows(history=False))
    assert "must be an e-mail address or a phone number" in failed(
        relay, "erase", f"--contact={text}", code=2
    )
    assert len(relay.rows(history=False)) == before


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


def test_120_a_newer_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    relay = RelayProcess(config("http://127.0.0.1:9/"), start=False, folder=tmp_path)
    assert re.fullmatch(r"the database has schema version \d+\n", ran(relay, "migrate"))
    assert ran(relay, "migrate") == ran(relay, "migrate")
    with sqlite3.connect(relay.database_path) as link:
        link.execute("UPDATE schema_version SET version = 99")
    link.close()
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir() if "relay.db" in path.name)

    for words in (["migrate"], ["status"], ["submissions", "list"]):
        assert "run a newer relay" in failed(relay, *words)

    after = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir() if "relay.db" in path.name)
    assert [name for name, _ in after] == [name for name, _ in before]
    assert after == before


# --- metrics --------------------------------------------------------------------------------------------


def metric(text: str, name: str, **labels: str) -> float:
    """The value of one sample, whatever the order of its labels."""
    for line in text.splitlines():
        found = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if not found or found[1] != name:
            continue
        own = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
        if own == labels:
            return float(found[3])
    return 0.0


def test_metrics_count_truly_also_over_a_restart_of_the_worker() -> None:
    with (
        ScriptedUpstream(Moods()) as upstream,
        RelayProcess(config(upstream.url, SOURCES, **SETTINGS)) as relay,
    ):

        def taken(result: str) -> float:
            return metric(relay.metrics(), "relay_submissions_total", source="hook", result=result)

        def sent(outcome: str) -> float:
            return metric(relay.metrics(), "relay_deliveries_total", destination="ocamba", outcome=outcome)

        def waits(state: str) -> float:
            return metric(relay.metrics(), "relay_backlog", destination="ocamba", state=state)

        address = email("fine")
        in_state(relay, "refused")
        in_state(relay, "invalid")
        relay.wait_state(receipt_of(relay.hook({"email": address})), "delivered")
        assert relay.hook({"email": address}).json["repeat"]
        assert relay.hook(b"{").status == 400
        words = ("accepted", "repeat", "invalid", "rejected", "held")
        assert [taken(word) for word in words] == [2, 1, 1, 1, 0]
        assert (sent("delivered"), sent("refused")) == (1, 1)
        assert (waits("refused"), waits("invalid"), waits("queued")) == (1, 1, 0)

        workers = relay.worker_pids()
        send(9, workers)  # as when the kernel runs out of memory
        eventually(lambda: relay.worker_pids() not in ([], workers), 20, "another worker")
        relay.wait_ready()
        relay.wait_state(receipt_of(relay.hook({"email": email("fine")})), "delivered")

        assert [taken(word) for word in words] == [3, 1, 1, 1, 0]
        assert (sent("delivered"), sent("refused")) == (2, 1)
        text = relay.metrics()
        quota = {"destination": "ocamba", "window": "5000/minute"}
        assert metric(text, "relay_quota_used", **quota) == 3
        assert metric(text, "relay_upstream_seconds_count") == 3
        assert metric(text, "relay_request_seconds_count") == 6
        assert metric(text, "relay_destination_held", destination="ocamba") == 0
        relay.api("POST", "/api/destinations/ocamba/pause")
        relay.hook({"email": email("waits")})
        time.sleep(1)
        text = relay.metrics()
        assert metric(text, "relay_destination_held", destination="ocamba") == 1
        assert metric(text, "relay_oldest_queued_seconds", destination="ocamba") >= 1
        assert waits("queued") == 1
        assert leaks(relay.secrets | {"address": address}, [("metrics", text)]) == []


# --- alerts ---------------------------------------------------------------------------------------------


def told(receiver: ScriptedUpstream) -> list[tuple[str, str]]:
    return [(one.json["alert"], one.json["state"]) for one in receiver.arrivals]


def test_156_an_alert_is_posted_once_when_it_begins_and_once_when_it_is_over() -> None:
    answers = {"then": status(401)}
    with ScriptedUpstream(lambda _: answers["then"]) as upstream, ScriptedUpstream() as receiver:
        settings = config(upstream.url, SOURCES, **SETTINGS)
        alerts = {"RELAY_ALERT_URL": receiver.url}
        with RelayProcess(settings, env=alerts) as relay:
            receiver.refuse()  # what cannot be told yet is told later
            first = email("held-up")
            relay.hook({"email": first})
            relay.hook({"nothing": "mapped"})
            upstream.wait_for(1)
            eventually(lambda: "alert.unsent" in relay.output(), 20, "a try to tell")
            receiver.listen_again()
            eventually(lambda: len(told(receiver)) >= 2, 20, "both being told")
            assert sorted(told(receiver)) == [("held:ocamba", "firing"), ("invalid:ocamba", "firing")]
            held = next(one.json for one in receiver.arrivals if one.json["alert"] == "held:ocamba")
            assert set(held) == {"alert", "state", "detail", "at"}
            assert "misconfigured: 401" in held["detail"]

            relay.restart()
            answers["then"] = created()
            relay.hup()  # tries the destination at once
            relay.wait_drained(15)
            eventually(lambda: ("held:ocamba", "over") in told(receiver), 20, "the end being told")
            relay.api("POST", "/api/replay", {"state": "invalid"})
            for row in relay.rows(history=False, state="invalid"):
                relay.api("POST", f"/api/submissions/{row['receipt']}/discard")
            eventually(lambda: ("invalid:ocamba", "over") in told(receiver), 20, "the end being told")
            assert sorted(told(receiver)) == [
                *[("held:ocamba", "firing"), ("held:ocamba", "over")],
                *[("invalid:ocamba", "firing"), ("invalid:ocamba", "over")],
            ]
            assert "Authorization" not in str(receiver.arrivals[0].headers).title()
            posted = b"".join(one.body for one in receiver.arrivals)
            assert leaks(relay.secrets | {"address": first}, [("alerts", posted)]) == []
            logged = [line.data for line in relay.log_lines() if line.data and "alert" in line.data]
            assert [one["event"] for one in logged].count("alert.firing") == 2
