"""The values of a kept body, each a text of its own, whatever they are written in."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_plus

from relay.sources import telephone
from relay.sources.body import JSON, MAX_BODY, MAX_NODES, BadBody, Limits, read
from relay.sources.telephone import INVISIBLE_PLUS
from relay.sources.text import unescaped

_LIMITS = Limits(body=MAX_BODY, fields=MAX_NODES, field=MAX_BODY)
_ESCAPES = re.compile(r"((?:\\u[0-9a-fA-F]{4})+)|\\(.)", re.DOTALL)
_BLANKS = frozenset("nrtbf")
_NAMES_A_CODE = re.compile(
    r"(?:^|[\W_])cc$|(?:country|dial|dialling|calling|phone|land|landes|länder|laender)[\W_]*"
    r"(?:code|prefix|vorwahl)",
    re.IGNORECASE,
)
_PHONE = re.compile(r"(?:^|(?<=\[))phone(\]?)$")
_LONGEST_CODE = 40


@dataclass(frozen=True)
class Value:
    """A text of a body. ``codes``: the countries' codes that stand beside it, like ``49``."""

    text: str
    codes: frozenset[str] = frozenset()


def values_of(body: bytes, content_type: str) -> Iterator[Value]:
    """Yield every value of a body, and every name; of one that cannot be read what looks like them."""
    try:
        return _values(read(body, content_type, _LIMITS).fields)
    except BadBody:
        text = body.replace(b"\0", b"").decode("utf-8", "replace")
        return _of_unreadable(text, content_type)


def spellings(text: str) -> list[str]:
    """Return a text as it is, and without the escapes of JSON, of HTML and of links; the plainest is last."""
    found = [text]
    for plainer in (_without_escapes, unescaped, unquote):
        found.append(plainer(found[-1]))
    return list(dict.fromkeys(found))


def _values(tree: Any) -> Iterator[Value]:
    waiting: list[tuple[str, Any, frozenset[str]]] = [("", tree, frozenset())]
    while waiting:  # no recursion: a sender decides on the depth
        above, node, codes = waiting.pop()
        if isinstance(node, Mapping):
            codes = _codes_in((f"{above} {name}", value) for name, value in node.items()) or codes
            waiting += [("", name, frozenset()) for name in node]
            waiting += [(name, one, codes) for name, one in _joined(node)]
        elif isinstance(node, list):
            waiting += [(above, one, codes) for one in node]
        elif (text := _text_of(node)) is not None:
            yield Value(text, codes)


def _text_of(value: Any) -> str | None:
    """Return a value as text; what has a fraction or says yes or no can be no contact."""
    if isinstance(value, str):
        return value
    is_count = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    return str(int(value)) if is_count and not isinstance(value, bool) else None


def _joined(fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what is in an object; a number whose area form builders keep apart is one value."""
    found = []
    for name, value in fields.items():
        area = _text_of(fields.get(_PHONE.sub(r"area\1", name))) if _PHONE.search(name) else None
        rest = _text_of(value)
        found.append((name, f"{area} {rest}" if area and rest else value))
    return found


def _codes_in(fields: Iterable[tuple[str, Any]]) -> frozenset[str]:
    return frozenset(code for name, value in fields if (code := _code(name, _text_of(value) or "")))


def _code(name: str, text: str) -> str | None:
    """Return the country's code that is all that a field says: it has a plus, or is called so."""
    if len(text) > _LONGEST_CODE or not text:
        return None
    if text.lstrip("( ").startswith(("+", "00", INVISIBLE_PLUS)) or _NAMES_A_CODE.search(name[:100]):
        return telephone.dial_code(text)
    return None


def _of_unreadable(text: str, content_type: str) -> Iterator[Value]:
    is_structured = text.lstrip()[:1] in ("{", "[") or "multipart" in content_type or JSON in content_type
    if is_structured or "=" not in text:
        yield Value(text)
        return
    parts = [part.partition("=")[::2] for part in text.split("&")]
    pairs = [(unquote_plus(name), unquote_plus(value)) for name, value in parts]
    codes = _codes_in(pairs)
    for name, value in pairs:
        yield Value(name)
        yield Value(value, codes)


def _without_escapes(text: str) -> str:
    return _ESCAPES.sub(_meant, text) if "\\" in text else text


def _meant(escape: re.Match[str]) -> str:
    if escape[1]:
        return str(json.loads(f'"{escape[1]}"'))
    return " \n"[escape[2] in "nr"] if escape[2] in _BLANKS else escape[2]
