"""What the present configuration would make of what is kept, compared with what it made."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """What another mapping would make of a stored submission: ``same`` ``changes`` ``passes`` ``fails``."""

    receipt: str
    source: str
    verdict: str
    lines: tuple[str, ...]
    is_worse: bool = False


def _difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted({*was, *now}):
        if name not in was:
            yield f"+ {name}"
        elif name not in now:
            yield f"- {name}"
        elif was[name] != now[name]:
            yield f"~ {name}"
