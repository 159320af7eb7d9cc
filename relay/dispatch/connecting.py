"""Connecting, within the deadline of a call: to one of a host's addresses, tried in turn.

By itself it may take minutes, in which nothing is sent: a resolver whose servers are silent takes half a
minute, and a firewall that drops what goes out costs a wait for each of many addresses. A lease that ended
meanwhile would look like a crash, after which nobody knows what was sent.
"""

import socket
import threading
import time
from concurrent.futures import Future
from typing import Any

from relay.dispatch.deadline import current

_lock = threading.Lock()
_lookups: dict[tuple[str, int], Future[list[Any]]] = {}
"""Those under way. A lookup cannot be called off, so who asks for the same name waits for the same one."""


def connect(host: str, port: int, seconds: float) -> socket.socket:
    """Return a connection, known to the watch over this thread's call; ``seconds``: for each address.

    Raises OSError; socket.gaierror where the name is not found.
    """
    watch = current.watch
    problem: OSError | None = None
    for family, kind, protocol, _, address in _lookup(host, port).result(_left(watch.until)):
        try:
            made = socket.socket(family, kind, protocol)
        except OSError as why:  # a system without IPv6
            problem = why
            continue
        try:
            made.settimeout(min(seconds, _left(watch.until)))
            made.connect(address)
        except OSError as why:
            made.close()
            problem = why
            continue
        made.settimeout(seconds)
        watch.connected(made)
        return made
    raise problem or OSError("the name has no address")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline passed before a connection came about")
    return left


def _lookup(host: str, port: int) -> Future[list[Any]]:
    with _lock:
        if (host, port) not in _lookups:
            asking = threading.Thread(target=_look_up, args=(host, port), name="names", daemon=True)
            _lookups[host, port] = Future()
            try:
                asking.start()
            except RuntimeError as problem:  # no more threads: nothing was sent
                del _lookups[host, port]
                raise OSError(str(problem)) from None
        return _lookups[host, port]


def _look_up(host: str, port: int) -> None:
    found: list[Any] = []
    failed: Exception | None = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except Exception as problem:  # noqa: BLE001 - who waits is told, whatever it is
        failed = problem
    with _lock:
        lookup = _lookups.pop((host, port))
    if failed is None:
        lookup.set_result(found)
    else:
        lookup.set_exception(failed)
