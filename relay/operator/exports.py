"""Rows are written out: as JSON lines, as CSV, or as CSV that a spreadsheet can be trusted with."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from relay import clock
from relay.config.settings import Settings
from relay.delivery import DELIVERED, KEPT
from relay.operator.errors import CannotDo
from relay.operator.figures import kept_seconds
from relay.operator.remap import opened, revealed
from relay.operator.shown import shown
from relay.sources.mapping import PROFILE_FIELDS
from relay.vault import Vault

FORMATS: Mapping[str, str] = {
    "jsonl": "application/x-ndjson",
    "csv": "text/csv; charset=utf-8",
    "sheet": "text/csv; charset=utf-8",
}
"""The media type of each format."""
_COLUMNS = (
    *("receipt", "source", "state", "reason", "attempts", "may_be_duplicate", "received_at", "due_at"),
    *("delivered_at", "profile_id", "trace_id", "contact_hint", "dropped", "consent", "kept_until"),
)
_OF_PEOPLE = (*PROFILE_FIELDS, "update", "body")
"""A profile and the update after it; and, of what could not all be mapped, what was sent."""
_FORMULA = r"=+\-@\uff1d\uff0b\uff0d\uff20"
"""With these, also in full width, a spreadsheet takes a cell for a formula, and runs what was typed."""
_TEXT = "'"
"""What follows this a spreadsheet takes for text."""
_BLANK = r"[^\S\t\r\n]"
_DIVIDED = (
    rf"\A(?={_TEXT}*{_BLANK}*[{_FORMULA}\t\r\n])"
    rf"|(?<=[,;|\t\r\n])(?={_TEXT}*{_BLANK}*[{_FORMULA}])"
    # A quote there is doubled in the file, and read as the beginning and the end of nothing. Behind a comma
    # it is not, as quotes keep a cell together for who divides at commas; so JSON stays JSON.
    rf'|(?<=[;|\t\r\n])(?={_TEXT}*(?:{_BLANK}|")*[{_FORMULA}])'
)
"""Where a spreadsheet may find the beginning of a formula, if it divides cells elsewhere than we do."""
_UNMARKED = re.compile(_DIVIDED)
_MARKED = re.compile(f"(?:{_DIVIDED}){_TEXT}")


def written(
    rows: Iterable[Mapping[str, Any]], format_: str, settings: Settings, vault: Vault, *, people: bool
) -> Iterator[str]:
    """Yield a file piece by piece. ``people``: with what is personal, where it is still there."""
    columns = (*_COLUMNS, *_OF_PEOPLE) if people else _COLUMNS
    found = (_record(row, settings, vault, people) for row in rows)
    if format_ == "jsonl":
        return (json.dumps({name: one.get(name) for name in columns}) + "\n" for one in found)
    return _csv(found, columns, is_sheet=format_ == "sheet")


def _record(row: Mapping[str, Any], settings: Settings, vault: Vault, people: bool) -> dict[str, Any]:
    found = shown(row, vault) | {"kept_until": _kept_until(row, settings)}
    if people and row["payload"] is not None:
        try:
            personal = revealed(row, opened(row, vault), settings)
        except CannotDo:
            return found | {"reason": "its payload cannot be read with the present keys"}
        found |= {**personal.get("profile", {}), **personal}
    return found


def _kept_until(row: Mapping[str, Any], settings: Settings) -> str | None:
    """Return when a row, or what is personal in it, is deleted; None if it stays until it is erased."""
    waits = row["state"] in KEPT or (row["state"] == DELIVERED and row["has_payload"])
    return clock.iso(row["changed_at"] + kept_seconds(settings, row["source"])) if waits else None


def _csv(found: Iterable[dict[str, Any]], columns: tuple[str, ...], *, is_sheet: bool) -> Iterator[str]:
    buffer = io.StringIO(newline="")
    table = csv.writer(buffer, quoting=csv.QUOTE_ALL if is_sheet else csv.QUOTE_MINIMAL)
    if is_sheet:
        buffer.write("\ufeff")  # without it, a spreadsheet does not believe that this is UTF-8
    table.writerow(columns)
    for one in found:
        cells = [_cell(one.get(name)) for name in columns]
        table.writerow([as_text(cell) for cell in cells] if is_sheet else cells)
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_text(cell: str) -> str:
    """Return a cell that no spreadsheet runs, wherever it divides it.

    A mark makes a text of what follows it; where one was typed there is one more, so that it can be undone.
    """
    return _UNMARKED.sub(_TEXT, cell)


def as_typed(cell: str) -> str:
    """Return a cell without the marks that ``as_text`` gave it."""
    return _MARKED.sub("", cell)
