"""Body: the bytes of a request become fields, whatever they are written in.

A new kind of body goes into a file of its own, beside ``json_body``, ``form_body`` and ``multipart_body``.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from werkzeug.http import parse_options_header

from relay.sources.bounds import MAX_BODY, MAX_DEPTH, MAX_NODES, BadBody, Limits
from relay.sources.form_body import decoded, fields_of, urlencoded_pairs
from relay.sources.json_body import parse_object, parse_text
from relay.sources.multipart_body import TEXT_CHARSETS, boundary_of, parts_of, without_files

__all__ = [
    "FORM",
    "JSON",
    "MAX_BODY",
    "MAX_DEPTH",
    "MAX_NODES",
    "BadBody",
    "Body",
    "Limits",
    "Submission",
    "is_key",
    "media_type",
    "parse",
    "read",
]

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"
_JSON_SUFFIX = re.compile(r"application/[a-z0-9!#$&^_.+-]{1,100}\+json")
_IS_OBJECT = re.compile(rb"\s*\{.*\}\s*", re.DOTALL)
"""JSON, and no form, whose braces would be encoded: a script that names no kind has it called a form."""
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True)
class Body:
    """What a body came to. ``raw``: it without the files in it, ``ignored_files``: whose fields they were."""

    fields: dict[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)
    ignored_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """One request's sign-up, parsed. ``page``: where it was filled in, without its query string.

    ``key``: what its sender calls it in a header.
    """

    fields: dict[str, Any] = field(repr=False)
    raw: bytes = field(repr=False)
    content_type: str
    received_at: float
    key: str | None = None
    page: str | None = None
    ignored_files: tuple[str, ...] = ()
    wording: Mapping[str, str] = field(default_factory=dict)
    """What stood beside its consent boxes, by their names, where the relay showed them."""


def media_type(content_type: str) -> str:
    """Return the kind of body a Content-Type header announces. Raises BadBody(415) for what is not taken."""
    kind, options = parse_options_header(content_type)
    kind = kind.lower()
    if _JSON_SUFFIX.fullmatch(kind):
        kind = JSON
    if kind not in (FORM, MULTIPART, JSON):
        raise BadBody(
            415,
            "Send the form as application/x-www-form-urlencoded, multipart/form-data or application/json.",
        )
    if options.get("charset", "utf-8").lower() not in TEXT_CHARSETS:
        raise BadBody(415, "Send text in UTF-8.")
    return kind


def read(
    raw: bytes, content_type: str, limits: Limits, json_fields: tuple[str, ...] = (), *, lenient: bool = False
) -> Body:
    """Return what a body holds; ``lenient``: also of an object alone in a list, or in what is called a form.
    Raises BadBody."""
    kind = media_type(content_type)
    if kind == JSON or (lenient and kind == FORM and _IS_OBJECT.fullmatch(raw)):
        body = Body(parse_object(raw, limits, unwrap=lenient), raw)
    elif kind == FORM:
        body = Body(fields_of(urlencoded_pairs(raw, limits), limits), raw)
    else:
        body = _read_multipart(raw, boundary_of(content_type), limits)
    for name in json_fields:
        text = body.fields.get(name)
        if isinstance(text, str) and text.strip():
            body.fields[name] = parse_text(text, limits)
    return body


def parse(raw: bytes, content_type: str, limits: Limits, json_fields: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of a body. Raises BadBody."""
    return read(raw, content_type, limits, json_fields).fields


def is_key(text: str) -> bool:
    """Whether a text can serve as an idempotency key: 1-255 visible ASCII characters."""
    return _KEY.fullmatch(text) is not None


def _read_multipart(raw: bytes, boundary: bytes, limits: Limits) -> Body:
    parts = parts_of(raw, boundary, limits)
    texts = [(part.name.encode(), part.content) for part in parts if not part.is_file]
    files = tuple(dict.fromkeys(part.name for part in parts if part.is_file))
    kept = without_files(parts, boundary) if files else raw
    return Body(fields_of(decoded(texts), limits), kept, files)
