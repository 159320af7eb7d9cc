"""How rows and figures are said in a terminal: words, not Python."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from typing import Any

from relay.operator import wording


def moment(iso: str | None, zone: tzinfo) -> str:
    """Return a time of the API for a person's eye, to the second, in their zone."""
    return wording.moment(iso, zone) if iso else "-"


def heading(zone: tzinfo) -> tuple[str, ...]:
    """Return the names of the columns of a list."""
    return (f"received ({zone})", "receipt", "source", "state", "contact", "why")


def columns(row: Mapping[str, Any], zone: tzinfo) -> tuple[str, ...]:
    """Return a row of a list."""
    why = [row["reason"]] if row["reason"] else []
    why += ["may exist twice upstream"] if row["may_be_duplicate"] else []
    received, hint = moment(row["received_at"], zone), row["contact_hint"] or "-"
    return (received, row["receipt"], row["source"], row["state"], hint, ", ".join(why))


def table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield lines whose columns stand under each other."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


_NAMES = {
    "receipt": "receipt",
    "source": "source",
    "state": "state",
    "reason": "why",
    "received_at": "received",
    "due_at": "due",
    "delivered_at": "delivered",
    "profile_id": "profile",
    "trace_id": "trace",
    "contact_hint": "contact",
}


def described(row: Mapping[str, Any], zone: tzinfo) -> Iterator[str]:
    """Yield what is known of a submission, a line each; what is not there is left out."""
    for key, name in _NAMES.items():
        value = moment(row[key], zone) if key.endswith("_at") and row[key] else row[key]
        if value is not None:
            yield f"{name:10} {value}"
    if row["dropped"]:
        yield f"{'left out':10} {', '.join(row['dropped'])}"
    if row["consent"]:
        yield f"{'consent':10} {_plain(row['consent'])}"
    yield from _diagnosed(row.get("diagnosis") or {})
    twice = ", may exist twice upstream" if row["may_be_duplicate"] else ""
    yield f"{'sent':10} {_times(len(row['history']))}{twice}"
    for sent in row["history"]:
        started, outcome = moment(sent["started_at"], zone), sent["outcome"] or "in flight"
        yield f"  {started}  {sent['kind']}  {outcome}  {sent['status'] or ''}".rstrip()


def _diagnosed(diagnosis: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a body that could not be mapped."""
    if diagnosis:
        yield f"{'body':10} {diagnosis['says'].removeprefix('the body ')}"
    for one in diagnosis.get("missing", ()):
        near = f"; the nearest is {one['nearest']}" if one["nearest"] else ""
        yield f"{'missing':10} {one['field']}, looked for as {' or '.join(one['looked_for'])}{near}"
    for one in diagnosis.get("unusable", ()):
        yield f"{'unusable':10} {one['field']}: {one['says']}"


def _times(number: int) -> str:
    return ("never", "once", "twice")[number] if number < 3 else f"{number} times"


def _plain(value: Any) -> str:
    """Return a value of JSON in words."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items() if one not in (None, "", {}))
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
