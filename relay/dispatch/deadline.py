"""A wall deadline around a whole call."""

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator


class Watch:
    """What is known of a call in flight, and the means to end it."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.wrote = False
        self.status = 0
        """Of the answer, as soon as its first line is there."""
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


_LOOK_SECONDS = 0.1

current = threading.local()
"""The watch over the call that this thread makes."""


class _Watchman:
    """One thread that ends calls at their deadline; a timer each would cost a thread per call."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._watches: dict[Watch, float] = {}
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        with self._changed:
            self._watches[watch] = watch.until
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            if len(self._watches) == 1:
                self._changed.notify()

    def remove(self, watch: Watch) -> None:
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


_watchman = _Watchman()


@contextlib.contextmanager
def watched(deadline: float) -> Iterator[Watch]:
    watch = current.watch = Watch(time.monotonic() + deadline)
    _watchman.add(watch)
    try:
        yield watch
    finally:
        _watchman.remove(watch)
        watch.end()
