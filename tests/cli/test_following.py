"""What tail shows: everything that comes, once, and what becomes of the newest."""

from typing import Any

import pytest

from relay.cli.following import WINDOW, Window

Row = dict[str, Any]


class Pages:
    """Rows as a filter finds them, in pages."""

    def __init__(self) -> None:
        self.rows: list[Row] = []  # oldest first
        self.came = 0

    def come(self, count: int, state: str = "queued") -> list[str]:
        new = [{"receipt": f"{self.came + n:032x}", "state": state} for n in range(count)]
        self.came += count
        self.rows += new
        return [row["receipt"] for row in new]

    def page(self, before: str | None) -> dict[str, Any]:
        meant = [row for row in reversed(self.rows) if before is None or row["receipt"] < before]
        found = [dict(row) for row in meant[:WINDOW]]
        return {"submissions": found, "next": found[-1]["receipt"] if len(found) == WINDOW else None}


@pytest.fixture
def pages() -> Pages:
    return Pages()


@pytest.fixture
def window(pages: Pages) -> Window:
    return Window(pages.page)


def shown(window: Window) -> list[str]:
    return [row["receipt"] for row in window.look()]


def test_at_first_the_last_ten_are_shown(pages: Pages, window: Window) -> None:
    came = pages.come(30)
    assert shown(window) == came[-10:]


@pytest.mark.parametrize("count", [40, WINDOW, 2 * WINDOW + 7])
@pytest.mark.parametrize("before", [0, 3, WINDOW + 5])
def test_all_of_a_burst_are_shown_however_many(pages: Pages, window: Window, before: int, count: int) -> None:
    pages.come(before)
    window.look()
    assert shown(window) == []
    assert shown(window) == [] and shown(window) == []
    burst = pages.come(count)
    assert shown(window) == burst
    assert shown(window) == []


def test_what_becomes_of_one_is_shown_once(pages: Pages, window: Window) -> None:
    pages.come(5)
    window.look()
    pages.rows[2]["state"] = "delivered"
    assert shown(window) == [pages.rows[2]["receipt"]]
    assert shown(window) == []


def test_what_moves_up_as_others_leave_the_filter_is_no_news(pages: Pages, window: Window) -> None:
    pages.come(3 * WINDOW)
    window.look()
    del pages.rows[-100:]
    new = pages.come(3)
    assert shown(window) == new
    del pages.rows[-WINDOW:-1]
    assert shown(window) == []


def test_one_that_comes_back_into_the_filter_is_news(pages: Pages, window: Window) -> None:
    pages.come(5)
    window.look()
    back = pages.rows.pop(2)
    assert shown(window) == []
    pages.rows.insert(2, back)
    assert shown(window) == [back["receipt"]]


def test_it_counts_those_that_grow_too_old_before_they_are_done(pages: Pages, window: Window) -> None:
    pages.come(100)
    pages.come(WINDOW - 100, "delivered")
    window.look()
    pages.come(30, "delivered")
    window.look()
    assert window.lost == 30
    pages.come(WINDOW + 50)
    window.look()
    assert window.lost == 70 + 50
    window.look()
    assert window.lost == 0


def test_more_than_can_be_read_at_once_is_said(
    pages: Pages, window: Window, capsys: pytest.CaptureFixture[str]
) -> None:
    pages.come(1)
    window.look()
    pages.come(41 * WINDOW)
    assert len(shown(window)) == 40 * WINDOW
    assert "more came than can be shown; these are the newest 20,000" in capsys.readouterr().err
