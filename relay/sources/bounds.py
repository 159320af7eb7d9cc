"""Bounds: how large a body may be, and what is said of one that cannot be taken."""

from dataclasses import dataclass

MAX_DEPTH = 32
MAX_BODY = 8 * 1024**2
"""The largest ``max_body``: a few of these at a time fit into what is collected of requests on their way."""
MAX_NODES = 5000


class BadBody(ValueError):
    """The body cannot be taken. ``status``: 400, 413 or 415; the text says why, without values."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True)
class Limits:
    """How large a body may be. ``fields``: of a form, or keys of one JSON object."""

    body: int = 256 * 1024
    fields: int = 200
    field: int = 16 * 1024


def refuse_long(text: str, limits: Limits) -> None:
    """Refuse a value, or a name, that is longer than a field may be."""
    if len(text) > limits.field or (
        len(text) * 4 > limits.field and len(text.encode("utf-8", "replace")) > limits.field
    ):
        raise BadBody(413, f"A field is longer than {limits.field} bytes.")


def refuse_many(count: int, limits: Limits) -> None:
    """Refuse a form of more fields than there may be."""
    if count > limits.fields:
        raise BadBody(413, f"More than {limits.fields} fields.")
