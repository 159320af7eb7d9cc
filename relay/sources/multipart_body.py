"""Multipart forms: their text parts. A file is cut out, and only its field's name is kept."""

from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.http import parse_options_header
from werkzeug.sansio import multipart

from relay.sources.bounds import BadBody, Limits, refuse_many

TEXT_CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")
_MAX_HEAD = 8 * 1024
_HEAD_OF_ONE = 160
"""So many bytes for each field that there may be, the heads of all parts have together."""
_MAX_BOUNDARY = 200


@dataclass(frozen=True)
class Part:
    """One part; of a file there is no content."""

    name: str
    content: bytes
    is_file: bool = False


def boundary_of(content_type: str) -> bytes:
    """Return what stands between the parts. Raises BadBody."""
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not 0 < len(boundary) <= _MAX_BOUNDARY:
        raise BadBody(400, "The multipart body has no boundary.")
    return boundary.encode("latin-1", "replace")


def parts_of(raw: bytes, boundary: bytes, limits: Limits) -> list[Part]:
    """Return the parts, without the inputs for files that were left empty. Raises BadBody."""
    _refuse_large_heads(raw, boundary, limits)
    try:
        return list(_parts(raw, boundary, limits))
    except UnicodeError:
        raise BadBody(400, "The form is not UTF-8.") from None
    except ValueError as problem:
        if isinstance(problem, BadBody):
            raise
        raise BadBody(400, "The multipart body is malformed or cut short.") from None


def without_files(parts: list[Part], boundary: bytes) -> bytes:
    """Return a body that holds the text parts alone."""
    written = [
        b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
        % (boundary, part.name.replace('"', "%22").encode(), part.content)
        for part in parts
        if not part.is_file
    ]
    return b"".join([*written, b"--", boundary, b"--\r\n"])


def _refuse_large_heads(raw: bytes, boundary: bytes, limits: Limits) -> None:
    """Look at the size of the parts' heads before the library, which takes long over them.

    To it a byte of a head is some twenty bytes of a value, so they are bounded together, too.
    """
    delimiter = b"--" + boundary
    refuse_many(raw.count(delimiter) - 1, limits)
    left = max(_MAX_HEAD, _HEAD_OF_ONE * limits.fields)
    at = raw.find(delimiter)
    while at >= 0:
        begin = at + len(delimiter)
        at = raw.find(delimiter, begin)
        size = _head_size(raw[begin : at if at >= 0 else len(raw)])
        left -= size
        if size > _MAX_HEAD or left < 0:
            raise BadBody(413, "The headers of the parts are too long.")


def _head_size(part: bytes) -> int:
    ends = [end for end in (part.find(b"\r\n\r\n"), part.find(b"\n\n")) if end >= 0]
    return min(ends, default=len(part))


def _parts(raw: bytes, boundary: bytes, limits: Limits) -> Iterator[Part]:
    decoder = multipart.MultipartDecoder(boundary)
    decoder.receive_data(raw)
    decoder.receive_data(None)
    name, filename, count = "", None, 0
    content: list[bytes] = []
    while not isinstance(event := decoder.next_event(), multipart.Epilogue):
        if isinstance(event, multipart.NeedData):
            raise ValueError("cut short")
        if isinstance(event, multipart.Field | multipart.File):
            count += 1
            refuse_many(count, limits)
            if not event.name:
                raise ValueError("a part without a name")
            name, filename, content = event.name, _filename(event), []
        elif isinstance(event, multipart.Data):
            content.append(event.data)
            if not event.more_data:
                text = b"".join(content)
                if filename is None:
                    yield Part(name, text)
                elif filename or text:  # an input for a file that was left empty comes with neither
                    yield Part(name, b"", is_file=True)


def _filename(part: multipart.Field | multipart.File) -> str | None:
    """Return the name of a part's file, None of a text, which must be in UTF-8."""
    if isinstance(part, multipart.File):
        return part.filename
    charset = parse_options_header(part.headers.get("Content-Type", ""))[1].get("charset", "utf-8")
    coding = part.headers.get("Content-Transfer-Encoding", "8bit").lower()
    if charset.lower() not in TEXT_CHARSETS or coding not in ("7bit", "8bit", "binary"):
        raise BadBody(415, "Send text in UTF-8, without a transfer encoding.")
    return None
