"""The gunicorn worker: threads that slow clients cannot hold, and reloading in place.

gunicorn's own worker reads a request in the thread that serves it, so that as many half-sent requests as
there are threads keep everybody else out. Here the main loop collects a request without waiting for
anybody, and gives it a thread when it is whole.

gunicorn's own reload starts a second worker beside the first, and one SQLite outbox has one owner; so
here SIGHUP makes the worker that runs read its configuration again.
"""

import contextlib
import errno
import logging
import re
import selectors
import signal
import socket
import threading
import time
from collections import deque
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from relay import events
from relay.events import FromLibraries

FIRST_BYTE_SECONDS = 5.0
"""A new connection must have said something within so long."""
READ_SECONDS = 10.0
"""A request's line, headers and body must have come within so long."""
WRITE_SECONDS = 15.0
"""The client must have taken the answer within so long."""
# What announces more than a source takes by default is looked at without its body, to be refused at once.
_COLLECTED_BYTES = 256 * 1024
_COLLECTED_IN_ALL = 64 * 1024 * 1024
_HEAD_BYTES = 64 * 1024
_LOOK_SECONDS = 0.5
# A client that posts again at once is answered by the thread that has just answered it: giving a connection
# back to the main loop and to a thread again costs as much as storing what it posts.
_NEXT_SECONDS = 0.002
_NO_FILES_SECONDS = 0.1
_UNREADABLE = {
    errors.LimitRequestLine: (414, "The address is too long"),
    errors.LimitRequestHeaders: (431, "The headers are too long"),
    errors.ExpectationFailed: (417, "This expectation is not met"),
}
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,18})[ \t]*(?:\r\n|$)")


class _Watched(socket.socket):
    """A connection that hands out what was collected first, and says when it waits for its client.

    A timeout of the socket's own would start again with every byte that trickles in.
    """

    collected = b""
    read_until = 0.0
    waits_until: float | None = None

    def recv(self, size: int, *flags: int) -> bytes:
        if self.collected:
            piece, self.collected = self.collected[:size], self.collected[size:]
            return piece
        self.waits_until = self.read_until
        try:
            return super().recv(size, *flags)
        finally:
            self.waits_until = None

    def take(self) -> bytes | None:
        """Return what has arrived, without waiting: nothing at the end, None if nothing came yet."""
        try:
            return super().recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def sendall(self, *args: Any) -> None:
        self.waits_until = time.monotonic() + WRITE_SECONDS
        try:
            super().sendall(*args)
        finally:
            self.waits_until = None

    def end_if_late(self, now: float) -> None:
        """Hang up on a client that keeps a thread waiting."""
        if self.waits_until is not None and now > self.waits_until:
            with contextlib.suppress(OSError):
                self.shutdown(socket.SHUT_RDWR)


def is_whole(received: bytes | bytearray) -> bool:
    """Whether a request has arrived, or is one that the server should look at as it is."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return len(received) > _HEAD_BYTES
    head, size = bytes(received[:end]).lower(), len(received) - end - 4
    if b"\r\nexpect:" in head or size > _COLLECTED_BYTES:
        return True
    if b"\r\ntransfer-encoding:" in head:
        return received.endswith(b"0\r\n\r\n")
    length = _LENGTH.search(head)
    return length is None or size >= int(length[1]) or int(length[1]) > _COLLECTED_BYTES


class Logger(GunicornLogger):  # type: ignore[misc]
    """gunicorn's own messages in the relay's form; requests are noted by the relay itself."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        self.error_log.handlers[:] = [FromLibraries()]
        self.error_log.propagate = False

    def access(self, *args: Any, **kwargs: Any) -> None:
        """Note nothing: gunicorn would quote addresses with their query strings."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """One process; the application's relay is started and stopped with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._at_work: set[_Watched] = set()
        self._without_thread: deque[TConn] = deque()
        self._collecting: dict[TConn, bytearray] = {}
        self._collected = 0
        self._looked_at = 0.0

    # --- collecting, in the main loop ---------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        """Take a connection; most have sent their request already."""
        try:
            plain, client = listener.accept()
        except OSError as problem:
            if problem.errno in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                return
            if problem.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(_NO_FILES_SECONDS)  # it waits in the queue until something is closed
                return
            raise
        sock = _Watched(fileno=plain.detach())
        self.nr_conns += 1
        conn = TConn(self.cfg, sock, client, listener.getsockname())
        conn.timeout = time.monotonic() + FIRST_BYTE_SECONDS
        self._collecting[conn] = bytearray()
        self.poller.register(sock, selectors.EVENT_READ, lambda _: self._collect(conn))
        self._collect(conn)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A connection that was kept alive sends its next request."""
        self.keepalived_conns.remove(conn)
        conn.timeout = time.monotonic() + READ_SECONDS
        self._collecting[conn] = bytearray(conn.sock.collected)
        self._collected += len(conn.sock.collected)
        conn.sock.collected = b""
        self.poller.modify(conn.sock, selectors.EVENT_READ, lambda _: self._collect(conn))
        self._collect(conn)

    def _collect(self, conn: Any) -> None:
        received = self._collecting[conn]
        data = conn.sock.take()
        if data is None and not received:
            return
        if data and not received:
            conn.timeout = time.monotonic() + READ_SECONDS
        received += data or b""
        self._collected += len(data or b"")
        if data == b"" or is_whole(received) or self._collected > _COLLECTED_IN_ALL:
            self._hand_over(conn)

    def _hand_over(self, conn: Any) -> None:
        """Give a request a thread; what is still missing of it is waited for there."""
        received = self._forget(conn)
        conn.sock.collected = bytes(received)
        conn.sock.read_until = conn.timeout
        conn.data_ready = True
        self.enqueue_req(conn)

    def _forget(self, conn: Any) -> bytearray:
        received = self._collecting.pop(conn)
        self._collected -= len(received)
        self.poller.unregister(conn.sock)
        return received

    def finish_request(self, conn: Any, fs: Any) -> None:
        """A request is done; the next one may have come with it."""
        super().finish_request(conn, fs)
        if conn.sock.collected and conn in self.keepalived_conns:
            self.on_client_socket_readable(conn, conn.sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what cannot be read as a request. gunicorn's own words quote it, also in the log."""
        ours = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)
        if not isinstance(exc, errors.ParseException) or isinstance(exc, ours):
            super().handle_error(req, client, addr, exc)
            return
        from relay.web import bare_problem  # the application is not there yet when gunicorn loads this

        status, title = _UNREADABLE.get(type(exc), (400, "This is no request"))
        request_id, answer = bare_problem(status, title)
        events.note(
            "request.unreadable",
            level=logging.WARNING,
            status=status,
            kind=type(exc).__name__,
            client=addr[0] if addr else None,
            request_id=request_id,
        )
        with contextlib.suppress(OSError):
            client.sendall(answer)

    def murder_pending(self) -> None:
        """Called about once a second: end what has waited too long."""
        super().murder_pending()
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        for sock in list(self._at_work):
            sock.end_if_late(now)
        for conn, received in list(self._collecting.items()):
            if now > conn.timeout or not (self.alive or received):
                self._forget(conn)
                self.nr_conns -= 1
                conn.close()

    # --- serving, in a thread -------------------------------------------------------------------------

    def enqueue_req(self, conn: Any) -> None:
        self._without_thread.append(conn)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        self._without_thread.popleft()
        self._at_work.add(conn.sock)
        try:
            while (goes_on := super().handle(conn)) and self._sends_next(conn):
                pass
            return goes_on
        finally:
            self._at_work.discard(conn.sock)

    def _sends_next(self, conn: Any) -> bool:
        """Whether the client's next request is here; a part of one is left to the main loop."""
        sock = conn.sock
        sock.collected = conn.parser.unreader.take_buffered() + sock.collected  # it reads ahead
        if not self.alive or self._without_thread:
            return False
        if not sock.collected:
            sock.settimeout(_NEXT_SECONDS)
            sock.collected = sock.take() or b""
        sock.read_until = time.monotonic() + READ_SECONDS
        return bool(sock.collected) and is_whole(sock.collected)

    # --- reloading ------------------------------------------------------------------------------------

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGHUP, self._reload)

    def _reload(self, *_: Any) -> None:
        # In a thread: a signal handler must not wait for a database.
        relay = getattr(self.wsgi, "relay", None)
        if relay is not None:
            threading.Thread(target=relay.reload, name="reload", daemon=True).start()
