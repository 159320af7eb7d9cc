"""What the present configuration would make of what is kept, compared with what it made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from relay.config.settings import Settings
from relay.intake.content import to_send
from relay.operator.errors import CannotDo
from relay.operator.remap import map_again, opened
from relay.vault import Vault


@dataclass(frozen=True)
class Change:
    """What another mapping would make of a stored submission: ``same`` ``changes`` ``passes`` ``fails``."""

    receipt: str
    source: str
    verdict: str
    lines: tuple[str, ...]
    is_worse: bool = False


def compared(row: Mapping[str, Any], settings: Settings, vault: Vault) -> Change:
    """Map one stored submission, and say what would be different. Names fields, never values."""
    receipt, name = row["receipt"], row["source"]
    source = settings.sources.get(name)
    try:
        payload = opened(row, vault)
    except CannotDo as problem:  # that is no fault of the configuration
        return Change(receipt, name, "fails", (str(problem),))
    was: dict[str, Any] = {**(payload.get("profile") or {}), **payload.get("update", {})}
    if source is None:
        return Change(receipt, name, "fails", ("its source is gone",), is_worse=bool(was))
    if "body" not in payload:
        return Change(receipt, name, "same", ())
    try:
        mapped = map_again(source, payload)
    except CannotDo as problem:
        said = (str(problem),) if was else ()
        return Change(receipt, name, "fails", said, is_worse=bool(was))
    sent = to_send(mapped, source)
    now = {**sent["profile"], **sent.get("update", {})}
    lines = tuple(_difference(was, now))
    return Change(receipt, name, "passes" if not was else "changes", lines, bool(set(was) - set(now)))


def _difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        if name not in was:
            yield f"+ {name}"
        elif name not in now:
            yield f"- {name}"
        elif was[name] != now[name]:
            yield f"~ {name}"
