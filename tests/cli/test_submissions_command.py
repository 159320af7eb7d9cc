"""Listing, showing, replaying and discarding, for people and for programs."""

import json

from tests.cli.conftest import Site


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
    assert len(said.out.splitlines()) == 3 and "--limit" in said.err


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


def test_discarding_by_state_needs_no_more(site: Site) -> None:
    done = site.run("submissions", "discard", "--state", "invalid")
    assert (done.status, done.out) == (0, f"{site.receipts['invalid'][0]} discarded\n")


def test_what_cannot_be_replayed_is_said_beside_what_was(site: Site) -> None:
    done = site.run("submissions", "replay", site.receipts["queued"][0], site.receipts["held"][0])
    assert done.status == 1
    assert done.out == f"{site.receipts['held'][0]} queued\n"
    assert done.err.startswith(f"relay: {site.receipts['queued'][0]} ") and done.err.count("\n") == 1


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


def test_a_beginning_that_nobody_has_is_no_submission(site: Site) -> None:
    said = site.run("submissions", "show", "00000000")
    assert said.status == 1 and "no such submission" in said.err
