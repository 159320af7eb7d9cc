"""A connection within the time that a call has left, however long names and dead addresses would take."""

import socket
import threading
import time
from concurrent.futures import Future
from typing import Any

from urllib3.connection import HTTPConnection
from urllib3.util.connection import create_connection


def connected(host: str, port: int, longest: float, until: float) -> socket.socket:
    """Return a connection to the first address of a host that answers, before ``until`` (monotonic).

    ``longest``: the seconds for one address; less where the time left must do for many. Raises OSError.
    """
    found = _addresses(host.strip("[]"), port, until - time.monotonic())
    problem = OSError("the host has no address")
    for tried, address in enumerate(found):
        share = (until - time.monotonic()) / (len(found) - tried)
        if share <= 0:
            raise TimeoutError("the deadline passed before a connection came about")
        try:
            options = HTTPConnection.default_socket_options
            return create_connection((address, port), min(longest, share), socket_options=options)
        except OSError as failed:
            problem = failed
    raise problem


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """Return a host's addresses. Nothing ends a look-up: one that takes too long is left to itself."""
    found: Future[list[Any]] = Future()

    def ask() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as problem:  # noqa: BLE001 - for whoever waits, if somebody still does
            found.set_exception(problem)

    threading.Thread(target=ask, name="look-up", daemon=True).start()
    try:
        return [address[0] for *_, address in found.result(max(0.0, seconds))]
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from None
