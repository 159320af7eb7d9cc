"""Upstream: the one guarded call to Create Profile (and to what else is asked over HTTP).

Returns an Answer or NoAnswer and never raises for what the other side does. The guards: a wall deadline
around the whole call, no redirects, nothing from the environment (``.netrc`` would replace the bearer
token, proxies would receive it), no retries of the library's, a fresh connection per call, a flag that
says whether bytes were handed to the network, and a cap on what is read.
"""

import contextlib
import http.client
import json
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from relay.destination import Destination
from relay.outcome import Answer, NoAnswer

USER_AGENT = "signup-relay/1"
_BODY_CAP = 64 * 1024
_CONNECT_SECONDS = 5.0


def create(line: "Line", destination: Destination, profile: Mapping[str, Any]) -> Answer | NoAnswer:
    """POST a profile."""
    return line.call("POST", destination.url, profile, destination.deadline, bearer=destination.token)


def update(
    line: "Line", destination: Destination, profile_id: str, changes: Mapping[str, Any]
) -> Answer | NoAnswer:
    """PATCH a profile; sending it twice does no harm."""
    url = f"{destination.url.rstrip('/')}/{profile_id}"
    return line.call("PATCH", url, changes, destination.deadline, bearer=destination.token)


class Line:
    """A way out to HTTP servers. May be used by several threads at once."""

    def __init__(self) -> None:
        # The adapter alone: a Session would add cookies, redirects, and what the environment says.
        self._adapter = _Adapter(max_retries=0)

    def call(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any],
        deadline: float,
        *,
        bearer: str | None = None,
        form: bool = False,
    ) -> Answer | NoAnswer:
        """Make one call, which ends after ``deadline`` seconds of wall time at the latest."""
        headers = {"User-Agent": USER_AGENT, "Accept": "application/json", "Connection": "close"}
        # Without this the library would offer gzip; a small body gains nothing by it.
        headers["Accept-Encoding"] = "identity"
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        data: Any = dict(body)
        if not form:
            headers["Content-Type"] = "application/json"
            data = json.dumps(data, separators=(",", ":")).encode()
        with _watched(deadline) as watch:
            try:
                request = requests.Request(method, url, headers=headers, data=data).prepare()
                # A host may have several addresses, tried in turn; the first may be a black hole.
                timeout = (min(_CONNECT_SECONDS, deadline / 3), deadline)
                response = self._adapter.send(request, stream=True, timeout=timeout, verify=True)
            except (requests.RequestException, HTTPError, OSError, ValueError) as problem:
                return _no_answer(problem, watch)
            with response:
                return _without(_answer(response), bearer)

    def close(self) -> None:
        self._adapter.close()


def _answer(response: requests.Response) -> Answer:
    # Two headers of one name arrive joined by a comma.
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, headers, _read_body(response, headers))


def _without(answer: Answer, bearer: str | None) -> Answer:
    """Return an answer that does not quote our token: parts of it are shown and logged."""
    quoted = bearer.encode() if bearer else b""
    if not quoted or quoted not in answer.body:
        return answer
    return replace(answer, body=answer.body.replace(quoted, b"***"))


def _read_body(response: requests.Response, headers: Mapping[str, str]) -> bytes:
    """Return the first part of the body; empty or cut if it fails to come, which changes no outcome."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size < _BODY_CAP and (piece := response.raw.read(8192, decode_content=False)):
            pieces.append(piece)
            size += len(piece)
    except (HTTPError, OSError, ValueError):
        pass
    body = b"".join(pieces)[:_BODY_CAP]
    if headers.get("content-encoding", "").lower() in ("gzip", "deflate"):
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, _BODY_CAP)
    return body


def _no_answer(problem: Exception, watch: "_Watch") -> NoAnswer:
    return NoAnswer(_why(problem, watch), may_have_arrived=watch.wrote)


def _why(problem: Exception, watch: "_Watch") -> str:
    if not watch.wrote and "CERTIFICATE_VERIFY_FAILED" in str(problem):
        return "certificate"
    if watch.expired or isinstance(problem, requests.Timeout):
        return "timeout"
    if isinstance(problem, requests.exceptions.SSLError):
        return "tls"
    text = str(problem)
    if "NameResolutionError" in text or "getaddrinfo" in text:
        return "dns"
    if "refused" in text:
        return "refused"
    return "reset" if watch.wrote else "not connected"


# --- the wall deadline ----------------------------------------------------------------------------------


class _Watch:
    """What is known of a call in flight, and the means to end it."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.wrote = False
        self.expired = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def connected(self, sock: socket.socket) -> None:
        """Keep a second handle on the connection: TLS takes the first one over."""
        with self._lock:
            self._drop()
            self._socket = socket.socket(fileno=os.dup(sock.fileno()))
            if self.expired:
                self._hang_up()

    def expire(self) -> None:
        with self._lock:
            self.expired = True
            self._hang_up()

    def end(self) -> None:
        with self._lock:
            self._drop()

    def _hang_up(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


_call = threading.local()


class _Watchman:
    """One thread that ends calls at their deadline; a timer each would cost a thread per call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: dict[_Watch, float] = {}
        self._thread: threading.Thread | None = None

    def add(self, watch: _Watch) -> None:
        with self._changed:
            self._watches[watch] = watch.until
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if len(self._watches) == 1:
                self._changed.notify()

    def remove(self, watch: _Watch) -> None:
        with self._changed:
            self._watches.pop(watch, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                now = time.monotonic()
                late = [watch for watch, until in self._watches.items() if until <= now]
                for watch in late:
                    del self._watches[watch]
                soonest = min(self._watches.values(), default=now + _LOOK_SECONDS)
            for watch in late:
                watch.expire()
            with self._changed:
                # A new call may have a shorter deadline than those that are waited for.
                self._changed.wait(min(_LOOK_SECONDS, max(0.001, soonest - now)))


_LOOK_SECONDS = 0.1
_watchman = _Watchman()


@contextlib.contextmanager
def _watched(deadline: float) -> Iterator[_Watch]:
    watch = _call.watch = _Watch(time.monotonic() + deadline)
    _watchman.add(watch)
    try:
        yield watch
    finally:
        _watchman.remove(watch)
        watch.end()


class _Response(http.client.HTTPResponse):
    def begin(self) -> None:
        """Read up to the final answer: the library takes 103 Early Hints for one."""
        super().begin()
        while 100 <= self.status < 200:
            self.headers = None  # type: ignore[assignment]
            super().begin()


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        _call.watch.connected(sock)
        return sock

    def send(self, data: Any) -> None:
        _note_write(self)
        super().send(data)


class _SecureConnection(_Connection, HTTPSConnection):
    """The same over TLS."""


def _note_write(connection: HTTPConnection) -> None:
    """Note that bytes are about to go out. The library may connect no sooner than at the first of them."""
    if connection.sock is None:
        connection.connect()
    if time.monotonic() >= _call.watch.until:
        # We slept since: another may have taken over, and the slot may have been given away.
        raise TimeoutError("the deadline passed before anything was sent")
    _call.watch.wrote = True


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def _put_conn(self, conn: Any) -> None:
        _close(conn)


class _SecurePool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _close(conn: Any) -> None:
    """Keep no connection: on a reused one, "never sent" cannot be told from "processed"."""
    if conn is not None:
        conn.close()


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
