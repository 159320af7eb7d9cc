"""What is wrong with a body, said by the names of its keys and never by their values."""

import difflib
import re
from collections.abc import Collection, Iterator
from typing import Any

from relay.sources.body import BadBody
from relay.sources.mapping import CONTACTS
from relay.sources.paths import plain
from relay.sources.rules import Rule
from relay.sources.source import Source
from relay.sources.text import UNUSUAL, is_blank, usual

_MOST_KEYS = 60
_DEEPEST = 5
_ENTRIES = 3
_NEAR = 0.5


def diagnosed(source: Source, payload: dict[str, Any]) -> dict[str, Any]:
    """Return what the body of a payload has, which rules found nothing in it, and which nothing of use."""
    try:
        fields = source.read(payload.get("body", b""), payload.get("content_type", "")).fields
    except BadBody as problem:
        return unread(str(problem))
    has = list(_keys(fields))[:_MOST_KEYS]
    missing = [_missing(name, rule, has) for name, rule in _vain(source, fields)]
    told = ", ".join(f"{key} ({kind})" for key, kind in has) or "nothing"
    return {
        "says": f"the body has: {told}",
        "has": [{"key": key, "type": kind} for key, kind in has],
        "missing": missing,
        "unusable": list(_unusable(source, fields, {one["field"] for one in missing})),
    }


def unread(why: str) -> dict[str, Any]:
    """Return what is said of a body that could not be read."""
    return {"says": why, "has": [], "missing": [], "unusable": []}


def _vain(source: Source, fields: dict[str, Any]) -> Iterator[tuple[str, Rule]]:
    """Yield the rules that found nothing: for contacts, and for what is required."""
    body = source.mapping.body(fields)
    for name, rule in source.mapping.every.items():
        if (name in CONTACTS or rule.required) and not any(_finds(place, body) for place in rule.places):
            yield name, rule


def _unusable(source: Source, fields: dict[str, Any], in_vain: Collection[str]) -> Iterator[dict[str, str]]:
    """Yield the rules that found something of no use, by our names: a sender's may hold a person's data."""
    body = source.mapping.body(fields)
    ours = {rule.name(body) or name: name for name, rule in source.mapping.every.items()}
    for told, why in source.mapping.apply(fields).errors.items():
        name = ours.get(told, told)  # else a box of its consent
        if name not in in_vain:
            yield {"field": name, "says": " ".join(why)}


def _finds(place: Any, body: dict[str, Any]) -> bool:
    return not is_blank(place.find(body))


def _missing(name: str, rule: Rule, has: list[tuple[str, str]]) -> dict[str, Any]:
    looked_for = [place.text for place in rule.places]
    near = (_nearest(text, [key for key, _ in has]) for text in (*looked_for, name))
    return {
        "field": name,
        "looked_for": looked_for,
        "nearest": next((key for key in near if key is not None), None),
    }


def _nearest(text: str, keys: list[str]) -> str | None:
    """Return the key whose last part is most like the last part of a path."""
    wanted = plain(_last(text))
    by_last = {plain(_last(key)): key for key in reversed(keys) if key != UNUSUAL}
    inside = [last for last in by_last if last and wanted and (last in wanted or wanted in last)]
    close = inside or difflib.get_close_matches(wanted, by_last, n=1, cutoff=_NEAR)
    return by_last[close[0]] if close else None


def _last(path: str) -> str:
    parts = re.findall(r"[^.\[\]\"']+", path)
    return next((part for part in reversed(parts) if not part.isdigit()), path)


def _keys(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield the path and type of everything in a body."""
    if depth == _DEEPEST or not isinstance(value, dict | list) or not value:
        yield path, _type(value)
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _keys(inner, f"{path}.{usual(key)}" if path else usual(key), depth + 1)
        return
    if not any(isinstance(entry, dict | list) for entry in value):
        yield path, f"list of {len(value)}"
        return
    for number, entry in enumerate(value[:_ENTRIES]):
        yield from _keys(entry, f"{path}[{number}]", depth + 1)


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "yes or no"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "text" if value.strip() else "empty text"
    if value is None:
        return "nothing"
    return "list" if isinstance(value, list) else "object"
