"""The line to one destination: a fresh connection for each call, which knows whether bytes were written."""

import contextlib
import http.client
import json
import socket
import time
import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError

from relay.dispatch.connecting import connect
from relay.dispatch.deadline import Watch, current, watched
from relay.outcome import Answer, NoAnswer

USER_AGENT = "signup-relay/1"
_BODY_CAP = 64 * 1024
_CONNECT_SECONDS = 5.0


class Line:
    """A way out to HTTP servers. May be used by several threads at once."""

    def __init__(self) -> None:
        # The adapter alone: a Session would add cookies, redirects, and what the environment says.
        self._adapter = _Adapter(max_retries=0)

    def call(
        self,
        method: str,
        url: str,
        body: Mapping[str, Any] | None,
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
        data: Any = body
        if body is not None and not form:
            headers["Content-Type"] = "application/json"
            data = json.dumps(dict(body), separators=(",", ":")).encode()
        with watched(deadline) as watch:
            try:
                request = requests.Request(method, url, headers=headers, data=data).prepare()
                # A host may have several addresses, tried in turn; the first may be a black hole.
                timeout = (min(_CONNECT_SECONDS, deadline / 3), deadline)
                response = self._adapter.send(request, stream=True, timeout=timeout, verify=True)
            except (requests.RequestException, HTTPError, OSError, ValueError) as problem:
                # Whatever is wrong with what follows a status changes nothing about it.
                if watch.status >= 200:
                    return Answer(watch.status)
                return NoAnswer(_why(problem, watch), may_have_arrived=watch.wrote)
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


def _why(problem: Exception, watch: Watch) -> str:
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


class _Response(http.client.HTTPResponse):
    def _read_status(self) -> tuple[str, int, str]:
        found: tuple[str, int, str] = super()._read_status()  # type: ignore[misc]
        if found[0].startswith("HTTP/1."):
            current.watch.status = found[1]
        return found

    def begin(self) -> None:
        """Read up to the final answer: the library takes 103 Early Hints for one."""
        super().begin()
        while 100 <= self.status < 200:
            self.headers = None  # type: ignore[assignment]
            super().begin()


class _Connection(HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Connect before the deadline: the library's own way knows none."""
        try:
            sock = connect(self._dns_host, self.port, cast(float, self.timeout))
        except socket.gaierror as problem:
            raise NameResolutionError(self.host, self, problem) from problem
        except TimeoutError as problem:
            raise ConnectTimeoutError(self, str(problem)) from problem
        for option in self.socket_options or ():
            sock.setsockopt(*option)
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
    if time.monotonic() >= current.watch.until:
        # We slept since: another may have taken over, and the slot may have been given away.
        raise TimeoutError("the deadline passed before anything was sent")
    current.watch.wrote = True


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection

    def _put_conn(self, conn: Any) -> None:
        """Keep no connection: on a reused one, "never sent" cannot be told from "processed"."""
        if conn is not None:
            conn.close()


class _SecurePool(_Pool, HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
