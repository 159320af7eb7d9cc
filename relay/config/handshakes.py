"""What a sender sends besides sign-ups: tests, pings, handshakes."""

from typing import Any

from marshmallow import fields, post_load

from relay.config.schemas import NOT_EMPTY, Strict, Text, choice, header_name, pattern, texts
from relay.sources.source import Handshake, HeaderIs, Ping


class HeaderSchema(Strict):
    """A header that must have one of some values."""

    name = Text(header_name, required=True)
    values = texts(required=True, validate=NOT_EMPTY)

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> HeaderIs:
        return HeaderIs(table["name"], tuple(value.lower() for value in table["values"]))


class PingSchema(Strict):
    """An unsigned message by which a sender tries the address out."""

    body = Text(pattern)
    header = fields.Nested(HeaderSchema)

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> Ping:
        return Ping(**table)


class HandshakeSchema(Strict):
    """How a GET is answered."""

    kind = choice("ok", "echo", "hmac", required=True)
    query = fields.String()
    token_query = fields.String()

    @post_load
    def build(self, table: dict[str, Any], **_: Any) -> Handshake:
        return Handshake(**table)
