"""Codings: the compression a body came in."""

import zlib

from relay.sources.bounds import BadBody

PLAIN = ("", "identity")
GZIP = ("gzip", "x-gzip")
_WITH_A_GZIP_HEAD = 16 + zlib.MAX_WBITS


def unpack(raw: bytes, coding: str, most: int) -> bytes:
    """Return a body as it was before it was compressed, at most so many bytes of it. Raises BadBody."""
    if coding in PLAIN:
        return raw
    if coding not in GZIP:
        raise BadBody(415, "Send the body without a Content-Encoding.")
    unzip = zlib.decompressobj(_WITH_A_GZIP_HEAD)
    try:
        unpacked = unzip.decompress(raw, most + 1)
    except zlib.error:
        raise BadBody(400, "The body is not what its Content-Encoding says.") from None
    if len(unpacked) > most:
        raise BadBody(413, f"The body is longer than {most} bytes.")
    if not unzip.eof or unzip.unused_data:
        raise BadBody(400, "The compressed body was cut short, or more stands behind it.")
    return unpacked
