"""Arriving: what has come of a request so far, and whether a thread can serve it without waiting for more."""

import re
from collections.abc import Generator
from typing import NamedTuple

COLLECTED_BYTES = 256 * 1024
"""Bodies are collected up to this size, or to what the most generous source takes."""
_HEAD_BYTES = 64 * 1024
_LINE_BYTES = 8 * 1024
_CHUNKS = 1000
_CHUNK_BYTES = 64
"""More chunks than these must hold so much each on average: every chunk costs, however small it is."""
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*\r\n")
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n")
_FORWARDED = re.compile(rb"\r\nx-forwarded-for:([^\r\n]*)")
_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_NEXT = re.compile(rb"[\r\n]*(?:[A-Z]+(?: |\Z)|\Z)")
"""What may stand behind a body: empty lines of old browsers, and the beginning of another request."""
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", re.DOTALL)


class Verdict(NamedTuple):
    """How a request came to its end; with a ``status`` it is refused without a thread."""

    is_whole: bool
    status: int = 0
    detail: str = ""


WHOLE = Verdict(True)
CUT = Verdict(False)
"""It is not all here, or nobody can tell where it ends: the server's parser says what is wrong."""
NO_END = Verdict(False, 400, "The head of the request is malformed.")
LONG_HEAD = Verdict(False, 431, "The headers are too long.")
LONG = Verdict(False, detail="The body is longer than announced.")
MANY_CHUNKS = Verdict(False, 413, "The body comes in too many pieces.")

Steps = Generator[int, None, Verdict]
"""Yields how many bytes there must be before another look tells anything new."""


class Arriving:
    """A request on its way. Each byte is looked at once, however many pieces they come in."""

    def __init__(self, most: int = COLLECTED_BYTES) -> None:
        """``most``: the largest body that is waited for."""
        self.data = bytearray()
        self.verdict: Verdict | None = None
        self.forwarded: str | None = None
        """All of ``X-Forwarded-For``, once the head is here."""
        self.must_ask = False
        """Whether the client sends the body when it is asked to (``Expect: 100-continue``)."""
        self._most = most
        self._expects = False
        self._end: int | None = None
        self._steps = self._read()
        self._enough = 1

    def feed(self, piece: bytes) -> None:
        """Take what has come; there is a verdict when it is all here, or more would change nothing."""
        self.data += piece
        while self.verdict is None and len(self.data) >= self._enough:
            try:
                self._enough = next(self._steps)
            except StopIteration as done:
                self.verdict = done.value
        if self.verdict is None and len(self.data) > 2 * self._most + _HEAD_BYTES:
            self.verdict = CUT  # chunks of hardly anything but sizes

    def request(self) -> bytes:
        """Return what came, without the wish to be asked for the body: that was answered.

        Of a body that is too long not even as much as was announced: so it is refused like one that was cut.
        """
        data = bytes(self.data[: self._end])
        return _CONTINUE.sub(b"", data, count=1) if self._expects else data

    def _read(self) -> Steps:
        data, at = self.data, 0
        while (end := data.find(b"\r\n\r\n", at)) < 0:
            if data.find(b"\n\n", at) >= 0:
                return NO_END
            if len(data) > _HEAD_BYTES:
                return LONG_HEAD
            at = max(0, len(data) - 3)
            yield len(data) + 1
        head, at = bytes(data[: end + 2]).lower(), end + 4
        self.forwarded = ",".join(text.decode("latin-1") for text in _FORWARDED.findall(head))
        self._expects = _CONTINUE.search(head) is not None
        if not self._expects and b"\r\nexpect:" in head:
            return CUT
        length = _LENGTH.search(head)
        if length is None and b"\r\ncontent-length:" in head:
            return CUT  # written so that the server's parser may see another length than we do
        is_chunked = _CHUNKED.search(head) is not None
        if not is_chunked and b"\r\ntransfer-encoding:" in head:
            return CUT  # a coding that nobody here undoes
        size = 1 if is_chunked else int(length[1]) if length else 0
        if size > self._most:
            return CUT  # it is refused without its body
        is_old = head.partition(b"\r\n")[0].endswith(b"http/1.0")
        self.must_ask = self._expects and len(data) < at + size and not is_old
        yield at + size
        if is_chunked:
            return (yield from self._chunks(at))
        if length is None or _NEXT.match(data, at + size):
            return WHOLE
        # Who counts letters for bytes would have the end of the last field, perhaps an address, cut off.
        self._end = at + size - 1
        return LONG if size else LONG._replace(status=400)

    def _chunks(self, at: int) -> Steps:
        """Step over chunks: their sizes, their bytes, the ends of their lines."""
        data, body, count = self.data, 0, 0
        while True:
            while (end := data.find(b"\r\n", at)) < 0:
                if len(data) - at > _LINE_BYTES:
                    return CUT
                yield len(data) + 1
            size = _CHUNK_SIZE.fullmatch(bytes(data[at:end]))
            if size is None:
                return CUT
            length = int(size[1], 16)
            if length == 0:
                return (yield from self._trailers(end))
            body, count = body + length, count + 1
            if count > _CHUNKS and body < count * _CHUNK_BYTES:
                return MANY_CHUNKS
            if body > self._most:  # one byte too many is enough to refuse it
                yield end + 2 + length - (body - self._most) + 1
                return CUT
            at = end + 2 + length + 2
            yield at
            if data[at - 2 : at] != b"\r\n":
                return CUT

    def _trailers(self, at: int) -> Steps:
        while self.data.find(b"\r\n\r\n", at) < 0:
            at = max(at, len(self.data) - 3)
            yield len(self.data) + 1
        return WHOLE
