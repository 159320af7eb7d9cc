"""Forms: names and values, and what brackets in the names mean."""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from relay.sources import charsets
from relay.sources.bounds import MAX_DEPTH, BadBody, Limits, refuse_long, refuse_many
from relay.sources.telephone import INVISIBLE_PLUS

Pairs = list[tuple[str, str]]
_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")
# Browsers write a blank as a plus, and people who build a form by hand forget that. A telephone number
# that began with one can tell which it was; a value with other blanks, written so, began with one too.
_LITERAL_PLUS = re.compile(rb"\+[1-9][^+]*")
_INDEX = re.compile(r"[0-9]{0,4}", re.ASCII)


def urlencoded_pairs(raw: bytes, limits: Limits) -> Pairs:
    """Return the names and values of an URL-encoded form. Raises BadBody."""
    refuse_many(raw.count(b"&") + 1, limits)
    if _BAD_ESCAPE.search(raw):
        raise BadBody(400, "The form is not well encoded: a % is not followed by two hexadecimal digits.")
    parts = [part.partition(b"=")[::2] for part in raw.split(b"&") if part]
    pairs = decoded((_unescaped(name), _unescaped(value)) for name, value in parts)
    return [
        (name, INVISIBLE_PLUS + text[1:] if _LITERAL_PLUS.fullmatch(value) else text)
        for (name, text), (_, value) in zip(pairs, parts, strict=True)
    ]


def _unescaped(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def decoded(pairs: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """Return names and values as text. Raises BadBody."""
    pairs = list(pairs)
    said = next((value for name, value in pairs if name == charsets.FIELD.encode()), None)
    texts = charsets.decode_all([text for pair in pairs for text in pair], said)
    return list(zip(texts[::2], texts[1::2], strict=True))


def fields_of(pairs: Pairs, limits: Limits) -> dict[str, Any]:
    """Return the fields of a form; a name given several times becomes a list. Raises BadBody."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        refuse_long(value, limits)
        refuse_long(name, limits)
        if "\x00" in name or "\x00" in value:
            raise BadBody(400, "The form holds a NUL character.")
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return _expand(fields)


# --- brackets ---------------------------------------------------------------------------------------


def _expand(fields: dict[str, Any]) -> dict[str, Any]:
    """Add what bracketed keys mean: ``data[merges][EMAIL]`` is also ``data.merges.EMAIL``.

    A key that is there literally stays as it is, or is one of the list that stands beside it:
    frameworks write ``a=&a[]=1`` so that a list with nothing chosen is sent too.
    """
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        if steps := steps_of(name):
            _plant(nested, steps, value)
    listed = {name: _listed(tree) for name, tree in nested.items()}
    return {
        **listed,
        **fields,
        **{name: _both(fields[name], listed[name]) for name in fields.keys() & listed},
    }


def steps_of(name: str) -> list[str]:
    """Return what a bracketed key means: ``data[merges][EMAIL]`` is data, merges, EMAIL."""
    first, bracket, rest = name.partition("[")
    if not bracket or not first or not rest.endswith("]"):
        return []
    steps = [first, *rest[:-1].split("][")]
    return steps if len(steps) <= MAX_DEPTH else []


def _plant(tree: dict[str, Any], steps: list[str], value: Any) -> None:
    *branches, leaf = steps
    for branch in branches:
        tree = tree.setdefault(branch, {})
        if not isinstance(tree, dict):
            return  # a[b]=1 and a[b][c]=2: the literal keys still hold both
    tree.setdefault(leaf, value)


def _listed(tree: Any) -> Any:
    """Return a tree in which what has numbers for names, or none (``a[]``), is a list."""
    if not isinstance(tree, dict):
        return tree
    below = {name: _listed(one) for name, one in tree.items()}
    if not all(map(_INDEX.fullmatch, below)):
        return below
    found: list[Any] = []
    for name in sorted(below, key=lambda name: int(name or 10_000)):
        found += _many(below[name])
    return found


def _both(literal: Any, listed: Any) -> Any:
    if not isinstance(listed, list):
        return literal
    return [*(value for value in _many(literal) if value), *listed]


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
