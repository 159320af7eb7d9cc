"""Submission: the fields one request carried, and the key that makes a repeat recognisable."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as factory
from typing import Any
from urllib.parse import parse_qsl

from werkzeug.http import parse_options_header
from werkzeug.sansio import multipart

from relay.sources.telephone import INVISIBLE_PLUS

MAX_DEPTH = 32
MAX_BODY = 8 * 1024**2
"""The largest ``max_body``: a few of these at a time fit into what is collected of requests on their way."""
MAX_NODES = 5000
_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})")
_MAX_PART_HEADERS = 8 * 1024
_TEXT_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_LITERAL_PLUS = re.compile(r"\+[1-9][^+]*")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class BadBody(ValueError):
    """The body cannot be taken. ``status``: 400, 413 or 415; the text says why, without values."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """How large a body may be."""

    body: int = 256 * 1024
    fields: int = 200
    field: int = 16 * 1024


@dataclass(frozen=True)
class Submission:
    """One request's sign-up, parsed. ``page``: where it was filled in, without its query string."""

    source: str
    fields: dict[str, Any] = factory(repr=False)
    raw: bytes = factory(repr=False)
    content_type: str
    received_at: float
    key: str | None = None
    page: str | None = None


def media_type(content_type: str) -> str:
    """Return the media type of a Content-Type header. Raises BadBody(415) for what is not taken."""
    kind, options = parse_options_header(content_type)
    kind = kind.lower()
    if kind not in PARSERS:
        raise BadBody(
            415,
            "Send the form as application/x-www-form-urlencoded, multipart/form-data or application/json.",
        )
    if options.get("charset", "utf-8").lower() not in _TEXT_CHARSETS:
        raise BadBody(415, "Send text in UTF-8.")
    return kind


def parse(raw: bytes, content_type: str, limits: Limits, json_fields: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of a body. Raises BadBody."""
    fields = PARSERS[media_type(content_type)](raw, content_type, limits)
    for name in json_fields:
        if isinstance(fields.get(name), str) and fields[name].strip():
            fields[name] = _json(fields[name], limits)
    return fields


def is_key(text: str) -> bool:
    """Whether a text can serve as an idempotency key: 1-255 visible ASCII characters."""
    return _KEY.fullmatch(text) is not None


# --- JSON -----------------------------------------------------------------------------------------


def _parse_json(raw: bytes, content_type: str, limits: Limits) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadBody(400, "The body is not UTF-8.") from None
    body = _json(text, limits)
    if not isinstance(body, dict):
        raise BadBody(400, "The body must be a JSON object.")
    return body


def _json(text: str, limits: Limits) -> Any:
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
        _refuse_long(node, limits)
        return []
    if isinstance(node, list):
        return node
    if len(node) > limits.fields:
        raise BadBody(413, f"More than {limits.fields} keys in one object.")
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


# --- forms ------------------------------------------------------------------------------------------


def _parse_urlencoded(raw: bytes, content_type: str, limits: Limits) -> dict[str, Any]:
    if raw.count(b"&") >= limits.fields:
        raise BadBody(413, f"More than {limits.fields} fields.")
    if _BAD_ESCAPE.search(raw):
        raise BadBody(400, "The form is not well encoded: a % is not followed by two hexadecimal digits.")
    try:
        text = "&".join(map(_keep_plus, raw.decode("utf-8").split("&")))
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise BadBody(400, "The form is not UTF-8.") from None
    return _form(pairs, limits)


def _keep_plus(pair: str) -> str:
    """Return ``name=+49301234567`` with a mark in place of its literal plus.

    Browsers write a blank so, and people who build a form by hand forget that: a telephone number can
    tell which it was. A value with other blanks, written in the same way, began with one too.
    """
    name, equals, value = pair.partition("=")
    return f"{name}{equals}{INVISIBLE_PLUS}{value[1:]}" if _LITERAL_PLUS.fullmatch(value) else pair


def _parse_multipart(raw: bytes, content_type: str, limits: Limits) -> dict[str, Any]:
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not 0 < len(boundary) <= 200:
        raise BadBody(400, "The multipart body has no boundary.")
    try:
        return _form(list(_parts(raw, boundary, limits)), limits)
    except UnicodeError:
        raise BadBody(400, "The form is not UTF-8.") from None
    except ValueError as problem:
        if isinstance(problem, BadBody):
            raise
        raise BadBody(400, "The multipart body is malformed or cut short.") from None


def _parts(raw: bytes, boundary: str, limits: Limits) -> Iterator[tuple[str, str]]:
    decoder = multipart.MultipartDecoder(boundary.encode("latin-1", "replace"))
    decoder.receive_data(raw)
    decoder.receive_data(None)
    name, filename, count = "", None, 0
    content: list[bytes] = []
    while not isinstance(event := decoder.next_event(), multipart.Epilogue):
        if isinstance(event, multipart.NeedData):
            raise ValueError("cut short")
        if isinstance(event, multipart.Field | multipart.File):
            count += 1
            _check_part(event, count, limits)
            if not event.name:
                raise ValueError("a part without a name")
            name, content = event.name, []
            filename = event.filename if isinstance(event, multipart.File) else None
        elif isinstance(event, multipart.Data):
            content.append(event.data)
            if not event.more_data:
                text = b"".join(content)
                if filename is None:
                    yield name, text.decode("utf-8")
                elif filename or text:  # an empty file input comes without a name and without bytes
                    raise BadBody(415, "Files are not taken.")


def _check_part(event: multipart.Field | multipart.File, count: int, limits: Limits) -> None:
    if count > limits.fields:
        raise BadBody(413, f"More than {limits.fields} fields.")
    if sum(len(key) + len(value) for key, value in event.headers) > _MAX_PART_HEADERS:
        raise BadBody(413, "The headers of a part are too long.")
    charset = parse_options_header(event.headers.get("Content-Type", ""))[1].get("charset", "utf-8")
    coding = event.headers.get("Content-Transfer-Encoding", "8bit").lower()
    if charset.lower() not in _TEXT_CHARSETS or coding not in ("7bit", "8bit", "binary"):
        raise BadBody(415, "Send text in UTF-8, without a transfer encoding.")


def _form(pairs: list[tuple[str, str]], limits: Limits) -> dict[str, Any]:
    """Return the fields of a form; a key given several times becomes a list."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        _refuse_long(value, limits)
        _refuse_long(name, limits)
        if "\x00" in name or "\x00" in value:
            raise BadBody(400, "The form holds a NUL character.")
        if name not in fields:
            fields[name] = value
        elif isinstance(fields[name], list):
            fields[name].append(value)
        else:
            fields[name] = [fields[name], value]
    return _expand(fields)


def _expand(fields: dict[str, Any]) -> dict[str, Any]:
    """Add what bracketed keys mean: ``data[merges][EMAIL]`` is also ``data.merges.EMAIL``.

    A key that is there literally stays as it is.
    """
    nested: dict[str, Any] = {}
    for name, value in fields.items():
        steps = _steps(name)
        if steps and steps[0] not in fields:
            _plant(nested, steps, value)
    return {**fields, **nested} if nested else fields


def _steps(name: str) -> list[str]:
    first, bracket, rest = name.partition("[")
    if not bracket or not first or not rest.endswith("]"):
        return []
    steps = [first, *rest[:-1].split("][")]
    return steps if len(steps) <= MAX_DEPTH else []


def _plant(tree: dict[str, Any], steps: list[str], value: Any) -> None:
    *branches, leaf = steps
    if leaf == "":  # name[] is a list
        *branches, leaf = branches
        value = value if isinstance(value, list) else [value]
    for branch in branches:
        tree = tree.setdefault(branch, {})
        if not isinstance(tree, dict):
            return  # a[b]=1 and a[b][c]=2: the literal keys still hold both
    tree.setdefault(leaf, value)


def _refuse_long(text: str, limits: Limits) -> None:
    if len(text) > limits.field or (
        len(text) * 4 > limits.field and len(text.encode("utf-8", "replace")) > limits.field
    ):
        raise BadBody(413, f"A field is longer than {limits.field} bytes.")


PARSERS = {
    "application/x-www-form-urlencoded": _parse_urlencoded,
    "multipart/form-data": _parse_multipart,
    "application/json": _parse_json,
}
