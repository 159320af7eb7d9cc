"""JSON: one object, read strictly, since stores and other readers disagree about the rest."""

import codecs
import json
from typing import Any

from relay.sources.bounds import MAX_DEPTH, MAX_NODES, BadBody, Limits, refuse_long


def parse_object(raw: bytes, limits: Limits, *, unwrap: bool = False) -> dict[str, Any]:
    """Return the object a body holds; ``unwrap``: or the only one of a list. Raises BadBody."""
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        raise BadBody(400, "The body is not UTF-8.") from None
    body = parse_text(text, limits)
    if unwrap and isinstance(body, list) and len(body) == 1:
        (body,) = body
    if not isinstance(body, dict):
        raise BadBody(400, "The body must be a JSON object.")
    return body


def parse_text(text: str, limits: Limits) -> Any:
    """Return what a JSON text says. Raises BadBody."""
    try:
        value = _DECODER.decode(text)
    except BadBody:
        raise
    except RecursionError:
        raise BadBody(400, f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    except ValueError:
        raise BadBody(400, "The body is not valid JSON.") from None
    _measure(value, limits)
    if "\\u" in text:
        _refuse_bad_text(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadBody(400, "A key is given twice in one JSON object.")
    return found


def _no_constant(_: str) -> Any:
    raise BadBody(400, "NaN and Infinity are not JSON.")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BadBody(400, "A number is too large.")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)


def _measure(value: Any, limits: Limits) -> None:
    """Refuse what is too deep, too many or too long; level by level, so that depth costs no stack."""
    level: list[Any] = [value] if isinstance(value, dict | list | str) else []
    depth, nodes = 0, 0
    while level:
        depth += 1
        below: list[Any] = []
        for node in level:
            children = _children(node, limits)
            nodes += len(children)
            below.extend(children)
        if nodes > MAX_NODES:
            raise BadBody(413, f"More than {MAX_NODES} keys and elements.")
        level = [child for child in below if isinstance(child, dict | list | str)]
        if depth >= MAX_DEPTH and any(not isinstance(child, str) for child in level):
            raise BadBody(400, f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def _children(node: Any, limits: Limits) -> list[Any]:
    if isinstance(node, str):
        refuse_long(node, limits)
        return []
    if isinstance(node, list):
        return node
    if len(node) > limits.fields:
        raise BadBody(413, f"More than {limits.fields} keys in one object.")
    for key in node:
        refuse_long(key, limits)
    return list(node.values())


def _refuse_bad_text(value: Any) -> None:
    """Refuse lone surrogates and NUL, which stores treat differently; only escapes can carry them."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadBody(400, "The text holds half of a character (a lone surrogate).") from None
    if "\\u0000" in text.replace("\\\\", ""):
        raise BadBody(400, "The text holds a NUL character.")
