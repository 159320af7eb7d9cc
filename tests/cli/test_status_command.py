"""What the morning's answer says."""

import os
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from relay.cli.status import arrivals, destination, needs_you
from relay.operator.wording import duration
from tests.cli.conftest import Site

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
SENDING: dict[str, Any] = {
    "hold_until": None,
    "hold_reason": None,
    "backlog": 0,
    "oldest_seconds": None,
    "eta_seconds": 0,
    "quota_used": {"10/second": 1, "150/minute": 20},
}


def test_it_names_what_needs_you_each_source_and_each_destination(site: Site) -> None:
    said = site.run("status")
    lines = said.out.splitlines()
    assert set(lines[0].removeprefix("needs you: ").split(", ")) == {
        "2 held (newsletter)",
        "1 invalid (hook)",
    }
    assert lines[2].startswith("newsletter: last sign-up ") and lines[2].endswith("; 24 h: 5")
    assert lines[5].startswith("ocamba: held (paused) until resumed; backlog 3; the oldest waits for ")


def test_it_says_that_a_full_disk_keeps_everything_out(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def nearly_full(path: str) -> Any:
        return SimpleNamespace(f_frsize=4096, f_blocks=real(path).f_blocks, f_bavail=1)

    monkeypatch.setattr(os, "statvfs", nearly_full)
    lines = site.run("status").out.splitlines()

    assert lines[0].startswith("needs you: ")
    assert lines[1] == "the disk is nearly full: nothing is accepted until there is room"


def test_a_quiet_morning_says_that_nothing_needs_you() -> None:
    assert needs_you([]) == "nothing needs you"


def test_reasons_of_one_state_and_source_are_one_figure() -> None:
    groups = [
        {"state": "held", "source": "form", "reason": "honeypot", "count": 1200},
        {"state": "held", "source": "form", "reason": "too fast", "count": 34},
        {"state": "parked", "source": "crm", "reason": None, "count": 1},
    ]
    assert needs_you(groups) == "needs you: 1,234 held (form), 1 parked (crm)"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "crm: last sign-up 2 hours ago (2026-01-31 07:00:00 UTC); 24 h: 7"),
        (
            {"last": "2026-01-31T09:00:02.000Z"},  # by a database whose clock is ahead
            "crm: last sign-up 0 seconds ago (2026-01-31 09:00:02 UTC); 24 h: 7",
        ),
        ({"last": None}, "crm: no sign-up yet"),
        ({"enabled": False, "last": None}, "crm (switched off): no sign-up yet"),
        ({"enabled": False, "kind": None, "last": None}, "crm (removed): no sign-up yet"),
    ],
)
def test_a_source_is_told_of_in_words(given: dict[str, Any], said: str) -> None:
    usual = {"source": "crm", "kind": "webhook", "enabled": True, "last": "2026-01-31T07:00:00.000Z"}
    assert list(arrivals([{**usual, "counts": {"24h": 7}, **given}], NOW, UTC)) == [said]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "sending; backlog 0; used 1 of 10/second, 20 of 150/minute"),
        (
            {"backlog": 1500, "oldest_seconds": 61.0, "eta_seconds": 600, "quota_used": {}},
            "sending; backlog 1,500; the oldest waits for 1 minute; all sent in about 10 minutes",
        ),
        (
            {"hold_reason": "429", "hold_until": "2026-01-31T09:01:00.000Z", "quota_used": {}},
            "held (429) until 2026-01-31 09:01:00; backlog 0",
        ),
        (
            {
                "hold_reason": "paused",
                "backlog": 1,
                "oldest_seconds": 5.0,
                "eta_seconds": None,
                "quota_used": {},
            },
            "held (paused) until resumed; backlog 1; the oldest waits for 5 seconds",
        ),
        (
            {"hold_reason": "removed from the configuration", "eta_seconds": None, "quota_used": {}},
            "held (removed from the configuration) until it is there again; backlog 0",
        ),
    ],
)
def test_a_destination_is_told_of_in_words(given: dict[str, Any], said: str) -> None:
    assert destination({**SENDING, **given}, UTC) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (89, "1 minute"),
        (7200, "2 hours"),
        (86400, "1 day"),
        (1e6, "12 days"),
    ],
)
def test_durations_are_said_in_their_largest_unit(seconds: float, said: str) -> None:
    assert duration(seconds) == said
