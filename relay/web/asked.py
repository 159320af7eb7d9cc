"""What a caller of the API asks for, as values; checked like bodies of submissions are."""

import json
from typing import Any

from flask import request

from relay.operator.errors import Nonsense, Unfitting
from relay.operator.filter import Filter, check_text
from relay.outbox.moves import Expected
from relay.sources.body import BadBody, Limits, parse

_LIMITS = Limits(body=64 * 1024)
FILTERS = ("state", "source", "reason", "since", "until")
LISTED = (*FILTERS, "duplicate", "contact", "before", "limit")


def body(*known: str) -> dict[str, Any]:
    """Return the JSON object that was sent, {} where there is none. Raises Nonsense."""
    raw = request.get_data(cache=False)
    if not raw:
        return {}
    if len(raw) > _LIMITS.body:
        raise Nonsense(f"send at most {_LIMITS.body} bytes")
    try:
        found = parse(raw, "application/json", _LIMITS)
    except BadBody as problem:
        raise Nonsense(str(problem)) from None
    if unknown := sorted(set(found) - set(known)):
        takes = f"one of {', '.join(known)}" if known else "it takes nothing"
        raise Nonsense(f"knows no {json.dumps(unknown[0][:40])}; {takes}")
    return found


def text(sent: dict[str, Any], name: str) -> str | None:
    """Return a text, None where it is absent. Raises Nonsense."""
    value = sent.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Nonsense(f"{name} must be a text")
    check_text(name, value)
    return value


def number(sent: dict[str, Any], name: str, default: int) -> int:
    """Return a whole number. Raises Nonsense."""
    value = sent.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Nonsense(f"{name} must be a whole number")
    return value


def flag(sent: dict[str, Any], name: str) -> bool:
    """Return true or false, false where it is absent. Raises Nonsense."""
    value = sent.get(name, False)
    if not isinstance(value, bool):
        raise Nonsense(f"{name} must be true or false")
    return value


def seen(sent: dict[str, Any]) -> Expected | None:
    """Return the row as the caller saw it: ``"expect": {"state", "fence"}``. Raises Nonsense."""
    expect = sent.get("expect")
    if expect is None:
        return None
    if not isinstance(expect, dict) or set(expect) != {"state", "fence"}:
        raise Nonsense('expect must be an object like {"state": "held", "fence": 0}')
    fence = expect["fence"]
    if not isinstance(expect["state"], str) or isinstance(fence, bool) or not isinstance(fence, int):
        raise Nonsense("expect takes a state, which is a text, and a fence, which is a number")
    return Expected(expect["state"], fence)


def values(sent: dict[str, Any]) -> dict[str, Any]:
    """Return corrected values by profile field. Raises Unfitting."""
    found = sent.get("values")
    if not isinstance(found, dict):
        raise Unfitting('values are needed, like {"values": {"email": "ada@example.com"}}')
    return found


def filter_of(sent: Any) -> Filter:
    """Return the filter of a JSON object. Raises Nonsense, Unfitting."""
    if sent is None:
        raise Unfitting("a filter with a state is needed")
    known = (*FILTERS, "duplicate")
    if not isinstance(sent, dict) or not set(sent) <= set(known):
        raise Nonsense(f"filter must be an object of {', '.join(known)}")
    duplicate = flag(sent, "duplicate") if sent.get("duplicate") is not None else None
    return _filter({**{name: text(sent, name) for name in FILTERS}, "duplicate": duplicate})


def listed(*known: str, ignored: tuple[str, ...] = ()) -> Filter:
    """Return the filter that the query string names; ``ignored`` says something else. Raises Nonsense."""
    for name in request.args:
        if name not in (*known, *ignored):
            raise Nonsense(f"knows no parameter {json.dumps(name[:40])}; one of {', '.join(known)}")
        if len(request.args.getlist(name)) > 1:
            raise Nonsense(f"{name} is given twice")
    named = {name: request.args.get(name) or None for name in known}
    limit, duplicate = named.pop("limit", None) or "100", named.pop("duplicate", None)
    if not (limit.isascii() and limit.isdigit() and len(limit) < 18):
        raise Nonsense("limit must be a number")
    if duplicate not in (None, "true", "false"):
        raise Nonsense("duplicate must be true or false")
    is_duplicate = None if duplicate is None else duplicate == "true"
    return _filter({**named, "limit": int(limit), "duplicate": is_duplicate})


def _filter(named: dict[str, Any]) -> Filter:
    return Filter(**named)
