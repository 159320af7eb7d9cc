"""Filters: times as people type them, in the zone in which they are shown."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

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
