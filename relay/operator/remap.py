"""Kept payloads are mapped again with the present configuration."""

from typing import Any

from relay.sources import body as submission
from relay.sources.body import BadBody
from relay.sources.mapping import Mapped
from relay.sources.source import Source


class CannotDo(ValueError):
    """The request makes no sense, or not in this state. ``missing``: there is no such submission."""

    def __init__(self, why: str, *, missing: bool = False) -> None:
        super().__init__(why)
        self.missing = missing


def map_again(source: Source, payload: dict[str, Any]) -> Mapped:
    """Return what a kept payload comes to now. Raises CannotDo, naming the fields."""
    raw = payload["body"].encode("utf-8", "surrogateescape")
    try:
        fields = submission.parse(raw, payload["content_type"], source.limits, source.json_fields)
    except BadBody as problem:
        raise CannotDo(str(problem)) from None
    mapped = source.mapping.apply(fields)
    if not mapped.ok:
        raise CannotDo("cannot be mapped: " + ", ".join(sorted(mapped.errors)))
    return mapped
