"""Arriving: what has come of a request so far, and whether a thread can serve it without waiting for more."""

import re

COLLECTED_BYTES = 256 * 1024
"""Bodies are collected up to this size, or to what the most generous source takes."""
_HEAD_BYTES = 64 * 1024
_LINE_BYTES = 8 * 1024
_CHUNKS = 1000
_CHUNK_BYTES = 64
"""More chunks than these must hold so much each on average: every chunk costs, however small it is."""
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?:\r\n|$)")
_CONTINUE = re.compile(rb"\r\nexpect:[ \t]*100-continue[ \t]*(?=\r\n)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?", re.DOTALL)

NO_END = (400, "The head of the request is malformed.")
LONG_HEAD = (431, "The headers are too long.")
MANY_CHUNKS = (413, "The body comes in too many pieces.")


class Arriving:
    """A request on its way. Each byte is looked at once, however many pieces they come in.

    What is no proper request is ready as it is: the server refuses it.
    """

    def __init__(self, data: bytes = b"", most: int = COLLECTED_BYTES) -> None:
        """``most``: the largest body that is waited for."""
        self.data = bytearray(data)
        self.is_cut = True
        """Whether it is not all here, or nobody can tell where it ends."""
        self.refusal: tuple[int, str] | None = None
        """Status and reason, where it is refused without a thread."""
        self.must_ask = False
        """Whether the client sends the body when it is asked to (``Expect: 100-continue``)."""
        self._most = most
        self._look = self._head
        self._at = 0  # where the next look begins
        self._enough = 1  # with less than so much, another look would tell nothing new
        self._body = 0  # the sizes of all chunks so far
        self._chunks = 0
        self._expects = False

    def is_ready(self) -> bool:
        """Whether it is all here, or more of it would change nothing."""
        while len(self.data) >= self._enough:
            if self._look():
                return True
        return len(self.data) > 2 * self._most + _HEAD_BYTES  # chunks of hardly anything but sizes

    def request(self) -> bytes:
        """Return what came, without the wish to be asked for the body: that was answered."""
        return _CONTINUE.sub(b"", self.data, count=1) if self._expects else bytes(self.data)

    def _refused(self, why: tuple[int, str]) -> bool:
        self.refusal = why
        return True

    def _head(self) -> bool:
        end = self.data.find(b"\r\n\r\n", self._at)
        if end < 0:
            if self.data.find(b"\n\n", self._at) >= 0:
                return self._refused(NO_END)
            self._at = max(0, len(self.data) - 3)
            return self._refused(LONG_HEAD) if len(self.data) > _HEAD_BYTES else self._needs_more()
        head = bytes(self.data[: end + 2]).lower()
        self._at = end + 4
        self._expects = _CONTINUE.search(head) is not None
        if not self._expects and b"\r\nexpect:" in head:
            return True
        return self._body_of(head)

    def _body_of(self, head: bytes) -> bool:
        if b"\r\ntransfer-encoding:" in head:
            self._look = self._chunk
            self._enough = self._at + 1
        else:
            length = _LENGTH.search(head)
            size = int(length[1]) if length else 0
            if size > self._most:
                return True  # it is refused without its body
            self._look = self._end
            self._enough = self._at + size
        if self._expects and len(self.data) < self._enough:
            self.must_ask = not head.partition(b"\r\n")[0].endswith(b"http/1.0")
        return False

    def _chunk(self) -> bool:
        """Step over a chunk: its size, its bytes, the end of its line."""
        if self.data[self._at - 2 : self._at] != b"\r\n":
            return True
        end = self.data.find(b"\r\n", self._at)
        if end < 0:
            return self._needs_more() or len(self.data) - self._at > _LINE_BYTES
        size = _CHUNK_SIZE.fullmatch(bytes(self.data[self._at : end]))
        if size is None:
            return True
        length = int(size[1], 16)
        if length == 0:
            self._look, self._at = self._trailers, end
            return False
        self._body += length
        self._chunks += 1
        if self._chunks > _CHUNKS and self._body < self._chunks * _CHUNK_BYTES:
            return self._refused(MANY_CHUNKS)
        self._at = self._enough = end + 2 + length + 2
        if self._body > self._most:  # one byte too many is enough to refuse it
            self._look, self._enough = self._too_much, self._at - 2 - (self._body - self._most) + 1
        return False

    def _trailers(self) -> bool:
        if self.data.find(b"\r\n\r\n", self._at) >= 0:
            return self._end()
        self._at = max(self._at, len(self.data) - 3)
        return self._needs_more()

    def _needs_more(self) -> bool:
        self._enough = len(self.data) + 1
        return False

    def _too_much(self) -> bool:
        return True

    def _end(self) -> bool:
        self.is_cut = False
        return True
