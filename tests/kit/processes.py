"""Small helpers for real processes: free ports, /proc, waiting."""

import os
import random
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def free_port() -> int:
    """A port nobody listens on, below the range that outgoing connections take theirs from."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def eventually(check: Callable[[], T], timeout: float = 10.0, what: str = "", every: float = 0.05) -> T:
    """Calls `check` until it returns something true, and returns that; else AssertionError."""
    ends = time.monotonic() + timeout
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() >= ends:
            raise AssertionError(f"not within {timeout} s: {what or check}")
        time.sleep(every)


def pids_of_session(session: int) -> list[int]:
    """The living processes of a session (started with start_new_session), zombies left out."""
    return [pid for pid, state, _, sid in _processes() if sid == session and state != "Z"]


def children(parent: int) -> list[int]:
    """The living children of a process, zombies left out."""
    return [pid for pid, state, ppid, _ in _processes() if ppid == parent and state != "Z"]


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    """Signals processes that this test run started; those already gone are passed over."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _processes() -> list[tuple[int, str, int, int]]:
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text("utf-8", "replace")
        except OSError:  # it ended meanwhile
            continue
        state, ppid, _, session = stat.rpartition(")")[2].split()[:4]
        found.append((int(folder.name), state, int(ppid), int(session)))
    return found


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file grows beyond a size, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
