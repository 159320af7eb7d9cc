"""Outlines: structure that a sender writes out as text, ``first = Ada`` and ``last = Lovelace`` on lines."""

import re
from typing import Any

_LINE = re.compile(r"\s*([a-z_]{1,40}) =(?: (.*))?")
_MOST_LINES = 50


def unfolded(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields in which every value that is written out has its structure back."""
    return {name: _unfold(value) for name, value in fields.items()}


def _unfold(value: Any) -> Any:
    if isinstance(value, str):
        value = _read(value)
    if isinstance(value, dict) and "value" in value and "field_type" in value:
        return _unfold(value["value"])
    return value


def _read(text: str) -> Any:
    lines = text.strip().splitlines()
    found = [_LINE.fullmatch(line) for line in lines[:_MOST_LINES]]
    pairs = [(match[1], (match[2] or "").strip()) for match in found if match]
    return dict(pairs) if lines and len(pairs) == len(lines) else text
