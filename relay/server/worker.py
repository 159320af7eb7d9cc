"""The gunicorn worker: threads that slow clients cannot hold, and reloading in place.

gunicorn's own worker reads a request in the thread that serves it, so that as many half-sent requests as
there are threads keep everybody else out; it waits in its main loop for clients to hang up. Here the main
loop waits for all clients at once: it collects a request and gives it a thread when it is whole, sends what
the client did not take at once, and sees off those that are done. No thread ever waits for a client.

gunicorn's own reload starts a second worker beside the first, and one SQLite outbox has one owner; so
here SIGHUP makes the worker that runs read its configuration again.
"""

import contextlib
import errno
import logging
import select
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from gunicorn.glogging import Logger as GunicornLogger
from gunicorn.http import errors
from gunicorn.workers.gthread import TConn, ThreadWorker

from relay import events
from relay.events import FromLibraries
from relay.server.framing import COLLECTED_BYTES, Arriving

FIRST_BYTE_SECONDS = 5.0
"""A new connection must have said something within so long."""
READ_SECONDS = 10.0
"""A request's line, headers and body must have come within so long."""
WRITE_SECONDS = 15.0
"""The client must have taken the answer within so long."""
PART_SECONDS = 2.0
"""A connection that is ended stays half open for so long, until the client has read all and hangs up."""
_PARTING_BYTES = 64 * 1024
_COLLECTED_IN_ALL = 64 * 1024 * 1024
# Above that, only requests that are smaller than this are collected.
_SMALL_BYTES = 16 * 1024
_SENT_TOGETHER_BYTES = 64 * 1024
_LOOK_SECONDS = 0.5
# A client that posts again at once is answered by the thread that has just answered it: giving a connection
# back to the main loop and to a thread again costs as much as storing what it posts.
_NEXT_MILLISECONDS = 2
_NO_FILES_SECONDS = 0.1
_UNREADABLE = {
    errors.LimitRequestLine: (414, "The address is too long"),
    errors.LimitRequestHeaders: (431, "The headers are too long"),
    errors.ExpectationFailed: (417, "This expectation is not met"),
}


class _Client(socket.socket):
    """A connection on which no thread ever waits for the client; the main loop does, for all at once.

    Threads read what was collected, and what the client does not take at once is kept for later.
    """

    collected = b""
    unsent = b""
    is_cut = False
    """Whether more was announced, or read, than was collected: nothing that follows can be a request."""
    is_headless = False

    def __init__(self, fileno: int) -> None:
        super().__init__(fileno=fileno)
        super().setblocking(False)

    def recv(self, size: int, *flags: int) -> bytes:
        piece, self.collected = self.collected[:size], self.collected[size:]
        if not piece:
            self.is_cut = True
            if self.is_headless:
                raise errors.LimitRequestHeaders("the head does not end")
        return piece

    def take(self) -> bytes | None:
        """Return what has arrived, without waiting: nothing at the end, None if nothing came yet."""
        try:
            return super().recv(65536)
        except (BlockingIOError, TimeoutError):
            return None
        except OSError:
            return b""

    def ask_for_body(self) -> None:
        with contextlib.suppress(OSError):
            super().send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def send(self, data: Any, *flags: int) -> int:
        """Called by gunicorn for ``100 Continue`` only, which was said when it was time."""
        return len(data)

    def sendall(self, data: Any, *flags: int) -> None:
        """Keep an answer until it is all there: each system call costs a turn of the threads."""
        self.unsent += data
        if len(self.unsent) > _SENT_TOGETHER_BYTES:
            self.flush()

    def flush(self) -> bool:
        """Send what can be sent now; whether that was all."""
        with contextlib.suppress(BlockingIOError):
            self.unsent = self.unsent[super().send(self.unsent) :]
        return not self.unsent

    def setblocking(self, flag: bool) -> None:
        """Never wait. gunicorn asks for this or that around each request, and each costs a system call."""

    settimeout = setblocking  # type: ignore[assignment]


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
        self._without_thread: deque[TConn] = deque()
        self._watched: set[TConn] = set()
        self._collected = 0
        self._largest = COLLECTED_BYTES
        self._looked_at = 0.0

    # --- collecting requests, in the main loop --------------------------------------------------------

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
        self.nr_conns += 1
        conn = TConn(self.cfg, _Client(plain.detach()), client, listener.getsockname())
        self._await_request(conn)

    def on_client_socket_readable(self, conn: Any, client: Any) -> None:
        """A connection that was kept alive sends its next request."""
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        self._await_request(conn)

    def _await_request(self, conn: Any) -> None:
        conn.arriving = Arriving(conn.sock.collected, self._largest)
        conn.sock.collected = b""
        self._collected += len(conn.arriving.data)
        if self._has_come(conn):
            self._hand_over(conn)
            return
        seconds = READ_SECONDS if conn.arriving.data else FIRST_BYTE_SECONDS
        self._watch(conn, selectors.EVENT_READ, seconds, self._collect)

    def _collect(self, conn: Any) -> None:
        is_first = not conn.arriving.data
        if self._has_come(conn):
            self._unwatch(conn)
            self._hand_over(conn)
        elif self._collected > _COLLECTED_IN_ALL and len(conn.arriving.data) > _SMALL_BYTES:
            self._let_go(conn)
        elif is_first:
            conn.timeout = time.monotonic() + READ_SECONDS

    def _has_come(self, conn: Any) -> bool:
        arriving, data = conn.arriving, conn.sock.take()
        if data:
            arriving.data += data
            self._collected += len(data)
        if arriving.is_ready() or data == b"":
            return True
        if arriving.must_ask:
            arriving.must_ask = False
            conn.sock.ask_for_body()
        return False

    def _hand_over(self, conn: Any) -> None:
        """Give a request a thread."""
        self._collected -= len(conn.arriving.data)
        _hold(conn.sock, conn.arriving)
        conn.arriving = None
        conn.data_ready = True
        self.enqueue_req(conn)

    # --- ending requests and connections, in the main loop --------------------------------------------

    def finish_request(self, conn: Any, fs: Any) -> None:
        """A request is done; the next one may have come with it."""
        if conn.sock.unsent and conn.sock.fileno() >= 0:
            self._watch(conn, selectors.EVENT_WRITE, WRITE_SECONDS, lambda _: self._flush(conn, fs))
        elif fs.cancelled() or fs.exception() is not None or not fs.result():
            self._part(conn)
        else:
            super().finish_request(conn, fs)
            if conn.sock.collected and conn in self.keepalived_conns:
                self.on_client_socket_readable(conn, conn.sock)

    def _flush(self, conn: Any, fs: Any) -> None:
        try:
            is_done = conn.sock.flush()
        except OSError:
            self._let_go(conn)
            return
        if is_done:
            self._unwatch(conn)
            self.finish_request(conn, fs)

    def _part(self, conn: Any) -> None:
        """End a connection so that the client reads the answer: closed at once, it could be lost.

        gunicorn waits for the client to hang up, and everybody else waits with it.
        """
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it has gone already
            self.nr_conns -= 1
            conn.close()
            return
        conn.parting = 0
        self._watch(conn, selectors.EVENT_READ, PART_SECONDS, self._see_off)
        self._see_off(conn)

    def _see_off(self, conn: Any) -> None:
        data = conn.sock.take()
        if data is not None:
            conn.parting += len(data)
            if not data or conn.parting > _PARTING_BYTES:
                self._let_go(conn)

    def _watch(self, conn: Any, event: int, seconds: float, then: Callable[[Any], None]) -> None:
        """Call ``then`` whenever a connection is ready for it; let it go when the time is over."""
        conn.timeout = time.monotonic() + seconds
        self._watched.add(conn)
        self.poller.register(conn.sock, event, lambda _: then(conn))

    def _unwatch(self, conn: Any) -> None:
        self._watched.discard(conn)
        self.poller.unregister(conn.sock)

    def _let_go(self, conn: Any) -> None:
        self._unwatch(conn)
        if conn.arriving is not None:
            self._collected -= len(conn.arriving.data)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Called about once a second: end what has waited too long."""
        super().murder_pending()
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        sources = self.wsgi.relay.settings.sources.values()
        self._largest = max([COLLECTED_BYTES, *(source.limits.body for source in sources)])
        for conn in list(self._watched):
            says_nothing = conn.arriving is not None and not conn.arriving.data
            if now > conn.timeout or (says_nothing and not self.alive):
                self._let_go(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what cannot be read as a request. gunicorn's own words quote it, also in the log."""
        ours = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)
        if not isinstance(exc, errors.ParseException) or isinstance(exc, ours):
            super().handle_error(req, client, addr, exc)
            return
        from relay.web.wsgi import answer_without_request

        status, title = _UNREADABLE.get(type(exc), (400, "This is no request"))
        request_id, answer = answer_without_request(status, title)
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

    # --- serving, in a thread -------------------------------------------------------------------------

    def enqueue_req(self, conn: Any) -> None:
        self._without_thread.append(conn)
        super().enqueue_req(conn)

    def handle(self, conn: Any) -> Any:
        self._without_thread.popleft()
        while (goes_on := self._serve(conn)) and self._sends_next(conn):
            pass
        return goes_on and not conn.sock.is_cut

    def _serve(self, conn: Any) -> Any:
        goes_on = super().handle(conn)
        try:
            conn.sock.flush()
        except OSError:  # the client has gone
            conn.sock.unsent = b""
            return False
        return goes_on

    def handle_request(self, req: Any, conn: Any) -> Any:
        if conn.sock.is_cut:
            req.force_close()
        return super().handle_request(req, conn)

    def _sends_next(self, conn: Any) -> bool:
        """Whether the client's next request is here; a part of one is left to the main loop."""
        sock = conn.sock
        sock.collected = conn.parser.unreader.take_buffered() + sock.collected  # it reads ahead
        if not self.alive or self._without_thread or sock.is_cut or sock.unsent:
            return False
        if not sock.collected:
            next_one = select.poll()
            next_one.register(sock, select.POLLIN)
            sock.collected = (next_one.poll(_NEXT_MILLISECONDS) and sock.take()) or b""
            if not sock.collected:
                return False
        arriving = Arriving(sock.collected, self._largest)
        if not arriving.is_ready():
            return False
        _hold(sock, arriving)
        return True

    # --- reloading ------------------------------------------------------------------------------------

    def init_signals(self) -> None:
        super().init_signals()
        signal.signal(signal.SIGHUP, self._reload)

    def _reload(self, *_: Any) -> None:
        # In a thread: a signal handler must not wait for a database.
        relay = getattr(self.wsgi, "relay", None)
        if relay is not None:
            threading.Thread(target=relay.reload, name="reload", daemon=True).start()


def _hold(sock: _Client, arriving: Arriving) -> None:
    """Hold a request ready for the thread that serves it."""
    sock.collected = bytes(arriving.data)
    sock.is_cut = arriving.is_cut
    sock.is_headless = arriving.is_headless
