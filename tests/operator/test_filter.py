"""Filters: times as people type them, in the zone in which they are shown."""

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from relay.operator import wording
from relay.operator.filter import moment, typed_time

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-26 16:02:20", "2026-11-26T16:02:20-05:00"),
        ("2026-07-01T09:00", "2026-07-01T09:00:00-04:00"),
        ("2026-01-31", "2026-01-31T00:00:00-05:00"),
        ("2026-01-31T09:00:00Z", "2026-01-31T09:00:00Z"),
        ("2026-01-31T09:00:00+02:00", "2026-01-31T09:00:00+02:00"),
        ("yesterday", "yesterday"),
        ("9999999999d", "9999999999d"),
        ("0001-01-01", "0001-01-01T00:00:00-04:56"),
        (None, None),
    ],
)
def test_a_time_is_one_of_the_zone_it_is_shown_in(typed: str | None, meant: str | None) -> None:
    found = typed_time(typed, NEW_YORK)
    assert found is None if meant is None else (found or "").startswith(meant)


@pytest.mark.parametrize(("typed", "ago"), [("90s", 90), ("5m", 300), ("24h", 86400), ("7d", 604800)])
def test_a_time_may_be_how_long_ago_it_was(typed: str, ago: int) -> None:
    found = moment("since", typed_time(typed, NEW_YORK))
    passed = datetime.now(UTC) - timedelta(seconds=ago)
    assert found is not None and abs(found - passed.timestamp()) < 60


class Springing(tzinfo):
    """A zone whose clocks were put by an hour a quarter of an hour ago: forward, or back."""

    def __init__(self, hours: int) -> None:
        self.change = datetime.now(UTC) - timedelta(minutes=15)
        self.after = timedelta(hours=1 + hours)

    def fromutc(self, at: datetime) -> datetime:
        is_after = at.replace(tzinfo=UTC) >= self.change
        return (at + (self.after if is_after else timedelta(hours=1))).replace(fold=int(is_after))

    def utcoffset(self, at: datetime | None) -> timedelta:
        assert at is not None
        wall = at.replace(tzinfo=UTC)
        if self.after < timedelta(hours=1) and wall - self.after >= self.change:
            return self.after if at.fold or wall - timedelta(hours=1) >= self.change else timedelta(hours=1)
        return self.after if wall - timedelta(hours=1) >= self.change else timedelta(hours=1)


@pytest.mark.parametrize("hours", [1, -1], ids=["forward", "back"])
@pytest.mark.parametrize(("typed", "ago"), [("5m", 300), ("30m", 1800), ("2h", 7200), ("1d", 86400)])
def test_how_long_ago_it_was_is_the_same_when_the_clocks_are_changed(
    typed: str, ago: int, hours: int
) -> None:
    found = moment("since", typed_time(typed, Springing(hours)))
    passed = datetime.now(UTC) - timedelta(seconds=ago)
    assert found is not None and abs(found - passed.timestamp()) < 60


@pytest.mark.parametrize(
    ("zone", "at", "shown"),
    [
        ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25 02:30:00+0200"),
        ("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25 02:30:00+0100"),
        ("Europe/Berlin", "2026-10-25T02:00:00Z", "2026-10-25 03:00:00"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29 03:00:00"),
        ("America/Havana", "2026-11-01T04:30:00Z", "2026-11-01 00:30:00-0400"),
        ("America/Havana", "2026-11-01T05:30:00Z", "2026-11-01 00:30:00-0500"),
        ("Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-05 01:45:00+1100"),
        ("Australia/Lord_Howe", "2026-04-04T15:15:00Z", "2026-04-05 01:45:00+1030"),
        ("Asia/Kolkata", "2026-10-25T00:30:00Z", "2026-10-25 06:00:00"),
        ("UTC", "2026-10-25T01:30:00Z", "2026-10-25 01:30:00"),
    ],
)
def test_a_time_that_is_shown_means_the_same_when_it_is_typed(zone: str, at: str, shown: str) -> None:
    there = ZoneInfo(zone)
    assert wording.moment(at, there) == shown
    assert moment("since", typed_time(shown, there)) == datetime.fromisoformat(at).timestamp()
