"""A body, parsed once: a proof in the body needs its fields before anything else does."""

from typing import Any

from relay.intake.incoming import Incoming
from relay.sources import body
from relay.sources.body import BadBody
from relay.sources.source import Source


class Parsed:
    """The fields of what came in."""

    def __init__(self, source: Source, incoming: Incoming) -> None:
        self._source = source
        self._incoming = incoming
        self._fields: dict[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        if self._fields is None:
            source, incoming = self._source, self._incoming
            if not incoming.raw and not incoming.content_type:
                self._fields = {}
            else:
                self._fields = body.parse(
                    incoming.raw, incoming.content_type, source.limits, source.json_fields
                )
        return self._fields

    def fields_or_none(self) -> dict[str, Any] | None:
        try:
            return self.fields()
        except BadBody:
            return None
