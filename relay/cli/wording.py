"""How rows and figures are said in a terminal: words, not Python."""

from collections.abc import Iterator, Mapping
from typing import Any

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def ago(seconds: float) -> str:
    """Return a duration in its largest unit: "3 hours"."""
    size, unit = next((pair for pair in _UNITS if seconds >= pair[0]), _UNITS[-1])
    number = round(seconds / size)
    return f"{number} {unit}{'' if number == 1 else 's'}"


def moment(iso: str | None) -> str:
    """Return a time of the API for a person's eye, to the second."""
    return f"{iso[:10]} {iso[11:19]}" if iso else "-"


def columns(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a row of a list: when, receipt, source, state, contact, why."""
    why = [row["reason"]] if row["reason"] else []
    why += ["may exist twice upstream"] if row["may_be_duplicate"] else []
    hint = row["contact_hint"] or "-"
    return (moment(row["received_at"]), row["receipt"], row["source"], row["state"], hint, ", ".join(why))


HEADER = ("received (UTC)", "receipt", "source", "state", "contact", "why")


def table(rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield lines whose columns stand under each other."""
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


def described(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is known of a submission, a line each; what is not there is left out."""
    for key, name in _NAMES.items():
        value = moment(row[key]) + " UTC" if key.endswith("_at") and row[key] else row[key]
        if value is not None:
            yield f"{name:10} {value}"
    if row["dropped"]:
        yield f"{'left out':10} {', '.join(row['dropped'])}"
    if row["consent"]:
        yield f"{'consent':10} {_consent(row['consent'])}"
    twice = ", may exist twice upstream" if row["may_be_duplicate"] else ""
    yield f"{'sent':10} {_times(len(row['history']))}{twice}"
    for sent in row["history"]:
        outcome = sent["outcome"] or "in flight"
        yield f"  {moment(sent['started_at'])}  {sent['kind']}  {outcome}  {sent['status'] or ''}".rstrip()


def _times(number: int) -> str:
    return ("never", "once", "twice")[number] if number < 3 else f"{number} times"


def _consent(proof: Any) -> str:
    """Return the proof of consent as words: "email yes, mobile_phone_number no; page https://…"."""
    if not isinstance(proof, Mapping):
        return str(proof)
    return "; ".join(
        f"{name} {_plain(value)}" for name, value in proof.items() if value not in (None, "", {})
    )


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_plain, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)
