"""A body, unpacked and parsed once: a proof in the body needs its fields before anything else does."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from relay.intake.incoming import Incoming
from relay.sources import coding
from relay.sources.body import BadBody, Body, read
from relay.sources.proof import Evidence
from relay.sources.source import Source


class Parsed:
    """The body of what came in. Whether it can be read is found out when it is asked for."""

    def __init__(self, source: Source, incoming: Incoming) -> None:
        self._source = source
        self._incoming = incoming
        self._body: Body | None = None

    def body(self) -> Body:
        """Return what the body holds. Raises BadBody."""
        if self._body is None:
            raw = coding.unpack(self._incoming.raw, self._incoming.coding, self._source.limits.body)
            if raw or self._incoming.content_type:
                self._body = self._source.read(raw, self._incoming.content_type)
            else:
                self._body = Body({}, b"")
        return self._body

    def unread(self) -> Body:
        """Return what is kept of a body that nobody can read: unpacked and without files, where possible."""
        incoming, limits = self._incoming, self._source.limits
        try:
            raw = coding.unpack(incoming.raw, incoming.coding, limits.body)
        except BadBody:
            return Body({}, incoming.raw)
        try:
            return replace(read(raw, incoming.content_type, limits), fields={})
        except BadBody:
            return Body({}, raw)

    def evidence(self) -> Iterator[Evidence]:
        """Yield what is offered as proof: of the bytes as they came, then of those they were packed from.

        Some senders sign before their library compresses, some after.
        """
        incoming = self._incoming
        yield self._evidence(incoming.raw)
        if incoming.coding in coding.GZIP:
            try:
                yield self._evidence(coding.unpack(incoming.raw, incoming.coding, self._source.limits.body))
            except BadBody:
                return

    def _evidence(self, raw: bytes) -> Evidence:
        incoming = self._incoming
        return Evidence(
            headers=incoming.headers,
            query=incoming.query,
            body=raw,
            url=incoming.url,
            fields=self._fields_or_none,
        )

    def _fields_or_none(self) -> dict[str, Any] | None:
        try:
            return self.body().fields
        except BadBody:
            return None
