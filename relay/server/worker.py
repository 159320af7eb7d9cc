"""The gunicorn worker: threads that slow clients cannot hold, and reloading in place.

gunicorn's own worker reads a request in the thread that serves it, so that as many half-sent requests as
there are threads keep everybody else out; it waits in its main loop for clients to hang up. Here the main
loop waits for all clients at once: it collects a request and gives it a thread when it is whole, sends what
the client did not take at once, and sees off those that are done.

gunicorn's own reload starts a second worker beside the first, and one SQLite outbox has one owner; so
here SIGHUP makes the worker that runs read its configuration again.
"""

import contextlib
import errno
import logging
import queue
import selectors
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from relay import events
from relay.network import network_of
from relay.server.connection import WRITE_SECONDS, Connection, refusal
from relay.server.framing import COLLECTED_BYTES
from relay.server.seats import Seats

FIRST_BYTE_SECONDS = 5.0
"""A new connection must have said something within so long."""
NEXT_SECONDS = 2.0
"""A connection that was answered is kept for so long."""
READ_SECONDS = 10.0
"""A request's line, headers and body must have come within so long."""
PART_SECONDS = 2.0
"""A connection that is ended stays half open for so long, until the client has read all and hangs up."""
COLLECTED_IN_ALL = 64 * 1024 * 1024
"""Requests that have not been answered hold at most so many bytes together."""
_PARTING_BYTES = 8 * 1024 * 1024
_LOOK_SECONDS = 0.5
_NO_FILES_SECONDS = 0.1
_UNREADABLE = {
    errors.LimitRequestLine: (414, "The address is too long."),
    errors.LimitRequestHeaders: (431, "The headers are too long."),
    errors.ExpectationFailed: (417, "This expectation is not met."),
}


class Worker(ThreadWorker):  # type: ignore[misc]
    """One process; the application's relay is started and stopped with it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._watched: set[Connection] = set()
        self._seats = Seats(self.worker_connections, lambda: self.wsgi.relay.settings.trusted_proxies)
        self._let_go: Counter[tuple[str, str]] = Counter()
        self._held = 0
        self._largest = COLLECTED_BYTES
        self._looked_at = 0.0
        self._wishes: queue.SimpleQueue[None] = queue.SimpleQueue()

    # --- collecting requests, in the main loop --------------------------------------------------------

    def accept(self, listener: socket.socket) -> bool:
        """Take a connection; most have sent their request already. Returns whether there was one."""
        try:
            plain, peer = listener.accept()
        except OSError as problem:
            if problem.errno == errno.ECONNABORTED:
                return True  # that one has gone; there may be others
            if problem.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
                return False
            if problem.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(_NO_FILES_SECONDS)  # it waits in the queue until something is closed
                return False
            raise
        conn = Connection(self.cfg, plain, peer, listener.getsockname(), network_of(peer[0]) or "?")
        self.nr_conns += 1
        self._seats.take(conn)
        if not self._is_too_many(conn):
            self._expect(conn, FIRST_BYTE_SECONDS, "said nothing")
        return True

    def set_accept_enabled(self, enabled: bool) -> None:
        """At the end take who has connected already, and listen no more: who comes then is refused, so that a
        proxy goes to another relay, instead of being cut off when the process has ended."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                while self.accept(listener):
                    pass
                listener.close()

    def _expect(self, conn: Connection, seconds: float, reason: str) -> None:
        conn.expect(self._largest)
        self._held += conn.held
        self._collect(conn)
        if conn.is_silent:
            self._watch(conn, selectors.EVENT_READ, seconds, self._collect, reason)

    def _collect(self, conn: Connection) -> None:
        arriving, piece, was_silent = conn.arriving, conn.take(), conn.is_silent
        if arriving is None:
            return
        if piece:
            conn.grow(piece)
            self._held += len(piece)
        if arriving.verdict or (piece == b"" and arriving.data):
            self._hand_over(conn)
        elif piece == b"":
            self._close(conn)
        elif self._held > COLLECTED_IN_ALL and self._make_room() is conn:
            return
        elif arriving.data:
            self._wait_for_rest(conn, is_new=was_silent)

    def _is_too_many(self, conn: Connection) -> bool:
        """Refuse a connection if its client has more than its share."""
        is_crowded = self._seats.is_crowded(conn)
        if is_crowded:
            self._refuse(conn, 503, "There are too many connections from here.")
        return is_crowded

    def _wait_for_rest(self, conn: Connection, is_new: bool) -> None:
        if self._seats.name(conn) and self._is_too_many(conn):
            return
        if conn.arriving is not None and conn.arriving.must_ask:
            conn.arriving.must_ask = False
            conn.ask_for_body()
        if is_new or conn not in self._watched:
            self._watch(conn, selectors.EVENT_READ, READ_SECONDS, self._collect, "")
        conn.since = time.monotonic()

    def _make_room(self) -> Connection | None:
        """Refuse the one that holds the most and has been silent longest."""
        now = time.monotonic()
        idle = [conn for conn in self._watched if conn.arriving is not None and conn.held]
        longest = max(idle, key=lambda conn: conn.held * (now - conn.since), default=None)
        if longest is not None:
            self._refuse(longest, 503, "There is no room for this request now.")
        return longest

    def _hand_over(self, conn: Connection) -> None:
        """Give a request a thread, unless it is refused without one."""
        self._unwatch(conn)
        arriving = conn.arriving
        if arriving is None:
            return
        if arriving.verdict and arriving.verdict.status:
            self._refuse(conn, arriving.verdict.status, arriving.verdict.detail)
        else:
            conn.give_back(arriving)
            self.enqueue_req(conn)

    # --- ending requests and connections, in the main loop --------------------------------------------

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """A thread is done with a request; the next one may have come with it."""
        self._release(conn)
        goes_on = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        self._send_rest(conn, goes_on=goes_on)

    def _send_rest(self, conn: Connection, *, goes_on: bool) -> None:
        try:
            is_sent = conn.sock.flush()
        except OSError:
            self._close(conn)
            return
        if not is_sent:
            if conn.sock.is_to_wait(anew=conn not in self._watched):
                then = partial(self._send_rest, goes_on=goes_on)
                self._watch(conn, selectors.EVENT_WRITE, WRITE_SECONDS, then, "did not read the answer")
            return
        self._unwatch(conn)
        if goes_on:
            self._seats.take(conn)
            self._expect(conn, NEXT_SECONDS, "")
        else:
            self._part(conn)

    def _refuse(self, conn: Connection, status: int, detail: str) -> None:
        """Answer without a thread, and end the connection."""
        self._unwatch(conn)
        self._release(conn)
        self._let_go[conn.network, detail] += 1
        conn.arriving = None
        conn.sock.unsent = refusal(status, detail)[1]
        self._send_rest(conn, goes_on=False)

    def _part(self, conn: Connection) -> None:
        """End a connection so that the client reads the answer: closed at once, it could be lost."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:  # it has gone already
            self._close(conn)
            return
        self._watch(conn, selectors.EVENT_READ, PART_SECONDS, self._see_off, "")
        self._see_off(conn)

    def _see_off(self, conn: Connection) -> None:
        piece = conn.take()
        if piece is not None:
            conn.parted += len(piece)
            if not piece or conn.parted > _PARTING_BYTES:
                self._close(conn)

    def _watch(
        self, conn: Connection, event: int, seconds: float, then: Callable[[Any], None], reason: str
    ) -> None:
        """Call ``then`` whenever a connection is ready for it; let it go when the time is over."""
        self._unwatch(conn)
        conn.since = time.monotonic()
        conn.until, conn.reason = conn.since + seconds, reason
        self._watched.add(conn)
        self.poller.register(conn.sock, event, lambda _: then(conn))

    def _unwatch(self, conn: Connection) -> None:
        if conn in self._watched:
            self._watched.remove(conn)
            self.poller.unregister(conn.sock)

    def _release(self, conn: Connection) -> None:
        self._held -= conn.held
        conn.held = 0

    def _close(self, conn: Connection) -> None:
        self._unwatch(conn)
        self._release(conn)
        conn.arriving = None
        self._seats.leave(conn)
        self.nr_conns -= 1
        conn.close()

    def murder_pending(self) -> None:
        """Called about once a second: end what has waited too long, and say how many that were."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_SECONDS:
            return
        self._looked_at = now
        sources = self.wsgi.relay.settings.sources.values()
        self._largest = max([COLLECTED_BYTES, *(source.limits.body for source in sources)])
        for conn in list(self._watched):
            is_leaving = not self.alive and conn.is_silent and now > conn.since + NEXT_SECONDS
            if now > conn.until or is_leaving:
                self._end(conn)
        for (network, reason), count in self._let_go.items():
            events.note("client.let_go", client=network, reason=reason, count=count)
        self._let_go.clear()

    def _end(self, conn: Connection) -> None:
        if conn.arriving is not None and conn.arriving.data:
            self._refuse(conn, 408, "The request did not come in time.")
            return
        if conn.reason:
            self._let_go[conn.network, conn.reason] += 1
        self._close(conn)

    # --- serving, in a thread -------------------------------------------------------------------------

    def handle(self, conn: Connection) -> bool:
        """Serve one request."""
        goes_on = super().handle(conn)
        try:
            conn.sock.flush()
        except OSError:  # the client has gone
            conn.sock.unsent = b""
            return False
        return bool(goes_on) and not conn.is_cut

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """What follows half a request can be none."""
        if conn.is_cut:
            req.force_close()
        return super().handle_request(req, conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what cannot be read as a request. gunicorn's own words quote it, also in the log."""
        ours = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName, errors.ConfigurationProblem)
        if not isinstance(exc, errors.ParseException) or isinstance(exc, ours):
            super().handle_error(req, client, addr, exc)
            return
        status, detail = _UNREADABLE.get(type(exc), (400, "This is no request."))
        request_id, answer = refusal(status, detail)
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

    # --- reloading ------------------------------------------------------------------------------------

    def init_signals(self) -> None:
        """SIGHUP is heard from the start, and heeded when the relay runs."""
        super().init_signals()
        signal.signal(signal.SIGHUP, lambda *_: self._wishes.put(None))

    def run(self) -> None:
        """Serve; reloading is left to a thread, because a signal handler must not wait for a database."""
        threading.Thread(target=self._reload_at_will, name="reload", daemon=True).start()
        super().run()

    def _reload_at_will(self) -> None:
        while True:
            self._wishes.get()
            try:
                self.wsgi.relay.reload()
            except Exception as problem:  # noqa: BLE001 - the next wish is heard
                events.note("config.failed", level=logging.ERROR, error=events.where_from(problem))
