"""Connection: one client, its request on its way in and its answer on its way out."""

import contextlib
import select
import socket
import time
from collections.abc import Callable
from typing import Any

from gunicorn.workers.gthread import TConn

from relay.server.framing import WHOLE, Arriving

WRITE_SECONDS = 15.0
"""The client must have taken the answer, or the next part of it, within so long."""
_PART_BYTES = 64 * 1024
"""So much is a part: a client that reads slowly is given its time again for each."""
_SENT_TOGETHER_BYTES = 64 * 1024
_KEPT_BYTES = 1024 * 1024
"""Only a stream longer than this waits for its reader in the thread that makes it."""


class Outgoing(socket.socket):
    """A socket that keeps what its client does not take at once; the main loop sends it later."""

    unsent = b""
    _left = 0
    """How much was unsent when the client's time began."""
    is_ended = False
    """Whether a thread that reads meets the end, although the client may send on. The main loop still sees
    what comes: shut down for reading, the socket would be closed on a client that has not read its answer."""

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return what has come; a thread, which would wait, gets nothing but what was given to it."""
        return b"" if self.is_ended and not flags else super().recv(size, flags)

    def sendall(self, data: Any, *flags: int) -> None:
        """Keep an answer until it is all there: each system call costs a turn of the threads."""
        self.unsent += data
        if len(self.unsent) > _SENT_TOGETHER_BYTES and not self.flush() and len(self.unsent) > _KEPT_BYTES:
            self._wait()

    def flush(self) -> bool:
        """Send what can be sent now; whether that was all."""
        with contextlib.suppress(BlockingIOError):
            while self.unsent:
                self.unsent = self.unsent[self.send(self.unsent, socket.MSG_DONTWAIT) :]
        return not self.unsent

    def is_to_wait(self, *, anew: bool) -> bool:
        """Whether the client's time begins: ``anew``, or because it has taken another part of the answer."""
        begins = anew or self._left - len(self.unsent) >= _PART_BYTES
        if begins:
            self._left = len(self.unsent)
        return begins

    def _wait(self) -> None:
        ready, until = select.poll(), 0.0
        ready.register(self, select.POLLOUT)
        while len(self.unsent) > _KEPT_BYTES:
            if self.is_to_wait(anew=not until):
                until = time.monotonic() + WRITE_SECONDS
            left = until - time.monotonic()
            if left <= 0 or not ready.poll(1000 * left):
                raise TimeoutError("the client does not read")
            self.flush()


class Connection(TConn):  # type: ignore[misc]
    """gunicorn's connection, with what the main loop must know of it."""

    def __init__(self, cfg: Any, plain: socket.socket, peer: Any, server: Any, network: str) -> None:
        """``network``: what the client is counted by."""
        super().__init__(cfg, Outgoing(fileno=plain.detach()), peer, server)
        # Else the kernel takes megabytes, and the client no part for long; not every system can be told.
        with contextlib.suppress(OSError, AttributeError):
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _SENT_TOGETHER_BYTES)
        self.init()
        self.network = network
        self.seat: str | None = None
        """By whom it is counted (see seats.py)."""
        self.arriving: Arriving | None = None
        self.is_cut = False
        self.held = 0
        """How many bytes of its request are held, here or by a thread."""
        self.parted = 0
        self.since = self.until = 0.0
        self.reason = ""
        """Why it is let go when its time is over."""
        self.then: Callable[[Any], None] | None = None

    @property
    def is_silent(self) -> bool:
        """Whether nothing of a next request has come."""
        return self.arriving is not None and not self.arriving.data

    def expect(self, most: int) -> None:
        """Begin with the next request, a part of which may have come with the last one."""
        self.arriving = Arriving(most)
        self.grow(self.parser.unreader.take_buffered())

    def grow(self, piece: bytes) -> None:
        """Add what has come to the request that is on its way."""
        if self.arriving is not None:
            self.arriving.feed(piece)
            self.held += len(piece)

    def take(self) -> bytes | None:
        """Return what has arrived, without waiting: nothing at the end, None if nothing came yet."""
        try:
            piece: bytes = self.sock.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        return piece

    def ask_for_body(self) -> None:
        """Have a client go on that waits for that."""
        with contextlib.suppress(OSError):
            self.sock.send(b"HTTP/1.1 100 Continue\r\n\r\n", socket.MSG_DONTWAIT)

    def give_back(self, arriving: Arriving) -> None:
        """Let gunicorn read what was collected, and then meet the end: whatever it takes the request for, no
        thread of its own waits for the client."""
        self.arriving = None
        self.is_cut = arriving.verdict != WHOLE
        self.sock.is_ended = True
        self.parser.unreader.unread(arriving.request())


def refusal(status: int, detail: str) -> tuple[str, bytes]:
    """Return a request id, and a whole answer to what gets no thread."""
    from relay.web.wsgi import answer_without_request  # gunicorn's master reads this, and needs no web

    return answer_without_request(status, detail)
