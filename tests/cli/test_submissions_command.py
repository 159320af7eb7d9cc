"""Listing, showing, replaying and discarding, for people and for programs."""

import json
import re
import signal
import subprocess
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from tests.cli.conftest import TABLE, Site
from tests.kit.relay import RELAY, RelayProcess


def test_a_list_has_a_header_its_columns_and_a_total(site: Site) -> None:
    said = site.run("submissions", "list")
    head, *rows, total = said.out.splitlines()
    assert head.split() == ["received", "(UTC)", "receipt", "source", "state", "contact", "why"]
    newest_first = [*site.receipts["queued"], *site.receipts["held"], *site.receipts["invalid"]][::-1]
    assert [row.split()[2] for row in rows] == newest_first
    assert total == "6 submissions"
    assert head.index("source") == rows[0].index("hook")


def test_a_list_that_stops_early_says_so(site: Site) -> None:
    said = site.run("submissions", "list", "--limit", "2")
    assert len(said.out.splitlines()) == 4 and said.out.endswith("\nthe newest 2 of 6 submissions\n")


def test_an_empty_list_says_that_it_is(site: Site) -> None:
    assert site.run("submissions", "list", "--state", "dead").out == "no submission matches\n"
    assert json.loads(site.run("submissions", "list", "--state", "dead", "--json").out)["submissions"] == []


def test_one_is_described_in_words(site: Site) -> None:
    said = site.run("submissions", "show", site.receipts["held"][0])
    words = dict(line.split(None, 1) for line in said.out.splitlines())
    assert words["state"] == "held" and words["sent"] == "never" and "h***" in words["contact"]
    for python in ("None", "False", "True", "[", "{"):
        assert python not in said.out


def test_discarding_many_needs_a_state_or_yes(site: Site) -> None:
    said = site.run("submissions", "discard", "--source", "newsletter")
    assert said.status == 2 and "--yes" in said.err
    done = site.run("submissions", "discard", "--source", "newsletter", "--yes")
    assert done.status == 0
    assert done.out.splitlines() == [f"{receipt} discarded" for receipt in site.receipts["held"][::-1]]


def test_who_says_yes_need_not_name_what_is_to_go(site: Site) -> None:
    said = site.run("submissions", "discard")
    assert said.status == 2 and "--yes" in said.err
    assert site.run("submissions", "discard", "--yes").status == 0
    for state in ("held", "invalid"):
        assert site.run("submissions", "list", "--state", state).out == "no submission matches\n"


def test_discarding_by_state_needs_no_more(site: Site) -> None:
    done = site.run("submissions", "discard", "--state", "invalid")
    assert (done.status, done.out) == (0, f"{site.receipts['invalid'][0]} discarded\n")


def test_what_cannot_be_replayed_is_said_beside_what_was(site: Site) -> None:
    done = site.run("submissions", "replay", site.receipts["queued"][0], site.receipts["held"][0])
    assert done.status == 1
    assert done.out == f"{site.receipts['held'][0]} queued\n"
    assert done.err.startswith(f"relay: {site.receipts['queued'][0]} ") and done.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["replay", "discard"])
@pytest.mark.parametrize("more", [[], ["--all"], ["--source", "hook"]], ids=" ".join)
def test_who_acts_on_nothing_is_told(site: Site, verb: str, more: list[str]) -> None:
    done = site.run("submissions", verb, "--state", "dead", *more)
    assert (done.status, done.out, done.err) == (0, "no submission matches\n", "")
    assert site.run("jobs").out == "there are no jobs\n"


WITH_A_SOURCE = (
    "submissions list",
    "submissions replay --state held",
    "submissions replay --state held --all",
    "submissions discard --state held",
    "export",
    "export --output new.jsonl",
    "tail",
    "try --recorded",
)


@pytest.mark.parametrize("words", WITH_A_SOURCE)
def test_a_source_that_nobody_knows_is_asked_wrongly(site: Site, words: str) -> None:
    named = ["newsleter"] if words.startswith("try") else ["--source", "newsleter"]
    said = site.run(*words.split(), *named)
    assert (said.status, said.out) == (2, "")
    assert said.err == "relay: there is no source newsleter; there are newsletter, hook\n"
    assert not (site.folder / "new.jsonl").exists()


def test_a_former_source_is_known_by_what_is_stored_of_it(site: Site) -> None:
    site.configure({**TABLE, "sources": {"newsletter": TABLE["sources"]["newsletter"]}})
    assert site.run("submissions", "list", "--source", "hook").out.endswith("\n1 submission\n")
    none = site.run("submissions", "list", "--source", "hook", "--state", "dead")
    assert (none.status, none.out) == (0, "no submission matches\n")
    site.configure("nonsense")
    broken = site.run("submissions", "list", "--source", "newsleter")
    assert (broken.status, broken.out) == (0, "no submission matches\n"), "nobody knows which there are"


def test_a_list_is_narrowed_by_time_and_reason(site: Site) -> None:
    held = site.run("submissions", "list", "--reason", "honeypot", "--since", "1d", "--json")
    assert held.status == 0, held.err
    assert [row["receipt"] for row in json.loads(held.out)["submissions"]] == site.receipts["held"][::-1]
    assert site.run("submissions", "list", "--until", "2h").out == "no submission matches\n"
    assert site.run("submissions", "list", "--since", "2020-01-31").out.endswith("6 submissions\n")


def test_a_time_that_is_none_is_asked_wrongly(site: Site) -> None:
    said = site.run("submissions", "list", "--since", "yesterday")
    assert said.status == 2 and "2026-01-31" in said.err and said.err.count("\n") == 1


def test_a_receipt_is_known_by_a_beginning_that_no_other_has(site: Site) -> None:
    (receipt,) = site.receipts["invalid"]
    assert site.run("submissions", "show", receipt[:12]) == site.run("submissions", "show", receipt)
    assert site.run("submissions", "discard", receipt[:12]).out == f"{receipt} discarded\n"


def test_a_beginning_that_is_too_short_is_said_to_be(site: Site) -> None:
    (receipt,) = site.receipts["invalid"]
    for words in (["show"], ["replay"], ["discard"]):
        said = site.run("submissions", *words, receipt[:3])
        assert said.status == 2 and "give at least 4 characters" in said.err


def test_a_beginning_that_nobody_has_is_no_submission(site: Site) -> None:
    said = site.run("submissions", "show", "00000000")
    assert said.status == 1 and "no such submission" in said.err


def test_times_are_shown_in_the_operators_zone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    receipt = site.receipts["held"][0]
    at = json.loads(site.run("submissions", "show", receipt, "--json").out)["received_at"]
    monkeypatch.setenv("RELAY_TIME_ZONE", "Asia/Kolkata")
    there = datetime.fromisoformat(at).astimezone(ZoneInfo("Asia/Kolkata"))
    assert f"received   {there:%Y-%m-%d %H:%M:%S}" in site.run("submissions", "show", receipt).out
    assert "received (Asia/Kolkata)" in site.run("submissions", "list").out


def test_an_invalid_one_says_what_its_body_has(site: Site) -> None:
    said = site.run("submissions", "show", site.receipts["invalid"][0])
    assert "body       has: email (text)" in said.out


# --- many at once -----------------------------------------------------------------------------------------


def test_all_of_a_state_are_a_job_which_is_done_without_a_server(site: Site) -> None:
    done = site.run("submissions", "replay", "--state", "held", "--all")
    assert done.status == 0 and "done: 2 of 2 (2 queued)" in done.out
    assert site.run("submissions", "list", "--state", "held").out == "no submission matches\n"
    (job,) = re.findall(r"[0-9a-f]{16}", site.run("jobs").out)
    assert json.loads(site.run("jobs", "show", job).out)["outcomes"] == {"queued": 2}
    assert site.run("jobs", "follow", job).status == 0
    over = site.run("jobs", "cancel", job)
    assert over.status == 1 and "is over" in over.err


@pytest.mark.parametrize("words", [["--source", "hook"], ["--state", "held", "--contact", "a@example.com"]])
def test_a_job_takes_a_state_and_nobody_by_name(site: Site, words: list[str]) -> None:
    assert site.run("submissions", "replay", "--all", *words).status == 2


def test_no_jobs_are_no_empty_table(site: Site) -> None:
    assert site.run("jobs").out == "there are no jobs\n"
    assert site.run("jobs", "show", "0" * 16).status == 1


# --- tail -------------------------------------------------------------------------------------------------


def heed_interrupts() -> None:
    """What runs in the background of a shell ignores Ctrl-C, and so would its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_tail_follows_what_arrives_and_what_becomes_of_it() -> None:
    with RelayProcess(TABLE) as relay:
        relay.api("POST", "/api/destinations/ocamba/pause")
        first = relay.form({"email": "a@example.com"}, "newsletter").receipt or ""
        with subprocess.Popen(
            [*RELAY, "tail"],
            cwd=relay.cwd,
            env=relay.env,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,  # noqa: PLW1509 - it only sets a signal
        ) as tail:
            assert tail.stdout
            assert first in tail.stdout.readline()
            second = relay.form({"email": "b@example.com", "trap": "x"}, "newsletter").receipt or ""
            line = tail.stdout.readline()
            assert second in line and " held " in line
            relay.api("POST", f"/api/submissions/{second}/discard")
            line = tail.stdout.readline()
            assert second in line and " discarded " in line
            tail.send_signal(signal.SIGINT)
            try:
                assert tail.wait(20) == 0
            finally:
                tail.kill()
